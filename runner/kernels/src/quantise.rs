//! QUANTIZE and DEQUANTIZE: between real numbers and quantised ones, and between quantisations.

use crate::element::{Element, Quantisation};
use crate::error::{Error, Operand, exactly};
use crate::requant::Multiplier;
use crate::table::map;

/// Real numbers to quantised ones, rounded half away from zero: `AffineQuantize`
/// (tflite/kernels/internal/reference/quantize.h).
///
/// # Errors
/// [`Error::Length`] or [`Error::Quantisation`].
pub fn quantise<T: Element>(output: Quantisation, x: &[f32], out: &mut [T]) -> Result<(), Error> {
    let output = output.check::<T>()?;
    map(x, out, |x| T::saturate(output.steps(x)))
}

/// Quantised numbers to real ones: `Dequantize` (tflite/kernels/internal/reference/dequantize.h).
///
/// # Errors
/// [`Error::Length`] or [`Error::Quantisation`].
pub fn dequantise<T: Element>(input: Quantisation, x: &[T], out: &mut [f32]) -> Result<(), Error> {
    let input = input.check::<T>()?;
    map(x, out, |x| input.scale * (x.widen() - input.zero) as f32)
}

/// The same with a scale for every index of an axis: `inner` elements lie between two of them.
///
/// # Errors
/// [`Error::Length`], or [`Error::ZeroExtent`] without scales or elements between.
pub fn dequantise_channels<T: Element>(
    scales: &[f32],
    zeros: &[i32],
    inner: usize,
    x: &[T],
    out: &mut [f32],
) -> Result<(), Error> {
    exactly(x, out.len(), Operand::Input)?;
    exactly(zeros, scales.len(), Operand::Multipliers)?;
    if scales.is_empty() || inner == 0 {
        return Err(Error::ZeroExtent);
    }
    let channels = scales.iter().zip(zeros).cycle();
    for ((x, out), (&scale, &zero)) in x.chunks(inner).zip(out.chunks_mut(inner)).zip(channels) {
        for (out, &x) in out.iter_mut().zip(x) {
            *out = scale * x.widen().wrapping_sub(zero) as f32;
        }
    }
    Ok(())
}

/// From one quantisation to another: `Requantize` (tflite/kernels/internal/reference/requantize.h).
/// Of bytes it is a function of 256 values: run it through a [`crate::table::Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requantise {
    input: i32,
    multiplier: Multiplier,
    output: i32,
}

impl Requantise {
    /// The zero points are those of the types.
    ///
    /// # Errors
    /// [`Error::Quantisation`] if the scales are out of range.
    pub fn new(input: Quantisation, output: Quantisation) -> Result<Self, Error> {
        Ok(Self {
            input: input.zero,
            multiplier: Multiplier::from_real(input.wide() / output.wide())
                .ok_or(Error::Quantisation)?,
            output: output.zero,
        })
    }

    /// One value, wide; saturate it to the output's type.
    #[inline]
    pub fn apply(&self, x: i32) -> i32 {
        self.multiplier
            .apply(x.wrapping_sub(self.input))
            .wrapping_add(self.output)
    }
}
