//! The two 8-bit schemes, multipliers and fused activations.
//!
//! uint8 tensors stay as they are in memory. The integer matrix products know int8 only; for them the top bit
//! of every byte is flipped, which is the same as subtracting 128 from values and zero point alike.

use std::borrow::Cow;

use scalebench_kernels::element::{Activation, Element, Quantisation};
use scalebench_kernels::float::Clamp;
use scalebench_kernels::requant::{Multiplier, Output};
use tract_tflite::tflite::ActivationFunctionType;

use crate::DType;
use crate::lower::Refusal;
use crate::lower::argument::{Argument, broken, unsupported};

/// What uint8 values are moved by to become int8.
pub(super) const MOVED: i32 = 128;

/// Flips the top bit of every byte.
#[inline]
pub(super) fn flip(bytes: &mut [i8]) {
    for byte in bytes {
        *byte ^= i8::MIN;
    }
}

/// Copies with the top bit of every byte flipped.
#[inline]
pub(super) fn flipped(from: &[i8], into: &mut [i8]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into = from ^ i8::MIN;
    }
}

/// The fused activation of an operator.
pub(super) fn activation(of: ActivationFunctionType) -> Result<Activation, Refusal> {
    match of {
        ActivationFunctionType::NONE => Ok(Activation::None),
        ActivationFunctionType::RELU => Ok(Activation::Relu),
        ActivationFunctionType::RELU_N1_TO_1 => Ok(Activation::ReluN1To1),
        ActivationFunctionType::RELU6 => Ok(Activation::Relu6),
        other => unsupported(format!(
            "the fused activation {}",
            other.variant_name().unwrap_or("is unknown")
        )),
    }
}

/// The same as the clamp of a float operator.
pub(super) fn clamp(of: Activation) -> Clamp {
    let [min, max] = of.bounds();
    match of {
        Activation::None => Clamp::NONE,
        _ => Clamp { min, max },
    }
}

impl Argument<'_> {
    /// Scale and zero point as kernels take them.
    pub(super) fn quantisation(&self) -> Result<Quantisation, Refusal> {
        let quantization = self.quantization()?;
        Ok(Quantisation {
            scale: quantization.scale,
            zero: quantization.zero_point,
        })
    }

    /// Zero point, moved to int8 if the tensor is uint8.
    pub(super) fn signed_zero(&self) -> Result<i32, Refusal> {
        let zero = self.quantization()?.zero_point;
        Ok(if self.dtype == DType::U8 {
            zero - MOVED
        } else {
            zero
        })
    }

    /// Bytes of a constant as int8, moved if they are uint8.
    pub(super) fn signed_constant(&self) -> Result<Cow<'_, [i8]>, Refusal> {
        let Some(bytes) = self.constant else {
            return unsupported("its weights are not constant");
        };
        let bytes: &[i8] = bytemuck::cast_slice(bytes);
        match self.dtype {
            DType::I8 => Ok(Cow::Borrowed(bytes)),
            DType::U8 => {
                let mut moved = bytes.to_vec();
                flip(&mut moved);
                Ok(Cow::Owned(moved))
            }
            other => unsupported(format!("weights of {other}")),
        }
    }
}

/// Zero point and clamp of an 8-bit output, moved to int8 if it is uint8.
pub(super) fn stage(output: &Argument<'_>, fused: Activation) -> Result<Output, Refusal> {
    let quantisation = output.quantisation()?;
    let (range, moved) = match output.dtype {
        DType::I8 => (fused.range::<i8>(quantisation), 0),
        DType::U8 => (fused.range::<u8>(quantisation), MOVED),
        other => return unsupported(format!("an output of {other}")),
    };
    Ok(Output {
        zero: quantisation.zero - moved,
        min: i8::saturate(range.min - moved),
        max: i8::saturate(range.max - moved),
    })
}

/// A multiplier, if the fixed point can hold it.
pub(super) fn multiplier(real: f64) -> Result<Multiplier, Refusal> {
    match Multiplier::from_real(real) {
        Some(multiplier) => Ok(multiplier),
        None => broken(format!("its scales ask for a factor of {real}")),
    }
}

/// The factor from accumulator to output of an operator quantised as a whole. The product of the scales is
/// rounded to single precision, as in `GetQuantizedConvolutionMultipler` (tflite/kernels/kernel_util.cc).
pub(super) fn whole(
    input: &Argument<'_>,
    weights: &Argument<'_>,
    output: &Argument<'_>,
) -> Result<Multiplier, Refusal> {
    let product = input.quantization()?.scale * weights.quantization()?.scale;
    multiplier(f64::from(product) / f64::from(output.quantization()?.scale))
}

/// The same for each of `channels` output channels; the weights' scales go along `axis`. Double precision
/// throughout, as in `PopulateConvolutionQuantizationParams`, but for uint8, which keeps the older rounding.
pub(super) fn channelwise(
    input: &Argument<'_>,
    weights: &Argument<'_>,
    output: &Argument<'_>,
    axis: usize,
) -> Result<Vec<Multiplier>, Refusal> {
    let channels = weights.shape[axis];
    if input.dtype == DType::U8 {
        return Ok(vec![whole(input, weights, output)?; channels]);
    }
    let (from, to) = (input.quantization()?.scale, output.quantization()?.scale);
    weight_scales(weights, axis)?
        .into_iter()
        .map(|scale| multiplier(f64::from(from) * f64::from(scale) / f64::from(to)))
        .collect()
}

/// One scale for each index of `axis`.
pub(super) fn weight_scales(weights: &Argument<'_>, axis: usize) -> Result<Vec<f32>, Refusal> {
    let Some(scales) = weights.scales else {
        return broken("its weights have no scale");
    };
    match scales.scales.as_slice() {
        &[scale] => Ok(vec![scale; weights.shape[axis]]),
        many if scales.axis == axis => {
            if weights.dtype != DType::U8 && scales.zero_points.iter().any(|&zero| zero != 0) {
                return broken("weights with a scale for each channel have zero points");
            }
            Ok(many.to_vec())
        }
        _ => unsupported(format!(
            "weights with scales along axis {}, they are due along {axis}",
            scales.axis
        )),
    }
}

/// Biases of an integer operator.
pub(super) fn integer_bias(
    bias: Option<Argument<'_>>,
    channels: usize,
) -> Result<Option<Vec<i32>>, Refusal> {
    let Some(bias) = bias else { return Ok(None) };
    bias.expect(DType::I32)?;
    let bias: Vec<i32> = bias.integers()?.iter().map(|&b| b as i32).collect();
    if bias.len() != channels {
        return broken(format!("{} biases for {channels} channels", bias.len()));
    }
    Ok(Some(bias))
}

/// Biases of an operator on int16 activations, whose sums are as wide.
pub(super) fn wide_bias(
    bias: Option<Argument<'_>>,
    channels: usize,
) -> Result<Option<Vec<i64>>, Refusal> {
    let Some(bias) = bias else { return Ok(None) };
    let bias = bias.integers()?;
    if bias.len() != channels {
        return broken(format!("{} biases for {channels} channels", bias.len()));
    }
    Ok(Some(bias))
}

/// Biases of a float operator.
pub(super) fn float_bias(
    bias: Option<Argument<'_>>,
    channels: usize,
) -> Result<Option<Vec<f32>>, Refusal> {
    let Some(bias) = bias else { return Ok(None) };
    let bias = bias.floats()?;
    if bias.len() != channels {
        return broken(format!("{} biases for {channels} channels", bias.len()));
    }
    Ok(Some(bias))
}
