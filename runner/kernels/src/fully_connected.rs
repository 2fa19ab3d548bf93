//! Fully connected layers of int8 activations and weights: `FULLY_CONNECTED`.
//!
//! The arithmetic is that of `reference_integer_ops::FullyConnected` and `FullyConnectedPerChannel`
//! (tflite/kernels/internal/reference/integer_ops/fully_connected.h): one row of weights an output,
//! `Σ (x − zx)(w − zw)` plus bias in 32 bits, then [`Multiplier::apply_once`], zero
//! point and clamp.

use crate::conv::check_quantisation;
use crate::error::{Error, Operand, exactly, product};
use crate::gemm::{self, Columns, Layout, Product, Sink, Starts, Taps};
use crate::isa::Isa;
use crate::requant::{Multiplier, Output};

/// A fully connected layer, but for its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Rows of the input: the product of all its extents but the last.
    pub rows: usize,
    /// Inputs of a row.
    pub inputs: usize,
    /// Outputs of a row.
    pub outputs: usize,
    /// The input's zero point.
    pub input_zero: i32,
    /// The weights' zero point; 0 unless they were uint8.
    pub weight_zero: i32,
    /// The output's zero point and clamp.
    pub output: Output,
}

impl Params {
    fn check(&self) -> Result<(), Error> {
        if [self.rows, self.inputs, self.outputs].contains(&0) {
            return Err(Error::ZeroExtent);
        }
        product(&[self.rows, self.inputs])?;
        product(&[self.rows, self.outputs])?;
        product(&[self.outputs, self.inputs])?;
        check_quantisation(self.input_zero, self.weight_zero, self.output)
    }
}

/// The specification. `weights` is outputs × inputs; `multipliers` has one entry for each output.
pub fn reference(
    params: &Params,
    input: &[i8],
    (weights, bias, multipliers): (&[i8], Option<&[i32]>, &[Multiplier]),
    out: &mut [i8],
) -> Result<(), Error> {
    params.check()?;
    exactly(input, params.rows * params.inputs, Operand::Input)?;
    exactly(weights, params.outputs * params.inputs, Operand::Weights)?;
    exactly(multipliers, params.outputs, Operand::Multipliers)?;
    exactly(out, params.rows * params.outputs, Operand::Output)?;
    if let Some(bias) = bias {
        exactly(bias, params.outputs, Operand::Bias)?;
    }
    let rows = input.chunks_exact(params.inputs);
    for (row, out) in rows.zip(out.chunks_exact_mut(params.outputs)) {
        let columns = weights.chunks_exact(params.inputs).zip(multipliers);
        for (column, ((weights, multiplier), out)) in columns.zip(out).enumerate() {
            let mut sum = bias.map_or(0, |bias| bias[column]);
            for (&x, &weight) in row.iter().zip(weights) {
                let x = i32::from(x) - params.input_zero;
                sum = sum.wrapping_add(x * (i32::from(weight) - params.weight_zero));
            }
            *out = params.output.finish(multiplier.apply_once(sum));
        }
    }
    Ok(())
}

/// A fully connected layer planned for an instruction set.
#[derive(Clone, Copy, Debug)]
pub struct FullyConnected {
    isa: Isa,
    params: Params,
    taps: Taps,
    packed: usize,
    in_place: bool,
}

impl FullyConnected {
    /// Plans a layer.
    ///
    /// # Errors
    /// If an extent is zero or does not fit the address space.
    pub fn new(isa: Isa, params: Params) -> Result<Self, Error> {
        params.check()?;
        let layout = Layout::of(isa);
        let taps = Taps::contiguous(params.inputs);
        Ok(Self {
            isa,
            params,
            taps,
            packed: layout.packed_len(&taps, params.outputs)?,
            in_place: params.inputs.is_multiple_of(layout.kr()),
        })
    }

    /// What was planned.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Bytes of packed weights. They should begin at a multiple of 64.
    pub fn packed_len(&self) -> usize {
        self.packed
    }

    /// Bytes of scratch that [`FullyConnected::run`] needs; its contents do not matter.
    pub fn scratch_len(&self) -> usize {
        if self.in_place {
            return 0;
        }
        (self.params.rows - 1) * self.params.inputs + self.taps.span(Layout::of(self.isa).kr())
    }

    /// Arranges weights, biases and multipliers (one for each output) for [`FullyConnected::run`].
    pub fn pack(
        &self,
        weights: &[i8],
        bias: Option<&[i32]>,
        multipliers: &[Multiplier],
        into: &mut [u8],
    ) -> Result<(), Error> {
        let Params {
            inputs,
            outputs,
            input_zero,
            weight_zero,
            ..
        } = self.params;
        exactly(weights, outputs * inputs, Operand::Weights)?;
        if !multipliers.is_empty() {
            exactly(multipliers, outputs, Operand::Multipliers)?;
        }
        let columns = Columns {
            weights,
            count: outputs,
            column_step: inputs,
            depth_step: 1,
            bias,
            multipliers,
            input_zero,
            weight_zero,
        };
        gemm::pack(self.isa, &self.taps, &columns, into)
    }

    /// Computes `out` from `input` and what [`FullyConnected::pack`] arranged.
    pub fn run(
        &self,
        packed: &[u8],
        input: &[i8],
        scratch: &mut [i8],
        out: &mut [i8],
    ) -> Result<(), Error> {
        exactly(out, self.params.rows * self.params.outputs, Operand::Output)?;
        let (step, stage) = (self.params.outputs, self.params.output);
        self.product(packed, input, scratch, Sink::Bytes { out, step, stage })
    }

    /// The product into any sink.
    pub(crate) fn product(
        &self,
        packed: &[u8],
        input: &[i8],
        scratch: &mut [i8],
        sink: Sink,
    ) -> Result<(), Error> {
        let Params {
            rows,
            inputs,
            outputs,
            weight_zero,
            ..
        } = self.params;
        exactly(input, rows * inputs, Operand::Input)?;
        let starts = Starts::matrix(rows, inputs);
        let input = if self.in_place {
            input
        } else {
            crate::error::copy_padded(input, self.scratch_len(), scratch)?
        };
        Product::new(
            self.isa,
            (input, starts, self.taps),
            (packed, outputs, weight_zero),
            sink,
        )?
        .rounding_once()
        .run();
        Ok(())
    }
}
