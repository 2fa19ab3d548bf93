//! `MEAN`, `SUM` and other reductions; `CUMSUM`.

use bytemuck::Pod;
use scalebench_kernels::element::Element;
use scalebench_kernels::reduce::{Mean, Reduction, real_mean};
use scalebench_kernels::scan::Scan;
use scalebench_kernels::shape::{Around, Shape};
use tract_tflite::tflite::BuiltinOperator as B;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, axis, unsupported};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::{Step, aligned, cut};

/// A reduction with the shape it leaves.
struct Over<'l> {
    input: Argument<'l>,
    output: Argument<'l>,
    reduction: Reduction,
    shape: Vec<usize>,
}

pub(super) fn reduce(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let keep = operator
        .table
        .builtin_options_as_reducer_options()
        .is_some_and(|options| options.keep_dims());
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    output.expect(input.dtype)?;
    let rank = input.shape.len();
    let axes = cx
        .input(operator, 1)?
        .integers()?
        .iter()
        .map(|&value| axis(value, rank))
        .collect::<Result<Vec<_>, _>>()?;
    let over = Over {
        input,
        output,
        reduction: Reduction::new(&Shape::new(input.shape)?, &axes)?,
        shape: (0..rank)
            .filter(|axis| keep || !axes.contains(axis))
            .map(|axis| {
                if axes.contains(&axis) {
                    1
                } else {
                    input.shape[axis]
                }
            })
            .collect(),
    };
    match (operator.code, input.dtype) {
        (B::MEAN, DType::F32) => {
            let reduction = over.reduction;
            let step = Step::new("float mean", [input.tensor], output.tensor, move |io| {
                let (x, out) = io.unary();
                Ok(real_mean(&reduction, x, out)?)
            });
            Ok(Lowered::step(over.shape, step))
        }
        (B::MEAN, DType::I32) => Ok(whole::<i32>(over, |sum, count| (sum / count) as i32)),
        (B::MEAN, DType::I64) => Ok(whole::<i64>(over, |sum, count| sum / count)),
        (B::MEAN | B::SUM, DType::I8) => quantised::<i8>(operator.code, over),
        (B::MEAN | B::SUM, DType::U8) => quantised::<u8>(operator.code, over),
        (B::MEAN | B::SUM, DType::I16) => quantised::<i16>(operator.code, over),
        (code, DType::F32) => {
            let fold: fn(f32, f32) -> f32 = match code {
                B::SUM => |a, b| a + b,
                B::REDUCE_PROD => |a, b| a * b,
                B::REDUCE_MAX => f32::max,
                B::REDUCE_MIN => f32::min,
                _ => return unsupported("float elements"),
            };
            let first = match code {
                B::SUM => 0.0,
                B::REDUCE_PROD => 1.0,
                B::REDUCE_MAX => f32::MIN,
                _ => f32::MAX,
            };
            Ok(folded(over, first, fold))
        }
        (code, DType::I32) => {
            let fold: fn(i32, i32) -> i32 = match code {
                B::SUM => i32::wrapping_add,
                B::REDUCE_PROD => i32::wrapping_mul,
                B::REDUCE_MAX => Ord::max,
                B::REDUCE_MIN => Ord::min,
                _ => return unsupported("i32 elements"),
            };
            let first = match code {
                B::SUM => 0,
                B::REDUCE_PROD => 1,
                B::REDUCE_MAX => i32::MIN,
                _ => i32::MAX,
            };
            Ok(folded(over, first, fold))
        }
        (B::REDUCE_ANY, DType::Bool) => Ok(folded(over, 0u8, |a, b| a | b)),
        (B::REDUCE_ALL, DType::Bool) => Ok(folded(over, 1u8, |a, b| a & b)),
        (B::REDUCE_MAX | B::REDUCE_MIN, _) if input.scales != output.scales => {
            unsupported("input and output with different quantisation")
        }
        (B::REDUCE_MAX, DType::I8) => Ok(folded(over, i8::MIN, Ord::max)),
        (B::REDUCE_MIN, DType::I8) => Ok(folded(over, i8::MAX, Ord::min)),
        (B::REDUCE_MAX, DType::U8) => Ok(folded(over, u8::MIN, Ord::max)),
        (B::REDUCE_MIN, DType::U8) => Ok(folded(over, u8::MAX, Ord::min)),
        (B::REDUCE_MAX, DType::I16) => Ok(folded(over, i16::MIN, Ord::max)),
        (B::REDUCE_MIN, DType::I16) => Ok(folded(over, i16::MAX, Ord::min)),
        (_, other) => unsupported(format!("elements of {other}")),
    }
}

/// A reduction that folds in the element type itself.
fn folded<T: Pod + Send + Sync>(
    over: Over<'_>,
    first: T,
    fold: impl Fn(T, T) -> T + Send + Sync + 'static,
) -> Lowered {
    let reduction = over.reduction;
    let step = Step::new(
        "reduction",
        [over.input.tensor],
        over.output.tensor,
        move |io| {
            let (x, out) = io.unary::<T, T>();
            Ok(reduction.fold(x, out, first, &fold)?)
        },
    );
    Lowered::step(over.shape, step)
}

/// The mean of integers that stand for themselves, towards zero.
fn whole<T: Pod + Into<i64>>(over: Over<'_>, mean: fn(i64, i64) -> T) -> Lowered {
    let reduction = over.reduction;
    let totals = reduction.kept().count();
    let tensors = [over.input.tensor];
    let step = Step::new("integer mean", tensors, over.output.tensor, move |io| {
        let (totals, _) = cut::<i64>(io.scratch, totals)?;
        let x: &[T] = bytemuck::cast_slice(io.inputs[0]);
        reduction.fold(x, totals, 0, |sum, x| sum.wrapping_add(x.into()))?;
        let out: &mut [T] = bytemuck::cast_slice_mut(io.outputs[0]);
        let count = reduction.count().max(1) as i64;
        for (out, &sum) in out.iter_mut().zip(totals.iter()) {
            *out = mean(sum, count);
        }
        Ok(())
    });
    Lowered::step(over.shape, step.scratch(aligned(totals * size_of::<i64>())))
}

fn quantised<T: Element + Pod>(code: B, over: Over<'_>) -> Result<Lowered, Refusal> {
    let (from, to) = (over.input.quantisation()?, over.output.quantisation()?);
    let kernel = if code == B::MEAN {
        Mean::new::<T>(over.reduction, from, to)?
    } else {
        Mean::sum::<T>(over.reduction, from, to)?
    };
    let totals = over.reduction.kept().count();
    let step = Step::new(
        "integer mean",
        [over.input.tensor],
        over.output.tensor,
        move |io| {
            let (totals, _) = cut::<i32>(io.scratch, totals)?;
            let x: &[T] = bytemuck::cast_slice(io.inputs[0]);
            Ok(kernel.run(x, totals, bytemuck::cast_slice_mut(io.outputs[0]))?)
        },
    )
    .scratch(aligned(totals * size_of::<i32>()));
    Ok(Lowered::step(over.shape, step))
}

/// `CUMSUM`.
pub(super) fn cumsum(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    fn summed<T: Pod>(
        scan: Scan,
        around: Around,
        [input, output]: [usize; 2],
        add: fn(T, T) -> T,
    ) -> Step {
        Step::new("running sum", [input], output, move |io| {
            let (x, out) = io.unary::<T, T>();
            Ok(scan.run(around, x, out, T::zeroed(), add)?)
        })
    }
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    output.expect(input.dtype)?;
    let &[at] = cx.input(operator, 1)?.integers()?.as_slice() else {
        return unsupported("more than one axis");
    };
    let at = axis(at, input.shape.len())?;
    let around = Shape::new(input.shape)?.around(at)?;
    let options = operator.table.builtin_options_as_cumsum_options();
    let scan = Scan {
        exclusive: options.is_some_and(|options| options.exclusive()),
        reverse: options.is_some_and(|options| options.reverse()),
    };
    let tensors = [input.tensor, output.tensor];
    let step = match input.dtype {
        DType::F32 => summed::<f32>(scan, around, tensors, |a, b| a + b),
        DType::I32 => summed::<i32>(scan, around, tensors, i32::wrapping_add),
        DType::I64 => summed::<i64>(scan, around, tensors, i64::wrapping_add),
        other => return unsupported(format!("elements of {other}")),
    };
    Ok(Lowered::step(input.shape.to_vec(), step))
}
