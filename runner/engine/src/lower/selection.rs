//! Operators that choose elements by index or by condition.

use bytemuck::Pod;
use scalebench_kernels::Error;
use scalebench_kernels::broadcast::Broadcast;
use scalebench_kernels::gather::{self as kernels, Index};
use scalebench_kernels::shape::{Around, Shape};
use tract_tflite::tflite::BuiltinOperator as B;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, axis, broken, unsupported};
use crate::lower::movement::alike;
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::{Fault, Io, Step};

/// A kernel that takes indices of either width.
trait Indexed: Send + Sync + 'static {
    /// Where the indices are among its inputs.
    const INDICES: usize = 1;

    /// Runs it.
    fn run(&self, io: &mut Io<'_>, indices: &[impl Index]) -> Result<(), Error>;
}

/// The step of such a kernel, which reads `inputs`.
fn indexed<K: Indexed>(
    path: &'static str,
    inputs: &[&Argument<'_>],
    output: &Argument<'_>,
    kernel: K,
) -> Result<Step, Refusal> {
    let tensors: Vec<_> = inputs.iter().map(|input| input.tensor).collect();
    match inputs[K::INDICES].dtype {
        DType::I32 => Ok(Step::new(path, tensors, output.tensor, move |io| {
            let indices: &[i32] = bytemuck::cast_slice(io.inputs[K::INDICES]);
            Ok(kernel.run(io, indices)?)
        })),
        DType::I64 => Ok(Step::new(path, tensors, output.tensor, move |io| {
            let indices: &[i64] = bytemuck::cast_slice(io.inputs[K::INDICES]);
            Ok(kernel.run(io, indices)?)
        })),
        other => unsupported(format!("indices of {other}")),
    }
}

/// `GATHER`, about an axis in bytes.
struct Gather {
    around: Around,
    batches: usize,
}

impl Indexed for Gather {
    fn run(&self, io: &mut Io<'_>, indices: &[impl Index]) -> Result<(), Error> {
        kernels::gather(
            self.around,
            self.batches,
            io.inputs[0],
            indices,
            io.outputs[0],
        )
    }
}

/// `GATHER` and `EMBEDDING_LOOKUP`, which is the case of axis 0 with the operands the other way round.
pub(super) fn gather(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let lookup = operator.code == B::EMBEDDING_LOOKUP;
    let (values, indices) = if lookup { (1, 0) } else { (0, 1) };
    let (input, indices) = (cx.input(operator, values)?, cx.input(operator, indices)?);
    let output = cx.output(operator, 0)?;
    alike(&input, &output)?;
    let options = operator.table.builtin_options_as_gather_options();
    let (at, shared) = options.map_or((0, 0), |o| (o.axis(), o.batch_dims()));
    let at = axis(i64::from(at), input.shape.len())?;
    let shared = if shared < 0 {
        i64::from(shared) + indices.shape.len() as i64
    } else {
        i64::from(shared)
    };
    let shared = usize::try_from(shared)
        .ok()
        .filter(|&shared| shared <= at && shared <= indices.shape.len())
        .filter(|&shared| input.shape[..shared] == indices.shape[..shared]);
    let Some(shared) = shared else {
        return broken(format!(
            "{:?} gathered by indices of the shape {:?}",
            input.shape, indices.shape
        ));
    };
    let shape = [
        &input.shape[..at],
        &indices.shape[shared..],
        &input.shape[at + 1..],
    ]
    .concat();
    let around = Shape::new(input.shape)?.around(at)?;
    let kernel = Gather {
        around: Around {
            inner: around.inner * input.dtype.size(),
            ..around
        },
        batches: input.shape[..shared].iter().product(),
    };
    let step = indexed("gather", &[&input, &indices], &output, kernel)?;
    Ok(Lowered::step(shape, step))
}

/// `GATHER_ND` of a shape whose last axis are the bytes of an element.
struct GatherNd {
    shape: Shape,
    depth: usize,
}

impl Indexed for GatherNd {
    fn run(&self, io: &mut Io<'_>, indices: &[impl Index]) -> Result<(), Error> {
        kernels::gather_nd(
            &self.shape,
            self.depth,
            io.inputs[0],
            indices,
            io.outputs[0],
        )
    }
}

pub(super) fn gather_nd(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let (input, indices) = (cx.input(operator, 0)?, cx.input(operator, 1)?);
    let output = cx.output(operator, 0)?;
    alike(&input, &output)?;
    let [lead @ .., depth] = indices.shape else {
        return broken("indices without dimensions");
    };
    if *depth == 0 || *depth > input.shape.len() {
        return broken(format!("{depth} indices into {:?}", input.shape));
    }
    let shape = [lead, &input.shape[*depth..]].concat();
    let kernel = GatherNd {
        shape: Shape::new(&[input.shape, &[input.dtype.size()]].concat())?,
        depth: *depth,
    };
    let step = indexed("gather", &[&input, &indices], &output, kernel)?;
    Ok(Lowered::step(shape, step))
}

/// `ONE_HOT` of elements of a type.
struct OneHot<T> {
    around: Around,
    values: [T; 2],
}

impl<T: Pod + Send + Sync> Indexed for OneHot<T> {
    const INDICES: usize = 0;

    fn run(&self, io: &mut Io<'_>, indices: &[impl Index]) -> Result<(), Error> {
        let out = bytemuck::cast_slice_mut(io.outputs[0]);
        kernels::one_hot(self.around, indices, self.values, out)
    }
}

pub(super) fn one_hot(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    fn of<T: Pod + Send + Sync>(
        around: Around,
        [indices, hot, cold, output]: [&Argument<'_>; 4],
    ) -> Result<Step, Refusal> {
        let value = |argument: &Argument<'_>| match argument.constant {
            Some(bytes) if bytes.len() == size_of::<T>() => {
                Ok(bytemuck::pod_read_unaligned::<T>(bytes))
            }
            _ => unsupported("values that are not constants"),
        };
        let values = [value(hot)?, value(cold)?];
        indexed("one hot", &[indices], output, OneHot { around, values })
    }
    let (indices, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let (hot, cold) = (cx.input(operator, 2)?, cx.input(operator, 3)?);
    let rank = indices.shape.len();
    let &[classes] = cx.input(operator, 1)?.integers()?.as_slice() else {
        return broken("more than one number of classes");
    };
    let Ok(classes) = usize::try_from(classes) else {
        return broken(format!("{classes} classes"));
    };
    let options = operator.table.builtin_options_as_one_hot_options();
    let at = match options.map_or(-1, |options| options.axis()) {
        -1 => rank,
        at => axis(i64::from(at), rank + 1)?,
    };
    let mut shape = indices.shape.to_vec();
    shape.insert(at, classes);
    let around = Shape::new(&shape)?.around(at)?;
    let arguments = [&indices, &hot, &cold, &output];
    if hot.dtype != cold.dtype || hot.dtype != output.dtype {
        return broken("values and output of different types");
    }
    let step = match output.dtype.size() {
        1 => of::<u8>(around, arguments)?,
        2 => of::<u16>(around, arguments)?,
        4 => of::<u32>(around, arguments)?,
        _ => of::<u64>(around, arguments)?,
    };
    Ok(Lowered::step(shape, step))
}

/// `ARG_MAX` and `ARG_MIN`: the first of the greatest or least along an axis.
pub(super) fn arg_extremum(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    fn of<T: Pod + PartialOrd>(
        around: Around,
        input: usize,
        output: &Argument<'_>,
        better: fn(T, T) -> bool,
    ) -> Result<Step, Refusal> {
        let path = "index of extremum";
        match output.dtype {
            DType::I32 => Ok(Step::new(path, [input], output.tensor, move |io| {
                let (x, out) = io.unary::<T, i32>();
                Ok(kernels::best(around, x, out, better, |at| at as i32)?)
            })),
            DType::I64 => Ok(Step::new(path, [input], output.tensor, move |io| {
                let (x, out) = io.unary::<T, i64>();
                Ok(kernels::best(around, x, out, better, |at| at as i64)?)
            })),
            other => unsupported(format!("indices of {other}")),
        }
    }
    fn either<T: Pod + PartialOrd>(
        code: B,
        around: Around,
        input: usize,
        output: &Argument<'_>,
    ) -> Result<Step, Refusal> {
        let better: fn(T, T) -> bool = if code == B::ARG_MAX {
            |a, b| a > b
        } else {
            |a, b| a < b
        };
        of(around, input, output, better)
    }
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let &[at] = cx.input(operator, 1)?.integers()?.as_slice() else {
        return broken("more than one axis");
    };
    let at = axis(at, input.shape.len())?;
    let around = Shape::new(input.shape)?.around(at)?;
    let mut shape = input.shape.to_vec();
    if shape.remove(at) == 0 {
        return broken("an axis without extent");
    }
    let (code, tensor) = (operator.code, input.tensor);
    let step = match input.dtype {
        DType::F32 => either::<f32>(code, around, tensor, &output)?,
        DType::I8 => either::<i8>(code, around, tensor, &output)?,
        DType::U8 => either::<u8>(code, around, tensor, &output)?,
        DType::I16 => either::<i16>(code, around, tensor, &output)?,
        DType::I32 => either::<i32>(code, around, tensor, &output)?,
        DType::I64 => either::<i64>(code, around, tensor, &output)?,
        other => return unsupported(format!("elements of {other}")),
    };
    Ok(Lowered::step(shape, step))
}

/// Steps in elements for each dimension of `extents`, none along those a tensor is repeated along.
fn steps(shape: &[usize], extents: &[usize]) -> Vec<usize> {
    let lead = extents.len() - shape.len();
    let mut step = 1;
    let mut steps = vec![0; extents.len()];
    for (axis, &extent) in shape.iter().enumerate().rev() {
        if extent > 1 {
            steps[lead + axis] = step;
        }
        step *= extent;
    }
    steps
}

/// `SELECT_V2`, and `SELECT`, whose condition may also be one for each index of the first axis.
pub(super) fn select(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (choice, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let (a, b) = (cx.input(operator, 1)?, cx.input(operator, 2)?);
    choice.expect(DType::Bool)?;
    alike(&a, &output)?;
    alike(&b, &output)?;
    let mut condition = choice.shape.to_vec();
    if operator.code == B::SELECT && a.shape != condition && condition.len() == 1 {
        condition.resize(a.shape.len().max(1), 1);
    }
    let pair = Broadcast::new(&Shape::new(a.shape)?, &Shape::new(b.shape)?)?.output();
    let whole = Broadcast::new(&Shape::new(&condition)?, &pair)?.output();
    let extents = whole.extents().to_vec();
    let size = a.dtype.size();
    let walks = [&condition, a.shape, b.shape].map(|shape| steps(shape, &extents));
    let inputs = [choice.tensor, a.tensor, b.tensor];
    let walked = extents.clone();
    let step = Step::new("selection", inputs, output.tensor, move |io| {
        for (at, out) in io.outputs[0].chunks_exact_mut(size).enumerate() {
            let (mut rest, mut from) = (at, [0; 3]);
            for axis in (0..walked.len()).rev() {
                let index = rest % walked[axis];
                rest /= walked[axis];
                for (from, steps) in from.iter_mut().zip(&walks) {
                    *from += index * steps[axis];
                }
            }
            let choice = io.inputs[0].get(from[0]).copied();
            let source = match choice.ok_or(Fault::Value("a condition of another shape"))? {
                0 => 2,
                _ => 1,
            };
            out.copy_from_slice(&io.inputs[source][from[source] * size..][..size]);
        }
        Ok(())
    });
    Ok(Lowered::step(extents, step))
}
