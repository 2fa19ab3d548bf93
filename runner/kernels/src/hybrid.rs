//! Float activations with int8 weights, as "dynamic range" quantised models have them.
//!
//! The input is quantised at run time, each row of a fully connected layer or each image of a
//! convolution by itself; the product is an integer one; its accumulators are scaled back. The rules
//! are those of TFLite's hybrid kernels: `tensor_utils::SymmetricQuantizeFloats` and
//! `AsymmetricQuantizeFloats` (tflite/kernels/internal/reference/portable_tensor_utils.cc),
//! `MatrixBatchVectorMultiplyAccumulate` there, and `HybridConvPerChannel`
//! (tflite/kernels/internal/reference/conv.h). Where the portable form of the quantisation and the one
//! that TFLite runs on x86-64, also with its reference kernels (`NeonSymmetricQuantizeFloats` and
//! `NeonAsymmetricQuantizeFloats` in optimized/neon_tensor_utils.cc), disagree, the latter is followed to
//! the bit: it makes the golden vectors.

use crate::conv;
use crate::error::{Error, Operand, exactly, first_mut, product};
use crate::float::Clamp;
use crate::fully_connected;
use crate::gemm::Sink;
use crate::isa::Isa;
use crate::requant::Output;
use crate::window::Window;

/// How a row of floats was quantised: `value ≈ scale · (byte − zero)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantised {
    /// The step.
    pub scale: f32,
    /// The byte that stands for zero.
    pub zero: i32,
}

/// How inputs are quantised at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Into ±127 around zero.
    Symmetric,
    /// Into −128 ..= 127 with a zero point (`asymmetric_quantize_inputs`; convolutions always).
    Asymmetric,
}

impl Scheme {
    fn quantise_rows(self, input: &[f32], bytes: &mut [i8], rows: &mut [Quantised]) {
        let width = input.len() / rows.len();
        let lines = input.chunks_exact(width).zip(bytes.chunks_exact_mut(width));
        for ((values, bytes), row) in lines.zip(rows) {
            *row = self.quantise(values, bytes);
        }
    }

    /// Quantises `values` into `bytes`.
    pub fn quantise(self, values: &[f32], bytes: &mut [i8]) -> Quantised {
        match self {
            Self::Symmetric => symmetric(values, bytes),
            Self::Asymmetric => asymmetric(values, bytes),
        }
    }
}

/// The least and the greatest of `values`.
fn extremes(values: &[f32]) -> (f32, f32) {
    values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), &value| {
            (
                if value < min { value } else { min },
                if value > max { value } else { max },
            )
        })
}

/// How many values the reference rounds at a time.
const LANES: usize = 8;

/// Counts the steps in each value and stores what `place` makes of them.
///
/// The reference rounds whole groups of values by adding a half and cutting the fraction off, by which
/// the float next below a half goes up; the rest it rounds to nearest. Both take ties away from zero.
fn steps(values: &[f32], inverse: f32, bytes: &mut [i8], place: impl Fn(i32) -> i32) {
    let (whole, rest) = values.split_at(values.len() / LANES * LANES);
    let (of_whole, of_rest) = bytes.split_at_mut(whole.len());
    for (byte, &value) in of_whole.iter_mut().zip(whole) {
        let ratio = value * inverse;
        *byte = place((ratio + 0.5_f32.copysign(ratio)) as i32) as i8;
    }
    for (byte, &value) in of_rest.iter_mut().zip(rest) {
        *byte = place(libm::roundf(value * inverse) as i32) as i8;
    }
}

fn symmetric(values: &[f32], bytes: &mut [i8]) -> Quantised {
    let (min, max) = extremes(values);
    let range = min.abs().max(max.abs());
    if range == 0.0 || values.is_empty() {
        bytes.fill(0);
        return Quantised {
            scale: 1.0,
            zero: 0,
        };
    }
    steps(values, 127.0 / range, bytes, |step| step.clamp(-127, 127));
    Quantised {
        scale: range / 127.0,
        zero: 0,
    }
}

fn asymmetric(values: &[f32], bytes: &mut [i8]) -> Quantised {
    const LEAST: f64 = -128.0;
    const GREATEST: f64 = 127.0;
    let (min, max) = extremes(values);
    let (min, max) = (min.min(0.0), max.max(0.0));
    if min == max {
        bytes.fill(0);
        return Quantised {
            scale: 1.0,
            zero: 0,
        };
    }
    // The difference is a float's: the reference takes it before it goes on in double precision.
    let scale = f64::from(max - min) / (GREATEST - LEAST);
    let (min, max) = (f64::from(min), f64::from(max));
    let from_min = LEAST - min / scale;
    let from_max = GREATEST - max / scale;
    let error_of_min = LEAST.abs() + (min / scale).abs();
    let error_of_max = GREATEST.abs() + (max / scale).abs();
    let zero = if error_of_min < error_of_max {
        from_min
    } else {
        from_max
    };
    let zero = libm::round(zero.clamp(LEAST, GREATEST)) as i32;
    let scale = scale as f32;
    steps(values, 1.0 / scale, bytes, |step| {
        step.saturating_add(zero).clamp(-128, 127)
    });
    Quantised { scale, zero }
}

/// What int8 products are planned with when their accumulators are wanted as they are.
const RAW: Output = Output {
    zero: 0,
    min: i8::MIN,
    max: i8::MAX,
};

/// Weights, their scales and biases as a hybrid layer needs them besides the packed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// Bytes that [`FullyConnected::pack`] or [`Conv::pack`] arranged.
    pub packed: &'a [u8],
    /// The sum of each output channel's weights, from [`column_sums`].
    pub sums: &'a [i32],
    /// The scale of each output channel's weights.
    pub scales: &'a [f32],
    /// The bias of each output channel.
    pub bias: Option<&'a [f32]>,
}

impl Columns<'_> {
    fn check(&self, count: usize) -> Result<(), Error> {
        exactly(self.sums, count, Operand::Weights)?;
        exactly(self.scales, count, Operand::Multipliers)?;
        match self.bias {
            Some(bias) => exactly(bias, count, Operand::Bias),
            None => Ok(()),
        }
    }

    /// Scales the accumulators of one row, in the order of multiplications that `scaled` has.
    fn finish(
        &self,
        words: &[i32],
        by: Quantised,
        out: &mut [f32],
        scaled: impl Fn(f32, f32) -> f32,
        clamp: Clamp,
    ) {
        let columns = self.sums.iter().zip(self.scales);
        for (channel, ((out, &word), (&sum, &scale))) in
            out.iter_mut().zip(words).zip(columns).enumerate()
        {
            let word = word.wrapping_sub(by.zero.wrapping_mul(sum));
            let bias = self.bias.map_or(0.0, |bias| bias[channel]);
            *out = clamp.apply(bias + scaled(word as f32, scale));
        }
    }
}

/// Sums the weights of each output channel (the outermost axis), for zero points known only later.
pub fn column_sums(weights: &[i8], sums: &mut [i32]) {
    let depth = weights.len() / sums.len().max(1);
    for (sum, column) in sums.iter_mut().zip(weights.chunks_exact(depth.max(1))) {
        *sum = column.iter().map(|&weight| i32::from(weight)).sum();
    }
}

/// Working memory; its contents do not matter.
#[derive(Debug)]
pub struct Scratch<'a> {
    /// Quantised inputs, and what the integer product needs.
    pub bytes: &'a mut [i8],
    /// Accumulators.
    pub words: &'a mut [i32],
    /// How each row or image was quantised.
    pub rows: &'a mut [Quantised],
}

/// How much working memory a layer needs at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchLen {
    /// Of [`Scratch::bytes`].
    pub bytes: usize,
    /// Of [`Scratch::words`].
    pub words: usize,
    /// Of [`Scratch::rows`].
    pub rows: usize,
}

/// A fully connected layer with float activations and int8 weights (`FULLY_CONNECTED`).
#[derive(Clone, Copy, Debug)]
pub struct FullyConnected {
    inner: fully_connected::FullyConnected,
    scheme: Scheme,
    clamp: Clamp,
}

impl FullyConnected {
    /// Plans a layer for `rows` rows of `inputs` elements.
    ///
    /// # Errors
    /// If an extent is zero or does not fit the address space.
    pub fn new(
        isa: Isa,
        [rows, inputs, outputs]: [usize; 3],
        scheme: Scheme,
        clamp: Clamp,
    ) -> Result<Self, Error> {
        clamp.check()?;
        product(&[rows, outputs, 4])?;
        let params = fully_connected::Params {
            rows,
            inputs,
            outputs,
            input_zero: 0,
            weight_zero: 0,
            output: RAW,
        };
        let inner = fully_connected::FullyConnected::new(isa, params)?;
        Ok(Self {
            inner,
            scheme,
            clamp,
        })
    }

    /// Bytes of packed weights. They should begin at a multiple of 64.
    pub fn packed_len(&self) -> usize {
        self.inner.packed_len()
    }

    /// Working memory that [`FullyConnected::run`] needs.
    pub fn scratch_len(&self) -> ScratchLen {
        let params = self.inner.params();
        ScratchLen {
            bytes: params.rows * params.inputs + self.inner.scratch_len(),
            words: params.rows * params.outputs,
            rows: params.rows,
        }
    }

    /// Arranges weights (outputs × inputs) for [`FullyConnected::run`].
    pub fn pack(&self, weights: &[i8], into: &mut [u8]) -> Result<(), Error> {
        self.inner.pack(weights, None, &[], into)
    }

    /// Computes `out` from `input`.
    pub fn run(
        &self,
        columns: &Columns,
        input: &[f32],
        scratch: Scratch,
        out: &mut [f32],
    ) -> Result<(), Error> {
        let params = self.inner.params();
        exactly(input, params.rows * params.inputs, Operand::Input)?;
        exactly(out, params.rows * params.outputs, Operand::Output)?;
        columns.check(params.outputs)?;
        let needed = self.scratch_len();
        let bytes = first_mut(scratch.bytes, needed.bytes, Operand::Scratch)?;
        let words = first_mut(scratch.words, needed.words, Operand::Scratch)?;
        let rows = first_mut(scratch.rows, needed.rows, Operand::Scratch)?;
        let (quantised, rest) = bytes.split_at_mut(input.len());
        self.scheme.quantise_rows(input, quantised, rows);
        let sink = Sink::Wide {
            out: words,
            step: params.outputs,
        };
        self.inner.product(columns.packed, quantised, rest, sink)?;
        let outs = out
            .chunks_exact_mut(params.outputs)
            .zip(words.chunks_exact(params.outputs));
        for ((out, words), by) in outs.zip(rows.iter()) {
            columns.finish(
                words,
                *by,
                out,
                |word, scale| word * (by.scale * scale),
                self.clamp,
            );
        }
        Ok(())
    }
}

/// A convolution with float activations and int8 weights (`CONV_2D`).
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    inner: conv::Conv,
    scheme: Scheme,
    clamp: Clamp,
}

impl Conv {
    /// Plans a convolution of `groups` groups. TFLite quantises its input asymmetrically if the
    /// weights have a scale for each channel, else symmetrically.
    ///
    /// # Errors
    /// If the shapes contradict each other, or a size does not fit the address space.
    pub fn new(
        isa: Isa,
        window: Window,
        groups: usize,
        scheme: Scheme,
        clamp: Clamp,
    ) -> Result<Self, Error> {
        clamp.check()?;
        let params = conv::Params {
            window,
            groups,
            input_zero: 0,
            weight_zero: 0,
            output: RAW,
        };
        let inner = conv::Conv::new(isa, params)?;
        Ok(Self {
            inner,
            scheme,
            clamp,
        })
    }

    /// Bytes of packed weights. They should begin at a multiple of 64.
    pub fn packed_len(&self) -> usize {
        self.inner.packed_len()
    }

    /// Working memory that [`Conv::run`] needs.
    pub fn scratch_len(&self) -> ScratchLen {
        let Window {
            input: [batches, height, width, channels],
            output,
            ..
        } = self.inner.params().window;
        ScratchLen {
            bytes: height * width * channels + self.inner.scratch_len(),
            words: output[1] * output[2] * output[3],
            rows: batches,
        }
    }

    /// Arranges OHWI weights for [`Conv::run`].
    pub fn pack(&self, weights: &[i8], into: &mut [u8]) -> Result<(), Error> {
        self.inner.pack(weights, None, &[], into)
    }

    /// Computes `out` from `input`.
    pub fn run(
        &self,
        columns: &Columns,
        input: &[f32],
        scratch: Scratch,
        out: &mut [f32],
    ) -> Result<(), Error> {
        let window = self.inner.params().window;
        let channels = window.output[3];
        exactly(input, product(&window.input)?, Operand::Input)?;
        exactly(out, product(&window.output)?, Operand::Output)?;
        columns.check(channels)?;
        let needed = self.scratch_len();
        let bytes = first_mut(scratch.bytes, needed.bytes, Operand::Scratch)?;
        let words = first_mut(scratch.words, needed.words, Operand::Scratch)?;
        let image = input.len() / window.input[0];
        let (quantised, rest) = bytes.split_at_mut(image);
        let images = input
            .chunks_exact(image)
            .zip(out.chunks_exact_mut(words.len()));
        for (input, out) in images {
            let by = self.scheme.quantise(input, quantised);
            self.inner.image(
                columns.packed,
                quantised,
                by.zero as i8,
                rest,
                words,
                |out, step| Sink::Wide { out, step },
            )?;
            for (out, words) in out
                .chunks_exact_mut(channels)
                .zip(words.chunks_exact(channels))
            {
                columns.finish(
                    words,
                    by,
                    out,
                    |word, scale| match self.scheme {
                        Scheme::Symmetric => word * (by.scale * scale),
                        Scheme::Asymmetric => word * scale * by.scale,
                    },
                    self.clamp,
                );
            }
        }
        Ok(())
    }
}
