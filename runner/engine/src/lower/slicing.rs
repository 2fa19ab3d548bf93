//! Operators that take a part of a tensor along all axes.

use scalebench_kernels::shape::Shape;
use scalebench_kernels::view::View;
use tract_tflite::tflite::StridedSliceOptions;

use crate::graph::Operator;
use crate::lower::argument::{broken, unsupported};
use crate::lower::movement::moved;
use crate::lower::{Lowered, Lowering, Refusal};

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
    let (mut first, mut shape) = (Vec::new(), Vec::new());
    for axis in 0..rank {
        let start = usize::try_from(begin[axis]).ok();
        let rest = start.and_then(|start| input.shape[axis].checked_sub(start));
        let length = match size[axis] {
            -1 => rest,
            size => usize::try_from(size).ok(),
        };
        let (Some(start), Some(length)) = (start, length) else {
            return broken(format!(
                "a slice from {begin:?} of {size:?} of the shape {:?}",
                input.shape
            ));
        };
        first.push(start);
        shape.push(length);
    }
    let view = View::slice(&Shape::new(input.shape)?, &first, &shape, &vec![1; rank])?;
    moved("slice", &input, &output, shape, view)
}

/// The field `offset` of version 8, which this schema does not know: whether ends are counted from the
/// beginnings.
fn offset(options: &StridedSliceOptions<'_>) -> bool {
    /// Where a table's list of fields has it: after five others and two lengths.
    const FIELD: usize = 14;
    fn bytes<const N: usize>(buffer: &[u8], at: usize) -> Option<[u8; N]> {
        buffer.get(at..at.checked_add(N)?)?.try_into().ok()
    }
    let (buffer, table) = (options._tab.buf(), options._tab.loc());
    let read = || {
        let back = i32::from_le_bytes(bytes(buffer, table)?);
        let fields = table.checked_add_signed((back as isize).checked_neg()?)?;
        let length = u16::from_le_bytes(bytes(buffer, fields)?);
        if usize::from(length) <= FIELD {
            return None;
        }
        match u16::from_le_bytes(bytes(buffer, fields + FIELD)?) {
            0 => None,
            place => buffer.get(table + usize::from(place)),
        }
    };
    read().is_some_and(|&byte| byte != 0)
}

/// Which of one axis is taken.
struct Taken {
    first: i64,
    length: i64,
    step: i64,
    /// Whether the axis is dropped.
    shrunk: bool,
}

/// Of an axis of so many elements, `begin` to `end` by `step`, each given unless its mask is set.
fn taken(
    extent: i64,
    [begin, end]: [Option<i64>; 2],
    step: i64,
    shrunk: bool,
) -> Result<Taken, Refusal> {
    if step == 0 || step.unsigned_abs() > u64::from(u32::MAX) {
        return broken(format!("a slice with the step {step}"));
    }
    let up = step > 0;
    let (low, high) = if up { (0, extent) } else { (-1, extent - 1) };
    let counted = |value: i64| {
        if value < 0 {
            value.saturating_add(extent)
        } else {
            value
        }
    };
    let begin = begin.map_or(if up { low } else { high }, counted);
    if shrunk {
        if !(0..extent).contains(&begin) {
            return broken(format!("index {begin} of {extent}"));
        }
        return Ok(Taken {
            first: begin,
            length: 1,
            step: 1,
            shrunk,
        });
    }
    let first = begin.clamp(low, high);
    let last = end
        .map_or(if up { high } else { low }, counted)
        .clamp(low, high);
    let span = if up { last - first } else { first - last };
    Ok(Taken {
        first: first.max(0),
        length: (span.max(0) as u64).div_ceil(step.unsigned_abs()) as i64,
        step,
        shrunk,
    })
}

pub(super) fn strided_slice(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let options = operator
        .table
        .builtin_options_as_strided_slice_options()
        .ok_or_else(|| Refusal::Broken("it has no StridedSliceOptions".into()))?;
    if options.ellipsis_mask() != 0 || options.new_axis_mask() != 0 {
        return unsupported("an ellipsis or a new axis");
    }
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let list = |index| cx.input(operator, index)?.integers();
    let (begin, mut end, step) = (list(1)?, list(2)?, list(3)?);
    let rank = input.shape.len();
    if begin.len() != end.len() || begin.len() != step.len() || begin.len() > rank {
        return broken(format!("a slice of {} dimensions of {rank}", begin.len()));
    }
    if offset(&options) {
        for (end, &begin) in end.iter_mut().zip(&begin) {
            *end = end.saturating_add(begin);
        }
    }
    let (mut first, mut extents, mut steps, mut shape) = (vec![], vec![], vec![], vec![]);
    for axis in 0..rank {
        let masked = |mask: i32| mask >> axis & 1 == 1;
        let given = |list: &[i64], mask| list.get(axis).copied().filter(|_| !masked(mask));
        let taken = taken(
            input.shape[axis] as i64,
            [
                given(&begin, options.begin_mask()),
                given(&end, options.end_mask()),
            ],
            step.get(axis).copied().unwrap_or(1),
            axis < begin.len() && masked(options.shrink_axis_mask()),
        )?;
        first.push(taken.first as usize);
        extents.push(taken.length as usize);
        steps.push(taken.step as isize);
        if !taken.shrunk {
            shape.push(taken.length as usize);
        }
    }
    let view = View::slice(&Shape::new(input.shape)?, &first, &extents, &steps)?;
    moved("slice", &input, &output, shape, view)
}
