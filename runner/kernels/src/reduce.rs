//! MEAN, SUM and other reductions over any axes.

use crate::element::{Element, Quantisation};
use crate::error::{Error, Operand, exactly};
use crate::requant::Multiplier;
use crate::shape::{RANK, Shape, strides};

/// Which elements fold into which output. Made once at load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduction {
    kept: Shape,
    extents: [usize; RANK],
    /// Steps in the output for each input dimension; 0 where it is folded.
    steps: [usize; RANK],
    count: usize,
}

impl Reduction {
    /// Over `axes`, in any order and number; the same one twice counts once.
    ///
    /// # Errors
    /// [`Error::Axis`] if one is not the input's.
    pub fn new(input: &Shape, axes: &[usize]) -> Result<Self, Error> {
        let lead = RANK - input.rank();
        let extents = input.aligned();
        let mut kept = extents;
        for &axis in axes {
            if axis >= input.rank() {
                return Err(Error::Axis);
            }
            kept[lead + axis] = 1;
        }
        let mut steps = strides(&kept);
        let mut count = 1;
        for axis in 0..RANK {
            if kept[axis] != extents[axis] {
                steps[axis] = 0;
                count *= extents[axis];
            }
        }
        Ok(Self {
            kept: Shape::new(&kept[lead..])?,
            extents,
            steps,
            count,
        })
    }

    /// The output's shape with the folded axes kept as 1; without them the elements are the same.
    pub fn kept(&self) -> Shape {
        self.kept
    }

    /// How many elements fold into each output.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Folds `x` into `totals`, which start from `first`, in the order of the input.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice is not as long as its shape.
    pub fn fold<T: Copy, A: Copy>(
        &self,
        x: &[T],
        totals: &mut [A],
        first: A,
        fold: impl Fn(A, T) -> A,
    ) -> Result<(), Error> {
        exactly(x, self.extents.iter().product(), Operand::Input)?;
        exactly(totals, self.kept.count(), Operand::Scratch)?;
        totals.fill(first);
        let row = self.extents[RANK - 1];
        if x.is_empty() {
            return Ok(());
        }
        let mut index = [0; RANK - 1];
        let mut at = 0;
        for x in x.chunks_exact(row) {
            if self.steps[RANK - 1] == 0 {
                totals[at] = x.iter().fold(totals[at], |total, &x| fold(total, x));
            } else {
                for (total, &x) in totals[at..at + row].iter_mut().zip(x) {
                    *total = fold(*total, x);
                }
            }
            for axis in (0..RANK - 1).rev() {
                index[axis] += 1;
                at += self.steps[axis];
                if index[axis] < self.extents[axis] {
                    break;
                }
                at -= self.steps[axis] * self.extents[axis];
                index[axis] = 0;
            }
        }
        Ok(())
    }
}

/// Quantised MEAN and SUM: `QuantizedMeanOrSum` (tflite/kernels/internal/reference/reduce.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mean {
    reduction: Reduction,
    multiplier: Multiplier,
    zeros: i32,
    zero: i32,
}

impl Mean {
    /// The mean. Its division is folded into the multiplier, at the price of some bits as there.
    ///
    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range, [`Error::ZeroExtent`] if
    /// there is nothing to take the mean of.
    pub fn new<T: Element>(
        reduction: Reduction,
        input: Quantisation,
        output: Quantisation,
    ) -> Result<Self, Error> {
        let sum = Self::sum::<T>(reduction, input, output)?;
        let count = i64::try_from(reduction.count).map_err(|_| Error::TooLarge)?;
        if count == 0 {
            return Err(Error::ZeroExtent);
        }
        let shift = (count.ilog2() as i32)
            .min(32)
            .min(31 + sum.multiplier.shift)
            .max(0);
        Ok(Self {
            multiplier: Multiplier {
                mantissa: ((i64::from(sum.multiplier.mantissa) << shift) / count) as i32,
                shift: sum.multiplier.shift - shift,
            },
            ..sum
        })
    }

    /// The sum.
    ///
    /// # Errors
    /// As [`Mean::new`].
    pub fn sum<T: Element>(
        reduction: Reduction,
        input: Quantisation,
        output: Quantisation,
    ) -> Result<Self, Error> {
        let (input, output) = (input.check::<T>()?, output.check::<T>()?);
        let count = i32::try_from(reduction.count).map_err(|_| Error::TooLarge)?;
        Ok(Self {
            reduction,
            multiplier: Multiplier::from_real(input.wide() / output.wide())
                .ok_or(Error::Quantisation)?,
            zeros: input.zero.wrapping_mul(count),
            zero: output.zero,
        })
    }

    /// `totals` is scratch of one `i32` an output.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice is not as long as its shape.
    pub fn run<T: Element>(&self, x: &[T], totals: &mut [i32], out: &mut [T]) -> Result<(), Error> {
        exactly(out, totals.len(), Operand::Output)?;
        let add = |total: i32, x: T| total.wrapping_add(x.widen());
        self.reduction.fold(x, totals, 0, add)?;
        for (out, &total) in out.iter_mut().zip(totals.iter()) {
            let scaled = self.multiplier.apply(total.wrapping_sub(self.zeros));
            *out = T::saturate(scaled.wrapping_add(self.zero));
        }
        Ok(())
    }
}

/// MEAN of `f32`.
///
/// # Errors
/// [`Error::Length`] if a slice is not as long as its shape.
pub fn real_mean(reduction: &Reduction, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
    reduction.fold(x, out, 0.0, |total, x| total + x)?;
    let count = reduction.count as f32;
    out.iter_mut().for_each(|out| *out /= count);
    Ok(())
}
