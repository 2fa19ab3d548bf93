//! Functions of single elements.
//!
//! The integer ones are specifications: run them over bytes through a [`crate::table::Table`], over
//! `i16` with [`crate::table::map`].

use crate::element::{Byte, Element, Quantisation, Range};
use crate::error::Error;
use crate::fixed::inverse_square_root;
use crate::requant::{Multiplier, divide_by_power_of_two};

mod lanes;
mod real;
mod sigmoid;

pub(crate) use lanes::exp;
pub use real::Function;
pub use sigmoid::Sigmoid;

/// The multiplier of a quotient of scales that TFLite divides in single precision.
fn single(real: f32) -> Result<Multiplier, Error> {
    Multiplier::from_real(f64::from(real)).ok_or(Error::Quantisation)
}

/// The rectifiers RELU, RELU6, RELU_N1_TO_1 and RELU_0_TO_1 as operators of their own, with
/// rescaling: `ReluX` (tflite/kernels/internal/optimized/optimized_ops.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relu {
    input: i32,
    multiplier: Multiplier,
    zero: i32,
    range: Range,
}

impl Relu {
    /// `bounds` are real; the upper one may be infinite.
    ///
    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range for `T`.
    pub fn new<T: Element>(
        input: Quantisation,
        output: Quantisation,
        bounds: [f32; 2],
    ) -> Result<Self, Error> {
        let (input, output) = (input.check::<T>()?, output.check::<T>()?);
        let max = if bounds[1].is_finite() {
            output.steps(bounds[1])
        } else {
            T::MAX
        };
        Ok(Self {
            input: input.zero,
            multiplier: single(input.scale / output.scale)?,
            zero: output.zero,
            range: Range {
                min: output.steps(bounds[0]).max(T::MIN),
                max: max.min(T::MAX),
            },
        })
    }

    /// One element.
    #[inline]
    pub fn apply<T: Element>(&self, x: T) -> T {
        let scaled = self.multiplier.apply(x.widen() - self.input);
        T::saturate(self.range.limit(scaled.wrapping_add(self.zero)))
    }
}

/// LEAKY_RELU: `QuantizeLeakyRelu` (tflite/kernels/internal/reference/leaky_relu.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeakyRelu {
    input: i32,
    positive: Multiplier,
    negative: Multiplier,
    zero: i32,
}

impl LeakyRelu {
    /// `alpha` is the slope of negative inputs; it may be negative itself.
    ///
    /// # Errors
    /// [`Error::Quantisation`] if a scale, zero point or `alpha` is out of range.
    pub fn new<T: Element>(
        input: Quantisation,
        output: Quantisation,
        alpha: f32,
    ) -> Result<Self, Error> {
        let (input, output) = (input.check::<T>()?, output.check::<T>()?);
        let slope = input.scale * alpha / output.scale;
        let mut negative = single(slope.abs())?;
        if slope < 0.0 {
            negative.mantissa = -negative.mantissa;
        }
        Ok(Self {
            input: input.zero,
            positive: single(input.scale / output.scale)?,
            negative,
            zero: output.zero,
        })
    }

    /// One element.
    #[inline]
    pub fn apply<T: Element>(&self, x: T) -> T {
        let x = x.widen() - self.input;
        let multiplier = if x >= 0 { self.positive } else { self.negative };
        T::saturate(multiplier.apply(x).wrapping_add(self.zero))
    }
}

/// HARD_SWISH, `x · relu6(x + 3) / 6`, in 16-bit fixed point: `HardSwish`
/// (tflite/kernels/internal/reference/hard_swish.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardSwish {
    input: i32,
    /// Without its shift, to 16 bits.
    output: i16,
    output_right: u32,
    gate: i16,
    gate_shift: i32,
    zero: i32,
}

impl HardSwish {
    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range for `T`, or the output's
    /// scale is so fine that the reference refuses it.
    pub fn new<T: Byte>(input: Quantisation, output: Quantisation) -> Result<Self, Error> {
        let (input, output) = (input.check::<T>()?, output.check::<T>()?);
        let fine = (1.0 / 128.0) * input.scale;
        let out = single(fine / output.scale)?;
        let gate = single(fine / (3.0 / 32768.0))?;
        Ok(Self {
            input: input.zero,
            output: high_half(out.mantissa),
            output_right: u32::try_from(-out.shift).map_err(|_| Error::Quantisation)?,
            gate: high_half(gate.mantissa),
            gate_shift: gate.shift,
            zero: output.zero,
        })
    }

    /// One element.
    pub fn apply<T: Byte>(&self, x: T) -> T {
        let fine = ((x.widen() - self.input) << 7) as i16;
        let unshifted = rounded_high(fine, self.output);
        let mut gate = fine;
        if self.gate_shift > 0 {
            gate = saturated(i64::from(gate) << (self.gate_shift - 1));
        }
        gate = rounded_high(gate, self.gate);
        if self.gate_shift > 0 {
            gate = saturated(i64::from(gate) << 1);
        } else {
            gate = divide_by_power_of_two(i32::from(gate), -self.gate_shift as u32) as i16;
        }
        // From [−1, 1] to [0, 1].
        let gate = (i32::from(gate) + (1 << 15)) >> 1;
        // Towards zero, which cancels the bias of the roundings above.
        let product = gate * i32::from(unshifted) / (1 << 15);
        let scaled = divide_by_power_of_two(product, self.output_right) as i16;
        T::saturate(i32::from(scaled.wrapping_add(self.zero as i16)))
    }
}

/// A 32-bit mantissa rounded to 16: `DownScaleInt32ToInt16Multiplier`.
fn high_half(mantissa: i32) -> i16 {
    (mantissa.saturating_add(1 << 15) >> 16) as i16
}

/// gemmlowp's `SaturatingRoundingDoublingHighMul` of 16 bits.
fn rounded_high(a: i16, b: i16) -> i16 {
    if a == i16::MIN && b == i16::MIN {
        return i16::MAX;
    }
    let product = i32::from(a) * i32::from(b);
    let nudge = if product >= 0 { 1 << 14 } else { 1 - (1 << 14) };
    ((product + nudge) / (1 << 15)) as i16
}

fn saturated(value: i64) -> i16 {
    value.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16
}

/// ABS with rescaling (tflite/kernels/elementwise.cc).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abs {
    input: i32,
    multiplier: Option<Multiplier>,
    zero: i32,
}

impl Abs {
    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range for `T`.
    pub fn new<T: Element>(input: Quantisation, output: Quantisation) -> Result<Self, Error> {
        let (input, output) = (input.check::<T>()?, output.check::<T>()?);
        let differ = input.scale != output.scale;
        Ok(Self {
            input: input.zero,
            multiplier: differ
                .then(|| single(input.scale / output.scale))
                .transpose()?,
            zero: output.zero,
        })
    }

    /// One element.
    #[inline]
    pub fn apply<T: Element>(&self, x: T) -> T {
        let size = (x.widen() - self.input).abs();
        let scaled = self
            .multiplier
            .map_or(size, |multiplier| multiplier.apply(size));
        T::saturate(scaled.wrapping_add(self.zero))
    }
}

/// RSQRT of `i8` (`RsqrtEvalQuantizedInt8`, tflite/kernels/elementwise.cc). Zero answers the
/// greatest value; negative inputs, which the reference refuses while it runs, do so too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rsqrt {
    input: i32,
    multiplier: Multiplier,
    zero: i32,
}

impl Rsqrt {
    /// Bits that keep the intermediate value an integer.
    const LEFT: i32 = 20;

    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range.
    pub fn new(input: Quantisation, output: Quantisation) -> Result<Self, Error> {
        let (input, output) = (input.check::<i8>()?, output.check::<i8>()?);
        let real = 1.0 / f64::from(libm::sqrtf(input.scale) * output.scale);
        let multiplier = Multiplier::from_real(real).ok_or(Error::Quantisation)?;
        Ok(Self {
            input: input.zero,
            multiplier: Multiplier {
                shift: multiplier.shift - Self::LEFT,
                ..multiplier
            },
            zero: output.zero,
        })
    }

    /// One element.
    pub fn apply(&self, x: i8) -> i8 {
        let x = x.widen() - self.input;
        if x <= 0 {
            return i8::MAX;
        }
        let root = inverse_square_root(x);
        let raised = Multiplier {
            shift: root.shift + Self::LEFT,
            ..root
        };
        let scaled = self.multiplier.apply(raised.apply(1));
        i8::saturate(scaled.wrapping_add(self.zero))
    }
}
