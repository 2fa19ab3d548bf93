//! Fully connected layers of `f32`: `FULLY_CONNECTED`.

use super::Clamp;
use super::gemm::{self, Columns, Product};
use crate::error::{Error, Operand, exactly, product};
use crate::gemm::{Starts, Taps};
use crate::isa::Isa;

/// A fully connected layer planned for an instruction set. Its specification is that of a
/// [`super::BatchMatmul`] with bias and clamp.
#[derive(Clone, Copy, Debug)]
pub struct FullyConnected {
    isa: Isa,
    rows: usize,
    inputs: usize,
    outputs: usize,
    clamp: Clamp,
    packed: usize,
}

impl FullyConnected {
    /// Plans a layer for `rows` rows of `inputs` elements.
    ///
    /// # Errors
    /// If an extent is zero or does not fit the address space.
    pub fn new(isa: Isa, [rows, inputs, outputs]: [usize; 3], clamp: Clamp) -> Result<Self, Error> {
        if [rows, inputs, outputs].contains(&0) {
            return Err(Error::ZeroExtent);
        }
        clamp.check()?;
        product(&[rows, inputs, 4])?;
        product(&[rows, outputs, 4])?;
        let packed = gemm::packed_len(isa, inputs, outputs)?;
        Ok(Self {
            isa,
            rows,
            inputs,
            outputs,
            clamp,
            packed,
        })
    }

    /// Elements of packed weights. They should begin at a multiple of 64 bytes.
    pub fn packed_len(&self) -> usize {
        self.packed
    }

    /// Arranges weights (outputs × inputs) and biases for [`FullyConnected::run`].
    pub fn pack(
        &self,
        weights: &[f32],
        bias: Option<&[f32]>,
        into: &mut [f32],
    ) -> Result<(), Error> {
        exactly(weights, self.outputs * self.inputs, Operand::Weights)?;
        let columns = Columns {
            weights,
            count: self.outputs,
            column_step: self.inputs,
            depth: self.inputs,
            depth_step: 1,
            bias,
        };
        gemm::pack(self.isa, &columns, into)
    }

    /// Computes `out` from `input` and what [`FullyConnected::pack`] arranged.
    pub fn run(&self, packed: &[f32], input: &[f32], out: &mut [f32]) -> Result<(), Error> {
        exactly(input, self.rows * self.inputs, Operand::Input)?;
        exactly(out, self.rows * self.outputs, Operand::Output)?;
        let starts = Starts::matrix(self.rows, self.inputs);
        Product::new(
            self.isa,
            (input, starts, Taps::contiguous(self.inputs)),
            (packed, self.outputs),
            (out, self.outputs, self.clamp),
        )?
        .run();
        Ok(())
    }
}
