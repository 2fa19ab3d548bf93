//! Convolution of int8 activations with int8 weights: `CONV_2D`, dense, 1×1 or grouped.
//!
//! The arithmetic is that of `reference_integer_ops::ConvPerChannel` and, for weights with a zero
//! point, `reference_ops::Conv` (tflite/kernels/internal/reference): the sum over all taps inside the
//! input of `(x − zx)(w − zw)` plus bias in 32 bits, then [`Multiplier::apply`] of the channel, zero
//! point and clamp.

use crate::error::{Error, Operand, exactly, product};
use crate::gemm::{self, Columns, Layout, Product, Sink, Starts, Taps};
use crate::isa::Isa;
use crate::requant::{Multiplier, Output};
use crate::window::{Bands, Window};

/// A convolution, but for its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Shapes, kernel, stride, dilation, padding.
    pub window: Window,
    /// Groups into which input and output channels divide; 1 for a plain convolution.
    pub groups: usize,
    /// The input's zero point.
    pub input_zero: i32,
    /// The weights' zero point; 0 unless they were uint8.
    pub weight_zero: i32,
    /// The output's zero point and clamp.
    pub output: Output,
}

impl Params {
    /// Input channels of a group.
    fn depth(&self) -> usize {
        self.window.input[3] / self.groups
    }

    /// Output channels of a group.
    fn columns(&self) -> usize {
        self.window.output[3] / self.groups
    }

    fn check(&self) -> Result<(), Error> {
        self.window.check()?;
        if self.groups == 0 {
            return Err(Error::ZeroExtent);
        }
        if [self.window.input[3], self.window.output[3]]
            .iter()
            .any(|channels| channels % self.groups != 0)
        {
            return Err(Error::Channels);
        }
        check_quantisation(self.input_zero, self.weight_zero, self.output)?;
        self.weights_len().map(drop)
    }

    /// Elements of the weights, which are OHWI: output channel, tap row, tap column, input channel
    /// of the group.
    pub fn weights_len(&self) -> Result<usize, Error> {
        let [height, width] = self.window.kernel;
        product(&[self.window.output[3], height, width, self.depth()])
    }
}

/// Zero points are those of int8, and the clamp is not empty.
pub(crate) fn check_quantisation(input: i32, weights: i32, output: Output) -> Result<(), Error> {
    let int8 = i32::from(i8::MIN)..=i32::from(i8::MAX);
    let fine = int8.contains(&input)
        && int8.contains(&weights)
        && int8.contains(&output.zero)
        && output.min <= output.max;
    fine.then_some(()).ok_or(Error::Quantisation)
}

/// The specification: every output from its definition, weights as the model holds them.
///
/// `multipliers` has one entry for each output channel: input scale · weight scale / output scale.
pub fn reference(
    params: &Params,
    input: &[i8],
    (weights, bias, multipliers): (&[i8], Option<&[i32]>, &[Multiplier]),
    out: &mut [i8],
) -> Result<(), Error> {
    params.check()?;
    let Window {
        input: [_, height, width, channels],
        output,
        kernel,
        stride,
        dilation,
        before,
    } = params.window;
    let (depth, columns) = (params.depth(), params.columns());
    exactly(input, product(&params.window.input)?, Operand::Input)?;
    exactly(weights, params.weights_len()?, Operand::Weights)?;
    exactly(multipliers, output[3], Operand::Multipliers)?;
    exactly(out, product(&output)?, Operand::Output)?;
    if let Some(bias) = bias {
        exactly(bias, output[3], Operand::Bias)?;
    }
    for (index, out) in out.iter_mut().enumerate() {
        let channel = index % output[3];
        let column = index / output[3] % output[2];
        let row = index / output[3] / output[2] % output[1];
        let batch = index / output[3] / output[2] / output[1];
        let mut sum = bias.map_or(0, |bias| bias[channel]);
        for ky in 0..kernel[0] {
            for kx in 0..kernel[1] {
                let y = (row * stride[0] + ky * dilation[0]).checked_sub(before[0]);
                let x = (column * stride[1] + kx * dilation[1]).checked_sub(before[1]);
                let (Some(y), Some(x)) = (y.filter(|&y| y < height), x.filter(|&x| x < width))
                else {
                    continue;
                };
                let pixel = ((batch * height + y) * width + x) * channels;
                let tap = ((channel * kernel[0] + ky) * kernel[1] + kx) * depth;
                for c in 0..depth {
                    let value = i32::from(input[pixel + channel / columns * depth + c]);
                    let weight = i32::from(weights[tap + c]);
                    sum = sum
                        .wrapping_add((value - params.input_zero) * (weight - params.weight_zero));
                }
            }
        }
        *out = params.output.finish(multipliers[channel].apply(sum));
    }
    Ok(())
}

/// A convolution planned for an instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    isa: Isa,
    params: Params,
    bands: Bands,
    taps: Taps,
    group_packed: usize,
}

impl Conv {
    /// Plans a convolution.
    ///
    /// # Errors
    /// If the shapes contradict each other, or a size does not fit the address space.
    pub fn new(isa: Isa, params: Params) -> Result<Self, Error> {
        params.check()?;
        let window = params.window;
        let layout = Layout::of(isa);
        let taps = Taps::of(&window, params.groups, 0);
        let bands = Bands::new(window, taps.run, 1, layout.kr())?;
        let taps = Taps::of(&window, params.groups, bands.pitch());
        let group_packed = layout.packed_len(&taps, params.columns())?;
        product(&[group_packed, params.groups])?;
        Ok(Self {
            isa,
            params,
            bands,
            taps,
            group_packed,
        })
    }

    /// What was planned.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Bytes of packed weights. They should begin at a multiple of 64.
    pub fn packed_len(&self) -> usize {
        self.group_packed * self.params.groups
    }

    /// Bytes of scratch that [`Conv::run`] needs; its contents do not matter.
    pub fn scratch_len(&self) -> usize {
        self.bands.scratch_len()
    }

    /// Arranges weights, biases and multipliers (one for each output channel) for [`Conv::run`].
    /// Without multipliers the outputs are zero: that is for callers who want the accumulators.
    pub fn pack(
        &self,
        weights: &[i8],
        bias: Option<&[i32]>,
        multipliers: &[Multiplier],
        into: &mut [u8],
    ) -> Result<(), Error> {
        let (depth, columns) = (self.taps.depth(), self.params.columns());
        let channels = self.params.window.output[3];
        exactly(weights, self.params.weights_len()?, Operand::Weights)?;
        if !multipliers.is_empty() {
            exactly(multipliers, channels, Operand::Multipliers)?;
        }
        exactly(into, self.packed_len(), Operand::Packed)?;
        if let Some(bias) = bias {
            exactly(bias, channels, Operand::Bias)?;
        }
        let groups = into
            .chunks_exact_mut(self.group_packed)
            .zip(weights.chunks_exact(depth * columns));
        for (group, (into, weights)) in groups.enumerate() {
            let part = group * columns..(group + 1) * columns;
            let columns = Columns {
                weights,
                count: columns,
                column_step: depth,
                depth_step: 1,
                bias: bias.map(|bias| &bias[part.clone()]),
                multipliers: multipliers.get(part).unwrap_or_default(),
                input_zero: self.params.input_zero,
                weight_zero: self.params.weight_zero,
            };
            gemm::pack(self.isa, &self.taps, &columns, into)?;
        }
        Ok(())
    }

    /// Computes `out` from `input` and what [`Conv::pack`] arranged.
    pub fn run(
        &self,
        packed: &[u8],
        input: &[i8],
        scratch: &mut [i8],
        out: &mut [i8],
    ) -> Result<(), Error> {
        let stage = self.params.output;
        let padding = self.params.input_zero as i8;
        exactly(input, product(&self.params.window.input)?, Operand::Input)?;
        exactly(out, product(&self.params.window.output)?, Operand::Output)?;
        let batches = self.params.window.input[0];
        let images = input.chunks_exact(input.len() / batches);
        let outs = out.chunks_exact_mut(out.len() / batches);
        for (input, out) in images.zip(outs) {
            self.image(packed, input, padding, scratch, out, |out, step| {
                Sink::Bytes { out, step, stage }
            })?;
        }
        Ok(())
    }

    /// The products of one image of the batch, with padding of one's choice, into any sink.
    pub(crate) fn image<T>(
        &self,
        packed: &[u8],
        input: &[i8],
        padding: i8,
        scratch: &mut [i8],
        out: &mut [T],
        sink: impl for<'s> Fn(&'s mut [T], usize) -> Sink<'s>,
    ) -> Result<(), Error> {
        let Params {
            window,
            weight_zero,
            ..
        } = self.params;
        let (depth, columns) = (self.params.depth(), self.params.columns());
        let [_, _, width, channels] = window.output;
        exactly(packed, self.packed_len(), Operand::Packed)?;
        let prepare = |copied: &mut [i8]| weight_zero == 0 && gemm::lift(self.isa, copied);
        self.bands
            .for_each(input, padding, scratch, prepare, |band| {
                let starts = Starts::of(&window, band.rows, self.bands.pitch());
                let out = &mut out[band.row * width * channels..];
                for (group, packed) in packed.chunks_exact(self.group_packed).enumerate() {
                    Product::new(
                        self.isa,
                        (&band.elements[group * depth..], starts, self.taps),
                        (packed, columns, weight_zero),
                        sink(&mut out[group * columns..], channels),
                    )?
                    .with_lifted(band.prepared)
                    .run();
                }
                Ok(())
            })
    }
}

impl Taps {
    /// The taps of a window over rows of `pitch` elements. Taps that touch become one run.
    pub(crate) fn of(window: &Window, groups: usize, pitch: usize) -> Self {
        let [height, width] = window.kernel;
        let channels = window.input[3];
        let touching = window.dilation[1] == 1 && groups == 1;
        Self {
            outer: height,
            outer_step: window.dilation[0] * pitch,
            inner: if touching { 1 } else { width },
            inner_step: window.dilation[1] * channels,
            run: if touching {
                width * channels
            } else {
                channels / groups
            },
        }
    }
}

impl Starts {
    /// The windows of `rows` output rows over input rows of `pitch` elements.
    pub(crate) fn of(window: &Window, rows: usize, pitch: usize) -> Self {
        Self {
            lines: rows,
            line_step: window.stride[0] * pitch,
            places: window.output[2],
            place_step: window.stride[1] * window.input[3],
        }
    }
}
