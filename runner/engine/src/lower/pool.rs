//! `AVERAGE_POOL_2D`, `MAX_POOL_2D`, `L2_POOL_2D`.

use bytemuck::Pod;
use scalebench_kernels::element::{Activation, Element};
use scalebench_kernels::pool::{Pool, RealPool};
use scalebench_kernels::window::Window;
use tract_tflite::tflite::BuiltinOperator as B;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, unsupported};
use crate::lower::scheme::{activation, clamp};
use crate::lower::window::Sliding;
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;

pub(super) fn pool(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let options = operator
        .table
        .builtin_options_as_pool_2_doptions()
        .ok_or_else(|| Refusal::Broken("it has no Pool2DOptions".into()))?;
    let kernel = match [options.filter_height(), options.filter_width()].map(usize::try_from) {
        [Ok(height), Ok(width)] => [height, width],
        _ => return Err(Refusal::Broken("a window of negative size".into())),
    };
    let window = cx.plain_window(
        operator,
        Sliding {
            kernel,
            stride: [options.stride_h(), options.stride_w()],
            dilation: [1, 1],
            padding: options.padding(),
        },
    )?;
    let fused = activation(options.fused_activation_function())?;
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    output.expect(input.dtype)?;
    match input.dtype {
        DType::F32 => {
            let clamp = clamp(fused);
            let kernel = RealPool {
                window,
                bounds: [clamp.min, clamp.max],
            };
            let code = operator.code;
            let step = Step::new("float pool", [input.tensor], output.tensor, move |io| {
                let (x, out) = io.unary();
                Ok(match code {
                    B::AVERAGE_POOL_2D => kernel.average(x, out),
                    B::MAX_POOL_2D => kernel.max(x, out),
                    _ => kernel.l2(x, out),
                }?)
            });
            Ok(Lowered::step(window.output.to_vec(), step))
        }
        DType::I8 => integer::<i8>(operator.code, window, fused, &input, &output),
        DType::U8 => integer::<u8>(operator.code, window, fused, &input, &output),
        DType::I16 => integer::<i16>(operator.code, window, fused, &input, &output),
        other => unsupported(format!("elements of {other}")),
    }
}

fn integer<T: Element + Pod>(
    code: B,
    window: Window,
    fused: Activation,
    input: &Argument<'_>,
    output: &Argument<'_>,
) -> Result<Lowered, Refusal> {
    if code == B::L2_POOL_2D {
        return unsupported("no integer kernel for this pool");
    }
    if input.quantization()? != output.quantization()? {
        return unsupported("input and output with different quantisation");
    }
    let kernel = Pool {
        window,
        range: fused.range::<T>(output.quantisation()?),
    };
    let average = code == B::AVERAGE_POOL_2D;
    let step = Step::new("integer pool", [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary::<T, T>();
        Ok(if average {
            kernel.average(x, out)
        } else {
            kernel.max(x, out)
        }?)
    });
    Ok(Lowered::step(window.output.to_vec(), step))
}
