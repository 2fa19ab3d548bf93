//! Operators that put tensors together along an axis, and take them apart.

use scalebench_kernels::place::{join as place, part, rescaled};
use scalebench_kernels::shape::{Around, Shape};
use tract_tflite::tflite::{ActivationFunctionType, BuiltinOperator as B};

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, axis, broken, unsupported};
use crate::lower::movement::alike;
use crate::lower::{Lowered, Lowering, Outcome, Refusal};
use crate::step::{MOST, Step, aligned, cut};

/// A shape about an axis, in bytes.
fn around(shape: &[usize], axis: usize, size: usize) -> Result<Around, Refusal> {
    let around = Shape::new(shape)?.around(axis)?;
    Ok(Around {
        inner: around.inner * size,
        ..around
    })
}

/// `CONCATENATION` and `PACK`: inputs go into the output one after the other, a few in a step.
pub(super) fn join(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let output = cx.output(operator, 0)?;
    let inputs = (0..operator.inputs.len())
        .map(|index| cx.input(operator, index))
        .collect::<Result<Vec<_>, _>>()?;
    let first = cx.input(operator, 0)?;
    let pack = operator.code == B::PACK;
    let at = if pack {
        let options = operator.table.builtin_options_as_pack_options();
        options.map_or(0, |options| options.axis())
    } else {
        let options = operator.table.builtin_options_as_concatenation_options();
        if options.is_some_and(|o| o.fused_activation_function() != ActivationFunctionType::NONE) {
            return unsupported("a fused activation");
        }
        options.map_or(0, |options| options.axis())
    };
    let at = axis(i64::from(at), first.shape.len() + usize::from(pack))?;
    let shape_of = |input: &Argument<'_>| {
        let mut shape = input.shape.to_vec();
        if pack {
            shape.insert(at, 1);
        }
        shape
    };
    let mut shape = shape_of(&first);
    shape[at] = 0;
    for input in &inputs {
        let own = (input.shape.len() == first.shape.len()).then(|| shape_of(input));
        let own = own
            .filter(|own| (0..own.len()).all(|axis| axis == at || own[axis] == shape[axis]))
            .ok_or_else(|| {
                Refusal::Broken(format!("{:?} joined with {:?}", input.shape, first.shape))
            })?;
        shape[at] += own[at];
    }
    let size = output.dtype.size();
    let whole = around(&shape, at, size)?;
    let mut placed = Vec::with_capacity(inputs.len());
    let mut begin = 0;
    for input in &inputs {
        let own = shape_of(input);
        let table = match (alike(input, &output), input.dtype, output.dtype) {
            (Ok(()), ..) => None,
            // Of this type only the reference brings parts to the scale of the whole.
            (Err(_), DType::U8, DType::U8) if !pack => {
                Some(rescaled(input.quantisation()?, output.quantisation()?)?)
            }
            (Err(refusal), ..) => return Err(refusal),
        };
        placed.push((around(&own, at, size)?, begin, table));
        begin += own[at];
    }
    // One of the tensors of a step is the output that the steps before have begun.
    let each = MOST - 1;
    let steps = inputs
        .chunks(each)
        .zip(placed.chunks(each))
        .enumerate()
        .map(|(index, (inputs, placed))| {
            let placed = placed.to_vec();
            let rescaled = placed.iter().zip(inputs);
            let scratch = rescaled
                .filter(|((.., table), _)| table.is_some())
                .map(|(_, input)| aligned(input.elements()))
                .max();
            let tensors: Vec<_> = inputs.iter().map(|input| input.tensor).collect();
            let mut step = Step::new("joining", tensors, output.tensor, move |io| {
                for ((own, begin, table), from) in placed.iter().zip(io.inputs) {
                    let out = &mut *io.outputs[0];
                    match table {
                        None => place(*own, whole, *begin, from, out)?,
                        Some(table) => {
                            let (scaled, _) = cut::<u8>(io.scratch, from.len())?;
                            table.run(from, scaled)?;
                            place(*own, whole, *begin, scaled, out)?;
                        }
                    }
                }
                Ok(())
            })
            .scratch(scratch.unwrap_or(0));
            step.in_place = index > 0;
            step
        })
        .collect();
    Ok(Lowered {
        shapes: vec![shape],
        outcome: Outcome::Steps(steps),
    })
}

/// `SPLIT` and `SPLIT_V`.
pub(super) fn split(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let parts = operator.outputs.len();
    let (input, at) = if operator.code == B::SPLIT {
        (cx.input(operator, 1)?, cx.input(operator, 0)?)
    } else {
        (cx.input(operator, 0)?, cx.input(operator, 2)?)
    };
    let &[at] = at.integers()?.as_slice() else {
        return broken("more than one axis to split");
    };
    let at = axis(at, input.shape.len())?;
    let extent = input.shape[at];
    let mut lengths: Vec<i64> = if operator.code == B::SPLIT {
        if !extent.is_multiple_of(parts) {
            return broken(format!("{extent} split into {parts} parts"));
        }
        vec![(extent / parts) as i64; parts]
    } else {
        cx.input(operator, 1)?.integers()?
    };
    let known = lengths
        .iter()
        .filter(|&&length| length >= 0)
        .fold(0i64, |a, &b| a.saturating_add(b));
    if let Some(open) = lengths.iter_mut().find(|length| **length == -1) {
        *open = extent as i64 - known;
    }
    let total = lengths.iter().try_fold(0i64, |a, &b| a.checked_add(b));
    if lengths.len() != parts || lengths.iter().any(|&l| l < 0) || total != Some(extent as i64) {
        return broken(format!("{extent} split into parts of {lengths:?}"));
    }
    let lengths: Vec<_> = lengths.iter().map(|&length| length as usize).collect();
    pieces(cx, operator, &input, at, &lengths)
}

/// `UNPACK`.
pub(super) fn unpack(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let input = cx.input(operator, 0)?;
    let options = operator.table.builtin_options_as_unpack_options();
    let at = options.map_or(0, |options| options.axis());
    let at = axis(i64::from(at), input.shape.len())?;
    let parts = operator.outputs.len();
    if input.shape[at] != parts {
        return broken(format!("{} unpacked into {parts}", input.shape[at]));
    }
    pieces(cx, operator, &input, at, &vec![1; parts])
}

/// A step for each part of so many along an axis.
fn pieces(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
    input: &Argument<'_>,
    at: usize,
    lengths: &[usize],
) -> Result<Lowered, Refusal> {
    let whole = around(input.shape, at, input.dtype.size())?;
    let (mut shapes, mut steps, mut begin) = (Vec::new(), Vec::new(), 0);
    for (index, &along) in lengths.iter().enumerate() {
        let output = cx.output(operator, index)?;
        alike(input, &output)?;
        let own = Around { along, ..whole };
        let from = begin;
        steps.push(Step::new(
            "part",
            [input.tensor],
            output.tensor,
            move |io| {
                let (x, out) = io.unary::<u8, u8>();
                Ok(part(own, whole, from, x, out)?)
            },
        ));
        let mut shape = input.shape.to_vec();
        if operator.code == B::UNPACK {
            shape.remove(at);
        } else {
            shape[at] = along;
        }
        shapes.push(shape);
        begin += along;
    }
    Ok(Lowered {
        shapes,
        outcome: Outcome::Steps(steps),
    })
}
