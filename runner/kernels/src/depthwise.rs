//! Depthwise convolution: `DEPTHWISE_CONV_2D` of any multiplier, stride, dilation and padding.
//!
//! The arithmetic is that of `DepthwiseConvPerChannel` (tflite/kernels/internal/reference/
//! integer_ops/depthwise_conv.h) and, for weights with a zero point, `DepthwiseConv`
//! (depthwiseconv_uint8.h): the sum over all taps inside the input of `(x − zx)(w − zw)` plus bias in
//! 32 bits, then [`Multiplier::apply`] of the channel, zero point and clamp.
//!
//! The packed path copies the input to padded lines (`lines`) in which a whole row of outputs is
//! one run of lanes, whatever the stride and the multiplier: lane `l` of a row is the sum over the
//! taps `t` of `line[offset(t) + l] · weight(t, l mod channels)`.

use crate::conv::check_quantisation;
use crate::element::Range;
use crate::error::{Error, Operand, exactly, first_mut, product};
use crate::isa::Isa;
use crate::requant::{Multiplier, Output};
use crate::window::Window;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lines;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(all(target_arch = "arm", target_os = "linux"))]
mod neon32;
mod pack;
mod portable;

use lines::Lines;
use pack::{Layout, Packed};

/// A depthwise convolution, but for its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Shapes, kernel, stride, dilation, padding. The output has a multiple of the input's channels;
    /// channel `c` of the input makes channels `c·m` to `c·m + m − 1`.
    pub window: Window,
    /// The input's zero point.
    pub input_zero: i32,
    /// The weights' zero point; 0 unless they were uint8.
    pub weight_zero: i32,
    /// The output's zero point and clamp.
    pub output: Output,
}

impl Params {
    /// Outputs for each channel of the input.
    fn multiplier(&self) -> usize {
        self.window.output[3] / self.window.input[3]
    }

    fn check(&self) -> Result<(), Error> {
        check_window(&self.window)?;
        check_quantisation(self.input_zero, self.weight_zero, self.output)
    }

    /// Elements of the weights: tap row, tap column, output channel.
    pub fn weights_len(&self) -> usize {
        let [height, width] = self.window.kernel;
        height * width * self.window.output[3]
    }
}

fn check_window(window: &Window) -> Result<(), Error> {
    window.check()?;
    if !window.output[3].is_multiple_of(window.input[3]) {
        return Err(Error::Channels);
    }
    let [height, width] = window.kernel;
    product(&[height, width, window.output[3]]).map(drop)
}

/// The specification: every output from its definition, weights as the model holds them.
///
/// `multipliers` has one entry for each output channel: input scale · weight scale / output scale.
///
/// # Errors
/// If shapes, slices or zero points contradict each other.
pub fn reference(
    params: &Params,
    input: &[i8],
    (weights, bias, multipliers): (&[i8], Option<&[i32]>, &[Multiplier]),
    out: &mut [i8],
) -> Result<(), Error> {
    params.check()?;
    let channels = params.window.output[3];
    exactly(multipliers, channels, Operand::Multipliers)?;
    if let Some(bias) = bias {
        exactly(bias, channels, Operand::Bias)?;
    }
    each_output(&params.window, input, weights, out, |channel, products| {
        let start = bias.map_or(0, |bias| bias[channel]);
        let sum = products.fold(start, |sum, (x, w)| {
            let (x, w) = (i32::from(x), i32::from(w));
            sum.wrapping_add((x - params.input_zero) * (w - params.weight_zero))
        });
        params.output.finish(multipliers[channel].apply(sum))
    })
}

/// `i16` activations with `i8` weights and 64-bit sums: the 16x8 variant of
/// `DepthwiseConvPerChannel`. All zero points are 0.
///
/// # Errors
/// If shapes or slices contradict each other.
pub fn wide(
    window: &Window,
    range: Range,
    input: &[i16],
    (weights, bias, multipliers): (&[i8], Option<&[i64]>, &[Multiplier]),
    out: &mut [i16],
) -> Result<(), Error> {
    check_window(window)?;
    let channels = window.output[3];
    exactly(multipliers, channels, Operand::Multipliers)?;
    if let Some(bias) = bias {
        exactly(bias, channels, Operand::Bias)?;
    }
    each_output(window, input, weights, out, |channel, products| {
        let start = bias.map_or(0, |bias| bias[channel]);
        let sum = products.fold(start, |sum, (x, w)| {
            sum.wrapping_add(i64::from(x) * i64::from(w))
        });
        range.limit(multipliers[channel].apply_wide(sum)) as i16
    })
}

/// Hands the inputs and weights that meet in each output to `answer`, with the output's channel.
fn each_output<T: Copy, W: Copy, O>(
    window: &Window,
    input: &[T],
    weights: &[W],
    out: &mut [O],
    answer: impl Fn(usize, &mut dyn Iterator<Item = (T, W)>) -> O,
) -> Result<(), Error> {
    let Window {
        input: [_, height, width, depth],
        output: [_, rows, columns, channels],
        kernel,
        stride,
        dilation,
        before,
    } = *window;
    exactly(input, product(&window.input)?, Operand::Input)?;
    exactly(out, product(&window.output)?, Operand::Output)?;
    exactly(
        weights,
        product(&[kernel[0], kernel[1], channels])?,
        Operand::Weights,
    )?;
    for (index, out) in out.iter_mut().enumerate() {
        let channel = index % channels;
        let column = index / channels % columns;
        let row = index / channels / columns % rows;
        let batch = index / channels / columns / rows;
        let mut products = (0..kernel[0] * kernel[1]).filter_map(|tap| {
            let (ky, kx) = (tap / kernel[1], tap % kernel[1]);
            let y = (row * stride[0] + ky * dilation[0]).checked_sub(before[0])?;
            let x = (column * stride[1] + kx * dilation[1]).checked_sub(before[1])?;
            if y >= height || x >= width {
                return None;
            }
            let pixel = ((batch * height + y) * width + x) * depth;
            let source = channel / (channels / depth);
            Some((input[pixel + source], weights[tap * channels + channel]))
        });
        *out = answer(channel, &mut products);
    }
    Ok(())
}

/// A depthwise convolution planned for an instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise {
    isa: Isa,
    params: Params,
    layout: Layout,
    lines: Lines,
}

impl Depthwise {
    /// Plans a depthwise convolution.
    ///
    /// # Errors
    /// If the shapes contradict each other, or a size does not fit the address space.
    pub fn new(isa: Isa, params: Params) -> Result<Self, Error> {
        params.check()?;
        let layout = Layout::of(isa, params.weight_zero);
        let lines = Lines::new(params.window, params.multiplier(), layout.lanes)?;
        let plan = Self {
            isa,
            params,
            layout,
            lines,
        };
        layout.packed_len(&plan.params.window)?;
        Ok(plan)
    }

    /// What was planned.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Bytes of packed weights. They should begin at a multiple of 64.
    pub fn packed_len(&self) -> usize {
        self.layout.packed_len(&self.params.window).unwrap_or(0)
    }

    /// Bytes of scratch that [`Depthwise::run`] needs; its contents do not matter.
    pub fn scratch_len(&self) -> usize {
        self.lines.len()
    }

    /// Arranges weights, biases and multipliers (one for each output channel) for
    /// [`Depthwise::run`].
    ///
    /// # Errors
    /// If a slice has not the length its shape asks for.
    pub fn pack(
        &self,
        weights: &[i8],
        bias: Option<&[i32]>,
        multipliers: &[Multiplier],
        into: &mut [u8],
    ) -> Result<(), Error> {
        let channels = self.params.window.output[3];
        exactly(weights, self.params.weights_len(), Operand::Weights)?;
        exactly(multipliers, channels, Operand::Multipliers)?;
        exactly(into, self.packed_len(), Operand::Packed)?;
        if let Some(bias) = bias {
            exactly(bias, channels, Operand::Bias)?;
        }
        self.layout.pack(
            &self.params,
            &self.lines,
            (weights, bias, multipliers),
            into,
        )
    }

    /// Computes `out` from `input` and what [`Depthwise::pack`] arranged.
    ///
    /// # Errors
    /// If a slice has not the length its shape asks for.
    pub fn run(
        &self,
        packed: &[u8],
        input: &[i8],
        scratch: &mut [i8],
        out: &mut [i8],
    ) -> Result<(), Error> {
        let window = &self.params.window;
        exactly(input, product(&window.input)?, Operand::Input)?;
        exactly(out, product(&window.output)?, Operand::Output)?;
        exactly(packed, self.packed_len(), Operand::Packed)?;
        let scratch = first_mut(scratch, self.scratch_len(), Operand::Scratch)?;
        let packed = Packed::new(self.layout, window, packed);
        let images = input.chunks_exact(product(&window.input[1..])?);
        let outs = out.chunks_exact_mut(product(&window.output[1..])?);
        let row = window.output[2] * window.output[3];
        for (image, out) in images.zip(outs) {
            let mut outs = out.chunks_exact_mut(row);
            let mut top = 0;
            while top < window.output[1] {
                let rows = self.lines.rows.min(window.output[1] - top);
                let padding = self.params.input_zero as i8;
                self.lines
                    .copy(image, top, rows, (padding, self.layout.flip), scratch);
                for (row, out) in outs.by_ref().take(rows).enumerate() {
                    let line = &scratch[row * window.stride[0] * self.lines.pitch..];
                    self.layout
                        .row(self.isa, &packed, line, self.params.output, out);
                }
                top += rows;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
