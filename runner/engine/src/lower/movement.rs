//! Operators that move elements and change none.

use tract_tflite::tflite::BuiltinOperator as B;

use crate::DType;
use crate::copy::{Axis, Copy, strides};
use crate::graph::Operator;
use crate::lower::argument::{Argument, axis, broken, unsupported};
use crate::lower::{Lowered, Lowering, Outcome, Refusal};
use crate::step::Step;

/// The elements a tensor takes, which must be some.
fn elements(shape: &[usize]) -> Result<usize, Refusal> {
    match crate::reader::elements(shape) {
        Ok(0) => unsupported("an empty tensor"),
        Ok(elements) => Ok(elements),
        Err(reason) => broken(reason),
    }
}

fn planned(copy: Option<Copy>) -> Result<Copy, Refusal> {
    copy.ok_or_else(|| Refusal::Broken("it reaches outside its tensors".into()))
}

/// Movement keeps type and quantisation.
fn alike(input: &Argument<'_>, output: &Argument<'_>) -> Result<(), Refusal> {
    output.expect(input.dtype)?;
    let same = input.scales.map(|s| s.per_tensor()) == output.scales.map(|s| s.per_tensor());
    if same || input.scales.is_none() || output.scales.is_none() {
        Ok(())
    } else {
        unsupported("input and output with different quantisation")
    }
}

/// One output that is one copy of one input.
pub(super) fn single(
    input: &Argument<'_>,
    output: &Argument<'_>,
    shape: Vec<usize>,
    axes: &[Axis],
    from: usize,
) -> Result<Lowered, Refusal> {
    alike(input, output)?;
    let counts = (elements(input.shape)?, elements(&shape)?);
    let copy = planned(Copy::new(
        axes,
        (from, counts.0),
        (0, counts.1),
        input.dtype.size(),
    ))?;
    let step = Step::new("copy", [input.tensor], output.tensor, move |io| {
        copy.run(io.inputs[0], io.outputs[0]);
        Ok(())
    });
    Ok(Lowered::step(shape, step))
}

/// Axes that walk all of `shape` with the given strides.
pub(super) fn axes(shape: &[usize], from: &[isize], to: &[isize]) -> Vec<Axis> {
    shape
        .iter()
        .zip(from.iter().zip(to))
        .map(|(&extent, (&from, &to))| Axis { extent, from, to })
        .collect()
}

pub(super) fn transpose(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let rank = input.shape.len();
    let order = cx
        .input(operator, 1)?
        .integers()?
        .iter()
        .map(|&value| axis(value, rank))
        .collect::<Result<Vec<_>, _>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return broken(format!("the permutation {order:?} of {rank} dimensions"));
    }
    let shape: Vec<usize> = order.iter().map(|&axis| input.shape[axis]).collect();
    let own = strides(input.shape);
    let from: Vec<isize> = order.iter().map(|&axis| own[axis]).collect();
    let walk = axes(&shape, &from, &strides(&shape));
    single(&input, &output, shape, &walk, 0)
}

/// `CONCATENATION` and `PACK`: inputs go into the output one after the other, three in a step.
pub(super) fn join(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let output = cx.output(operator, 0)?;
    let inputs = (0..operator.inputs.len())
        .map(|index| cx.input(operator, index))
        .collect::<Result<Vec<_>, _>>()?;
    let first = cx.input(operator, 0)?;
    let pack = operator.code == B::PACK;
    let (at, fused) = if pack {
        let options = operator.table.builtin_options_as_pack_options();
        (options.map_or(0, |options| options.axis()), false)
    } else {
        let options = operator.table.builtin_options_as_concatenation_options();
        let none = tract_tflite::tflite::ActivationFunctionType::NONE;
        (
            options.map_or(0, |options| options.axis()),
            options.is_some_and(|options| options.fused_activation_function() != none),
        )
    };
    if fused {
        return unsupported("a fused activation");
    }
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
        alike(input, &output)?;
        let own = shape_of(input);
        let fits = own.len() == shape.len()
            && (0..own.len()).all(|axis| axis == at || own[axis] == shape[axis]);
        if !fits {
            return broken(format!("{:?} joined with {:?}", input.shape, first.shape));
        }
        shape[at] += own[at];
    }
    let total = elements(&shape)?;
    let target = strides(&shape);
    let mut to = 0;
    let mut copies = Vec::new();
    for input in &inputs {
        let own = shape_of(input);
        let walk = axes(&own, &strides(&own), &target);
        let from = (0, elements(input.shape)?);
        copies.push(planned(Copy::new(
            &walk,
            from,
            (to, total),
            input.dtype.size(),
        ))?);
        to += own[at] * target[at] as usize;
    }
    let steps = inputs
        .chunks(3)
        .zip(copies.chunks(3))
        .enumerate()
        .map(|(index, (inputs, copies))| {
            let copies = copies.to_vec();
            let tensors: Vec<_> = inputs.iter().map(|input| input.tensor).collect();
            let mut step = Step::new("copy", tensors, output.tensor, move |io| {
                for (copy, from) in copies.iter().zip(io.inputs) {
                    copy.run(from, io.outputs[0]);
                }
                Ok(())
            });
            step.in_place = index > 0;
            step
        })
        .collect();
    Ok(Lowered {
        shapes: vec![shape],
        outcome: Outcome::Steps(steps),
    })
}

/// `PAD` and `PADV2`: the output filled with the padding, then the input copied into it.
pub(super) fn pad(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    alike(&input, &output)?;
    let amounts = cx.input(operator, 1)?.integers()?;
    let rank = input.shape.len();
    if amounts.len() != 2 * rank {
        return broken(format!("{} paddings for {rank} dimensions", amounts.len()));
    }
    let (mut shape, mut before) = (Vec::new(), Vec::new());
    for (axis, pair) in amounts.chunks_exact(2).enumerate() {
        let amount = |value: i64| {
            usize::try_from(value)
                .ok()
                .filter(|&value| value <= 1 << 28)
                .ok_or_else(|| Refusal::Broken(format!("a padding of {value}")))
        };
        shape.push(input.shape[axis] + amount(pair[0])? + amount(pair[1])?);
        before.push(amount(pair[0])?);
    }
    let filling: Vec<u8> = match cx.optional(operator, 2) {
        Some(value) => match value.constant {
            Some(bytes) if bytes.len() == input.dtype.size() => bytes.to_vec(),
            _ => return unsupported("a padding that is not one constant"),
        },
        None => match input.scales {
            Some(_) => {
                let zero = input.quantization()?.zero_point;
                zero.to_le_bytes()[..input.dtype.size().min(4)].to_vec()
            }
            None => vec![0; input.dtype.size()],
        },
    };
    let (count, total) = (elements(input.shape)?, elements(&shape)?);
    let target = strides(&shape);
    let to = before
        .iter()
        .zip(&target)
        .map(|(&before, &step)| before * step as usize)
        .sum();
    let walk = axes(input.shape, &strides(input.shape), &target);
    let copy = planned(Copy::new(
        &walk,
        (0, count),
        (to, total),
        input.dtype.size(),
    ))?;
    let step = Step::new("padding", [input.tensor], output.tensor, move |io| {
        let out = &mut *io.outputs[0];
        match filling.as_slice() {
            &[byte] => out.fill(byte),
            wide => out
                .chunks_exact_mut(wide.len())
                .for_each(|element| element.copy_from_slice(wide)),
        }
        copy.run(io.inputs[0], out);
        Ok(())
    });
    Ok(Lowered::step(shape, step))
}

/// `TILE` and `BROADCAST_TO`: dimensions walked again and again.
pub(super) fn repeat(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let given = cx.input(operator, 1)?.integers()?;
    let extents = given
        .iter()
        .map(|&value| usize::try_from(value).ok().filter(|&value| value > 0))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Refusal::Broken(format!("repeated by {given:?}")))?;
    let lead = extents.len().checked_sub(input.shape.len());
    let Some(lead) = lead.filter(|&lead| lead == 0 || operator.code == B::BROADCAST_TO) else {
        return broken(format!("{:?} repeated by {given:?}", input.shape));
    };
    let own: Vec<usize> = std::iter::repeat_n(1, lead)
        .chain(input.shape.iter().copied())
        .collect();
    let from = strides(&own);
    let (mut shape, mut parts) = (Vec::new(), Vec::new());
    for axis in 0..own.len() {
        let times = match (operator.code, own[axis]) {
            (B::TILE, _) => extents[axis],
            (_, 1) => extents[axis],
            (_, extent) if extent == extents[axis] => 1,
            _ => return broken(format!("{:?} broadcast to {given:?}", input.shape)),
        };
        let total = times.saturating_mul(own[axis]);
        shape.push(total);
        parts.push((times, own[axis]));
    }
    elements(&shape)?;
    let to = strides(&shape);
    let walk: Vec<Axis> = parts
        .iter()
        .enumerate()
        .flat_map(|(axis, &(times, extent))| {
            let again = Axis {
                extent: times,
                from: 0,
                to: to[axis] * extent as isize,
            };
            let within = Axis {
                extent,
                from: from[axis],
                to: to[axis],
            };
            [again, within]
        })
        .collect();
    single(&input, &output, shape, &walk, 0)
}

/// `SPACE_TO_DEPTH` and `DEPTH_TO_SPACE`: six dimensions transposed.
pub(super) fn blocks(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let to_depth = operator.code == B::SPACE_TO_DEPTH;
    let size = if to_depth {
        operator
            .table
            .builtin_options_as_space_to_depth_options()
            .map(|o| o.block_size())
    } else {
        operator
            .table
            .builtin_options_as_depth_to_space_options()
            .map(|o| o.block_size())
    };
    let block = size
        .and_then(|size| usize::try_from(size).ok())
        .filter(|&size| size > 0 && size < 1 << 15);
    let (Some(block), &[batch, height, width, depth]) = (block, input.shape) else {
        return broken(format!("blocks of {size:?} of the shape {:?}", input.shape));
    };
    let fits = if to_depth {
        height.is_multiple_of(block) && width.is_multiple_of(block)
    } else {
        depth.is_multiple_of(block * block)
    };
    if !fits {
        return broken(format!("blocks of {block} of the shape {:?}", input.shape));
    }
    // Both walk batch, block row, row in block, block column, column in block, channel.
    let (rows, columns, inner) = if to_depth {
        (height / block, width / block, depth)
    } else {
        (height, width, depth / (block * block))
    };
    let spatial = strides(&[batch, rows, block, columns, block, inner]);
    let deep = strides(&[batch, rows, columns, block, block, inner]);
    let deep = [deep[0], deep[1], deep[3], deep[2], deep[4], deep[5]];
    let extents = [batch, rows, block, columns, block, inner];
    let (shape, walk) = if to_depth {
        (
            vec![batch, rows, columns, depth * block * block],
            axes(&extents, &spatial, &deep),
        )
    } else {
        (
            vec![batch, rows * block, columns * block, inner],
            axes(&extents, &deep, &spatial),
        )
    };
    single(&input, &output, shape, &walk, 0)
}

/// `GATHER` and `EMBEDDING_LOOKUP` along one axis.
pub(super) fn gather(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let lookup = operator.code == B::EMBEDDING_LOOKUP;
    let (values, indices) = if lookup { (1, 0) } else { (0, 1) };
    let (input, indices) = (cx.input(operator, values)?, cx.input(operator, indices)?);
    let output = cx.output(operator, 0)?;
    alike(&input, &output)?;
    let options = operator.table.builtin_options_as_gather_options();
    if options.is_some_and(|options| options.batch_dims() != 0) {
        return unsupported("batch dimensions");
    }
    let at = axis(
        i64::from(options.map_or(0, |options| options.axis())),
        input.shape.len(),
    )?;
    let wide = match indices.dtype {
        DType::I32 => false,
        DType::I64 => true,
        other => return unsupported(format!("indices of {other}")),
    };
    let shape = [&input.shape[..at], indices.shape, &input.shape[at + 1..]].concat();
    elements(&shape)?;
    let extent = input.shape[at];
    let outer: usize = input.shape[..at].iter().product();
    let run = input.shape[at + 1..].iter().product::<usize>() * input.dtype.size();
    let step = Step::new(
        "gather",
        [input.tensor, indices.tensor],
        output.tensor,
        move |io| {
            let size = if wide { 8 } else { 4 };
            let count = io.inputs[1].len() / size;
            for block in 0..outer {
                let from = &io.inputs[0][block * extent * run..][..extent * run];
                let to = &mut io.outputs[0][block * count * run..][..count * run];
                for (index, to) in to.chunks_exact_mut(run).enumerate() {
                    let bytes = &io.inputs[1][index * size..][..size];
                    let index = if wide {
                        bytemuck::pod_read_unaligned::<i64>(bytes)
                    } else {
                        i64::from(bytemuck::pod_read_unaligned::<i32>(bytes))
                    };
                    let index = usize::try_from(index)
                        .ok()
                        .filter(|&index| index < extent)
                        .ok_or(crate::step::Fault::Value("an index outside its table"))?;
                    to.copy_from_slice(&from[index * run..][..run]);
                }
            }
            Ok(())
        },
    );
    Ok(Lowered::step(shape, step))
}
