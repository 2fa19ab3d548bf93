//! Matrix products and convolutions of `f32`.
//!
//! The specification of each is the TFLite reference kernel (tflite/kernels/internal/reference): sum,
//! bias, clamp. A sum of floats depends on the order of its terms and on fused multiplication, so
//! packed implementations agree with the specification within `k · 2^-23 · Σ|xw|`, `k` being the
//! number of terms, and not to the bit.

use crate::error::Error;

mod batch_matmul;
mod conv;
mod depthwise;
mod fully_connected;
mod gemm;

pub use batch_matmul::BatchMatmul;
pub use conv::{Conv, reference as conv_reference};
pub use depthwise::{Depthwise, reference as depthwise_reference};
pub use fully_connected::FullyConnected;

/// The range of a fused activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// The least output; minus infinity if there is no activation.
    pub min: f32,
    /// The greatest.
    pub max: f32,
}

impl Clamp {
    /// No activation.
    pub const NONE: Self = Self {
        min: f32::NEG_INFINITY,
        max: f32::INFINITY,
    };

    pub(crate) fn check(self) -> Result<(), Error> {
        (self.min <= self.max)
            .then_some(())
            .ok_or(Error::Quantisation)
    }

    #[inline]
    pub(crate) fn apply(self, x: f32) -> f32 {
        // Comparisons as the reference writes them: NaN stays NaN.
        let x = if x < self.min { self.min } else { x };
        if x > self.max { self.max } else { x }
    }
}
