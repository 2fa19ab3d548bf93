//! int16 activations with int8 weights ("16x8"): `CONV_2D`, `FULLY_CONNECTED`, and `BATCH_MATMUL` of int16.
//!
//! After the int16 variants of `reference_integer_ops::ConvPerChannel` and `FullyConnected`, and
//! `reference_ops::BatchMatMul` (tflite/kernels/internal/reference): 64-bit sums, then
//! [`Multiplier::apply_wide`], of fully connected layers [`Multiplier::apply_once_wide`]. All zero points are 0. Portable only.

use crate::element::Range;
use crate::error::{Error, Operand, exactly, product};
use crate::requant::Multiplier;
use crate::window::Window;

/// A convolution. Weights, biases and multipliers as [`crate::conv::reference`] takes them.
///
/// # Errors
/// If shapes and slices contradict each other.
pub fn conv(
    window: &Window,
    groups: usize,
    range: Range,
    input: &[i16],
    (weights, bias, multipliers): (&[i8], Option<&[i64]>, &[Multiplier]),
    out: &mut [i16],
) -> Result<(), Error> {
    window.check()?;
    let Window {
        input: [_, height, width, channels],
        output,
        kernel,
        stride,
        dilation,
        before,
    } = *window;
    let divides = |channels: usize| groups > 0 && channels.is_multiple_of(groups);
    if !divides(channels) || !divides(output[3]) {
        return Err(Error::Channels);
    }
    let (depth, columns) = (channels / groups, output[3] / groups);
    let filter = product(&[kernel[0], kernel[1], depth])?;
    exactly(input, product(&window.input)?, Operand::Input)?;
    exactly(weights, product(&[output[3], filter])?, Operand::Weights)?;
    exactly(multipliers, output[3], Operand::Multipliers)?;
    exactly(out, product(&output)?, Operand::Output)?;
    if let Some(bias) = bias {
        exactly(bias, output[3], Operand::Bias)?;
    }
    for (pixel, out) in out.chunks_exact_mut(output[3]).enumerate() {
        let (column, row) = (pixel % output[2], pixel / output[2]);
        let (row, batch) = (row % output[1], row / output[1]);
        for (channel, out) in out.iter_mut().enumerate() {
            let own = &weights[channel * filter..][..filter];
            let mut sum = bias.map_or(0, |bias| bias[channel]);
            for (tap, own) in own.chunks_exact(depth).enumerate() {
                let (ky, kx) = (tap / kernel[1], tap % kernel[1]);
                let y = (row * stride[0] + ky * dilation[0]).checked_sub(before[0]);
                let x = (column * stride[1] + kx * dilation[1]).checked_sub(before[1]);
                let (Some(y), Some(x)) = (y.filter(|&y| y < height), x.filter(|&x| x < width))
                else {
                    continue;
                };
                let at = ((batch * height + y) * width + x) * channels + channel / columns * depth;
                sum = products(sum, &input[at..at + depth], own);
            }
            *out = range.limit(multipliers[channel].apply_wide(sum)) as i16;
        }
    }
    Ok(())
}

/// A fully connected layer of so many rows, inputs and outputs, rounded as
/// [`crate::fully_connected::reference`], whose weights, biases and multipliers it takes.
///
/// # Errors
/// If shapes and slices contradict each other.
pub fn fully_connected(
    [rows, inputs, outputs]: [usize; 3],
    range: Range,
    input: &[i16],
    (weights, bias, multipliers): (&[i8], Option<&[i64]>, &[Multiplier]),
    out: &mut [i16],
) -> Result<(), Error> {
    if inputs == 0 || outputs == 0 {
        return Err(Error::ZeroExtent);
    }
    exactly(input, product(&[rows, inputs])?, Operand::Input)?;
    exactly(weights, product(&[outputs, inputs])?, Operand::Weights)?;
    exactly(multipliers, outputs, Operand::Multipliers)?;
    exactly(out, product(&[rows, outputs])?, Operand::Output)?;
    if let Some(bias) = bias {
        exactly(bias, outputs, Operand::Bias)?;
    }
    let rows = input
        .chunks_exact(inputs)
        .zip(out.chunks_exact_mut(outputs));
    for (row, out) in rows {
        let columns = weights.chunks_exact(inputs).zip(multipliers);
        for (column, ((weights, multiplier), out)) in columns.zip(out).enumerate() {
            let sum = products(bias.map_or(0, |bias| bias[column]), row, weights);
            *out = range.limit(multiplier.apply_once_wide(sum)) as i16;
        }
    }
    Ok(())
}

/// One pair of matrices: `rows` × `inner` by `columns` × `inner`, the second transposed.
///
/// # Errors
/// If shapes and slices contradict each other.
pub fn matmul(
    [rows, inner, columns]: [usize; 3],
    multiplier: Multiplier,
    input: &[i16],
    other: &[i16],
    out: &mut [i16],
) -> Result<(), Error> {
    if inner == 0 || columns == 0 {
        return Err(Error::ZeroExtent);
    }
    exactly(input, product(&[rows, inner])?, Operand::Input)?;
    exactly(other, product(&[columns, inner])?, Operand::Other)?;
    exactly(out, product(&[rows, columns])?, Operand::Output)?;
    let range = Range::of::<i16>();
    let rows = input.chunks_exact(inner).zip(out.chunks_exact_mut(columns));
    for (row, out) in rows {
        for (column, out) in other.chunks_exact(inner).zip(out) {
            *out = range.limit(multiplier.apply_wide(products(0, row, column))) as i16;
        }
    }
    Ok(())
}

fn products<W: Copy + Into<i64>>(sum: i64, x: &[i16], weights: &[W]) -> i64 {
    x.iter().zip(weights).fold(sum, |sum, (&x, &w)| {
        sum.wrapping_add(i64::from(x) * w.into())
    })
}
