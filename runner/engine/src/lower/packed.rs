//! Weights as kernels want them, owned by the step that uses them.

use std::sync::Mutex;

use scalebench_kernels::requant::Multiplier;
use scalebench_kernels::{Error, hybrid};

use crate::DType;
use crate::lower::Refusal;
use crate::lower::argument::Argument;
use crate::lower::scheme::{channelwise, flip, flipped, wide_bias};
use crate::step::{Fault, Io, Step, aligned, cut};
use crate::tensor::AlignedBytes;

/// Zeroed memory on a cache line.
pub(super) fn memory(bytes: usize) -> Result<AlignedBytes, Refusal> {
    AlignedBytes::zeroed(bytes)
        .ok_or_else(|| Refusal::Broken(format!("no memory for {bytes} bytes of weights")))
}

/// The same memory as floats.
#[inline]
pub(super) fn floats(packed: &AlignedBytes) -> &[f32] {
    bytemuck::cast_slice(packed.bytes())
}

/// The step of an int8 kernel, which serves uint8 tensors as well: their bytes go through it with the
/// top bit flipped. `paths` names it for either; the kernel gets input, `scratch` bytes and output.
pub(super) fn bytewise(
    [int8, uint8]: [&'static str; 2],
    input: &Argument<'_>,
    output: &Argument<'_>,
    scratch: usize,
    kernel: impl Fn(&[i8], &mut [i8], &mut [i8]) -> Result<(), Error> + Send + Sync + 'static,
) -> Step {
    if input.dtype != DType::U8 {
        return Step::new(int8, [input.tensor], output.tensor, move |io| {
            let (input, scratch, out) = io.with_scratch();
            Ok(kernel(input, scratch, out)?)
        })
        .scratch(scratch);
    }
    let elements = input.elements();
    Step::new(uint8, [input.tensor], output.tensor, move |io| {
        let (moved, rest) = cut::<i8>(io.scratch, elements)?;
        flipped(bytemuck::cast_slice(io.inputs[0]), moved);
        let out: &mut [i8] = bytemuck::cast_slice_mut(io.outputs[0]);
        kernel(moved, bytemuck::cast_slice_mut(rest), out)?;
        flip(out);
        Ok(())
    })
    .scratch(aligned(elements) + scratch)
}

/// Constants of a layer with int16 activations and int8 weights.
pub(super) struct Words {
    weights: Vec<i8>,
    bias: Option<Vec<i64>>,
    multipliers: Vec<Multiplier>,
}

impl Words {
    /// With one multiplier and bias for each of so many channels, along `axis` of the weights.
    pub(super) fn new(
        input: &Argument<'_>,
        weights: &Argument<'_>,
        bias: Option<Argument<'_>>,
        output: &Argument<'_>,
        [axis, channels]: [usize; 2],
    ) -> Result<Self, Refusal> {
        Ok(Self {
            weights: weights.signed_constant()?.into_owned(),
            bias: wide_bias(bias, channels)?,
            multipliers: channelwise(input, weights, output, axis)?,
        })
    }

    /// As the kernels take them.
    #[inline]
    pub(super) fn given(&self) -> (&[i8], Option<&[i64]>, &[Multiplier]) {
        (&self.weights, self.bias.as_deref(), &self.multipliers)
    }
}

/// Constants and working memory of a layer with float activations and int8 weights.
pub(super) struct Hybrid {
    packed: AlignedBytes,
    sums: Vec<i32>,
    scales: Vec<f32>,
    bias: Option<Vec<f32>>,
    len: hybrid::ScratchLen,
    /// How each row was quantised; no plain bytes, so not in the arena. Only ever one inference uses it.
    rows: Mutex<Vec<hybrid::Quantised>>,
}

impl Hybrid {
    /// With one scale and bias for each output channel.
    pub(super) fn new(
        packed: AlignedBytes,
        weights: &[i8],
        scales: Vec<f32>,
        bias: Option<Vec<f32>>,
        len: hybrid::ScratchLen,
    ) -> Self {
        let mut sums = vec![0; scales.len()];
        hybrid::column_sums(weights, &mut sums);
        Self {
            packed,
            sums,
            scales,
            bias,
            rows: Mutex::new(vec![hybrid::Quantised::default(); len.rows]),
            len,
        }
    }

    /// Bytes of scratch memory in the arena.
    pub(super) fn scratch(&self) -> usize {
        aligned(self.len.bytes) + aligned(self.len.words * size_of::<i32>())
    }

    /// Hands the kernel everything.
    pub(super) fn run(
        &self,
        io: &mut Io<'_>,
        kernel: impl Fn(
            &hybrid::Columns<'_>,
            &[f32],
            hybrid::Scratch<'_>,
            &mut [f32],
        ) -> Result<(), Error>,
    ) -> Result<(), Fault> {
        let columns = hybrid::Columns {
            packed: self.packed.bytes(),
            sums: &self.sums,
            scales: &self.scales,
            bias: self.bias.as_deref(),
        };
        let (input, scratch, out) = io.with_scratch::<f32, u8, f32>();
        let (bytes, rest) = cut(scratch, self.len.bytes)?;
        let (words, _) = cut(rest, self.len.words)?;
        let mut rows = self
            .rows
            .try_lock()
            .map_err(|_| Fault::Value("a second inference runs at the same time"))?;
        let scratch = hybrid::Scratch {
            bytes,
            words,
            rows: &mut rows,
        };
        Ok(kernel(&columns, input, scratch, out)?)
    }
}
