//! `DEPTHWISE_CONV_2D`.

use scalebench_kernels::{depthwise as kernels, float, hybrid};

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken, unsupported};
use crate::lower::packed::{Hybrid, Words, bytewise, memory};
use crate::lower::scheme::{
    activation, channelwise, clamp, float_bias, integer_bias, stage, weight_scales,
};
use crate::lower::window::Sliding;
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;
use scalebench_kernels::element::Activation;
use scalebench_kernels::window::Window;

/// A depthwise convolution, but for its element types.
struct Depthwise<'l> {
    window: Window,
    fused: Activation,
    input: Argument<'l>,
    filter: Argument<'l>,
    bias: Option<Argument<'l>>,
    output: Argument<'l>,
}

impl Depthwise<'_> {
    fn channels(&self) -> usize {
        self.window.output[3]
    }

    fn lowered(&self, step: Step, weight_bytes: usize) -> Lowered {
        let positions: usize = self.window.output.iter().product();
        let taps: usize = self.window.kernel.iter().product();
        let macs = positions as u64 * taps as u64;
        Lowered::step(
            self.window.output.to_vec(),
            step.costing(macs, weight_bytes),
        )
    }
}

pub(super) fn depthwise(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let options = operator
        .table
        .builtin_options_as_depthwise_conv_2_doptions()
        .ok_or_else(|| Refusal::Broken("it has no DepthwiseConv2DOptions".into()))?;
    let filter = cx.input(operator, 1)?;
    let &[1, height, width, channels] = filter.shape else {
        return broken(format!(
            "weights of the shape {:?}, [1, height, width, channels] is due",
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
    let depth = window.input[3];
    if channels == 0 || !channels.is_multiple_of(depth) {
        return broken(format!(
            "{depth} input channels, weights for {channels} output channels"
        ));
    }
    let depthwise = Depthwise {
        window,
        fused: activation(options.fused_activation_function())?,
        input,
        filter,
        bias: cx.optional(operator, 2),
        output: cx.output(operator, 0)?,
    };
    match (input.dtype, filter.dtype, depthwise.output.dtype) {
        (DType::I8, DType::I8, DType::I8) | (DType::U8, DType::U8, DType::U8) => {
            integer(cx, &depthwise)
        }
        (DType::I16, DType::I8, DType::I16) => words(&depthwise),
        (DType::F32, DType::F32, DType::F32) => float(cx, &depthwise),
        (DType::F32, DType::I8, DType::F32) => dynamic(cx, &depthwise),
        (a, b, c) => unsupported(format!("{a} inputs and {b} weights to {c}")),
    }
}

/// From tap, channel to channel, tap: a depthwise convolution as one of as many groups as channels.
fn by_channel(weights: &[i8], channels: usize) -> Vec<i8> {
    (0..channels)
        .flat_map(|channel| weights.iter().skip(channel).step_by(channels).copied())
        .collect()
}

fn integer(cx: &Lowering<'_, '_>, depthwise: &Depthwise<'_>) -> Result<Lowered, Refusal> {
    let Depthwise {
        input,
        filter,
        output,
        ..
    } = depthwise;
    let unsigned = input.dtype == DType::U8;
    let kernel = kernels::Depthwise::new(
        cx.isa,
        kernels::Params {
            window: depthwise.window,
            input_zero: input.signed_zero()?,
            weight_zero: if unsigned { filter.signed_zero()? } else { 0 },
            output: stage(output, depthwise.fused)?,
        },
    )?;
    let multipliers = channelwise(input, filter, output, 3)?;
    let bias = integer_bias(depthwise.bias, depthwise.channels())?;
    let mut packed = memory(kernel.packed_len())?;
    kernel.pack(
        &filter.signed_constant()?,
        bias.as_deref(),
        &multipliers,
        packed.bytes_mut(),
    )?;
    let weight_bytes = packed.bytes().len();
    let scratch = kernel.scratch_len();
    let paths = ["int8 depthwise convolution", "uint8 depthwise convolution"];
    let step = bytewise(paths, input, output, scratch, move |input, scratch, out| {
        kernel.run(packed.bytes(), input, scratch, out)
    });
    Ok(depthwise.lowered(step, weight_bytes))
}

fn words(depthwise: &Depthwise<'_>) -> Result<Lowered, Refusal> {
    let Depthwise {
        input,
        filter,
        output,
        ..
    } = depthwise;
    let window = depthwise.window;
    let range = depthwise.fused.range::<i16>(output.quantisation()?);
    let channels = [3, depthwise.channels()];
    let words = Words::new(input, filter, depthwise.bias, output, channels)?;
    let weight_bytes = filter.elements();
    let path = "int16 depthwise convolution";
    let step = Step::new(path, [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary();
        Ok(kernels::wide(&window, range, x, words.given(), out)?)
    });
    Ok(depthwise.lowered(step, weight_bytes))
}

fn float(cx: &Lowering<'_, '_>, depthwise: &Depthwise<'_>) -> Result<Lowered, Refusal> {
    let Depthwise {
        input,
        filter,
        output,
        ..
    } = depthwise;
    let kernel = float::Depthwise::new(cx.isa, depthwise.window, clamp(depthwise.fused))?;
    let weights = filter.floats()?;
    let bias = float_bias(depthwise.bias, depthwise.channels())?;
    let weight_bytes = weights.len() * size_of::<f32>();
    let step = Step::new(
        "float depthwise convolution",
        [input.tensor],
        output.tensor,
        move |io| {
            let (input, out) = io.unary();
            Ok(kernel.run((&weights, bias.as_deref()), input, out)?)
        },
    );
    Ok(depthwise.lowered(step, weight_bytes))
}

fn dynamic(cx: &Lowering<'_, '_>, depthwise: &Depthwise<'_>) -> Result<Lowered, Refusal> {
    let Depthwise {
        input,
        filter,
        output,
        ..
    } = depthwise;
    let kernel = hybrid::Conv::new(
        cx.isa,
        depthwise.window,
        depthwise.window.input[3],
        hybrid::Scheme::Asymmetric,
        clamp(depthwise.fused),
    )?;
    let weights = by_channel(&filter.signed_constant()?, depthwise.channels());
    let mut packed = memory(kernel.packed_len())?;
    kernel.pack(&weights, packed.bytes_mut())?;
    let weight_bytes = packed.bytes().len();
    let hybrid = Hybrid::new(
        packed,
        &weights,
        weight_scales(filter, 3)?,
        float_bias(depthwise.bias, depthwise.channels())?,
        kernel.scratch_len(),
    );
    let scratch = hybrid.scratch();
    let path = "dynamic-range depthwise convolution";
    let step = Step::new(path, [input.tensor], output.tensor, move |io| {
        hybrid.run(io, |columns, input, scratch, out| {
            kernel.run(columns, input, scratch, out)
        })
    })
    .scratch(scratch);
    Ok(depthwise.lowered(step, weight_bytes))
}
