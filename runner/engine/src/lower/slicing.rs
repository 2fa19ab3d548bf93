//! Operators that take parts of a tensor.

use tract_tflite::tflite::BuiltinOperator as B;

use crate::copy::strides;
use crate::graph::Operator;
use crate::lower::argument::{Argument, axis, broken, unsupported};
use crate::lower::movement::{axes, single};
use crate::lower::{Lowered, Lowering, Outcome, Refusal};

pub(super) fn slice(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let (begin, size) = (
        cx.input(operator, 1)?.integers()?,
        cx.input(operator, 2)?.integers()?,
    );
    let rank = input.shape.len();
    if begin.len() != rank || size.len() != rank {
        return broken(format!(
            "a slice from {begin:?} of {size:?} of {rank} dimensions"
        ));
    }
    let own = strides(input.shape);
    let (mut shape, mut from) = (Vec::new(), 0);
    for axis in 0..rank {
        let extent = input.shape[axis];
        let start = usize::try_from(begin[axis])
            .ok()
            .filter(|&start| start <= extent);
        let length = start.and_then(|start| match size[axis] {
            -1 => Some(extent - start),
            size => usize::try_from(size)
                .ok()
                .filter(|&size| size <= extent - start),
        });
        let (Some(start), Some(length)) = (start, length) else {
            return broken(format!(
                "a slice from {begin:?} of {size:?} of the shape {:?}",
                input.shape
            ));
        };
        shape.push(length);
        from += start * own[axis] as usize;
    }
    let walk = axes(&shape, &own, &strides(&shape));
    single(&input, &output, shape, &walk, from)
}

pub(super) fn strided_slice(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let options = operator
        .table
        .builtin_options_as_strided_slice_options()
        .ok_or_else(|| Refusal::Broken("it has no StridedSliceOptions".into()))?;
    // Version 8 may give lengths in place of ends, in a field that this schema cannot read.
    if operator.version >= 8 {
        return unsupported("this version");
    }
    if options.ellipsis_mask() != 0 || options.new_axis_mask() != 0 {
        return unsupported("an ellipsis or a new axis");
    }
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let list = |index| cx.input(operator, index)?.integers();
    let (begin, end, step) = (list(1)?, list(2)?, list(3)?);
    let rank = input.shape.len();
    if begin.len() != end.len() || begin.len() != step.len() || begin.len() > rank {
        return broken(format!("a slice of {} dimensions of {rank}", begin.len()));
    }
    let masked = |mask: i32, axis: usize| mask >> axis & 1 == 1;
    let own = strides(input.shape);
    let (mut shape, mut walk, mut from) = (Vec::new(), Vec::new(), 0usize);
    for axis in 0..rank {
        let extent = input.shape[axis] as i64;
        let (first, length, step) = match begin.get(axis) {
            None => (0, extent, 1),
            Some(&first) => {
                let step = step[axis];
                if step == 0 || step.unsigned_abs() > i64::from(u32::MAX).unsigned_abs() {
                    return broken(format!("a slice with the step {step}"));
                }
                let counted = |value: i64| {
                    if value < 0 {
                        value.saturating_add(extent)
                    } else {
                        value
                    }
                };
                let (low, high) = if step > 0 {
                    (0, extent)
                } else {
                    (-1, extent - 1)
                };
                let first = match (masked(options.begin_mask(), axis), step > 0) {
                    (true, true) => 0,
                    (true, false) => extent - 1,
                    (false, _) => counted(first).clamp(low, high),
                };
                if masked(options.shrink_axis_mask(), axis) {
                    if !(0..extent).contains(&first) {
                        return broken(format!("index {} of {extent}", begin[axis]));
                    }
                    from += first as usize * own[axis] as usize;
                    continue;
                }
                let last = match (masked(options.end_mask(), axis), step > 0) {
                    (true, true) => extent,
                    (true, false) => -1,
                    (false, _) => counted(end[axis]).clamp(low, high),
                };
                let span = if step > 0 { last - first } else { first - last };
                (
                    first,
                    (span.max(0) as u64).div_ceil(step.unsigned_abs()) as i64,
                    step,
                )
            }
        };
        if length == 0 {
            return unsupported("an empty slice");
        }
        from += first as usize * own[axis] as usize;
        shape.push(length as usize);
        walk.push(own[axis].saturating_mul(step as isize));
    }
    let walk = axes(&shape, &walk, &strides(&shape));
    single(&input, &output, shape, &walk, from)
}

/// `SPLIT` and `SPLIT_V`: a copy for each part.
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
    let known: i64 = lengths
        .iter()
        .filter(|&&length| length >= 0)
        .fold(0, |a, &b| a.saturating_add(b));
    for length in &mut lengths {
        if *length == -1 {
            *length = extent as i64 - known;
        }
    }
    let total = lengths.iter().try_fold(0i64, |a, &b| a.checked_add(b));
    if lengths.len() != parts || lengths.iter().any(|&l| l < 1) || total != Some(extent as i64) {
        return broken(format!("{extent} split into parts of {lengths:?}"));
    }
    pieces(cx, operator, &input, at, &lengths, |shape, length| {
        shape[at] = length
    })
}

/// `UNPACK`.
pub(super) fn unpack(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let input = cx.input(operator, 0)?;
    let at = operator
        .table
        .builtin_options_as_unpack_options()
        .map_or(0, |options| options.axis());
    let at = axis(i64::from(at), input.shape.len())?;
    if input.shape[at] != operator.outputs.len() {
        return broken(format!(
            "{} unpacked into {}",
            input.shape[at],
            operator.outputs.len()
        ));
    }
    let ones = vec![1; operator.outputs.len()];
    pieces(cx, operator, &input, at, &ones, |shape, _| {
        shape.remove(at);
    })
}

fn pieces(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
    input: &Argument<'_>,
    at: usize,
    lengths: &[i64],
    reshape: impl Fn(&mut Vec<usize>, usize),
) -> Result<Lowered, Refusal> {
    let own = strides(input.shape);
    let (mut shapes, mut steps, mut from) = (Vec::new(), Vec::new(), 0);
    for (index, &length) in lengths.iter().enumerate() {
        let mut walked = input.shape.to_vec();
        walked[at] = length as usize;
        let walk = axes(&walked, &own, &strides(&walked));
        let mut shape = input.shape.to_vec();
        reshape(&mut shape, length as usize);
        let part = single(input, &cx.output(operator, index)?, shape, &walk, from)?;
        shapes.extend(part.shapes);
        if let Outcome::Steps(list) = part.outcome {
            steps.extend(list);
        }
        from += length as usize * own[at] as usize;
    }
    Ok(Lowered {
        shapes,
        outcome: Outcome::Steps(steps),
    })
}
