//! Operators on single elements as tables, built once at load.
//!
//! A quantised operator whose answer depends on its element alone has 256 answers for bytes: the
//! portable specification fills a [`Table`]. For `i16` the reference itself interpolates between 513
//! entries ([`Interpolated`]).

use crate::element::{Byte, Quantisation};
use crate::error::{Error, Operand, exactly};

/// The answer to every byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table([u8; 256]);

impl Table {
    /// Asks `f` about every value of `T`.
    pub fn new<T: Byte, O: Byte>(f: impl Fn(T) -> O) -> Self {
        let mut table = [0; 256];
        for (bits, answer) in (0..=255).zip(&mut table) {
            *answer = f(T::from_bits(bits)).to_bits();
        }
        Self(table)
    }

    /// The table of a real function: dequantised in `f32`, transformed, divided by the output's
    /// scale and rounded half away from zero, as `LUTPopulate` (tflite/kernels/internal/common.h).
    ///
    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range for `T`.
    pub fn real<T: Byte>(
        input: Quantisation,
        output: Quantisation,
        f: impl Fn(f32) -> f32,
    ) -> Result<Self, Error> {
        let (input, output) = (input.check::<T>()?, output.check::<T>()?);
        let inverse = 1.0 / output.scale;
        Ok(Self::new(|x: T| {
            let real = input.scale * (x.widen() - input.zero) as f32;
            let steps = libm::roundf(f(real) * inverse);
            T::saturate((steps + output.zero as f32) as i32)
        }))
    }

    /// The answer to one value.
    #[inline]
    pub fn answer<T: Byte, O: Byte>(&self, x: T) -> O {
        O::from_bits(self.0[usize::from(x.to_bits())])
    }

    /// Looks every element up.
    ///
    /// # Errors
    /// [`Error::Length`] if the slices are not as long as each other.
    pub fn run<T: Byte, O: Byte>(&self, x: &[T], out: &mut [O]) -> Result<(), Error> {
        map(x, out, |x| self.answer(x))
    }
}

/// A function of every element, one by one.
///
/// # Errors
/// [`Error::Length`] if the slices are not as long as each other.
#[inline]
pub fn map<T: Copy, O>(x: &[T], out: &mut [O], f: impl Fn(T) -> O) -> Result<(), Error> {
    exactly(x, out.len(), Operand::Input)?;
    for (out, &x) in out.iter_mut().zip(x) {
        *out = f(x);
    }
    Ok(())
}

/// A function of `i16` by linear interpolation between 513 of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interpolated([i16; 513]);

/// The reals that the least and the greatest `i16` stand for.
type Ends<F> = [F; 2];

macro_rules! interpolated {
    ($(#[$doc:meta])* $name:ident, $float:ty, $round:path) => {
        $(#[$doc])*
        fn $name(input: Ends<$float>, output: Ends<$float>, f: impl Fn($float) -> $float) -> Self {
            const STEPS: usize = 512;
            let step = (input[1] - input[0]) / STEPS as $float;
            let inverse = 65536.0 / (output[1] - output[0]);
            let at = |index: usize| f(input[0] + index as $float * step);
            let mut table = [0; STEPS + 1];
            for (index, entry) in table.iter_mut().take(STEPS).enumerate() {
                let middle = f(input[0] + index as $float * step + step / 2.0);
                let sample = $round(at(index) * inverse);
                let interpolated = $round((at(index + 1) * inverse + sample) / 2.0);
                // Half of what interpolation would be off by in the middle goes to the ends.
                let bias = $round((interpolated - $round(middle * inverse)) / 2.0);
                *entry = (sample - bias) as i16;
            }
            table[STEPS] = $round(f(input[1]) * inverse) as i16;
            Self(table)
        }
    };
}

impl Interpolated {
    interpolated!(
        /// `LUTPopulateInt16<float>` (tflite/kernels/internal/common.h).
        single, f32, libm::roundf
    );
    interpolated!(
        /// `LUTPopulateInt16<double>`, which softmax uses.
        double, f64, libm::round
    );

    /// The table of a real function.
    ///
    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range.
    pub fn real(
        input: Quantisation,
        output: Quantisation,
        f: impl Fn(f32) -> f32,
    ) -> Result<Self, Error> {
        let ends = |q: Quantisation| {
            [i16::MIN, i16::MAX].map(|end| q.scale * (i32::from(end) - q.zero) as f32)
        };
        let (input, output) = (input.check::<i16>()?, output.check::<i16>()?);
        Ok(Self::single(ends(input), ends(output), f))
    }

    /// A table between given ends.
    pub(crate) fn between(input: Ends<f64>, output: Ends<f64>, f: impl Fn(f64) -> f64) -> Self {
        Self::double(input, output, f)
    }

    /// The answer to one value: `LUTLookup` (tflite/kernels/internal/common.h).
    #[inline]
    pub fn answer(&self, x: i16) -> i16 {
        let index = (256 + (x >> 7)) as usize & 511;
        let (base, next) = (i32::from(self.0[index]), i32::from(self.0[index + 1]));
        (base + (((next - base) as i16 as i32 * i32::from(x & 127) + 64) >> 7)) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_the_identity_changes_nothing() {
        let q = Quantisation {
            scale: 0.1,
            zero: 3,
        };
        let table = Table::real::<i8>(q, q, |x| x).expect("sound");
        assert!((i8::MIN..=i8::MAX).all(|x| table.answer::<_, i8>(x) == x));
        let mut short = [0_i8; 2];
        assert!(table.run(&[1_i8], &mut short).is_err());
    }

    #[test]
    fn interpolation_meets_a_line() {
        let q = Quantisation {
            scale: 0.001,
            zero: 0,
        };
        let line = Interpolated::real(q, q, |x| x).expect("sound");
        assert!(
            [-32768, -1, 0, 77, 32700]
                .iter()
                .all(|&x| (line.answer(x) - x).abs() <= 1)
        );
    }
}
