//! Functions of single elements: activations and their kin.

use bytemuck::Pod;
use scalebench_kernels::activation::{Abs, Function, HardSwish, LeakyRelu, Relu, Rsqrt, Sigmoid};
use scalebench_kernels::element::{Byte, Quantisation};
use scalebench_kernels::table::{Interpolated, Table, map};
use tract_tflite::tflite::BuiltinOperator as B;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, unsupported};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;

/// The real function of an operator.
fn function(operator: &Operator<'_>) -> Result<Function, Refusal> {
    let table = &operator.table;
    Ok(match operator.code {
        B::RELU => Function::Clamp([0.0, f32::INFINITY]),
        B::RELU6 => Function::Clamp([0.0, 6.0]),
        B::RELU_N1_TO_1 => Function::Clamp([-1.0, 1.0]),
        B::RELU_0_TO_1 => Function::Clamp([0.0, 1.0]),
        B::LEAKY_RELU => Function::LeakyRelu(
            table
                .builtin_options_as_leaky_relu_options()
                .map_or(0.0, |o| o.alpha()),
        ),
        B::LOGISTIC => Function::Logistic,
        B::TANH => Function::Tanh,
        B::HARD_SWISH => Function::HardSwish,
        B::GELU
            if table
                .builtin_options_as_gelu_options()
                .is_some_and(|o| o.approximate()) =>
        {
            Function::GeluByTanh
        }
        B::GELU => Function::Gelu,
        B::ELU => Function::Elu,
        B::EXP => Function::Exp,
        B::LOG => Function::Log,
        B::SQRT => Function::Sqrt,
        B::RSQRT => Function::Rsqrt,
        B::SQUARE => Function::Square,
        B::ABS => Function::Abs,
        B::NEG => Function::Neg,
        B::FLOOR => Function::Floor,
        B::CEIL => Function::Ceil,
        B::ROUND => Function::Round,
        B::SIN => Function::Sin,
        B::COS => Function::Cos,
        _ => return unsupported("no kernel for this function"),
    })
}

/// Any function of one element.
pub(super) fn unary(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    output.expect(input.dtype)?;
    let function = function(operator)?;
    match input.dtype {
        DType::F32 => {
            let isa = cx.isa;
            let path = "float function";
            let step = Step::new(path, [input.tensor], output.tensor, move |io| {
                let (x, out) = io.unary();
                Ok(function.run(isa, x, out)?)
            });
            Ok(Lowered::step(input.shape.to_vec(), step))
        }
        DType::I8 => {
            let table = match (operator.code, input.quantisation()?, output.quantisation()?) {
                (B::RSQRT, from, to) => {
                    let kernel = Rsqrt::new(from, to)?;
                    Table::new(|x| kernel.apply(x))
                }
                (code, from, to) => byte::<i8>(code, function, from, to)?,
            };
            Ok(looked_up::<i8>(&input, &output, table))
        }
        DType::U8 => {
            let (from, to) = (input.quantisation()?, output.quantisation()?);
            let table = byte::<u8>(operator.code, function, from, to)?;
            Ok(looked_up::<u8>(&input, &output, table))
        }
        DType::I16 => wide(operator, function, &input, &output),
        DType::I32 => {
            let whole: fn(i32) -> i32 = match operator.code {
                B::NEG => i32::wrapping_neg,
                B::ABS => i32::wrapping_abs,
                B::SQUARE => |x| x.wrapping_mul(x),
                _ => return unsupported("no i32 kernel for this function"),
            };
            Ok(each(&input, &output, "i32 function", whole))
        }
        DType::I64 if operator.code == B::NEG => {
            Ok(each(&input, &output, "i64 function", i64::wrapping_neg))
        }
        other => unsupported(format!("elements of {other}")),
    }
}

fn each<T: Pod>(
    input: &Argument<'_>,
    output: &Argument<'_>,
    path: &'static str,
    f: impl Fn(T) -> T + Send + Sync + 'static,
) -> Lowered {
    let step = Step::new(path, [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary::<T, T>();
        Ok(map(x, out, &f)?)
    });
    Lowered::step(input.shape.to_vec(), step)
}

fn looked_up<T: Byte + Pod>(input: &Argument<'_>, output: &Argument<'_>, table: Table) -> Lowered {
    let step = Step::new("byte table", [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary::<T, T>();
        Ok(table.run(x, out)?)
    });
    Lowered::step(input.shape.to_vec(), step.costing(0, 256))
}

/// A function of positive numbers, and what the reference answers for others.
fn positive(function: Function, otherwise: f32) -> impl Fn(f32) -> f32 {
    move |x| {
        if x > 0.0 {
            function.apply(x)
        } else {
            otherwise
        }
    }
}

/// The table of a function of bytes.
fn byte<T: Byte>(
    code: B,
    function: Function,
    from: Quantisation,
    to: Quantisation,
) -> Result<Table, Refusal> {
    Ok(match (code, function) {
        (B::RELU | B::RELU6 | B::RELU_N1_TO_1 | B::RELU_0_TO_1, Function::Clamp(bounds)) => {
            let kernel = Relu::new::<T>(from, to, bounds)?;
            Table::new(|x: T| kernel.apply(x))
        }
        (_, Function::LeakyRelu(alpha)) => {
            let kernel = LeakyRelu::new::<T>(from, to, alpha)?;
            Table::new(|x: T| kernel.apply(x))
        }
        (B::HARD_SWISH, _) => {
            let kernel = HardSwish::new::<T>(from, to)?;
            Table::new(|x: T| kernel.apply(x))
        }
        (B::ABS, _) => {
            let kernel = Abs::new::<T>(from, to)?;
            Table::new(|x: T| kernel.apply(x))
        }
        (B::LOG, _) => {
            let least = (T::MIN - to.zero) as f32 * to.scale;
            Table::real::<T>(from, to, positive(function, least))?
        }
        (B::LOGISTIC | B::TANH | B::GELU | B::ELU | B::EXP, _) => {
            Table::real::<T>(from, to, |x| function.apply(x))?
        }
        _ => return unsupported("no integer kernel for this function"),
    })
}

fn wide(
    operator: &Operator<'_>,
    function: Function,
    input: &Argument<'_>,
    output: &Argument<'_>,
) -> Result<Lowered, Refusal> {
    let (from, to) = (input.quantisation()?, output.quantisation()?);
    let path = "int16 function";
    Ok(match (operator.code, function) {
        (B::LOGISTIC, _) => {
            let kernel = Sigmoid::logistic(from)?;
            each(input, output, path, move |x: i16| kernel.apply(x))
        }
        (B::TANH, _) => {
            let kernel = Sigmoid::tanh(from)?;
            each(input, output, path, move |x: i16| kernel.apply(x))
        }
        (B::RELU | B::RELU6 | B::RELU_N1_TO_1 | B::RELU_0_TO_1, Function::Clamp(bounds)) => {
            let kernel = Relu::new::<i16>(from, to, bounds)?;
            each(input, output, path, move |x: i16| kernel.apply(x))
        }
        (_, Function::LeakyRelu(alpha)) => {
            let kernel = LeakyRelu::new::<i16>(from, to, alpha)?;
            each(input, output, path, move |x: i16| kernel.apply(x))
        }
        (B::ABS, _) => {
            let kernel = Abs::new::<i16>(from, to)?;
            each(input, output, path, move |x: i16| kernel.apply(x))
        }
        (B::RSQRT, _) => {
            let most = 32767.0 * to.scale;
            let kernel = Interpolated::real(from, to, positive(function, most))?;
            each(input, output, path, move |x: i16| kernel.answer(x))
        }
        (B::EXP, _) => {
            let kernel = Interpolated::real(from, to, |x| function.apply(x))?;
            each(input, output, path, move |x: i16| kernel.answer(x))
        }
        _ => return unsupported("no int16 kernel for this function"),
    })
}

/// `LOGICAL_NOT`.
pub(super) fn not(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    input.expect(DType::Bool)?;
    output.expect(DType::Bool)?;
    Ok(each(&input, &output, "logic", |x: u8| u8::from(x == 0)))
}
