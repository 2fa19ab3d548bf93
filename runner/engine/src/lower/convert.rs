//! `QUANTIZE`, `DEQUANTIZE`, `CAST`, `ARG_MAX`, `SELECT`: from one element type to another.

use bytemuck::Pod;
use scalebench_kernels::broadcast::Broadcast;
use scalebench_kernels::element::{Byte, Element, Quantisation};
use scalebench_kernels::requant::Multiplier;
use scalebench_kernels::shape::Shape;
use scalebench_kernels::table::{Table, map};
use tract_core::internal::f16;
use tract_tflite::tflite::BuiltinOperator as B;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, axis, broken, unsupported};
use crate::lower::scheme::multiplier;
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;

fn each<T: Pod, O: Pod>(
    input: &Argument<'_>,
    output: &Argument<'_>,
    path: &'static str,
    f: impl Fn(T) -> O + Send + Sync + 'static,
) -> Lowered {
    let step = Step::new(path, [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary::<T, O>();
        Ok(map(x, out, &f)?)
    });
    Lowered::step(input.shape.to_vec(), step)
}

/// `AffineQuantize` (tflite/kernels/internal/reference/quantize.h): single precision, halves away from zero.
fn affine<T: Element>(to: Quantisation) -> impl Fn(f32) -> T {
    move |x| T::saturate(((x / to.scale).round() as i32).saturating_add(to.zero))
}

/// `Requantize` (the same file).
fn requantised<T: Element, O: Element>(
    by: Multiplier,
    from: Quantisation,
    to: Quantisation,
) -> impl Fn(T) -> O {
    move |x| O::saturate(by.apply(x.widen() - from.zero).saturating_add(to.zero))
}

pub(super) fn quantize(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let to = output.quantisation()?;
    if input.dtype == DType::F32 {
        return match output.dtype {
            DType::I8 => Ok(each(&input, &output, "quantise", affine::<i8>(to))),
            DType::U8 => Ok(each(&input, &output, "quantise", affine::<u8>(to))),
            DType::I16 => Ok(each(&input, &output, "quantise", affine::<i16>(to))),
            other => unsupported(format!("f32 to {other}")),
        };
    }
    let from = input.quantisation()?;
    let by = multiplier(f64::from(from.scale) / f64::from(to.scale))?;
    fn table<T: Byte + Pod, O: Byte + Pod>(
        input: &Argument<'_>,
        output: &Argument<'_>,
        f: impl Fn(T) -> O,
    ) -> Lowered {
        let table = Table::new(f);
        let step = Step::new("byte table", [input.tensor], output.tensor, move |io| {
            let (x, out) = io.unary::<T, O>();
            Ok(table.run(x, out)?)
        });
        Lowered::step(input.shape.to_vec(), step.costing(0, 256))
    }
    match (input.dtype, output.dtype) {
        (DType::I8, DType::I8) => Ok(table::<i8, i8>(&input, &output, requantised(by, from, to))),
        (DType::I8, DType::U8) => Ok(table::<i8, u8>(&input, &output, requantised(by, from, to))),
        (DType::U8, DType::I8) => Ok(table::<u8, i8>(&input, &output, requantised(by, from, to))),
        (DType::U8, DType::U8) => Ok(table::<u8, u8>(&input, &output, requantised(by, from, to))),
        (DType::I8, DType::I16) => Ok(each(
            &input,
            &output,
            "requantise",
            requantised::<i8, i16>(by, from, to),
        )),
        (DType::I16, DType::I8) => Ok(each(
            &input,
            &output,
            "requantise",
            requantised::<i16, i8>(by, from, to),
        )),
        (DType::I16, DType::I16) => Ok(each(
            &input,
            &output,
            "requantise",
            requantised::<i16, i16>(by, from, to),
        )),
        (a, b) => unsupported(format!("{a} to {b}")),
    }
}

pub(super) fn dequantize(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    output.expect(DType::F32)?;
    if input.dtype == DType::F16 {
        return Ok(each(&input, &output, "half to single", |bits: u16| {
            f16::from_bits(bits).to_f32()
        }));
    }
    let channelwise = input.scales.is_some_and(|scales| scales.scales.len() > 1);
    if channelwise && input.dtype == DType::I8 {
        return by_channel(&input, &output);
    }
    let from = input.quantisation()?;
    let real = move |x: i32| (f64::from(from.scale) * f64::from(x - from.zero)) as f32;
    match input.dtype {
        DType::I8 => Ok(each(&input, &output, "dequantise", move |x: i8| {
            real(x.into())
        })),
        DType::U8 => Ok(each(&input, &output, "dequantise", move |x: u8| {
            real(x.into())
        })),
        DType::I16 => Ok(each(&input, &output, "dequantise", move |x: i16| {
            real(x.into())
        })),
        DType::I32 => Ok(each(&input, &output, "dequantise", move |x: i32| {
            (f64::from(from.scale) * (f64::from(x) - f64::from(from.zero))) as f32
        })),
        other => unsupported(format!("{other} to f32")),
    }
}

/// Weights with a scale for each index of an axis.
fn by_channel(input: &Argument<'_>, output: &Argument<'_>) -> Result<Lowered, Refusal> {
    let Some(scales) = input.scales.cloned() else {
        return broken("no scales");
    };
    let inner: usize = input.shape[scales.axis + 1..].iter().product();
    let step = Step::new("dequantise", [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary::<i8, f32>();
        for (index, (out, &x)) in out.iter_mut().zip(x).enumerate() {
            let channel = index / inner.max(1) % scales.scales.len();
            *out = scales.scales[channel] * (i32::from(x) - scales.zero_points[channel]) as f32;
        }
        Ok(())
    });
    Ok(Lowered::step(input.shape.to_vec(), step))
}

pub(super) fn cast(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    macro_rules! casts {
        ($(($from:ident, $a:ty) => $(($to:ident, $b:ty)),+;)+) => {
            match (input.dtype, output.dtype) {
                $($((DType::$from, DType::$to) => Ok(each(&input, &output, "cast", |x: $a| x as $b)),)+)+
                (DType::Bool, DType::F32) => Ok(each(&input, &output, "cast", |x: u8| f32::from(x.min(1)))),
                (DType::Bool, DType::I32) => Ok(each(&input, &output, "cast", |x: u8| i32::from(x.min(1)))),
                (DType::Bool, DType::I64) => Ok(each(&input, &output, "cast", |x: u8| i64::from(x.min(1)))),
                (DType::F32, DType::Bool) => Ok(each(&input, &output, "cast", |x: f32| u8::from(x != 0.0))),
                (DType::I32, DType::Bool) => Ok(each(&input, &output, "cast", |x: i32| u8::from(x != 0))),
                (DType::I64, DType::Bool) => Ok(each(&input, &output, "cast", |x: i64| u8::from(x != 0))),
                (a, b) if a == b => Ok(Lowered::same(input.shape.to_vec(), input.tensor)),
                (a, b) => unsupported(format!("{a} to {b}")),
            }
        };
    }
    casts! {
        (F32, f32) => (I32, i32), (I64, i64), (I8, i8), (U8, u8), (I16, i16);
        (I32, i32) => (F32, f32), (I64, i64), (I8, i8), (U8, u8), (I16, i16);
        (I64, i64) => (F32, f32), (I32, i32);
        (I8, i8) => (F32, f32), (I32, i32), (I64, i64);
        (U8, u8) => (F32, f32), (I32, i32), (I64, i64);
        (I16, i16) => (F32, f32), (I32, i32), (I64, i64);
    }
}

/// `ARG_MAX` and `ARG_MIN`: the first of the greatest or least along an axis.
pub(super) fn arg_extremum(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    fn of<T: Pod + PartialOrd>(
        input: &Argument<'_>,
        output: &Argument<'_>,
        at: usize,
        greatest: bool,
    ) -> Result<Lowered, Refusal> {
        let mut shape = input.shape.to_vec();
        let extent = shape.remove(at);
        if extent == 0 {
            return broken("an axis without extent");
        }
        let inner: usize = input.shape[at + 1..].iter().product();
        let wide = match output.dtype {
            DType::I32 => false,
            DType::I64 => true,
            other => return unsupported(format!("indices of {other}")),
        };
        let step = Step::new(
            "index of extremum",
            [input.tensor],
            output.tensor,
            move |io| {
                let x: &[T] = bytemuck::cast_slice(io.inputs[0]);
                let best = |at: usize| {
                    let value = |k: usize| x[(at / inner * extent + k) * inner + at % inner];
                    (1..extent).fold(0, |best, k| {
                        let better = if greatest {
                            value(k) > value(best)
                        } else {
                            value(k) < value(best)
                        };
                        if better { k } else { best }
                    })
                };
                if wide {
                    let out: &mut [i64] = bytemuck::cast_slice_mut(io.outputs[0]);
                    out.iter_mut()
                        .enumerate()
                        .for_each(|(at, out)| *out = best(at) as i64);
                } else {
                    let out: &mut [i32] = bytemuck::cast_slice_mut(io.outputs[0]);
                    out.iter_mut()
                        .enumerate()
                        .for_each(|(at, out)| *out = best(at) as i32);
                }
                Ok(())
            },
        );
        Ok(Lowered::step(shape, step))
    }
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let &[at] = cx.input(operator, 1)?.integers()?.as_slice() else {
        return broken("more than one axis");
    };
    let at = axis(at, input.shape.len())?;
    let greatest = operator.code == B::ARG_MAX;
    match input.dtype {
        DType::F32 => of::<f32>(&input, &output, at, greatest),
        DType::I8 => of::<i8>(&input, &output, at, greatest),
        DType::U8 => of::<u8>(&input, &output, at, greatest),
        DType::I32 => of::<i32>(&input, &output, at, greatest),
        other => unsupported(format!("elements of {other}")),
    }
}

/// `SELECT_V2` and `SELECT` where shapes broadcast alike: a chosen element of two.
pub(super) fn select(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (choice, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let (a, b) = (cx.input(operator, 1)?, cx.input(operator, 2)?);
    choice.expect(DType::Bool)?;
    if a.dtype != b.dtype
        || a.dtype != output.dtype
        || a.scales != output.scales
        || b.scales != a.scales
    {
        return unsupported("operands of different types or quantisation");
    }
    if operator.code == B::SELECT && !(choice.shape == a.shape && a.shape == b.shape) {
        return unsupported("a choice of another shape than its operands");
    }
    let shape = |argument: &Argument<'_>| Shape::new(argument.shape);
    let pair = Broadcast::new(&shape(&a)?, &shape(&b)?)?.output();
    let whole = Broadcast::new(&shape(&choice)?, &pair)?.output();
    let extents = whole.extents().to_vec();
    let size = a.dtype.size();
    // Steps of each operand for each dimension of the output, none where it is repeated.
    let steps = [&choice, &a, &b].map(|argument| {
        let lead = extents.len() - argument.shape.len();
        let own = crate::copy::strides(argument.shape);
        (0..extents.len())
            .map(|axis| match axis.checked_sub(lead) {
                Some(axis) if argument.shape[axis] > 1 => own[axis] as usize,
                _ => 0,
            })
            .collect::<Vec<_>>()
    });
    let inputs = [choice.tensor, a.tensor, b.tensor];
    let walked = extents.clone();
    let step = Step::new("selection", inputs, output.tensor, move |io| {
        for (at, out) in io.outputs[0].chunks_exact_mut(size).enumerate() {
            let (mut rest, mut from) = (at, [0; 3]);
            for axis in (0..walked.len()).rev() {
                let index = rest % walked[axis];
                rest /= walked[axis];
                for (from, steps) in from.iter_mut().zip(&steps) {
                    *from += index * steps[axis];
                }
            }
            let (source, at) = if io.inputs[0][from[0]] != 0 {
                (1, from[1])
            } else {
                (2, from[2])
            };
            out.copy_from_slice(&io.inputs[source][at * size..][..size]);
        }
        Ok(())
    });
    Ok(Lowered::step(extents, step))
}
