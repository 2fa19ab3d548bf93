//! Addition and its kin on pairs of elements: quantised with rescaling, and on plain numbers.
//!
//! The quantised operators take inputs and output of different scales; their constructors derive the
//! fixed-point multipliers as the `Prepare` functions of TFLite do. MAXIMUM and MINIMUM of quantised
//! tensors have one quantisation for all and compare the values as they are: use [`Plain`].

use crate::broadcast::{Binary, row};
use crate::element::{Activation, Element, Quantisation, Range};
use crate::error::Error;
use crate::isa::Isa;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::isa::Level;
use crate::requant::Multiplier;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod near;
#[cfg(target_arch = "aarch64")]
mod neon;

/// Quantised ADD and SUB.
///
/// Both inputs are shifted left by 20 bits (15 for `i16`), scaled to twice the greater of their
/// scales, added, and scaled to the output: `AddElementwise` (tflite/kernels/internal/reference/
/// add.h, integer_ops/add.h) and `SubElementwise` (sub.h).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Add {
    pub(crate) zeros: [i32; 2],
    pub(crate) left: u32,
    pub(crate) inputs: [Multiplier; 2],
    pub(crate) subtract: bool,
    pub(crate) output: Multiplier,
    pub(crate) zero: i32,
    pub(crate) range: Range,
    /// What a fast path works out first; of ADD and SUB alone.
    #[cfg(target_arch = "x86_64")]
    near: Option<near::Near>,
}

impl Add {
    /// `a + b`.
    ///
    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range for `T`.
    pub fn new<T: Element>(
        a: Quantisation,
        b: Quantisation,
        output: Quantisation,
        activation: Activation,
    ) -> Result<Self, Error> {
        Self::planned::<T>([a, b], output, activation, false)
    }

    /// `a − b`.
    ///
    /// # Errors
    /// As [`Add::new`].
    pub fn subtract<T: Element>(
        a: Quantisation,
        b: Quantisation,
        output: Quantisation,
        activation: Activation,
    ) -> Result<Self, Error> {
        Self::planned::<T>([a, b], output, activation, true)
    }

    fn planned<T: Element>(
        [a, b]: [Quantisation; 2],
        output: Quantisation,
        activation: Activation,
        subtract: bool,
    ) -> Result<Self, Error> {
        let (a, b, output) = (a.check::<T>()?, b.check::<T>()?, output.check::<T>()?);
        let left = if T::MAX > 255 { 15 } else { 20 };
        let twice = 2.0 * a.wide().max(b.wide());
        let multiplier = |real| Multiplier::from_real(real).ok_or(Error::Quantisation);
        let add = Self {
            zeros: [a.zero, b.zero],
            left,
            inputs: [multiplier(a.wide() / twice)?, multiplier(b.wide() / twice)?],
            subtract,
            output: multiplier(twice / (f64::from(1_u32 << left) * output.wide()))?,
            zero: output.zero,
            range: activation.range::<T>(output),
            #[cfg(target_arch = "x86_64")]
            near: None,
        };
        #[cfg(target_arch = "x86_64")]
        let add = Self {
            near: near::Near::of::<T>(&add),
            ..add
        };
        Ok(add)
    }

    /// An input on the scale common to both; each depends on its own element alone.
    #[inline]
    pub(crate) fn scaled(&self, which: usize, value: i32) -> i32 {
        self.inputs[which].apply((value - self.zeros[which]) << self.left)
    }

    /// The output of two inputs on the common scale.
    #[inline]
    pub(crate) fn joined(&self, a: i32, b: i32) -> i32 {
        let sum = if self.subtract {
            a.wrapping_sub(b)
        } else {
            a.wrapping_add(b)
        };
        self.range
            .limit(self.output.apply(sum).wrapping_add(self.zero))
    }
}

impl<T: Element> Binary<T> for Add {
    #[inline]
    fn apply(&self, a: T, b: T) -> T {
        T::saturate(self.joined(self.scaled(0, a.widen()), self.scaled(1, b.widen())))
    }

    fn row(&self, isa: Isa, a: &[T], b: &[T], out: &mut [T]) {
        match isa.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => avx512::row(self, a, b, out),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => avx2::row(self, a, b, out),
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::NeonDot => neon::row(self, a, b, out),
            _ => row(isa, a, b, out, |a, b| self.apply(a, b)),
        }
    }
}

/// Quantised MUL: the product of the differences from the zero points, scaled once.
/// `MulElementwise` (tflite/kernels/internal/reference/mul.h, integer_ops/mul.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mul {
    pub(crate) zeros: [i32; 2],
    pub(crate) output: Multiplier,
    pub(crate) zero: i32,
    pub(crate) range: Range,
}

impl Mul {
    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range for `T`.
    pub fn new<T: Element>(
        a: Quantisation,
        b: Quantisation,
        output: Quantisation,
        activation: Activation,
    ) -> Result<Self, Error> {
        let (a, b, output) = (a.check::<T>()?, b.check::<T>()?, output.check::<T>()?);
        // TFLite multiplies and divides the scales in single precision (mul.cc).
        let real = a.scale * b.scale / output.scale;
        Ok(Self {
            zeros: [a.zero, b.zero],
            output: Multiplier::from_real(f64::from(real)).ok_or(Error::Quantisation)?,
            zero: output.zero,
            range: activation.range::<T>(output),
        })
    }
}

impl<T: Element> Binary<T> for Mul {
    #[inline]
    fn apply(&self, a: T, b: T) -> T {
        let product = (a.widen() - self.zeros[0]) * (b.widen() - self.zeros[1]);
        let scaled = self.output.apply(product).wrapping_add(self.zero);
        T::saturate(self.range.limit(scaled))
    }
}

/// Quantised SQUARED_DIFFERENCE, of `i8` alone as in the reference
/// (tflite/kernels/squared_difference.cc): ADD's scheme with 7 bits of headroom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SquaredDifference(Add);

impl SquaredDifference {
    const LEFT: u32 = 7;

    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range.
    pub fn new(a: Quantisation, b: Quantisation, output: Quantisation) -> Result<Self, Error> {
        let twice = 2.0 * a.wide().max(b.wide());
        let real = twice * twice / (f64::from(1_u32 << (2 * Self::LEFT)) * output.wide());
        Ok(Self(Add {
            left: Self::LEFT,
            output: Multiplier::from_real(real).ok_or(Error::Quantisation)?,
            ..Add::new::<i8>(a, b, output, Activation::None)?
        }))
    }
}

impl Binary<i8> for SquaredDifference {
    #[inline]
    fn apply(&self, a: i8, b: i8) -> i8 {
        let add = &self.0;
        let difference = add.scaled(0, a.widen()) - add.scaled(1, b.widen());
        let scaled = add.output.apply(difference.wrapping_mul(difference));
        i8::saturate(add.range.limit(scaled.wrapping_add(add.zero)))
    }
}

/// Quantised PRELU: positive inputs are scaled, negative ones multiplied by their slope too.
/// `Prelu` (tflite/kernels/internal/reference/prelu.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prelu {
    zeros: [i32; 2],
    positive: Multiplier,
    negative: Multiplier,
    zero: i32,
}

impl Prelu {
    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range for `T`.
    pub fn new<T: Element>(
        input: Quantisation,
        slope: Quantisation,
        output: Quantisation,
    ) -> Result<Self, Error> {
        let (input, slope) = (input.check::<T>()?, slope.check::<T>()?);
        let output = output.check::<T>()?;
        let multiplier =
            |real: f32| Multiplier::from_real(f64::from(real)).ok_or(Error::Quantisation);
        Ok(Self {
            zeros: [input.zero, slope.zero],
            positive: multiplier(input.scale / output.scale)?,
            negative: multiplier(input.scale * slope.scale / output.scale)?,
            zero: output.zero,
        })
    }
}

impl<T: Element> Binary<T> for Prelu {
    #[inline]
    fn apply(&self, x: T, slope: T) -> T {
        let x = x.widen() - self.zeros[0];
        let scaled = if x >= 0 {
            self.positive.apply(x)
        } else {
            self.negative.apply(x * (slope.widen() - self.zeros[1]))
        };
        T::saturate(scaled.wrapping_add(self.zero))
    }
}

/// What [`Plain`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `a + b`; integers wrap, here and below.
    Add,
    /// `a − b`.
    Subtract,
    /// `a · b`.
    Multiply,
    /// `a / b`, of integers towards zero; an integer divided by zero is 0.
    Divide,
    /// The greater.
    Maximum,
    /// The smaller.
    Minimum,
    /// `(a − b)²`.
    SquaredDifference,
}

/// Arithmetic on numbers that stand for themselves: `f32`, `i32`, `i64`; and the maximum and minimum
/// of quantised values, which keep their quantisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plain<T> {
    /// What is computed.
    pub operation: Operation,
    /// The bounds of the fused activation.
    pub bounds: [T; 2],
}

/// Numbers that [`Plain`] works on.
trait Number: Copy {
    fn add(self, b: Self) -> Self;
    fn subtract(self, b: Self) -> Self;
    fn multiply(self, b: Self) -> Self;
    fn divide(self, b: Self) -> Self;
    fn greater(self, b: Self) -> Self;
    fn smaller(self, b: Self) -> Self;
}

impl Number for f32 {
    #[inline]
    fn add(self, b: Self) -> Self {
        self + b
    }
    #[inline]
    fn subtract(self, b: Self) -> Self {
        self - b
    }
    #[inline]
    fn multiply(self, b: Self) -> Self {
        self * b
    }
    #[inline]
    fn divide(self, b: Self) -> Self {
        self / b
    }
    // `std::max(a, b)` of C++ answers `a` where either is not a number.
    #[inline]
    fn greater(self, b: Self) -> Self {
        if self < b { b } else { self }
    }
    #[inline]
    fn smaller(self, b: Self) -> Self {
        if b < self { b } else { self }
    }
}

macro_rules! integers {
    ($($kind:ty),*) => {$(
        impl Number for $kind {
            #[inline]
            fn add(self, b: Self) -> Self {
                self.wrapping_add(b)
            }
            #[inline]
            fn subtract(self, b: Self) -> Self {
                self.wrapping_sub(b)
            }
            #[inline]
            fn multiply(self, b: Self) -> Self {
                self.wrapping_mul(b)
            }
            #[inline]
            fn divide(self, b: Self) -> Self {
                if b == 0 { 0 } else { self.wrapping_div(b) }
            }
            #[inline]
            fn greater(self, b: Self) -> Self {
                self.max(b)
            }
            #[inline]
            fn smaller(self, b: Self) -> Self {
                self.min(b)
            }
        }
    )*};
}
integers!(i8, u8, i16, i32, i64);

impl<T: Number> Binary<T> for Plain<T> {
    fn apply(&self, a: T, b: T) -> T {
        let mut out = [a];
        self.row(Isa::PORTABLE, &[a], &[b], &mut out);
        let [answer] = out;
        answer
    }

    fn row(&self, isa: Isa, a: &[T], b: &[T], out: &mut [T]) {
        let [min, max] = self.bounds;
        let bound = move |x: T| x.greater(min).smaller(max);
        match self.operation {
            Operation::Add => row(isa, a, b, out, |a, b| bound(a.add(b))),
            Operation::Subtract => row(isa, a, b, out, |a, b| bound(a.subtract(b))),
            Operation::Multiply => row(isa, a, b, out, |a, b| bound(a.multiply(b))),
            Operation::Divide => row(isa, a, b, out, |a, b| bound(a.divide(b))),
            Operation::Maximum => row(isa, a, b, out, |a: T, b| bound(a.greater(b))),
            Operation::Minimum => row(isa, a, b, out, |a: T, b| bound(a.smaller(b))),
            Operation::SquaredDifference => row(isa, a, b, out, |a, b| {
                let difference = a.subtract(b);
                bound(difference.multiply(difference))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Scales from like to absurdly unlike, and whether the operands are subtracted.
    fn schemes() -> impl Strategy<Value = ([(f32, i32); 3], bool)> {
        let one = (
            prop_oneof![Just(0.5_f32), 0.001_f32..2.0, 1e-6_f32..1e6],
            0..=255,
        );
        ([one.clone(), one.clone(), one], any::<bool>())
    }

    /// A row on every instruction set against its pairs one by one.
    fn rows_hold_their_pairs<T: Element + core::fmt::Debug>(
        (scheme, subtract): ([(f32, i32); 3], bool),
        a: &[T],
        b: &[T],
    ) -> Result<(), TestCaseError> {
        let [x, y, z] = scheme.map(|(scale, zero)| Quantisation {
            scale,
            zero: T::MIN + zero,
        });
        let new = if subtract {
            Add::subtract::<T>
        } else {
            Add::new::<T>
        };
        let Ok(add) = new(x, y, z, Activation::Relu6) else {
            return Ok(());
        };
        let pick = |x: &[T], at: usize| x[if x.len() == 1 { 0 } else { at }];
        let expected: Vec<T> = (0..a.len().max(b.len()))
            .map(|at| add.apply(pick(a, at), pick(b, at)))
            .collect();
        for isa in Isa::available() {
            let mut out = expected.clone();
            out.reverse();
            add.row(isa, a, b, &mut out);
            prop_assert_eq!(&out, &expected, "{}", isa.name());
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn rows_of_sums_hold_their_pairs(
            scheme in schemes(),
            pairs in prop::collection::vec(any::<(i16, i16)>(), 2..50),
            lone in 0..3,
        ) {
            let (mut a, mut b): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            match lone {
                0 => a.truncate(1),
                1 => b.truncate(1),
                _ => {}
            }
            let bytes = |x: &[i16]| -> Vec<i8> { x.iter().map(|&x| x as i8).collect() };
            let old = |x: &[i16]| -> Vec<u8> { x.iter().map(|&x| x as u8).collect() };
            rows_hold_their_pairs(scheme, &a, &b)?;
            rows_hold_their_pairs(scheme, &bytes(&a), &bytes(&b))?;
            rows_hold_their_pairs(scheme, &old(&a), &old(&b))?;
        }
    }
}
