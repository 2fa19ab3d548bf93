//! Operators that only look at a tensor differently: TRANSPOSE, SLICE, STRIDED_SLICE, REVERSE_V2,
//! DEPTH_TO_SPACE, SPACE_TO_DEPTH.
//!
//! All of them are one walk: output index `i` reads `start + Σ i_k · step_k`. The plan is made once at
//! load; the copy runs over rows.

use crate::error::{Error, Operand, exactly, product};
use crate::shape::{RANK, Shape, strides};

/// A strided view of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    extents: [usize; RANK],
    steps: [isize; RANK],
    start: usize,
    source: usize,
}

impl View {
    /// The whole tensor as it is.
    fn whole(input: &Shape) -> Self {
        let extents = input.aligned();
        Self {
            extents,
            steps: strides(&extents).map(|step| step as isize),
            start: 0,
            source: input.count(),
        }
    }

    /// TRANSPOSE: dimension `k` of the output is dimension `order[k]` of the input.
    ///
    /// # Errors
    /// [`Error::Axis`] if `order` is no permutation.
    pub fn transpose(input: &Shape, order: &[usize]) -> Result<Self, Error> {
        let whole = Self::whole(input);
        let lead = RANK - input.rank();
        let mut view = whole;
        let mut seen = [false; RANK];
        if order.len() != input.rank() {
            return Err(Error::Axis);
        }
        for (axis, &from) in order.iter().enumerate() {
            if from >= order.len() || core::mem::replace(&mut seen[from], true) {
                return Err(Error::Axis);
            }
            view.extents[lead + axis] = whole.extents[lead + from];
            view.steps[lead + axis] = whole.steps[lead + from];
        }
        Ok(view.merged())
    }

    /// STRIDED_SLICE with everything resolved: from `begin` on, `extents` elements `steps` apart,
    /// backwards if negative. SLICE is the case of steps of 1.
    ///
    /// # Errors
    /// [`Error::Index`] if it reaches outside the input.
    pub fn slice(
        input: &Shape,
        begin: &[usize],
        extents: &[usize],
        steps: &[isize],
    ) -> Result<Self, Error> {
        let rank = input.rank();
        if [begin.len(), extents.len(), steps.len()] != [rank; 3] {
            return Err(Error::Rank);
        }
        product(extents)?;
        let mut view = Self::whole(input);
        for axis in 0..rank {
            let (at, size) = (RANK - rank + axis, input.extents()[axis]);
            let last = extents[axis]
                .checked_sub(1)
                .and_then(|count| steps[axis].checked_mul(count as isize))
                .and_then(|way| begin[axis].checked_add_signed(way));
            let inside =
                extents[axis] == 0 || (begin[axis] < size && last.is_some_and(|last| last < size));
            if !inside {
                return Err(Error::Index);
            }
            view.start += if extents[axis] == 0 {
                0
            } else {
                begin[axis] * view.steps[at] as usize
            };
            // Where only one is taken, the way to the next does not matter.
            view.steps[at] = view.steps[at].saturating_mul(steps[axis]);
            view.extents[at] = extents[axis];
        }
        Ok(view.merged())
    }

    /// REVERSE_V2 along one axis.
    ///
    /// # Errors
    /// [`Error::Axis`] if it is not the input's.
    pub fn reverse(input: &Shape, axis: usize) -> Result<Self, Error> {
        let mut view = Self::whole(input);
        let size = *input.extents().get(axis).ok_or(Error::Axis)?;
        let at = RANK - input.rank() + axis;
        view.start = size.saturating_sub(1) * view.steps[at] as usize;
        view.steps[at] = -view.steps[at];
        Ok(view.merged())
    }

    /// DEPTH_TO_SPACE: blocks of channels become squares of `block` by `block` pixels.
    ///
    /// # Errors
    /// [`Error::Channels`] if the channels do not divide into squares.
    pub fn depth_to_space(input: [usize; 4], block: usize) -> Result<Self, Error> {
        let [batch, height, width, channels] = input;
        let square = product(&[block, block])?;
        if block == 0 || !channels.is_multiple_of(square) {
            return Err(Error::Channels);
        }
        let split = Shape::new(&[batch, height, width, block, block, channels / square])?;
        Self::transpose(&split, &[0, 1, 3, 2, 4, 5])
    }

    /// SPACE_TO_DEPTH, the way back.
    ///
    /// # Errors
    /// [`Error::Channels`] if the pixels do not divide into squares.
    pub fn space_to_depth(input: [usize; 4], block: usize) -> Result<Self, Error> {
        let [batch, height, width, channels] = input;
        if block == 0 || !height.is_multiple_of(block) || !width.is_multiple_of(block) {
            return Err(Error::Channels);
        }
        let split = [batch, height / block, block, width / block, block, channels];
        Self::transpose(&Shape::new(&split)?, &[0, 1, 3, 2, 4, 5])
    }

    /// How many elements the output has.
    pub fn count(&self) -> usize {
        self.extents.iter().product()
    }

    /// The same walk with dimensions that are one run merged, so that rows are long.
    fn merged(self) -> Self {
        let mut merged = Self {
            extents: [1; RANK],
            steps: [1; RANK],
            ..self
        };
        let mut kept = RANK - 1;
        for axis in (0..RANK).rev() {
            let (extent, step) = (self.extents[axis], self.steps[axis]);
            let inside = merged.extents[kept];
            if extent == 1 {
                continue;
            }
            if inside != 1 && step == merged.steps[kept] * inside as isize {
                merged.extents[kept] *= extent;
                continue;
            }
            if inside != 1 {
                kept -= 1;
            }
            (merged.extents[kept], merged.steps[kept]) = (extent, step);
        }
        merged
    }

    /// Copies what the view shows.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice is not as long as its shape.
    pub fn run<T: Copy>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        exactly(x, self.source, Operand::Input)?;
        exactly(out, self.count(), Operand::Output)?;
        let row = self.extents[RANK - 1];
        if out.is_empty() {
            return Ok(());
        }
        let step = self.steps[RANK - 1];
        let mut index = [0; RANK - 1];
        let mut at = self.start;
        for out in out.chunks_exact_mut(row) {
            if step == 1 {
                out.copy_from_slice(&x[at..at + row]);
            } else {
                let mut at = at;
                for out in out {
                    *out = x[at];
                    at = at.wrapping_add_signed(step);
                }
            }
            for axis in (0..RANK - 1).rev() {
                index[axis] += 1;
                at = at.wrapping_add_signed(self.steps[axis]);
                if index[axis] < self.extents[axis] {
                    break;
                }
                at = at.wrapping_add_signed(-self.steps[axis] * self.extents[axis] as isize);
                index[axis] = 0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_outside_is_refused() {
        let shape = Shape::new(&[4, 5]).expect("small");
        let outside = View::slice(&shape, &[0, 3], &[4, 2], &[1, 2]);
        assert_eq!(outside, Err(Error::Index));
        let before = View::slice(&shape, &[0, 1], &[4, 3], &[1, -1]);
        assert_eq!(before, Err(Error::Index));
        assert_eq!(View::transpose(&shape, &[0, 0]), Err(Error::Axis));
    }

    #[test]
    fn a_part_of_whole_rows_is_few_runs() {
        let shape = Shape::new(&[2, 5, 3, 4]).expect("small");
        let rows = View::slice(&shape, &[0, 1, 0, 0], &[2, 3, 3, 4], &[1; 4]).expect("inside");
        assert_eq!(rows.extents, [1, 1, 1, 1, 2, 36]);
        let same = View::transpose(&shape, &[0, 1, 2, 3]).expect("an order");
        assert_eq!(same.extents, [1, 1, 1, 1, 1, 120]);
    }

    #[test]
    fn depth_goes_to_space_and_back() {
        let x: [u8; 24] = core::array::from_fn(|i| i as u8);
        let (mut there, mut back) = ([0; 24], [0; 24]);
        let way = View::depth_to_space([1, 1, 2, 12], 2).expect("squares");
        way.run(&x, &mut there).expect("fits");
        let way = View::space_to_depth([1, 2, 4, 3], 2).expect("squares");
        way.run(&there, &mut back).expect("fits");
        assert_eq!(back, x);
        assert_ne!(there, x);
    }
}
