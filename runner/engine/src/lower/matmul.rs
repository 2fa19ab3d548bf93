//! `BATCH_MATMUL`: products of two activations, or of an activation and a constant.

use scalebench_kernels::{batch_matmul as integer, float};

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken, unsupported};
use crate::lower::scheme::{stage, whole};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::{Step, aligned, cut};
use scalebench_kernels::element::Activation;

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

pub(super) fn batch_matmul(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let options = operator.table.builtin_options_as_batch_mat_mul_options();
    if options.is_some_and(|options| options.adj_x()) {
        return unsupported("its first operand transposed");
    }
    let transposed = options.is_some_and(|options| options.adj_y());
    let (a, b, output) = (
        cx.input(operator, 0)?,
        cx.input(operator, 1)?,
        cx.output(operator, 0)?,
    );
    let batches = Batches::new(a.shape, b.shape, transposed)?;
    let step = match (a.dtype, b.dtype, output.dtype) {
        (DType::I8, DType::I8, DType::I8) => {
            quantised(cx, &batches, transposed, [&a, &b, &output])?
        }
        (DType::F32, DType::F32, DType::F32) => float(cx, &batches, transposed, [&a, &b, &output])?,
        (a, b, c) => return unsupported(format!("{a} times {b} to {c}")),
    };
    let macs = batches.macs();
    Ok(Lowered::step(batches.shape, step.costing(macs, 0)))
}

fn quantised(
    cx: &Lowering<'_, '_>,
    batches: &Batches,
    transposed: bool,
    [a, b, output]: [&Argument<'_>; 3],
) -> Result<Step, Refusal> {
    let kernel = integer::BatchMatmul::new(
        cx.isa,
        integer::Params {
            rows: batches.rows,
            inner: batches.inner,
            columns: batches.columns,
            transposed,
            input_zero: a.signed_zero()?,
            other_zero: b.signed_zero()?,
            multiplier: whole(a, b, output)?,
            output: stage(output, Activation::None)?,
        },
    )?;
    let (packed_len, scratch_len) = (kernel.packed_len(), kernel.scratch_len());
    let batches = batches.clone();
    let inputs = [a.tensor, b.tensor];
    let step = Step::new("int8 matrix product", inputs, output.tensor, move |io| {
        let (packed, scratch) = cut::<u8>(io.scratch, packed_len)?;
        let scratch: &mut [i8] = bytemuck::cast_slice_mut(scratch);
        let a: &[i8] = bytemuck::cast_slice(io.inputs[0]);
        let b: &[i8] = bytemuck::cast_slice(io.inputs[1]);
        let out: &mut [i8] = bytemuck::cast_slice_mut(io.outputs[0]);
        let (left, right) = (
            batches.rows * batches.inner,
            batches.inner * batches.columns,
        );
        let outs = out.chunks_exact_mut(batches.rows * batches.columns);
        let mut arranged = None;
        for (&(i, j), out) in batches.pairs.iter().zip(outs) {
            if arranged != Some(j) {
                kernel.pack(&b[j * right..][..right], packed)?;
                arranged = Some(j);
            }
            kernel.run(packed, &a[i * left..][..left], scratch, out)?;
        }
        Ok(())
    });
    Ok(step.scratch(aligned(packed_len) + scratch_len))
}

fn float(
    cx: &Lowering<'_, '_>,
    batches: &Batches,
    transposed: bool,
    [a, b, output]: [&Argument<'_>; 3],
) -> Result<Step, Refusal> {
    let shape = [batches.rows, batches.inner, batches.columns];
    let kernel = float::BatchMatmul::new(cx.isa, shape, transposed)?;
    let packed_len = kernel.packed_len();
    let batches = batches.clone();
    let inputs = [a.tensor, b.tensor];
    let step = Step::new("float matrix product", inputs, output.tensor, move |io| {
        let (packed, _) = cut::<f32>(io.scratch, packed_len)?;
        let a: &[f32] = bytemuck::cast_slice(io.inputs[0]);
        let b: &[f32] = bytemuck::cast_slice(io.inputs[1]);
        let out: &mut [f32] = bytemuck::cast_slice_mut(io.outputs[0]);
        let (left, right) = (
            batches.rows * batches.inner,
            batches.inner * batches.columns,
        );
        let outs = out.chunks_exact_mut(batches.rows * batches.columns);
        let mut arranged = None;
        for (&(i, j), out) in batches.pairs.iter().zip(outs) {
            if arranged != Some(j) {
                kernel.pack(&b[j * right..][..right], packed)?;
                arranged = Some(j);
            }
            kernel.run(packed, &a[i * left..][..left], out)?;
        }
        Ok(())
    });
    Ok(step.scratch(aligned(packed_len * size_of::<f32>())))
}
