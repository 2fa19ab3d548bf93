//! Operators that move elements and change none.

use bytemuck::Pod;
use scalebench_kernels::Error;
use scalebench_kernels::broadcast::{Broadcast, broadcast_to};
use scalebench_kernels::place::{Batches, Padding, tile};
use scalebench_kernels::shape::Shape;
use scalebench_kernels::view::View;
use tract_tflite::tflite::{BuiltinOperator as B, MirrorPadMode};

use crate::graph::Operator;
use crate::lower::argument::{Argument, axis, broken, unsupported};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;

/// Most elements that a padding adds at one end, and most times a tensor is repeated along an axis.
const MOST: i64 = 1 << 28;

/// A kernel that moves elements of any type from one tensor to another.
pub(super) trait Movement: Send + Sync + 'static {
    /// Moves them.
    fn run<T: Pod>(&self, x: &[T], out: &mut [T]) -> Result<(), Error>;
}

impl Movement for View {
    fn run<T: Pod>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        self.run(x, out)
    }
}

/// Movement keeps type and quantisation.
pub(super) fn alike(input: &Argument<'_>, output: &Argument<'_>) -> Result<(), Refusal> {
    output.expect(input.dtype)?;
    let same = input.scales.map(|s| s.per_tensor()) == output.scales.map(|s| s.per_tensor());
    if same || input.scales.is_none() || output.scales.is_none() {
        Ok(())
    } else {
        unsupported("input and output with different quantisation")
    }
}

/// One input moved to one output, as elements of their width.
pub(super) fn moved(
    path: &'static str,
    input: &Argument<'_>,
    output: &Argument<'_>,
    shape: Vec<usize>,
    movement: impl Movement,
) -> Result<Lowered, Refusal> {
    fn step<T: Pod>(path: &'static str, tensors: [usize; 2], movement: impl Movement) -> Step {
        Step::new(path, [tensors[0]], tensors[1], move |io| {
            let (x, out) = io.unary::<T, T>();
            Ok(movement.run(x, out)?)
        })
    }
    alike(input, output)?;
    let tensors = [input.tensor, output.tensor];
    let step = match input.dtype.size() {
        1 => step::<u8>(path, tensors, movement),
        2 => step::<u16>(path, tensors, movement),
        4 => step::<u32>(path, tensors, movement),
        _ => step::<u64>(path, tensors, movement),
    };
    Ok(Lowered::step(shape, step))
}

/// Element 0 of what fills the gaps of a tensor: its zero point if it is quantised.
fn nothing(input: &Argument<'_>) -> Result<[u8; 8], Refusal> {
    let zero = match input.scales {
        Some(_) => input.quantization()?.zero_point,
        None => 0,
    };
    Ok(i64::from(zero).to_le_bytes())
}

/// The element at the beginning of `bytes`, which are eight.
fn element<T: Pod>(bytes: &[u8; 8]) -> T {
    bytemuck::pod_read_unaligned(&bytes[..size_of::<T>()])
}

/// Extents or counts an operator is given.
fn extents(given: &[i64]) -> Result<Vec<usize>, Refusal> {
    given
        .iter()
        .map(|&value| usize::try_from(value).ok().filter(|_| value <= MOST))
        .collect::<Option<_>>()
        .ok_or_else(|| Refusal::Broken(format!("extents of {given:?}")))
}

fn image(argument: &Argument<'_>) -> Result<[usize; 4], Refusal> {
    argument
        .shape
        .try_into()
        .map_err(|_| Refusal::Broken(format!("{:?} is no shape of images", argument.shape)))
}

pub(super) fn transpose(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let order = cx
        .input(operator, 1)?
        .integers()?
        .iter()
        .map(|&value| axis(value, input.shape.len()))
        .collect::<Result<Vec<_>, _>>()?;
    let view = View::transpose(&Shape::new(input.shape)?, &order)?;
    let shape = order.iter().map(|&axis| input.shape[axis]).collect();
    moved("transposition", &input, &output, shape, view)
}

/// `REVERSE_V2`, along any axes.
pub(super) fn reverse(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let rank = input.shape.len();
    let (mut begin, mut steps) = (vec![0; rank], vec![1; rank]);
    for value in cx.input(operator, 1)?.integers()? {
        let axis = axis(value, rank)?;
        (begin[axis], steps[axis]) = (input.shape[axis].saturating_sub(1), -1);
    }
    let view = View::slice(&Shape::new(input.shape)?, &begin, input.shape, &steps)?;
    moved("reversal", &input, &output, input.shape.to_vec(), view)
}

/// A tensor with one element all around it.
struct Filled {
    padding: Padding,
    value: [u8; 8],
}

impl Movement for Filled {
    fn run<T: Pod>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        self.padding.fill(element(&self.value), x, out)
    }
}

/// A tensor with its own reflection around it.
struct Mirrored {
    padding: Padding,
    symmetric: bool,
}

impl Movement for Mirrored {
    fn run<T: Pod>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        self.padding.mirror(self.symmetric, x, out)
    }
}

/// `PAD`, `PADV2` and `MIRROR_PAD`.
pub(super) fn pad(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let amounts = extents(&cx.input(operator, 1)?.integers()?)?;
    let side = |side| amounts.iter().skip(side).step_by(2).copied().collect();
    let (before, after): (Vec<usize>, Vec<usize>) = (side(0), side(1));
    let padding = Padding::new(&Shape::new(input.shape)?, &before, &after)?;
    let shape = padding.output().extents().to_vec();
    if operator.code == B::MIRROR_PAD {
        let options = operator.table.builtin_options_as_mirror_pad_options();
        let symmetric = options.is_some_and(|o| o.mode() == MirrorPadMode::SYMMETRIC);
        let most = |extent: usize| extent.saturating_sub(usize::from(!symmetric));
        let reaches = |side: &[usize]| side.iter().zip(input.shape).all(|(&n, &e)| n <= most(e));
        if !reaches(&before) || !reaches(&after) {
            return broken(format!("{:?} mirrored by {amounts:?}", input.shape));
        }
        let mirrored = Mirrored { padding, symmetric };
        return moved("mirrored padding", &input, &output, shape, mirrored);
    }
    let mut value = nothing(&input)?;
    if let Some(given) = cx.optional(operator, 2) {
        let size = input.dtype.size();
        match given.constant {
            Some(bytes) if bytes.len() == size => value[..size].copy_from_slice(bytes),
            _ => return unsupported("a padding that is not one constant"),
        }
    }
    moved("padding", &input, &output, shape, Filled { padding, value })
}

/// A tensor over and over.
struct Tiled(Shape, Shape);

impl Movement for Tiled {
    fn run<T: Pod>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        tile(&self.0, &self.1, x, out)
    }
}

/// A tensor whose axes of extent 1 are as long as need be.
struct Spread(Shape, Shape);

impl Movement for Spread {
    fn run<T: Pod>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        broadcast_to(&self.0, &self.1, x, out)
    }
}

/// `TILE` and `BROADCAST_TO`.
pub(super) fn repeat(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let given = extents(&cx.input(operator, 1)?.integers()?)?;
    let own = Shape::new(input.shape)?;
    if operator.code == B::BROADCAST_TO {
        let whole = Shape::new(&given)?;
        if Broadcast::new(&own, &whole)?.output() != whole {
            return broken(format!("{:?} broadcast to {given:?}", input.shape));
        }
        return moved("broadcast", &input, &output, given, Spread(own, whole));
    }
    if given.len() != own.rank() {
        return broken(format!("{:?} repeated by {given:?}", input.shape));
    }
    let shape: Vec<usize> = input
        .shape
        .iter()
        .zip(&given)
        .map(|(&extent, &times)| extent.saturating_mul(times))
        .collect();
    let whole = Shape::new(&shape)?;
    moved("tiles", &input, &output, shape, Tiled(own, whole))
}

/// `SPACE_TO_DEPTH` and `DEPTH_TO_SPACE`.
pub(super) fn blocks(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let [batch, height, width, depth] = image(&input)?;
    let table = &operator.table;
    let to_depth = operator.code == B::SPACE_TO_DEPTH;
    let size = if to_depth {
        let options = table.builtin_options_as_space_to_depth_options();
        options.map(|o| o.block_size())
    } else {
        let options = table.builtin_options_as_depth_to_space_options();
        options.map(|o| o.block_size())
    };
    let Some(block) = size.and_then(|size| usize::try_from(size).ok()) else {
        return broken(format!("blocks of {size:?}"));
    };
    // The views have refused blocks that the shape does not divide into.
    let (view, shape) = if to_depth {
        let view = View::space_to_depth([batch, height, width, depth], block)?;
        let square = depth.saturating_mul(block.saturating_mul(block));
        (view, vec![batch, height / block, width / block, square])
    } else {
        let view = View::depth_to_space([batch, height, width, depth], block)?;
        let shape = vec![batch, height * block, width * block, depth / block / block];
        (view, shape)
    };
    moved("depth and space", &input, &output, shape, view)
}

/// From space to batches.
struct ToBatches(Batches, [u8; 8]);

impl Movement for ToBatches {
    fn run<T: Pod>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        self.0.spread(element(&self.1), x, out)
    }
}

/// And back.
struct ToSpace(Batches);

impl Movement for ToSpace {
    fn run<T: Pod>(&self, x: &[T], out: &mut [T]) -> Result<(), Error> {
        self.0.gather(x, out)
    }
}

/// `SPACE_TO_BATCH_ND` and `BATCH_TO_SPACE_ND`, of one or two dimensions of space.
pub(super) fn batches(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let block = extents(&cx.input(operator, 1)?.integers()?)?;
    let amounts = extents(&cx.input(operator, 2)?.integers()?)?;
    let spatial = block.len();
    if !(1..=2).contains(&spatial) || input.shape.len() != spatial + 2 {
        return unsupported(format!("{:?} in blocks of {block:?}", input.shape));
    }
    let to_batches = operator.code == B::SPACE_TO_BATCH_ND;
    let area = block.iter().fold(1usize, |a, &b| a.saturating_mul(b));
    let mut shape = input.shape.to_vec();
    let divided = |whole: usize, by: usize| {
        (by > 0 && whole.is_multiple_of(by))
            .then(|| whole / by)
            .ok_or_else(|| Refusal::Broken(format!("{whole} in blocks of {by}")))
    };
    shape[0] = if to_batches {
        shape[0].saturating_mul(area)
    } else {
        divided(shape[0], area)?
    };
    for (axis, &block) in block.iter().enumerate() {
        let &[before, after] = amounts.get(2 * axis..2 * axis + 2).unwrap_or_default() else {
            return broken(format!("{amounts:?} around {spatial} dimensions"));
        };
        let extent = shape[1 + axis];
        shape[1 + axis] = if to_batches {
            divided(extent + before + after, block)?
        } else {
            let whole = extent.saturating_mul(block);
            whole
                .checked_sub(before + after)
                .ok_or_else(|| Refusal::Broken(format!("{before} and {after} cut off {whole}")))?
        };
    }
    // Without columns a tensor is one column wide.
    let four = |shape: &[usize]| match *shape {
        [a, b, c] => [a, b, 1, c],
        [a, b, c, d] => [a, b, c, d],
        _ => [0; 4],
    };
    let at = |list: &[usize], axis: usize, other| list.get(axis).copied().unwrap_or(other);
    let (own, new) = (four(input.shape), four(&shape));
    let plan = Batches {
        space: if to_batches { own } else { new },
        batch: if to_batches { new } else { own },
        block: [block[0], at(&block, 1, 1)],
        before: [amounts[0], at(&amounts, 2, 0)],
    };
    if to_batches {
        let value = nothing(&input)?;
        moved(
            "space to batches",
            &input,
            &output,
            shape,
            ToBatches(plan, value),
        )
    } else {
        moved("batches to space", &input, &output, shape, ToSpace(plan))
    }
}

/// `FILL`: one element everywhere.
pub(super) fn fill(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (value, output) = (cx.input(operator, 1)?, cx.output(operator, 0)?);
    let shape = extents(&cx.input(operator, 0)?.integers()?)?;
    if value.elements() != 1 {
        return broken(format!(
            "filled with a tensor of the shape {:?}",
            value.shape
        ));
    }
    let spread = Spread(Shape::new(&[])?, Shape::new(&shape)?);
    moved("broadcast", &value, &output, shape, spread)
}
