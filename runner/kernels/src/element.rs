//! Elements of quantised tensors, what they stand for, and the range they are clamped to.

use crate::error::Error;

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for u8 {}
    impl Sealed for i16 {}
}

/// An element of a quantised activation: `i8`, `u8` (the older scheme) or `i16`.
pub trait Element: Copy + Ord + sealed::Sealed + 'static {
    /// The least value.
    const MIN: i32;
    /// The greatest value.
    const MAX: i32;
    /// The value.
    fn widen(self) -> i32;
    /// The nearest value of this type.
    fn saturate(value: i32) -> Self;
}

/// An [`Element`] of one byte, which a table of 256 entries can hold every answer for.
pub trait Byte: Element {
    /// The bits.
    fn to_bits(self) -> u8;
    /// From the bits.
    fn from_bits(bits: u8) -> Self;
}

macro_rules! elements {
    ($($kind:ty),*) => {$(
        impl Element for $kind {
            const MIN: i32 = <$kind>::MIN as i32;
            const MAX: i32 = <$kind>::MAX as i32;
            #[inline]
            fn widen(self) -> i32 {
                i32::from(self)
            }
            #[inline]
            fn saturate(value: i32) -> Self {
                value.clamp(<Self as Element>::MIN, <Self as Element>::MAX) as Self
            }
        }
    )*};
}
elements!(i8, u8, i16);

macro_rules! bytes {
    ($($kind:ty),*) => {$(
        impl Byte for $kind {
            #[inline]
            fn to_bits(self) -> u8 {
                self as u8
            }
            #[inline]
            fn from_bits(bits: u8) -> Self {
                bits as Self
            }
        }
    )*};
}
bytes!(i8, u8);

/// The real number a quantised value `q` stands for is `scale · (q − zero)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantisation {
    /// The real size of one step; finite and positive.
    pub scale: f32,
    /// The quantised value of the real number 0.
    pub zero: i32,
}

impl Quantisation {
    /// Holds when the scale is finite and positive and the zero point a value of `T`.
    pub fn check<T: Element>(self) -> Result<Self, Error> {
        let sound =
            self.scale.is_finite() && self.scale > 0.0 && (T::MIN..=T::MAX).contains(&self.zero);
        sound.then_some(self).ok_or(Error::Quantisation)
    }

    /// The scale in double precision, in which TFLite derives multipliers.
    pub(crate) fn wide(self) -> f64 {
        f64::from(self.scale)
    }

    /// The quantised value nearest to `real`, not yet clamped to a type.
    ///
    /// `f32` throughout and halves away from zero, as `TfLiteRound` (tflite/kernels/internal/
    /// cppmath.h).
    pub(crate) fn steps(self, real: f32) -> i32 {
        self.zero
            .saturating_add(libm::roundf(real / self.scale) as i32)
    }
}

/// The activation function fused into an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activation {
    /// None.
    #[default]
    None,
    /// At least 0.
    Relu,
    /// Between −1 and 1.
    ReluN1To1,
    /// Between 0 and 6.
    Relu6,
}

impl Activation {
    /// The real bounds.
    pub fn bounds(self) -> [f32; 2] {
        match self {
            Self::None => [f32::MIN, f32::MAX],
            Self::Relu => [0.0, f32::MAX],
            Self::ReluN1To1 => [-1.0, 1.0],
            Self::Relu6 => [0.0, 6.0],
        }
    }

    /// The same among quantised values of `T`: `CalculateActivationRangeQuantized`
    /// (tflite/kernels/kernel_util.cc).
    pub fn range<T: Element>(self, output: Quantisation) -> Range {
        let (min, max) = match self {
            Self::None => (T::MIN, T::MAX),
            Self::Relu => (output.steps(0.0), T::MAX),
            Self::ReluN1To1 => (output.steps(-1.0), output.steps(1.0)),
            Self::Relu6 => (output.steps(0.0), output.steps(6.0)),
        };
        Range {
            min: min.clamp(T::MIN, T::MAX),
            max: max.clamp(T::MIN, T::MAX),
        }
    }
}

/// What an output value is clamped to; `min` is not above `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least value.
    pub min: i32,
    /// The greatest value.
    pub max: i32,
}

impl Range {
    /// All values of a type.
    pub const fn of<T: Element>() -> Self {
        Self {
            min: T::MIN,
            max: T::MAX,
        }
    }

    /// The value of the range that is nearest; the upper end wins, as in the reference.
    #[inline]
    pub(crate) fn limit(self, value: i32) -> i32 {
        value.max(self.min).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_become_ranges_of_the_output() {
        let output = Quantisation {
            scale: 0.05,
            zero: -100,
        };
        assert_eq!(Activation::None.range::<i8>(output), Range::of::<i8>());
        assert_eq!(
            Activation::Relu6.range::<i8>(output),
            Range { min: -100, max: 20 }
        );
        assert_eq!(
            Activation::ReluN1To1.range::<i8>(output),
            Range {
                min: -120,
                max: -80
            }
        );
    }

    #[test]
    fn a_scale_of_zero_is_refused() {
        let broken = Quantisation {
            scale: 0.0,
            zero: 0,
        };
        assert_eq!(broken.check::<i8>(), Err(Error::Quantisation));
        let outside = Quantisation {
            scale: 1.0,
            zero: 128,
        };
        assert_eq!(outside.check::<i8>(), Err(Error::Quantisation));
        assert_eq!(outside.check::<u8>(), Ok(outside));
    }
}
