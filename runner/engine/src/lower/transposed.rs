//! `TRANSPOSE_CONV`.

use bytemuck::Pod;
use scalebench_kernels::element::{Activation, Byte};
use scalebench_kernels::transpose_conv::{Stage, Weights, bytes, real, wide};
use scalebench_kernels::window::Window;
use tract_tflite::tflite::{ActivationFunctionType, Padding};

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken, unsupported};
use crate::lower::scheme::{
    activation, channelwise, clamp, float_bias, integer_bias, weight_scales, wide_bias,
};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::{Step, aligned, cut};

/// A transposed convolution, but for its element types.
struct Transposed<'l> {
    /// Of the convolution it is the transpose of: its input is this one's output.
    window: Window,
    fused: Activation,
    input: Argument<'l>,
    filter: Argument<'l>,
    bias: Option<Argument<'l>>,
    output: Argument<'l>,
}

/// The window of a convolution from the image `written` to the image `read`, padded as
/// `ComputePaddingHeightWidth` (tflite/kernels/padding.h) has it.
fn window(
    written: [usize; 4],
    read: [usize; 4],
    kernel: [usize; 2],
    stride: [i32; 2],
    padding: Padding,
) -> Result<Window, Refusal> {
    let [Ok(down), Ok(right)] = stride.map(usize::try_from) else {
        return broken(format!("its stride is {stride:?}"));
    };
    let stride = [down, right];
    let mut before = [0; 2];
    for axis in 0..2 {
        let whole = written[1 + axis];
        // The places that convolution would have; the input's may be fewer, or more, which then lie outside.
        let places = whole.div_ceil(stride[axis].max(1)).max(1);
        let reach = (places - 1) * stride[axis] + kernel[axis];
        if padding == Padding::SAME {
            before[axis] = reach.saturating_sub(whole) / 2;
        }
    }
    let window = Window {
        input: written,
        output: read,
        kernel,
        stride,
        dilation: [1, 1],
        before,
    };
    window.check()?;
    Ok(window)
}

pub(super) fn transpose_conv(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let options = operator
        .table
        .builtin_options_as_transpose_conv_options()
        .ok_or_else(|| Refusal::Broken("it has no TransposeConvOptions".into()))?;
    let shape = cx.input(operator, 0)?.integers()?;
    let (filter, input) = (cx.input(operator, 1)?, cx.input(operator, 2)?);
    let extents: Vec<usize> = shape
        .iter()
        .filter_map(|&extent| usize::try_from(extent).ok())
        .collect();
    let (&[batch, height, width, channels], &[images, rows, columns, depth]) =
        (extents.as_slice(), input.shape)
    else {
        return broken(format!("{:?} becomes {shape:?}", input.shape));
    };
    let &[outputs, tall, broad, inputs] = filter.shape else {
        return broken(format!("weights of the shape {:?}", filter.shape));
    };
    if batch != images || outputs != channels || inputs != depth || depth == 0 {
        return broken(format!(
            "{:?} becomes {shape:?} by weights of the shape {:?}",
            input.shape, filter.shape
        ));
    }
    crate::reader::elements(&extents).map_err(Refusal::Broken)?;
    let fused = options.fused_activation_function();
    let transposed = Transposed {
        window: window(
            [batch, height, width, channels],
            [images, rows, columns, depth],
            [tall, broad],
            [options.stride_h(), options.stride_w()],
            options.padding(),
        )?,
        fused: activation(if operator.version >= 4 {
            fused
        } else {
            ActivationFunctionType::NONE
        })?,
        input,
        filter,
        bias: cx.optional(operator, 3),
        output: cx.output(operator, 0)?,
    };
    let step = match (input.dtype, filter.dtype, transposed.output.dtype) {
        (DType::I8, DType::I8, DType::I8) => quantised::<i8>(&transposed)?,
        (DType::U8, DType::U8, DType::U8) => quantised::<u8>(&transposed)?,
        (DType::I16, DType::I8, DType::I16) => words(&transposed)?,
        (DType::F32, DType::F32 | DType::I8, DType::F32) => float(&transposed)?,
        (a, b, c) => return unsupported(format!("{a} inputs and {b} weights to {c}")),
    };
    let taps = (tall * broad * depth) as u64;
    let macs = (images * rows * columns) as u64 * taps * channels as u64;
    Ok(Lowered::step(
        extents,
        step.costing(macs, filter.elements() * filter.dtype.size()),
    ))
}

/// A constant, as elements.
fn constant<T: Pod>(weights: &Argument<'_>) -> Result<Vec<T>, Refusal> {
    match weights.constant {
        Some(bytes) => Ok(bytes
            .chunks_exact(size_of::<T>())
            .map(bytemuck::pod_read_unaligned)
            .collect()),
        None => unsupported("its weights are not constant"),
    }
}

fn quantised<T: Byte + Pod + Send + Sync>(transposed: &Transposed<'_>) -> Result<Step, Refusal> {
    let Transposed {
        window,
        fused,
        input,
        filter,
        bias,
        output,
    } = transposed;
    let (window, channels) = (*window, window.input[3]);
    let weights = constant::<T>(filter)?;
    let bias = integer_bias(*bias, channels)?;
    let multipliers = channelwise(input, filter, output, 0)?;
    let stage = Stage {
        input_zero: input.quantisation()?.zero,
        weight_zero: match filter.dtype {
            DType::U8 => filter.quantisation()?.zero,
            _ => 0,
        },
        zero: output.quantisation()?.zero,
        range: fused.range::<T>(output.quantisation()?),
    };
    let sums: usize = window.input.iter().product();
    let path = "integer transposed convolution";
    let step = Step::new(path, [input.tensor], output.tensor, move |io| {
        let (x, scratch, out) = io.with_scratch::<T, u8, T>();
        let (sums, _) = cut(scratch, sums)?;
        let given = Weights {
            weights: &weights,
            bias: bias.as_deref(),
            multipliers: &multipliers,
        };
        Ok(bytes(&window, stage, x, given, sums, out)?)
    });
    Ok(step.scratch(aligned(sums * size_of::<i32>())))
}

fn words(transposed: &Transposed<'_>) -> Result<Step, Refusal> {
    let Transposed {
        window,
        fused,
        input,
        filter,
        bias,
        output,
    } = transposed;
    let (window, channels) = (*window, window.input[3]);
    let weights = constant::<i8>(filter)?;
    let bias = wide_bias(*bias, channels)?;
    let multipliers = channelwise(input, filter, output, 0)?;
    let range = fused.range::<i16>(output.quantisation()?);
    let sums: usize = window.input.iter().product();
    let path = "int16 transposed convolution";
    let step = Step::new(path, [input.tensor], output.tensor, move |io| {
        let (x, scratch, out) = io.with_scratch::<i16, u8, i16>();
        let (sums, _) = cut(scratch, sums)?;
        let given = Weights {
            weights: &weights,
            bias: bias.as_deref(),
            multipliers: &multipliers,
        };
        Ok(wide(&window, range, x, given, sums, out)?)
    });
    Ok(step.scratch(aligned(sums * size_of::<i64>())))
}

fn float(transposed: &Transposed<'_>) -> Result<Step, Refusal> {
    let Transposed {
        window,
        fused,
        input,
        filter,
        bias,
        output,
    } = transposed;
    let window = *window;
    // Weights of a dynamic-range model are taken for what they stand for, once: the activations stay as they are.
    let weights = if filter.dtype == DType::I8 {
        let taps = filter.elements() / filter.shape[0];
        let bytes = constant::<i8>(filter)?;
        let channels = bytes.chunks(taps).zip(weight_scales(filter, 0)?);
        channels
            .flat_map(|(own, scale)| own.iter().map(move |&weight| f32::from(weight) * scale))
            .collect()
    } else {
        filter.floats()?
    };
    let bias = float_bias(*bias, window.input[3])?;
    let clamp = clamp(*fused);
    let path = "float transposed convolution";
    Ok(Step::new(path, [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary();
        let given = (x, weights.as_slice(), bias.as_deref());
        Ok(real(&window, [clamp.min, clamp.max], given, out)?)
    }))
}
