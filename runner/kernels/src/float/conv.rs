//! Convolution of `f32`: `CONV_2D`, dense, 1×1 or grouped.

use super::Clamp;
use super::gemm::{self, Columns, Product};
use crate::error::{Error, Operand, exactly, product};
use crate::gemm::{Starts, Taps};
use crate::isa::Isa;
use crate::window::{Bands, Window};

/// The specification. `weights` is OHWI: output channel, tap row, tap column, input channel of the
/// group.
pub fn reference(
    (window, groups, clamp): (&Window, usize, Clamp),
    input: &[f32],
    (weights, bias): (&[f32], Option<&[f32]>),
    out: &mut [f32],
) -> Result<(), Error> {
    let weights_len = check(window, groups, clamp)?;
    let &Window {
        input: [_, height, width, channels],
        output,
        kernel,
        stride,
        dilation,
        before,
    } = window;
    let (depth, columns) = (channels / groups, output[3] / groups);
    exactly(input, product(&window.input)?, Operand::Input)?;
    exactly(weights, weights_len, Operand::Weights)?;
    exactly(out, product(&output)?, Operand::Output)?;
    if let Some(bias) = bias {
        exactly(bias, output[3], Operand::Bias)?;
    }
    for (index, out) in out.iter_mut().enumerate() {
        let channel = index % output[3];
        let column = index / output[3] % output[2];
        let row = index / output[3] / output[2] % output[1];
        let batch = index / output[3] / output[2] / output[1];
        let mut sum = 0.0;
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
                    sum += input[pixel + channel / columns * depth + c] * weights[tap + c];
                }
            }
        }
        *out = clamp.apply(sum + bias.map_or(0.0, |bias| bias[channel]));
    }
    Ok(())
}

/// Holds when the shapes agree; the number of weights.
fn check(window: &Window, groups: usize, clamp: Clamp) -> Result<usize, Error> {
    window.check()?;
    clamp.check()?;
    if groups == 0 {
        return Err(Error::ZeroExtent);
    }
    if !window.input[3].is_multiple_of(groups) || !window.output[3].is_multiple_of(groups) {
        return Err(Error::Channels);
    }
    let [height, width] = window.kernel;
    product(&[window.output[3], height, width, window.input[3] / groups])
}

/// A convolution planned for an instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    isa: Isa,
    window: Window,
    groups: usize,
    clamp: Clamp,
    bands: Bands,
    taps: Taps,
    group_packed: usize,
}

impl Conv {
    /// Plans a convolution of `groups` groups (1 for a plain one).
    ///
    /// # Errors
    /// If the shapes contradict each other, or a size does not fit the address space.
    pub fn new(isa: Isa, window: Window, groups: usize, clamp: Clamp) -> Result<Self, Error> {
        check(&window, groups, clamp)?;
        let bands = Bands::new(window, 1, size_of::<f32>(), 1)?;
        let taps = Taps::of(&window, groups, bands.pitch());
        let group_packed = gemm::packed_len(isa, taps.depth(), window.output[3] / groups)?;
        product(&[group_packed, groups])?;
        Ok(Self {
            isa,
            window,
            groups,
            clamp,
            bands,
            taps,
            group_packed,
        })
    }

    /// The geometry it was planned for.
    pub fn window(&self) -> &Window {
        &self.window
    }

    /// Elements of packed weights. They should begin at a multiple of 64 bytes.
    pub fn packed_len(&self) -> usize {
        self.group_packed * self.groups
    }

    /// Elements of scratch that [`Conv::run`] needs; its contents do not matter.
    pub fn scratch_len(&self) -> usize {
        self.bands.scratch_len()
    }

    /// Arranges OHWI weights and biases for [`Conv::run`].
    pub fn pack(
        &self,
        weights: &[f32],
        bias: Option<&[f32]>,
        into: &mut [f32],
    ) -> Result<(), Error> {
        let (depth, count) = (self.taps.depth(), self.window.output[3] / self.groups);
        exactly(weights, depth * count * self.groups, Operand::Weights)?;
        exactly(into, self.packed_len(), Operand::Packed)?;
        if let Some(bias) = bias {
            exactly(bias, count * self.groups, Operand::Bias)?;
        }
        let groups = into
            .chunks_exact_mut(self.group_packed)
            .zip(weights.chunks_exact(depth * count));
        for (group, (into, weights)) in groups.enumerate() {
            let columns = Columns {
                weights,
                count,
                column_step: depth,
                depth,
                depth_step: 1,
                bias: bias.map(|bias| &bias[group * count..][..count]),
            };
            gemm::pack(self.isa, &columns, into)?;
        }
        Ok(())
    }

    /// Computes `out` from `input` and what [`Conv::pack`] arranged.
    pub fn run(
        &self,
        packed: &[f32],
        input: &[f32],
        scratch: &mut [f32],
        out: &mut [f32],
    ) -> Result<(), Error> {
        let window = &self.window;
        let depth = window.input[3] / self.groups;
        let [batches, _, width, channels] = window.output;
        let columns = channels / self.groups;
        exactly(input, product(&window.input)?, Operand::Input)?;
        exactly(out, product(&window.output)?, Operand::Output)?;
        exactly(packed, self.packed_len(), Operand::Packed)?;
        let images = input.chunks_exact(input.len() / batches);
        let outs = out.chunks_exact_mut(out.len() / batches);
        for (image, out) in images.zip(outs) {
            self.bands.for_each(
                image,
                0.0,
                scratch,
                |_| false,
                |band| {
                    let starts = Starts::of(window, band.rows, self.bands.pitch());
                    let out = &mut out[band.row * width * channels..];
                    for (group, packed) in packed.chunks_exact(self.group_packed).enumerate() {
                        Product::new(
                            self.isa,
                            (&band.elements[group * depth..], starts, self.taps),
                            (packed, columns),
                            (&mut out[group * columns..], channels, self.clamp),
                        )?
                        .run();
                    }
                    Ok(())
                },
            )?;
        }
        Ok(())
    }
}
