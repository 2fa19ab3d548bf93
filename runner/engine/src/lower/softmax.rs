//! `SOFTMAX`, `LOG_SOFTMAX` and `L2_NORMALIZATION`, along the innermost axis.

use bytemuck::Pod;
use scalebench_kernels::element::{Byte, Element};
use scalebench_kernels::norm;
use scalebench_kernels::softmax::{self, Softmax, WideSoftmax};
use tract_tflite::tflite::ActivationFunctionType;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken, unsupported};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;

pub(super) fn softmax(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let beta = operator
        .table
        .builtin_options_as_softmax_options()
        .map_or(1.0, |options| options.beta());
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    let depth = depth(&input)?;
    match (input.dtype, output.dtype) {
        (DType::F32, DType::F32) => {
            let step = Step::new("float softmax", [input.tensor], output.tensor, move |io| {
                let (x, out) = io.unary();
                Ok(softmax::real(beta, depth, x, out)?)
            });
            Ok(Lowered::step(input.shape.to_vec(), step))
        }
        (DType::I8, DType::I8) => bytes::<i8, i8>(&input, &output, beta, depth),
        (DType::I8, DType::I16) => bytes::<i8, i16>(&input, &output, beta, depth),
        (DType::U8, DType::U8) => bytes::<u8, u8>(&input, &output, beta, depth),
        (DType::I16, DType::I16) => {
            let kernel = WideSoftmax::new(input.quantisation()?, beta)?;
            let step = Step::new("int16 softmax", [input.tensor], output.tensor, move |io| {
                let (x, out) = io.unary();
                Ok(kernel.run(depth, x, out)?)
            });
            Ok(Lowered::step(input.shape.to_vec(), step))
        }
        (a, b) => unsupported(format!("{a} to {b}")),
    }
}

fn depth(input: &Argument<'_>) -> Result<usize, Refusal> {
    match input.shape.last() {
        Some(&depth) if depth > 0 => Ok(depth),
        _ => broken(format!("its input has the shape {:?}", input.shape)),
    }
}

/// The output's scale is fixed by the reference: 1/256, of int16 1/65536.
fn bytes<T: Byte + Pod, O: Element + Pod>(
    input: &Argument<'_>,
    output: &Argument<'_>,
    beta: f32,
    depth: usize,
) -> Result<Lowered, Refusal> {
    let kernel = Softmax::new::<T>(input.quantisation()?, beta)?;
    let quantization = output.quantization()?;
    let (scale, zero) = match output.dtype {
        DType::I16 => (1.0 / 65536.0, -32768),
        DType::U8 => (1.0 / 256.0, 0),
        _ => (1.0 / 256.0, -128),
    };
    if (quantization.scale - scale).abs() > 0.001 * scale || quantization.zero_point != zero {
        return broken(format!(
            "its output is quantised with {quantization:?}, {scale} and {zero} are due"
        ));
    }
    let step = Step::new(
        "integer softmax",
        [input.tensor],
        output.tensor,
        move |io| {
            let (x, out) = io.unary::<T, O>();
            Ok(kernel.run(depth, x, out)?)
        },
    );
    Ok(Lowered::step(input.shape.to_vec(), step))
}

pub(super) fn log_softmax(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    input.expect(DType::F32)?;
    output.expect(DType::F32)?;
    let depth = depth(&input)?;
    let step = Step::new(
        "float log softmax",
        [input.tensor],
        output.tensor,
        move |io| {
            let (x, out) = io.unary();
            Ok(softmax::log(depth, x, out)?)
        },
    );
    Ok(Lowered::step(input.shape.to_vec(), step))
}

/// The output's scale is fixed by the reference: 1/128.
pub(super) fn l2_normalization(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    fn bytes<T: Byte + Pod>(
        input: &Argument<'_>,
        output: &Argument<'_>,
        depth: usize,
    ) -> Result<Step, Refusal> {
        let from = input.quantisation()?;
        let path = "integer normalisation";
        Ok(Step::new(path, [input.tensor], output.tensor, move |io| {
            let (x, out) = io.unary::<T, T>();
            Ok(norm::quantised(from, depth, x, out)?)
        }))
    }
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    output.expect(input.dtype)?;
    let options = operator.table.builtin_options_as_l2_norm_options();
    if options.is_some_and(|o| o.fused_activation_function() != ActivationFunctionType::NONE) {
        return unsupported("a fused activation");
    }
    let depth = depth(&input)?;
    let step = match input.dtype {
        DType::F32 => {
            let path = "float normalisation";
            Step::new(path, [input.tensor], output.tensor, move |io| {
                let (x, out) = io.unary();
                Ok(norm::real(depth, x, out)?)
            })
        }
        DType::I8 => bytes::<i8>(&input, &output, depth)?,
        DType::U8 => bytes::<u8>(&input, &output, depth)?,
        other => return unsupported(format!("elements of {other}")),
    };
    Ok(Lowered::step(input.shape.to_vec(), step))
}
