//! `FULLY_CONNECTED`.

use scalebench_kernels::element::Activation;
use scalebench_kernels::{float, fully_connected as integer, hybrid, wide};
use tract_tflite::tflite::FullyConnectedOptionsWeightsFormat;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken, unsupported};
use crate::lower::packed::{Hybrid, Words, bytewise, floats, memory};
use crate::lower::scheme::{
    activation, channelwise, clamp, float_bias, integer_bias, stage, weight_scales, whole,
};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;

/// A layer, but for its element types.
struct Layer<'l> {
    rows: usize,
    inputs: usize,
    outputs: usize,
    fused: Activation,
    symmetric: bool,
    input: Argument<'l>,
    filter: Argument<'l>,
    bias: Option<Argument<'l>>,
    output: Argument<'l>,
}

pub(super) fn fully_connected(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let options = operator
        .table
        .builtin_options_as_fully_connected_options()
        .ok_or_else(|| Refusal::Broken("it has no FullyConnectedOptions".into()))?;
    if options.weights_format() != FullyConnectedOptionsWeightsFormat::DEFAULT {
        return unsupported("shuffled weights");
    }
    let (input, filter) = (cx.input(operator, 0)?, cx.input(operator, 1)?);
    let &[outputs, inputs] = filter.shape else {
        return broken(format!(
            "weights of the shape {:?}, two dimensions are due",
            filter.shape
        ));
    };
    let elements = input.elements();
    if inputs == 0 || outputs == 0 || elements == 0 || !elements.is_multiple_of(inputs) {
        return broken(format!(
            "{elements} inputs for {inputs} weights of {outputs} outputs"
        ));
    }
    let layer = Layer {
        rows: elements / inputs,
        inputs,
        outputs,
        fused: activation(options.fused_activation_function())?,
        symmetric: !options.asymmetric_quantize_inputs(),
        input,
        filter,
        bias: cx.optional(operator, 2),
        output: cx.output(operator, 0)?,
    };
    let shape = match input.shape {
        [leading @ .., last] if options.keep_num_dims() => {
            if *last != inputs {
                return broken(format!("rows of {last} for {inputs} weights"));
            }
            leading.iter().copied().chain([outputs]).collect()
        }
        _ => vec![layer.rows, outputs],
    };
    let (step, weight_bytes) = match (input.dtype, filter.dtype, layer.output.dtype) {
        (DType::I8, DType::I8, DType::I8) | (DType::U8, DType::U8, DType::U8) => {
            quantised(cx, &layer)?
        }
        (DType::I16, DType::I8, DType::I16) => words(&layer)?,
        (DType::F32, DType::F32, DType::F32) if filter.constant.is_some() => float(cx, &layer)?,
        (DType::F32, DType::I8, DType::F32) => dynamic(cx, &layer)?,
        (a, b, c) => return unsupported(format!("{a} inputs and {b} weights to {c}")),
    };
    let macs = (layer.rows * inputs) as u64 * outputs as u64;
    Ok(Lowered::step(shape, step.costing(macs, weight_bytes)))
}

fn quantised(cx: &Lowering<'_, '_>, layer: &Layer<'_>) -> Result<(Step, usize), Refusal> {
    let Layer {
        input,
        filter,
        output,
        ..
    } = layer;
    let whole_tensor = filter.scales.is_some_and(|scales| scales.scales.len() == 1);
    let kernel = integer::FullyConnected::new(
        cx.isa,
        integer::Params {
            rows: layer.rows,
            inputs: layer.inputs,
            outputs: layer.outputs,
            input_zero: input.signed_zero()?,
            weight_zero: if whole_tensor {
                filter.signed_zero()?
            } else {
                0
            },
            output: stage(output, layer.fused)?,
        },
    )?;
    let multipliers = if whole_tensor {
        vec![whole(input, filter, output)?; layer.outputs]
    } else {
        channelwise(input, filter, output, 0)?
    };
    let bias = integer_bias(layer.bias, layer.outputs)?;
    let mut packed = memory(kernel.packed_len())?;
    kernel.pack(
        &filter.signed_constant()?,
        bias.as_deref(),
        &multipliers,
        packed.bytes_mut(),
    )?;
    let weight_bytes = packed.bytes().len();
    let scratch = kernel.scratch_len();
    let paths = ["int8 fully connected", "uint8 fully connected"];
    let step = bytewise(paths, input, output, scratch, move |input, scratch, out| {
        kernel.run(packed.bytes(), input, scratch, out)
    });
    Ok((step, weight_bytes))
}

fn words(layer: &Layer<'_>) -> Result<(Step, usize), Refusal> {
    let Layer {
        input,
        filter,
        output,
        ..
    } = layer;
    let shape = [layer.rows, layer.inputs, layer.outputs];
    let range = layer.fused.range::<i16>(output.quantisation()?);
    let words = Words::new(input, filter, layer.bias, output, [0, layer.outputs])?;
    let path = "int16 fully connected";
    let step = Step::new(path, [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary();
        Ok(wide::fully_connected(shape, range, x, words.given(), out)?)
    });
    Ok((step, filter.elements()))
}

fn float(cx: &Lowering<'_, '_>, layer: &Layer<'_>) -> Result<(Step, usize), Refusal> {
    let Layer {
        input,
        filter,
        output,
        ..
    } = layer;
    let shape = [layer.rows, layer.inputs, layer.outputs];
    let kernel = float::FullyConnected::new(cx.isa, shape, clamp(layer.fused))?;
    let bias = float_bias(layer.bias, layer.outputs)?;
    let mut packed = memory(kernel.packed_len() * size_of::<f32>())?;
    kernel.pack(
        &filter.floats()?,
        bias.as_deref(),
        bytemuck::cast_slice_mut(packed.bytes_mut()),
    )?;
    let weight_bytes = packed.bytes().len();
    let step = Step::new(
        "float fully connected",
        [input.tensor],
        output.tensor,
        move |io| {
            let (input, out) = io.unary();
            Ok(kernel.run(floats(&packed), input, out)?)
        },
    );
    Ok((step, weight_bytes))
}

fn dynamic(cx: &Lowering<'_, '_>, layer: &Layer<'_>) -> Result<(Step, usize), Refusal> {
    let Layer {
        input,
        filter,
        output,
        ..
    } = layer;
    let scheme = if layer.symmetric {
        hybrid::Scheme::Symmetric
    } else {
        hybrid::Scheme::Asymmetric
    };
    let shape = [layer.rows, layer.inputs, layer.outputs];
    let kernel = hybrid::FullyConnected::new(cx.isa, shape, scheme, clamp(layer.fused))?;
    let weights = filter.signed_constant()?;
    let mut packed = memory(kernel.packed_len())?;
    kernel.pack(&weights, packed.bytes_mut())?;
    let weight_bytes = packed.bytes().len();
    let hybrid = Hybrid::new(
        packed,
        &weights,
        weight_scales(filter, 0)?,
        float_bias(layer.bias, layer.outputs)?,
        kernel.scratch_len(),
    );
    let scratch = hybrid.scratch();
    let step = Step::new(
        "dynamic-range fully connected",
        [input.tensor],
        output.tensor,
        move |io| {
            hybrid.run(io, |columns, input, scratch, out| {
                kernel.run(columns, input, scratch, out)
            })
        },
    )
    .scratch(scratch);
    Ok((step, weight_bytes))
}
