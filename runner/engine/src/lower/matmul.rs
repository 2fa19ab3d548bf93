//! `BATCH_MATMUL`: products of two activations, or of an activation and a constant.

use bytemuck::Pod;
use scalebench_kernels::element::Activation;
use scalebench_kernels::shape::Shape;
use scalebench_kernels::view::View;
use scalebench_kernels::{batch_matmul as integer, float, wide};

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken, unsupported};
use crate::lower::scheme::{stage, whole};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::{Fault, Step, aligned, cut};

/// Which pairs of matrices are multiplied.
#[derive(Debug, Clone)]
struct Batches {
    /// For each product, the matrix of the first and of the second operand.
    pairs: Vec<(usize, usize)>,
    rows: usize,
    inner: usize,
    columns: usize,
    shape: Vec<usize>,
}

impl Batches {
    fn new(a: &[usize], b: &[usize], transposed: bool) -> Result<Self, Refusal> {
        let ([outer_a @ .., rows, inner], [outer_b @ .., p, q]) = (a, b) else {
            return broken(format!("operands of the shapes {a:?} and {b:?}"));
        };
        let (depth, columns) = if transposed { (*q, *p) } else { (*p, *q) };
        if *inner != depth || *rows == 0 || *inner == 0 || columns == 0 {
            return broken(format!("operands of the shapes {a:?} and {b:?} do not fit"));
        }
        let rank = outer_a.len().max(outer_b.len());
        let at = |outer: &[usize], axis: usize| {
            (axis + outer.len())
                .checked_sub(rank)
                .map_or(1, |axis| outer[axis])
        };
        let mut pairs = vec![(0, 0)];
        let mut shape = Vec::new();
        for axis in 0..rank {
            let (m, n) = (at(outer_a, axis), at(outer_b, axis));
            if m != n && m != 1 && n != 1 {
                return broken(format!("batches of {a:?} and {b:?} do not broadcast"));
            }
            let extent = if m == 1 { n } else { m };
            if pairs.len().saturating_mul(extent) > 1 << 20 {
                return unsupported("more than a million products");
            }
            pairs = pairs
                .iter()
                .flat_map(|&(i, j)| {
                    (0..extent).map(move |k| (i * m + k.min(m - 1), j * n + k.min(n - 1)))
                })
                .collect();
            shape.push(extent);
        }
        shape.extend([*rows, columns]);
        Ok(Self {
            pairs,
            rows: *rows,
            inner: *inner,
            columns,
            shape,
        })
    }

    fn macs(&self) -> u64 {
        self.pairs.len() as u64 * (self.rows * self.inner) as u64 * self.columns as u64
    }
}

/// A product whose operands may be transposed.
struct Product<'l> {
    batches: Batches,
    /// Whether the first operand, and the second, are to be read transposed.
    transposed: [bool; 2],
    a: Argument<'l>,
    b: Argument<'l>,
    output: Argument<'l>,
}

/// The matrix of one operand, as it is or arranged anew.
#[derive(Clone, Copy)]
struct Operand {
    len: usize,
    /// How to read it, if not as it is.
    view: Option<View>,
}

impl Operand {
    /// Of so many rows and columns once transposed.
    fn new([rows, columns]: [usize; 2], transposed: bool) -> Result<Self, Refusal> {
        let stored = Shape::new(&[columns, rows])?;
        Ok(Self {
            len: rows * columns,
            view: match transposed {
                true => Some(View::transpose(&stored, &[1, 0])?),
                false => None,
            },
        })
    }

    /// Elements of scratch memory.
    fn scratch(self) -> usize {
        if self.view.is_some() { self.len } else { 0 }
    }

    /// Matrix `index` of `all`, in `own` if it is transposed.
    fn read<'a, T: Pod>(
        self,
        all: &'a [T],
        index: usize,
        own: &'a mut [T],
    ) -> Result<&'a [T], Fault> {
        let stored = &all[index * self.len..][..self.len];
        match self.view {
            None => Ok(stored),
            Some(view) => {
                view.run(stored, own)?;
                Ok(own)
            }
        }
    }
}

pub(super) fn batch_matmul(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let options = operator.table.builtin_options_as_batch_mat_mul_options();
    let transposed = options.map_or([false; 2], |options| [options.adj_x(), options.adj_y()]);
    let (a, b) = (cx.input(operator, 0)?, cx.input(operator, 1)?);
    let mut rows_first = a.shape.to_vec();
    if let ([.., rows, inner], true) = (rows_first.as_mut_slice(), transposed[0]) {
        std::mem::swap(rows, inner);
    }
    let product = Product {
        batches: Batches::new(&rows_first, b.shape, transposed[1])?,
        transposed,
        a,
        b,
        output: cx.output(operator, 0)?,
    };
    let step = match (a.dtype, b.dtype, product.output.dtype) {
        (DType::I8, DType::I8, DType::I8) => quantised(cx, &product)?,
        (DType::I16, DType::I16, DType::I16) => words(&product)?,
        (DType::F32, DType::F32, DType::F32) => float(cx, &product)?,
        (a, b, c) => return unsupported(format!("{a} times {b} to {c}")),
    };
    let macs = product.batches.macs();
    Ok(Lowered::step(product.batches.shape, step.costing(macs, 0)))
}

fn quantised(cx: &Lowering<'_, '_>, product: &Product<'_>) -> Result<Step, Refusal> {
    let Product {
        batches,
        a,
        b,
        output,
        ..
    } = product;
    let kernel = integer::BatchMatmul::new(
        cx.isa,
        integer::Params {
            rows: batches.rows,
            inner: batches.inner,
            columns: batches.columns,
            transposed: product.transposed[1],
            input_zero: a.signed_zero()?,
            other_zero: b.signed_zero()?,
            multiplier: whole(a, b, output)?,
            output: stage(output, Activation::None)?,
        },
    )?;
    let left = Operand::new([batches.rows, batches.inner], product.transposed[0])?;
    let (packed_len, scratch_len) = (kernel.packed_len(), kernel.scratch_len());
    let batches = batches.clone();
    let inputs = [a.tensor, b.tensor];
    let step = Step::new("int8 matrix product", inputs, output.tensor, move |io| {
        let (packed, rest) = cut::<u8>(io.scratch, packed_len)?;
        let (own, rest) = cut::<i8>(rest, left.scratch())?;
        let scratch: &mut [i8] = bytemuck::cast_slice_mut(rest);
        let a: &[i8] = bytemuck::cast_slice(io.inputs[0]);
        let b: &[i8] = bytemuck::cast_slice(io.inputs[1]);
        let out: &mut [i8] = bytemuck::cast_slice_mut(io.outputs[0]);
        let right = batches.inner * batches.columns;
        let outs = out.chunks_exact_mut(batches.rows * batches.columns);
        let mut arranged = None;
        for (&(i, j), out) in batches.pairs.iter().zip(outs) {
            if arranged != Some(j) {
                kernel.pack(&b[j * right..][..right], packed)?;
                arranged = Some(j);
            }
            kernel.run(packed, left.read(a, i, own)?, scratch, out)?;
        }
        Ok(())
    });
    Ok(step.scratch(aligned(packed_len) + aligned(left.scratch()) + scratch_len))
}

fn words(product: &Product<'_>) -> Result<Step, Refusal> {
    let Product {
        batches,
        a,
        b,
        output,
        ..
    } = product;
    let multiplier = whole(a, b, output)?;
    let shape = [batches.rows, batches.inner, batches.columns];
    let left = Operand::new([batches.rows, batches.inner], product.transposed[0])?;
    // The kernel wants the second operand by columns.
    let right = Operand::new([batches.columns, batches.inner], !product.transposed[1])?;
    let batches = batches.clone();
    let inputs = [a.tensor, b.tensor];
    let step = Step::new("int16 matrix product", inputs, output.tensor, move |io| {
        let (mine, rest) = cut::<i16>(io.scratch, left.scratch())?;
        let (theirs, _) = cut::<i16>(rest, right.scratch())?;
        let a: &[i16] = bytemuck::cast_slice(io.inputs[0]);
        let b: &[i16] = bytemuck::cast_slice(io.inputs[1]);
        let out: &mut [i16] = bytemuck::cast_slice_mut(io.outputs[0]);
        let outs = out.chunks_exact_mut(batches.rows * batches.columns);
        for (&(i, j), out) in batches.pairs.iter().zip(outs) {
            let pair = (left.read(a, i, mine)?, right.read(b, j, theirs)?);
            wide::matmul(shape, multiplier, pair.0, pair.1, out)?;
        }
        Ok(())
    });
    let bytes = |operand: Operand| aligned(operand.scratch() * size_of::<i16>());
    Ok(step.scratch(bytes(left) + bytes(right)))
}

fn float(cx: &Lowering<'_, '_>, product: &Product<'_>) -> Result<Step, Refusal> {
    let Product {
        batches,
        a,
        b,
        output,
        ..
    } = product;
    let shape = [batches.rows, batches.inner, batches.columns];
    let kernel = float::BatchMatmul::new(cx.isa, shape, product.transposed[1])?;
    let left = Operand::new([batches.rows, batches.inner], product.transposed[0])?;
    let packed_len = kernel.packed_len();
    let batches = batches.clone();
    let inputs = [a.tensor, b.tensor];
    let step = Step::new("float matrix product", inputs, output.tensor, move |io| {
        let (packed, rest) = cut::<f32>(io.scratch, packed_len)?;
        let (own, _) = cut::<f32>(rest, left.scratch())?;
        let a: &[f32] = bytemuck::cast_slice(io.inputs[0]);
        let b: &[f32] = bytemuck::cast_slice(io.inputs[1]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(io.outputs[0]);
        let right = batches.inner * batches.columns;
        let outs = out.chunks_exact_mut(batches.rows * batches.columns);
        let mut arranged = None;
        for (&(i, j), out) in batches.pairs.iter().zip(outs) {
            if arranged != Some(j) {
                kernel.pack(&b[j * right..][..right], packed)?;
                arranged = Some(j);
            }
            kernel.run(packed, left.read(a, i, own)?, out)?;
        }
        Ok(())
    });
    let bytes = |elements: usize| aligned(elements * size_of::<f32>());
    Ok(step.scratch(bytes(packed_len) + bytes(left.scratch())))
}
