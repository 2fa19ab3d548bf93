//! `CONV_2D`.

use scalebench_kernels::{conv, float, hybrid, wide};
use tract_tflite::tflite::Conv2DOptions;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken, unsupported};
use crate::lower::packed::{Hybrid, Words, bytewise, floats, memory};
use crate::lower::scheme::{
    activation, channelwise, clamp, float_bias, integer_bias, stage, weight_scales,
};
use crate::lower::window::Sliding;
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;

/// Everything about a convolution but its element types.
struct Dense<'l> {
    window: scalebench_kernels::window::Window,
    groups: usize,
    fused: scalebench_kernels::element::Activation,
    input: Argument<'l>,
    filter: Argument<'l>,
    bias: Option<Argument<'l>>,
    output: Argument<'l>,
}

impl Dense<'_> {
    fn macs(&self) -> u64 {
        let [_, height, width, depth] = self.filter.shape[..] else {
            return 0;
        };
        let positions: usize = self.window.output.iter().product();
        positions as u64 * (height * width * depth) as u64
    }

    fn lowered(&self, step: Step, weight_bytes: usize) -> Lowered {
        Lowered::step(
            self.window.output.to_vec(),
            step.costing(self.macs(), weight_bytes),
        )
    }
}

pub(super) fn dense(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let options: Conv2DOptions<'_> = operator
        .table
        .builtin_options_as_conv_2_doptions()
        .ok_or_else(|| Refusal::Broken("it has no Conv2DOptions".into()))?;
    let filter = cx.input(operator, 1)?;
    let &[channels, height, width, depth] = filter.shape else {
        return broken(format!(
            "weights of the shape {:?}, four dimensions are due",
            filter.shape
        ));
    };
    let sliding = Sliding {
        kernel: [height, width],
        stride: [options.stride_h(), options.stride_w()],
        dilation: [options.dilation_h_factor(), options.dilation_w_factor()],
        padding: options.padding(),
    };
    let (window, input) = cx.window(operator, sliding, channels)?;
    if depth == 0 || !window.input[3].is_multiple_of(depth) {
        return broken(format!(
            "{} input channels, weights for {depth}",
            window.input[3]
        ));
    }
    let dense = Dense {
        window,
        groups: window.input[3] / depth,
        fused: activation(options.fused_activation_function())?,
        input,
        filter,
        bias: cx.optional(operator, 2),
        output: cx.output(operator, 0)?,
    };
    match (input.dtype, filter.dtype, dense.output.dtype) {
        (DType::I8, DType::I8, DType::I8) | (DType::U8, DType::U8, DType::U8) => {
            integer(cx, &dense)
        }
        (DType::I16, DType::I8, DType::I16) => words(&dense),
        (DType::F32, DType::F32, DType::F32) => float(cx, &dense),
        (DType::F32, DType::I8, DType::F32) => dynamic(cx, &dense),
        (a, b, c) => unsupported(format!("{a} inputs and {b} weights to {c}")),
    }
}

fn integer(cx: &Lowering<'_, '_>, dense: &Dense<'_>) -> Result<Lowered, Refusal> {
    let Dense {
        input,
        filter,
        output,
        ..
    } = dense;
    let unsigned = input.dtype == DType::U8;
    let weight_zero = if unsigned { filter.signed_zero()? } else { 0 };
    let kernel = conv::Conv::new(
        cx.isa,
        conv::Params {
            window: dense.window,
            groups: dense.groups,
            input_zero: input.signed_zero()?,
            weight_zero,
            output: stage(output, dense.fused)?,
        },
    )?;
    let multipliers = channelwise(input, filter, output, 0)?;
    let bias = integer_bias(dense.bias, filter.shape[0])?;
    let mut packed = memory(kernel.packed_len())?;
    kernel.pack(
        &filter.signed_constant()?,
        bias.as_deref(),
        &multipliers,
        packed.bytes_mut(),
    )?;
    let weight_bytes = packed.bytes().len();
    let scratch = kernel.scratch_len();
    let paths = ["int8 convolution", "uint8 convolution"];
    let step = bytewise(paths, input, output, scratch, move |input, scratch, out| {
        kernel.run(packed.bytes(), input, scratch, out)
    });
    Ok(dense.lowered(step, weight_bytes))
}

fn words(dense: &Dense<'_>) -> Result<Lowered, Refusal> {
    let Dense {
        input,
        filter,
        output,
        ..
    } = dense;
    let channels = filter.shape[0];
    let (window, groups) = (dense.window, dense.groups);
    let range = dense.fused.range::<i16>(output.quantisation()?);
    let words = Words::new(input, filter, dense.bias, output, [0, channels])?;
    let weight_bytes = filter.elements();
    let path = "int16 convolution";
    let step = Step::new(path, [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary();
        Ok(wide::conv(&window, groups, range, x, words.given(), out)?)
    });
    Ok(dense.lowered(step, weight_bytes))
}

fn float(cx: &Lowering<'_, '_>, dense: &Dense<'_>) -> Result<Lowered, Refusal> {
    let Dense {
        input,
        filter,
        output,
        ..
    } = dense;
    let kernel = float::Conv::new(cx.isa, dense.window, dense.groups, clamp(dense.fused))?;
    let bias = float_bias(dense.bias, filter.shape[0])?;
    let mut packed = memory(kernel.packed_len() * size_of::<f32>())?;
    kernel.pack(
        &filter.floats()?,
        bias.as_deref(),
        bytemuck::cast_slice_mut(packed.bytes_mut()),
    )?;
    let weight_bytes = packed.bytes().len();
    let scratch = kernel.scratch_len() * size_of::<f32>();
    let step = Step::new(
        "float convolution",
        [input.tensor],
        output.tensor,
        move |io| {
            let (input, scratch, out) = io.with_scratch();
            Ok(kernel.run(floats(&packed), input, scratch, out)?)
        },
    )
    .scratch(scratch);
    Ok(dense.lowered(step, weight_bytes))
}

fn dynamic(cx: &Lowering<'_, '_>, dense: &Dense<'_>) -> Result<Lowered, Refusal> {
    let Dense {
        input,
        filter,
        output,
        ..
    } = dense;
    let channelwise = filter.scales.is_some_and(|scales| scales.scales.len() > 1);
    let scheme = if channelwise {
        hybrid::Scheme::Asymmetric
    } else {
        hybrid::Scheme::Symmetric
    };
    let kernel = hybrid::Conv::new(
        cx.isa,
        dense.window,
        dense.groups,
        scheme,
        clamp(dense.fused),
    )?;
    let weights = filter.signed_constant()?;
    let mut packed = memory(kernel.packed_len())?;
    kernel.pack(&weights, packed.bytes_mut())?;
    let weight_bytes = packed.bytes().len();
    let hybrid = Hybrid::new(
        packed,
        &weights,
        weight_scales(filter, 0)?,
        float_bias(dense.bias, filter.shape[0])?,
        kernel.scratch_len(),
    );
    let scratch = hybrid.scratch();
    let step = Step::new(
        "dynamic-range convolution",
        [input.tensor],
        output.tensor,
        move |io| {
            hybrid.run(io, |columns, input, scratch, out| {
                kernel.run(columns, input, scratch, out)
            })
        },
    )
    .scratch(scratch);
    Ok(dense.lowered(step, weight_bytes))
}
