//! TRANSPOSE_CONV: every input pixel adds its weighted window to the output.

use crate::element::{Element, Range};
use crate::error::{Error, Operand, exactly, product};
use crate::requant::Multiplier;
use crate::window::Window;

/// Adds up the windows in `sums`, one an output element. The window is that of the convolution this
/// is the transpose of: its `output` is the tensor read here, its `input` the one written. Weights are
/// OHWI with the written tensor's channels outermost.
fn scatter<T: Copy, W: Copy, A: Copy>(
    window: &Window,
    (x, weights): (&[T], &[W]),
    (sums, first): (&mut [A], A),
    add: impl Fn(A, T, W) -> A,
) -> Result<(), Error> {
    window.check()?;
    let Window {
        input: [_, height, width, channels],
        output: [_, rows, columns, depth],
        kernel,
        stride,
        dilation,
        before,
    } = *window;
    exactly(x, product(&window.output)?, Operand::Input)?;
    exactly(
        weights,
        product(&[channels, kernel[0], kernel[1], depth])?,
        Operand::Weights,
    )?;
    exactly(sums, product(&window.input)?, Operand::Scratch)?;
    sums.fill(first);
    for (place, x) in x.chunks_exact(depth).enumerate() {
        let (batch, row, column) = (
            place / columns / rows,
            place / columns % rows,
            place % columns,
        );
        for tap in 0..kernel[0] * kernel[1] {
            let y = (row * stride[0] + tap / kernel[1] * dilation[0]).checked_sub(before[0]);
            let over = (column * stride[1] + tap % kernel[1] * dilation[1]).checked_sub(before[1]);
            let (Some(y), Some(over)) = (y.filter(|&y| y < height), over.filter(|&x| x < width))
            else {
                continue;
            };
            let at = ((batch * height + y) * width + over) * channels;
            for (channel, sum) in sums[at..at + channels].iter_mut().enumerate() {
                let weights = &weights[(channel * kernel[0] * kernel[1] + tap) * depth..][..depth];
                *sum = x
                    .iter()
                    .zip(weights)
                    .fold(*sum, |sum, (&x, &w)| add(sum, x, w));
            }
        }
    }
    Ok(())
}

/// Zero points and the output stage of a quantised transposed convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The input's zero point.
    pub input_zero: i32,
    /// The weights' zero point; 0 unless they are `u8`.
    pub weight_zero: i32,
    /// The output's zero point.
    pub zero: i32,
    /// What the output is clamped to.
    pub range: Range,
}

/// Weights of type `W` and what goes with them, one of each for every output channel.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a, W, B> {
    /// OHWI, as the model holds them.
    pub weights: &'a [W],
    /// In steps of the accumulator.
    pub bias: Option<&'a [B]>,
    /// Input scale · weight scale / output scale.
    pub multipliers: &'a [Multiplier],
}

/// Of `i8` with `i8` weights, or `u8` with `u8`: `TransposeConv` (tflite/kernels/internal/reference/
/// integer_ops/transpose_conv.h, transpose_conv.h). `sums` is scratch of one word an output element;
/// see [`real`] for the window.
///
/// # Errors
/// If shapes and slices contradict each other.
pub fn bytes<T: Element>(
    window: &Window,
    stage: Stage,
    x: &[T],
    weights: Weights<T, i32>,
    sums: &mut [i32],
    out: &mut [T],
) -> Result<(), Error> {
    scatter(window, (x, weights.weights), (sums, 0), |sum, x, w| {
        let (x, w) = (x.widen() - stage.input_zero, w.widen() - stage.weight_zero);
        sum.wrapping_add(x * w)
    })?;
    finish(window, &weights, sums, out, |bias, multiplier, &sum| {
        let scaled = multiplier
            .apply(sum.wrapping_add(bias))
            .wrapping_add(stage.zero);
        T::saturate(stage.range.limit(scaled))
    })
}

/// Of `i16` with `i8` weights and 64-bit sums. All zero points are 0.
///
/// # Errors
/// If shapes and slices contradict each other.
pub fn wide(
    window: &Window,
    range: Range,
    x: &[i16],
    weights: Weights<i8, i64>,
    sums: &mut [i64],
    out: &mut [i16],
) -> Result<(), Error> {
    scatter(window, (x, weights.weights), (sums, 0), |sum, x, w| {
        sum.wrapping_add(i64::from(x) * i64::from(w))
    })?;
    finish(window, &weights, sums, out, |bias, multiplier, &sum| {
        range.limit(multiplier.apply_wide(sum.wrapping_add(bias))) as i16
    })
}

fn finish<A, W, B: Copy + Default, T>(
    window: &Window,
    weights: &Weights<W, B>,
    sums: &[A],
    out: &mut [T],
    stage: impl Fn(B, Multiplier, &A) -> T,
) -> Result<(), Error> {
    let Weights {
        bias, multipliers, ..
    } = *weights;
    let channels = window.input[3];
    exactly(out, sums.len(), Operand::Output)?;
    exactly(multipliers, channels, Operand::Multipliers)?;
    if let Some(bias) = bias {
        exactly(bias, channels, Operand::Bias)?;
    }
    for (out, sums) in out
        .chunks_exact_mut(channels)
        .zip(sums.chunks_exact(channels))
    {
        for (channel, (out, sum)) in out.iter_mut().zip(sums).enumerate() {
            let bias = bias.map_or(B::default(), |bias| bias[channel]);
            *out = stage(bias, multipliers[channel], sum);
        }
    }
    Ok(())
}

/// Of `f32`. The window is that of the convolution this is the transpose of: `window.output` is the
/// shape of `x`, `window.input` that of `out`.
///
/// # Errors
/// If shapes and slices contradict each other.
pub fn real(
    window: &Window,
    [min, max]: [f32; 2],
    (x, weights, bias): (&[f32], &[f32], Option<&[f32]>),
    out: &mut [f32],
) -> Result<(), Error> {
    scatter(window, (x, weights), (out, 0.0), |sum, x, w| sum + x * w)?;
    let channels = window.input[3];
    if let Some(bias) = bias {
        exactly(bias, channels, Operand::Bias)?;
    }
    for (at, out) in out.iter_mut().enumerate() {
        *out = (*out + bias.map_or(0.0, |bias| bias[at % channels]))
            .max(min)
            .min(max);
    }
    Ok(())
}
