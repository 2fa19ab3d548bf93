//! Operators that only look at shapes.

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{axis, broken};
use crate::lower::{Lowered, Lowering, Outcome, Refusal};

pub(super) fn reshape(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let input = cx.input(operator, 0)?;
    let wanted: Vec<i64> = match cx.optional(operator, 1) {
        Some(shape) if shape.constant.is_some() => shape.integers()?,
        _ => match operator
            .table
            .builtin_options_as_reshape_options()
            .and_then(|options| options.new_shape())
        {
            Some(shape) => shape.iter().map(i64::from).collect(),
            None => cx
                .output(operator, 0)?
                .shape
                .iter()
                .map(|&d| d as i64)
                .collect(),
        },
    };
    let elements = input.elements();
    let known = wanted
        .iter()
        .filter(|&&dimension| dimension != -1)
        .try_fold(1usize, |product, &dimension| {
            product.checked_mul(usize::try_from(dimension).ok()?)
        });
    let open = wanted.iter().filter(|&&dimension| dimension == -1).count();
    let fits = match (known, open) {
        (Some(known), 0) => known == elements,
        (Some(known), 1) => known > 0 && elements.is_multiple_of(known),
        _ => false,
    };
    if !fits {
        return broken(format!(
            "{elements} elements do not take the shape {wanted:?}"
        ));
    }
    let shape = wanted
        .iter()
        .map(|&dimension| match dimension {
            -1 => elements / known.unwrap_or(1).max(1),
            dimension => dimension as usize,
        })
        .collect();
    Ok(Lowered::same(shape, input.tensor))
}

pub(super) fn squeeze(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let input = cx.input(operator, 0)?;
    let axes = operator
        .table
        .builtin_options_as_squeeze_options()
        .and_then(|options| options.squeeze_dims())
        .into_iter()
        .flatten()
        .map(|dimension| axis(i64::from(dimension), input.shape.len()))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(&wide) = axes.iter().find(|&&axis| input.shape[axis] != 1) {
        return broken(format!("axis {wide} of {:?} is not one long", input.shape));
    }
    let shape = input
        .shape
        .iter()
        .enumerate()
        .filter(|&(axis, &dimension)| {
            if axes.is_empty() {
                dimension != 1
            } else {
                !axes.contains(&axis)
            }
        })
        .map(|(_, &dimension)| dimension)
        .collect();
    Ok(Lowered::same(shape, input.tensor))
}

pub(super) fn expand_dims(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let input = cx.input(operator, 0)?;
    let at = match cx.input(operator, 1)?.integers()?.as_slice() {
        &[at] => axis(at, input.shape.len() + 1)?,
        other => return broken(format!("its axis is {other:?}")),
    };
    let mut shape = input.shape.to_vec();
    shape.insert(at, 1);
    Ok(Lowered::same(shape, input.tensor))
}

pub(super) fn shape(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let input = cx.input(operator, 0)?;
    let bytes = match cx.output(operator, 0)?.dtype {
        DType::I32 => input
            .shape
            .iter()
            .flat_map(|&d| (d as i32).to_le_bytes())
            .collect(),
        DType::I64 => input
            .shape
            .iter()
            .flat_map(|&d| (d as i64).to_le_bytes())
            .collect(),
        other => return broken(format!("its output is {other}")),
    };
    Ok(Lowered {
        shapes: vec![vec![input.shape.len()]],
        outcome: Outcome::Known(bytes),
    })
}

pub(super) fn rank(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    cx.output(operator, 0)?.expect(DType::I32)?;
    let rank = cx.input(operator, 0)?.shape.len() as i32;
    Ok(Lowered {
        shapes: vec![vec![]],
        outcome: Outcome::Known(rank.to_le_bytes().into()),
    })
}
