//! Products of two `f32` activations: `BATCH_MATMUL`.

use super::Clamp;
use super::gemm::{self, Columns, Product};
use crate::error::{Error, Operand, exactly, product};
use crate::gemm::{Starts, Taps};
use crate::isa::Isa;

/// The product of a `rows × inner` and an `inner × columns` matrix, planned for an instruction set.
/// Broadcasting of batches is the caller's: one call multiplies one pair of matrices.
#[derive(Clone, Copy, Debug)]
pub struct BatchMatmul {
    isa: Isa,
    rows: usize,
    inner: usize,
    columns: usize,
    transposed: bool,
    packed: usize,
}

impl BatchMatmul {
    /// Plans a product; `transposed` if the second operand is given as `columns × inner` (`adj_y`).
    ///
    /// # Errors
    /// If an extent is zero or does not fit the address space.
    pub fn new(
        isa: Isa,
        [rows, inner, columns]: [usize; 3],
        transposed: bool,
    ) -> Result<Self, Error> {
        if [rows, inner, columns].contains(&0) {
            return Err(Error::ZeroExtent);
        }
        product(&[rows, inner, 4])?;
        product(&[rows, columns, 4])?;
        let packed = gemm::packed_len(isa, inner, columns)?;
        Ok(Self {
            isa,
            rows,
            inner,
            columns,
            transposed,
            packed,
        })
    }

    /// Elements that hold the second operand rearranged.
    pub fn packed_len(&self) -> usize {
        self.packed
    }

    /// Rearranges the second operand for [`BatchMatmul::run`].
    pub fn pack(&self, other: &[f32], into: &mut [f32]) -> Result<(), Error> {
        exactly(other, self.columns * self.inner, Operand::Other)?;
        let (column_step, depth_step) = if self.transposed {
            (self.inner, 1)
        } else {
            (1, self.columns)
        };
        let columns = Columns {
            weights: other,
            count: self.columns,
            column_step,
            depth: self.inner,
            depth_step,
            bias: None,
        };
        gemm::pack(self.isa, &columns, into)
    }

    /// Computes `out` from `input` and what [`BatchMatmul::pack`] rearranged.
    pub fn run(&self, packed: &[f32], input: &[f32], out: &mut [f32]) -> Result<(), Error> {
        exactly(input, self.rows * self.inner, Operand::Input)?;
        exactly(out, self.rows * self.columns, Operand::Output)?;
        Product::new(
            self.isa,
            (
                input,
                Starts::matrix(self.rows, self.inner),
                Taps::contiguous(self.inner),
            ),
            (packed, self.columns),
            (out, self.columns, Clamp::NONE),
        )?
        .run();
        Ok(())
    }
}
