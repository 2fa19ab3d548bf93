//! Real functions of one number.

/// A function that runs over `f32` as it is and over quantised values by way of a
/// [`crate::table::Table`].
///
/// Exponentials and their kin are computed in double precision and rounded once, which the C library
/// under the reference comes within an ulp of.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Function {
    /// `max(lower, min(x, upper))`.
    Clamp([f32; 2]),
    /// `x`, or this times `x` where `x` is negative.
    LeakyRelu(f32),
    /// `1 / (1 + e^−x)`.
    Logistic,
    /// The hyperbolic tangent.
    Tanh,
    /// `x · relu6(x + 3) / 6`.
    HardSwish,
    /// `x` times the normal distribution's integral.
    Gelu,
    /// The same by a hyperbolic tangent.
    GeluByTanh,
    /// `x`, or `e^x − 1` where `x` is negative.
    Elu,
    /// `e^x`.
    Exp,
    /// The natural logarithm.
    Log,
    /// `√x`.
    Sqrt,
    /// `1 / √x`.
    Rsqrt,
    /// `x²`.
    Square,
    /// `|x|`.
    Abs,
    /// `−x`.
    Neg,
    /// Downwards to an integer.
    Floor,
    /// Upwards to an integer.
    Ceil,
    /// To the nearest integer, halves to even.
    Round,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
}

impl Function {
    /// The function at one point.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Self::Clamp([lower, upper]) => x.max(lower).min(upper),
            Self::LeakyRelu(alpha) => {
                if x > 0.0 {
                    x
                } else {
                    x * alpha
                }
            }
            Self::Logistic => 1.0 / (1.0 + exp(-x)),
            Self::Tanh => libm::tanh(f64::from(x)) as f32,
            Self::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
            Self::Gelu => 0.5 * x * erfc(x * -core::f32::consts::FRAC_1_SQRT_2),
            Self::GeluByTanh => {
                let slope = core::f64::consts::FRAC_2_SQRT_PI * core::f64::consts::FRAC_1_SQRT_2;
                let inner = slope as f32 * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + libm::tanh(f64::from(inner)) as f32)
            }
            Self::Elu => {
                if x < 0.0 {
                    libm::expm1(f64::from(x)) as f32
                } else {
                    x
                }
            }
            Self::Exp => exp(x),
            Self::Log => libm::log(f64::from(x)) as f32,
            Self::Sqrt => libm::sqrtf(x),
            Self::Rsqrt => 1.0 / libm::sqrtf(x),
            Self::Square => x * x,
            Self::Abs => x.abs(),
            Self::Neg => -x,
            Self::Floor => libm::floorf(x),
            Self::Ceil => libm::ceilf(x),
            Self::Round => libm::rintf(x),
            Self::Sin => libm::sin(f64::from(x)) as f32,
            Self::Cos => libm::cos(f64::from(x)) as f32,
        }
    }
}

fn exp(x: f32) -> f32 {
    libm::exp(f64::from(x)) as f32
}

fn erfc(x: f32) -> f32 {
    libm::erfc(f64::from(x)) as f32
}
