//! CUMSUM: sums of all elements up to each, along an axis.

use crate::error::{Error, Operand, exactly, product};
use crate::shape::Around;

/// Which elements a sum takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// All but the element itself.
    pub exclusive: bool,
    /// From the far end of the axis.
    pub reverse: bool,
}

impl Scan {
    /// Sums by `add` from `zero` on, in the order of the reference
    /// (tflite/kernels/internal/reference/cumsum.h).
    ///
    /// # Errors
    /// [`Error::Length`] if a slice is not as long as its shape.
    pub fn run<T: Copy>(
        self,
        around: Around,
        x: &[T],
        out: &mut [T],
        zero: T,
        add: impl Fn(T, T) -> T,
    ) -> Result<(), Error> {
        let Around {
            outer,
            along,
            inner,
        } = around;
        let count = product(&[outer, along, inner])?;
        exactly(x, count, Operand::Input)?;
        exactly(out, count, Operand::Output)?;
        for line in 0..outer * inner {
            let start = line / inner * along * inner + line % inner;
            let mut sum = zero;
            for step in 0..along {
                let place = if self.reverse { along - 1 - step } else { step };
                let at = start + place * inner;
                let whole = add(sum, x[at]);
                out[at] = if self.exclusive { sum } else { whole };
                sum = whole;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_run_either_way_with_or_without_their_own() {
        let around = Around {
            outer: 1,
            along: 3,
            inner: 2,
        };
        let sums = |exclusive, reverse| {
            let mut out = [0; 6];
            let scan = Scan { exclusive, reverse };
            scan.run(around, &[1, 10, 2, 20, 3, 30], &mut out, 0, |a, b| a + b)
                .expect("fits");
            out
        };
        assert_eq!(sums(false, false), [1, 10, 3, 30, 6, 60]);
        assert_eq!(sums(true, false), [0, 0, 1, 10, 3, 30]);
        assert_eq!(sums(false, true), [6, 60, 5, 50, 3, 30]);
        assert_eq!(sums(true, true), [5, 50, 3, 30, 0, 0]);
    }
}
