//! Depthwise convolution of `f32`: `DEPTHWISE_CONV_2D`.

use super::Clamp;
use crate::error::{Error, Operand, exactly, product};
use crate::isa::{Isa, Level};
use crate::window::Window;
use core::ops::Range;

#[cfg(target_arch = "x86_64")]
mod x86;

/// The specification. `weights` is tap row, tap column, output channel; output channel `c` looks at
/// input channel `c / (output channels / input channels)`.
pub fn reference(
    (window, clamp): (&Window, Clamp),
    input: &[f32],
    (weights, bias): (&[f32], Option<&[f32]>),
    out: &mut [f32],
) -> Result<(), Error> {
    let multiplier = check(window, clamp)?;
    let &Window {
        input: [_, height, width, channels],
        output,
        kernel,
        stride,
        dilation,
        before,
    } = window;
    check_operands(window, input, (weights, bias), out)?;
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
                let tap = (ky * kernel[1] + kx) * output[3];
                sum += input[pixel + channel / multiplier] * weights[tap + channel];
            }
        }
        *out = clamp.apply(sum + bias.map_or(0.0, |bias| bias[channel]));
    }
    Ok(())
}

/// Holds when the shapes agree; output channels for each input channel.
fn check(window: &Window, clamp: Clamp) -> Result<usize, Error> {
    window.check()?;
    clamp.check()?;
    product(&[window.kernel[0], window.kernel[1], window.output[3], 4])?;
    let [inputs, outputs] = [window.input[3], window.output[3]];
    if outputs % inputs != 0 {
        return Err(Error::Channels);
    }
    Ok(outputs / inputs)
}

fn check_operands(
    window: &Window,
    input: &[f32],
    (weights, bias): (&[f32], Option<&[f32]>),
    out: &[f32],
) -> Result<(), Error> {
    let taps = window.kernel[0] * window.kernel[1];
    exactly(input, product(&window.input)?, Operand::Input)?;
    exactly(weights, taps * window.output[3], Operand::Weights)?;
    exactly(out, product(&window.output)?, Operand::Output)?;
    match bias {
        Some(bias) => exactly(bias, window.output[3], Operand::Bias),
        None => Ok(()),
    }
}

/// A depthwise convolution planned for an instruction set. Its weights are used as they are.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise {
    isa: Isa,
    window: Window,
    clamp: Clamp,
    multiplier: usize,
}

impl Depthwise {
    /// Plans a depthwise convolution.
    ///
    /// # Errors
    /// If the shapes contradict each other, or a size does not fit the address space.
    pub fn new(isa: Isa, window: Window, clamp: Clamp) -> Result<Self, Error> {
        let multiplier = check(&window, clamp)?;
        Ok(Self {
            isa,
            window,
            clamp,
            multiplier,
        })
    }

    /// Computes `out` from `input`, weights (tap row, tap column, output channel) and biases.
    pub fn run(
        &self,
        (weights, bias): (&[f32], Option<&[f32]>),
        input: &[f32],
        out: &mut [f32],
    ) -> Result<(), Error> {
        check_operands(&self.window, input, (weights, bias), out)?;
        match self.isa.0 {
            Level::Portable => self.slide((weights, bias), input, out),
            #[cfg(all(target_arch = "arm", target_os = "linux"))]
            Level::Neon32 => self.slide((weights, bias), input, out),
            // NEON is in the target: it is what the compiler vectorises for anyway.
            #[cfg(target_arch = "aarch64")]
            Level::Neon | Level::NeonDot => self.slide((weights, bias), input, out),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => x86::avx2(self, (weights, bias), input, out),
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => x86::avx512(self, (weights, bias), input, out),
        }
        Ok(())
    }

    /// Inlined into a function for each instruction set, for which the compiler vectorises it.
    #[inline(always)]
    fn slide(&self, (weights, bias): (&[f32], Option<&[f32]>), input: &[f32], out: &mut [f32]) {
        let &Window {
            input: [_, height, width, inputs],
            output,
            stride,
            ..
        } = &self.window;
        let [_, rows, columns, outputs] = output;
        let images = input.chunks_exact(height * width * inputs);
        for (image, out) in images.zip(out.chunks_exact_mut(rows * columns * outputs)) {
            for (row, out) in out.chunks_exact_mut(columns * outputs).enumerate() {
                let y = row * stride[0];
                let down = self.inside(0, y);
                for (column, out) in out.chunks_exact_mut(outputs).enumerate() {
                    let x = column * stride[1];
                    let taps = [down.clone(), self.inside(1, x)];
                    self.place(image, (weights, bias), ([y, x], &taps), out);
                }
            }
        }
    }

    /// All channels of one output.
    #[inline(always)]
    fn place(
        &self,
        image: &[f32],
        tensors: (&[f32], Option<&[f32]>),
        (origin, taps): ([usize; 2], &[Range<usize>; 2]),
        out: &mut [f32],
    ) {
        let outputs = out.len();
        let mut channel = 0;
        while channel < outputs {
            let left = if self.multiplier == 1 {
                outputs - channel
            } else {
                1
            };
            let place = (origin, taps, channel);
            channel += match left {
                32.. => self.block::<32>(image, tensors, place, out),
                8.. => self.block::<8>(image, tensors, place, out),
                _ => self.block::<1>(image, tensors, place, out),
            };
        }
    }

    /// `N` neighbouring channels of one output, whose sums stay in registers while the taps inside
    /// the input pass. Gives `N`.
    #[inline(always)]
    fn block<const N: usize>(
        &self,
        image: &[f32],
        (weights, bias): (&[f32], Option<&[f32]>),
        (origin, taps, channel): ([usize; 2], &[Range<usize>; 2], usize),
        out: &mut [f32],
    ) -> usize {
        let Window {
            input: [_, _, width, inputs],
            kernel,
            dilation,
            before,
            ..
        } = self.window;
        let mut sums = [0.0_f32; N];
        for ky in taps[0].clone() {
            let y = origin[0] + ky * dilation[0] - before[0];
            for kx in taps[1].clone() {
                let x = origin[1] + kx * dilation[1] - before[1];
                let pixel = (y * width + x) * inputs + channel / self.multiplier;
                let tap = (ky * kernel[1] + kx) * self.window.output[3] + channel;
                let terms = image[pixel..][..N].iter().zip(&weights[tap..][..N]);
                for (sum, (&x, &weight)) in sums.iter_mut().zip(terms) {
                    *sum += x * weight;
                }
            }
        }
        if let Some(bias) = bias {
            for (sum, &bias) in sums.iter_mut().zip(&bias[channel..][..N]) {
                *sum += bias;
            }
        }
        for (out, &sum) in out[channel..][..N].iter_mut().zip(&sums) {
            *out = self.clamp.apply(sum);
        }
        N
    }

    /// Which taps of a window at `origin` (before padding) lie inside the input.
    fn inside(&self, axis: usize, origin: usize) -> Range<usize> {
        let Window {
            input,
            kernel,
            dilation,
            before,
            ..
        } = self.window;
        if origin >= before[axis]
            && origin + self.window.reach(axis) <= input[1 + axis] + before[axis]
        {
            return 0..kernel[axis];
        }
        let first = before[axis].saturating_sub(origin).div_ceil(dilation[axis]);
        let end = (input[1 + axis] + before[axis])
            .saturating_sub(origin)
            .div_ceil(dilation[axis])
            .min(kernel[axis]);
        first..end
    }
}
