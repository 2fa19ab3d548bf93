//! Operators that put whole tensors into others: PAD, PADV2, MIRROR_PAD, CONCATENATION, PACK, SPLIT,
//! SPLIT_V, UNPACK, TILE, SPACE_TO_BATCH_ND, BATCH_TO_SPACE_ND.

use crate::element::{Element, Quantisation};
use crate::error::{Error, Operand, exactly};
use crate::shape::{Around, RANK, Shape, strides};
use crate::table::Table;

/// Writes `x` among its neighbours along an axis: `part` is `x` about that axis, `whole` the output,
/// which it begins at index `first` of. CONCATENATION, and PACK with a new axis of extent 1.
///
/// # Errors
/// [`Error::Length`] or [`Error::Index`] if the part is no part of the whole.
pub fn join<T: Copy>(
    part: Around,
    whole: Around,
    first: usize,
    x: &[T],
    out: &mut [T],
) -> Result<(), Error> {
    exactly(x, part.count(), Operand::Input)?;
    exactly(out, whole.count(), Operand::Output)?;
    let (from, span) = part.within(whole, first)?;
    if x.is_empty() {
        return Ok(());
    }
    let rows = out.chunks_exact_mut(whole.along * whole.inner);
    for (x, out) in x.chunks_exact(span).zip(rows) {
        out[from..from + span].copy_from_slice(x);
    }
    Ok(())
}

/// Reads a part of `x` along an axis, from index `first` on: SPLIT, SPLIT_V and UNPACK.
///
/// # Errors
/// As [`join`].
pub fn part<T: Copy>(
    part: Around,
    whole: Around,
    first: usize,
    x: &[T],
    out: &mut [T],
) -> Result<(), Error> {
    exactly(x, whole.count(), Operand::Input)?;
    exactly(out, part.count(), Operand::Output)?;
    let (from, span) = part.within(whole, first)?;
    if out.is_empty() {
        return Ok(());
    }
    let rows = x.chunks_exact(whole.along * whole.inner);
    for (out, x) in out.chunks_exact_mut(span).zip(rows) {
        out.copy_from_slice(&x[from..from + span]);
    }
    Ok(())
}

impl Around {
    fn count(self) -> usize {
        self.outer * self.along * self.inner
    }

    /// Where in a row of `whole` a part lies, and how long it is.
    fn within(self, whole: Self, first: usize) -> Result<(usize, usize), Error> {
        let fits = self.outer == whole.outer
            && self.inner == whole.inner
            && first
                .checked_add(self.along)
                .is_some_and(|end| end <= whole.along);
        if !fits {
            return Err(Error::Index);
        }
        Ok((first * self.inner, self.along * self.inner))
    }
}

/// TILE: the tensor over and over; `output` is a multiple of it along every axis.
///
/// # Errors
/// [`Error::Rank`] or [`Error::Broadcast`] if it is not, [`Error::Length`] if a slice is not as long as its
/// shape.
pub fn tile<T: Copy>(input: &Shape, output: &Shape, x: &[T], out: &mut [T]) -> Result<(), Error> {
    exactly(x, input.count(), Operand::Input)?;
    exactly(out, output.count(), Operand::Output)?;
    if input.rank() != output.rank() {
        return Err(Error::Rank);
    }
    let (own, whole) = (input.aligned(), output.aligned());
    if (0..RANK).any(|axis| own[axis] == 0 || !whole[axis].is_multiple_of(own[axis])) {
        return Err(Error::Broadcast);
    }
    let (row, steps) = (own[RANK - 1], strides(&own));
    for (place, out) in out.chunks_exact_mut(row).enumerate() {
        let (mut rest, mut at) = (place / (whole[RANK - 1] / row), 0);
        for axis in (0..RANK - 1).rev() {
            at += rest % whole[axis] % own[axis] * steps[axis];
            rest /= whole[axis];
        }
        out.copy_from_slice(&x[at..at + row]);
    }
    Ok(())
}

/// What CONCATENATION does to `u8` parts whose quantisation is not the output's:
/// `ConcatenationWithScaling` (tflite/kernels/internal/reference/concatenation.h), in `f32`.
///
/// # Errors
/// [`Error::Quantisation`] if a scale or zero point is out of range.
pub fn rescaled(input: Quantisation, output: Quantisation) -> Result<Table, Error> {
    let (input, output) = (input.check::<u8>()?, output.check::<u8>()?);
    let scale = input.scale * (1.0 / output.scale);
    let bias = -(input.zero as f32) * scale;
    Ok(Table::new(|x: u8| {
        let value = libm::roundf(f32::from(x) * scale + bias) as i32;
        u8::saturate(value.saturating_add(output.zero))
    }))
}

/// How far a tensor's dimensions are padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    input: [usize; RANK],
    before: [usize; RANK],
    output: Shape,
}

impl Padding {
    /// `before` and `after` hold one number a dimension.
    ///
    /// # Errors
    /// [`Error::Rank`] if they do not, [`Error::TooLarge`] if the output cannot be counted.
    pub fn new(input: &Shape, before: &[usize], after: &[usize]) -> Result<Self, Error> {
        let rank = input.rank();
        if [before.len(), after.len()] != [rank; 2] {
            return Err(Error::Rank);
        }
        let mut extents = [0; RANK];
        for (axis, &size) in input.extents().iter().enumerate() {
            extents[axis] = size
                .checked_add(before[axis])
                .and_then(|sum| sum.checked_add(after[axis]))
                .ok_or(Error::TooLarge)?;
        }
        let mut lead = [0; RANK];
        lead[RANK - rank..].copy_from_slice(before);
        Ok(Self {
            input: input.aligned(),
            before: lead,
            output: Shape::new(&extents[..rank])?,
        })
    }

    /// The output's shape.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// PAD and PADV2: `value` all around; quantised, PAD's is the zero point.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice is not as long as its shape.
    pub fn fill<T: Copy>(&self, value: T, x: &[T], out: &mut [T]) -> Result<(), Error> {
        exactly(x, self.input.iter().product(), Operand::Input)?;
        exactly(out, self.output.count(), Operand::Output)?;
        out.fill(value);
        let row = self.input[RANK - 1];
        if x.is_empty() {
            return Ok(());
        }
        let steps = strides(&self.output.aligned());
        let mut index = [0; RANK - 1];
        for x in x.chunks_exact(row) {
            let at: usize = (0..RANK - 1)
                .map(|axis| (index[axis] + self.before[axis]) * steps[axis])
                .sum();
            out[at + self.before[RANK - 1]..][..row].copy_from_slice(x);
            for axis in (0..RANK - 1).rev() {
                index[axis] += 1;
                if index[axis] < self.input[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(())
    }

    /// MIRROR_PAD: the tensor's own elements, reflected; the outermost one repeated if `symmetric`.
    ///
    /// # Errors
    /// [`Error::Length`], or [`Error::Index`] if more is padded than there is to reflect.
    pub fn mirror<T: Copy>(&self, symmetric: bool, x: &[T], out: &mut [T]) -> Result<(), Error> {
        exactly(x, self.input.iter().product(), Operand::Input)?;
        exactly(out, self.output.count(), Operand::Output)?;
        let (sizes, steps) = (self.output.aligned(), strides(&self.input));
        let edge = usize::from(!symmetric);
        for (flat, out) in out.iter_mut().enumerate() {
            let (mut rest, mut at) = (flat, 0);
            for axis in (0..RANK).rev() {
                let (place, before, size) =
                    (rest % sizes[axis], self.before[axis], self.input[axis]);
                rest /= sizes[axis];
                let index = if place < before {
                    before - place - 1 + edge
                } else if place - before < size {
                    place - before
                } else {
                    (2 * size + before)
                        .checked_sub(place + 1 + edge)
                        .ok_or(Error::Index)?
                };
                if index >= size {
                    return Err(Error::Index);
                }
                at += index * steps[axis];
            }
            *out = x[at];
        }
        Ok(())
    }
}

/// SPACE_TO_BATCH_ND and its way back, of NHWC tensors (NHC ones have a width of 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches {
    /// The tensor in space.
    pub space: [usize; 4],
    /// The tensor in batches.
    pub batch: [usize; 4],
    /// Rows and columns of a block.
    pub block: [usize; 2],
    /// Rows and columns padded before, or cropped.
    pub before: [usize; 2],
}

impl Batches {
    /// SPACE_TO_BATCH_ND; `value` is what is padded with, the zero point if quantised.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Channels`] if the shapes do not belong together.
    pub fn spread<T: Copy>(&self, value: T, x: &[T], out: &mut [T]) -> Result<(), Error> {
        self.check(x, out)?;
        out.fill(value);
        self.each(|space, batch, depth| {
            out[batch..batch + depth].copy_from_slice(&x[space..space + depth]);
        });
        Ok(())
    }

    /// BATCH_TO_SPACE_ND.
    ///
    /// # Errors
    /// As [`Batches::spread`].
    pub fn gather<T: Copy>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        self.check(out, x)?;
        self.each(|space, batch, depth| {
            out[space..space + depth].copy_from_slice(&x[batch..batch + depth]);
        });
        Ok(())
    }

    fn check<T>(&self, space: &[T], batch: &[T]) -> Result<(), Error> {
        exactly(space, self.space.iter().product(), Operand::Input)?;
        exactly(batch, self.batch.iter().product(), Operand::Output)?;
        let [rows, columns] = self.block;
        let blocks = rows.checked_mul(columns).ok_or(Error::TooLarge)?;
        let alike = self.space[3] == self.batch[3]
            && self.space[0].checked_mul(blocks) == Some(self.batch[0])
            && blocks > 0;
        let reach = |axis: usize| {
            let covered = self.batch[1 + axis].checked_mul(self.block[axis]);
            let needed = self.space[1 + axis].checked_add(self.before[axis]);
            covered
                .zip(needed)
                .is_some_and(|(covered, needed)| needed <= covered)
        };
        (alike && reach(0) && reach(1))
            .then_some(())
            .ok_or(Error::Channels)
    }

    /// Where each pixel lies in space and in its batch.
    fn each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let ([images, height, width, depth], [_, rows, columns, _]) = (self.space, self.batch);
        for pixel in 0..images * height * width {
            let (image, y, x) = (
                pixel / width / height,
                pixel / width % height,
                pixel % width,
            );
            let (y, x) = (y + self.before[0], x + self.before[1]);
            let block = y % self.block[0] * self.block[1] + x % self.block[1];
            let place = (block * images + image) * rows * columns
                + y / self.block[0] * columns
                + x / self.block[1];
            visit(pixel * depth, place * depth, depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_repeat_along_every_axis() {
        let shape = |extents: &[usize]| Shape::new(extents).expect("small");
        let mut out = [0; 12];
        tile(&shape(&[2, 2]), &shape(&[2, 6]), &[1, 2, 3, 4], &mut out).expect("fits");
        assert_eq!(out, [1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4]);
        tile(&shape(&[1, 3]), &shape(&[4, 3]), &[1, 2, 3], &mut out).expect("fits");
        assert_eq!(out, [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
        let odd = tile(&shape(&[2, 2]), &shape(&[4, 3]), &[1, 2, 3, 4], &mut out);
        assert_eq!(odd, Err(Error::Broadcast));
    }
}
