//! A window that slides over the rows and columns of an NHWC tensor.

use crate::error::{Error, product};

mod band;

pub(crate) use band::Bands;

/// The geometry of a convolution or pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Batch, height, width and channels of the input.
    pub input: [usize; 4],
    /// Batch, height, width and channels of the output.
    pub output: [usize; 4],
    /// Height and width of the window, in taps.
    pub kernel: [usize; 2],
    /// Rows and columns the window moves at each step.
    pub stride: [usize; 2],
    /// Rows and columns from one tap to the next; 1 for a dense window.
    pub dilation: [usize; 2],
    /// Rows above and columns left of the input that the first window covers. What it covers below
    /// and to the right follows from the output's shape.
    pub before: [usize; 2],
}

impl Window {
    /// Holds when nothing is zero that divides or is counted, and all sizes fit the address space,
    /// those of an input padded for the outermost windows included.
    pub fn check(&self) -> Result<(), Error> {
        let positive = [self.input, self.output]
            .iter()
            .flatten()
            .chain(&self.kernel)
            .chain(&self.stride)
            .chain(&self.dilation)
            .all(|&extent| extent > 0);
        if !positive {
            return Err(Error::ZeroExtent);
        }
        if self.input[0] != self.output[0] {
            return Err(Error::Channels);
        }
        product(&self.input)?;
        product(&self.output)?;
        let mut padded = [0; 2];
        for (axis, extent) in padded.iter_mut().enumerate() {
            *extent = self.covered_checked(axis).ok_or(Error::TooLarge)?;
        }
        product(&[padded[0], padded[1], self.input[3]])?;
        Ok(())
    }

    /// Rows (axis 0) or columns (axis 1) that `outputs` successive windows cover, taps included.
    pub(crate) fn covered(&self, axis: usize, outputs: usize) -> usize {
        (outputs - 1) * self.stride[axis] + self.reach(axis)
    }

    /// Rows or columns that one window covers.
    pub(crate) fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    fn covered_checked(&self, axis: usize) -> Option<usize> {
        let reach = (self.kernel[axis] - 1)
            .checked_mul(self.dilation[axis])?
            .checked_add(1)?;
        (self.output[1 + axis] - 1)
            .checked_mul(self.stride[axis])?
            .checked_add(reach)?
            .max(self.input[1 + axis])
            .checked_add(self.before[axis])
    }

    /// Whether some window reaches outside the input.
    pub(crate) fn leaves_input(&self) -> bool {
        (0..2).any(|axis| {
            self.before[axis] > 0
                || self.covered(axis, self.output[1 + axis]) > self.input[1 + axis]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENSE: Window = Window {
        input: [1, 5, 5, 2],
        output: [1, 5, 5, 4],
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        before: [1, 1],
    };

    #[test]
    fn absurd_geometry_is_refused() {
        assert_eq!(DENSE.check(), Ok(()));
        assert!(DENSE.leaves_input());
        let stuck = Window {
            stride: [0, 1],
            ..DENSE
        };
        assert_eq!(stuck.check(), Err(Error::ZeroExtent));
        let vast = Window {
            dilation: [usize::MAX, 1],
            ..DENSE
        };
        assert_eq!(vast.check(), Err(Error::TooLarge));
        let batches = Window {
            output: [2, 5, 5, 4],
            ..DENSE
        };
        assert_eq!(batches.check(), Err(Error::Channels));
    }
}
