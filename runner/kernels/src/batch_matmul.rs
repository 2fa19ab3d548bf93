//! Products of two int8 activations: `BATCH_MATMUL`.
//!
//! The arithmetic is that of `reference_ops::BatchMatMul` for int8 (tflite/kernels/internal/reference/
//! batch_matmul.h): `Σ (x − zx)(y − zy)` in 32 bits, then one multiplier, zero point and clamp. Broad-
//! casting of batches is the caller's: one call multiplies one pair of matrices.

use crate::conv::check_quantisation;
use crate::error::{Error, Operand, copy_padded, exactly, product};
use crate::gemm::{self, Columns, Layout, Product, Sink, Starts, Taps};
use crate::isa::Isa;
use crate::requant::{Multiplier, Output};

/// The product of a `rows × inner` and an `inner × columns` matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Rows of the first operand and the output.
    pub rows: usize,
    /// Columns of the first operand, rows of the second.
    pub inner: usize,
    /// Columns of the second operand and the output.
    pub columns: usize,
    /// Whether the second operand is given transposed, `columns × inner` (`adj_y`).
    pub transposed: bool,
    /// The first operand's zero point.
    pub input_zero: i32,
    /// The second operand's zero point.
    pub other_zero: i32,
    /// Input scales / output scale.
    pub multiplier: Multiplier,
    /// The output's zero point and clamp.
    pub output: Output,
}

impl Params {
    fn check(&self) -> Result<(), Error> {
        if [self.rows, self.inner, self.columns].contains(&0) {
            return Err(Error::ZeroExtent);
        }
        product(&[self.rows, self.inner])?;
        product(&[self.rows, self.columns])?;
        product(&[self.columns, self.inner])?;
        check_quantisation(self.input_zero, self.other_zero, self.output)
    }

    /// Steps of the second operand from one column, and from one row, to the next.
    fn steps(&self) -> (usize, usize) {
        if self.transposed {
            (self.inner, 1)
        } else {
            (1, self.columns)
        }
    }
}

/// The specification.
pub fn reference(params: &Params, input: &[i8], other: &[i8], out: &mut [i8]) -> Result<(), Error> {
    params.check()?;
    exactly(input, params.rows * params.inner, Operand::Input)?;
    exactly(other, params.columns * params.inner, Operand::Other)?;
    exactly(out, params.rows * params.columns, Operand::Output)?;
    let (column_step, depth_step) = params.steps();
    let rows = input.chunks_exact(params.inner);
    for (row, out) in rows.zip(out.chunks_exact_mut(params.columns)) {
        for (column, out) in out.iter_mut().enumerate() {
            let mut sum = 0_i32;
            for (depth, &x) in row.iter().enumerate() {
                let y = i32::from(other[column * column_step + depth * depth_step]);
                sum =
                    sum.wrapping_add((i32::from(x) - params.input_zero) * (y - params.other_zero));
            }
            *out = params.output.finish(params.multiplier.apply(sum));
        }
    }
    Ok(())
}

/// A matrix product planned for an instruction set.
#[derive(Clone, Copy, Debug)]
pub struct BatchMatmul {
    isa: Isa,
    params: Params,
    taps: Taps,
    packed: usize,
    /// Bytes of scratch for the first operand; 0 if it is used in place.
    copied: usize,
}

impl BatchMatmul {
    /// Plans a product.
    ///
    /// # Errors
    /// If an extent is zero or does not fit the address space.
    pub fn new(isa: Isa, params: Params) -> Result<Self, Error> {
        params.check()?;
        let layout = Layout::of(isa);
        let taps = Taps::contiguous(params.inner);
        let in_place = params.inner.is_multiple_of(layout.kr());
        let copied = (params.rows - 1) * params.inner + taps.span(layout.kr());
        Ok(Self {
            isa,
            params,
            taps,
            packed: layout.packed_len(&taps, params.columns)?,
            copied: if in_place { 0 } else { copied },
        })
    }

    /// What was planned.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Bytes that hold the second operand rearranged. They should begin at a multiple of 64.
    pub fn packed_len(&self) -> usize {
        self.packed
    }

    /// Bytes of scratch that [`BatchMatmul::run`] needs; its contents do not matter.
    pub fn scratch_len(&self) -> usize {
        self.copied
    }

    /// Rearranges the second operand for [`BatchMatmul::run`].
    pub fn pack(&self, other: &[i8], into: &mut [u8]) -> Result<(), Error> {
        let (column_step, depth_step) = self.params.steps();
        exactly(
            other,
            self.params.columns * self.params.inner,
            Operand::Other,
        )?;
        let columns = Columns {
            weights: other,
            count: self.params.columns,
            column_step,
            depth_step,
            bias: None,
            multipliers: core::slice::from_ref(&self.params.multiplier),
            input_zero: self.params.input_zero,
            weight_zero: self.params.other_zero,
        };
        gemm::pack(self.isa, &self.taps, &columns, into)
    }

    /// Computes `out` from `input` and what [`BatchMatmul::pack`] rearranged, which may serve again
    /// where the second operand is broadcast.
    pub fn run(
        &self,
        packed: &[u8],
        input: &[i8],
        scratch: &mut [i8],
        out: &mut [i8],
    ) -> Result<(), Error> {
        let Params {
            rows,
            inner,
            columns,
            other_zero,
            output: stage,
            ..
        } = self.params;
        exactly(input, rows * inner, Operand::Input)?;
        exactly(out, rows * columns, Operand::Output)?;
        let input = if self.copied == 0 {
            input
        } else {
            copy_padded(input, self.copied, scratch)?
        };
        Product::new(
            self.isa,
            (input, Starts::matrix(rows, inner), self.taps),
            (packed, columns, other_zero),
            Sink::Bytes {
                out,
                step: columns,
                stage,
            },
        )?
        .run();
        Ok(())
    }
}
