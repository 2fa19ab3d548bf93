//! `QUANTIZE`, `DEQUANTIZE`, `CAST`: from one element type to another.

use bytemuck::Pod;
use scalebench_kernels::element::{Byte, Element};
use scalebench_kernels::quantise::{Requantise, dequantise, dequantise_channels, quantise};
use scalebench_kernels::shape::Shape;
use scalebench_kernels::table::{Table, map};
use tract_core::internal::f16;

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken, unsupported};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;

fn each<T: Pod, O: Pod>(
    input: &Argument<'_>,
    output: &Argument<'_>,
    path: &'static str,
    f: impl Fn(T) -> O + Send + Sync + 'static,
) -> Lowered {
    let step = Step::new(path, [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary::<T, O>();
        Ok(map(x, out, &f)?)
    });
    Lowered::step(input.shape.to_vec(), step)
}

pub(super) fn quantize(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    fn real<T: Element + Pod>(
        input: &Argument<'_>,
        output: &Argument<'_>,
    ) -> Result<Lowered, Refusal> {
        let to = output.quantisation()?;
        let step = Step::new("quantise", [input.tensor], output.tensor, move |io| {
            let (x, out) = io.unary::<f32, T>();
            Ok(quantise(to, x, out)?)
        });
        Ok(Lowered::step(input.shape.to_vec(), step))
    }
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    match (input.dtype, output.dtype) {
        (DType::F32, DType::I8) => real::<i8>(&input, &output),
        (DType::F32, DType::U8) => real::<u8>(&input, &output),
        (DType::F32, DType::I16) => real::<i16>(&input, &output),
        (DType::I8, _) => bytes::<i8>(&input, &output),
        (DType::U8, _) => bytes::<u8>(&input, &output),
        (DType::I16, _) => rescaled::<i16>(&input, &output),
        (DType::I32, _) => rescaled::<i32>(&input, &output),
        (a, b) => unsupported(format!("{a} to {b}")),
    }
}

/// From bytes to another quantisation; to bytes by a table.
fn bytes<T: Byte + Pod + Into<i32>>(
    input: &Argument<'_>,
    output: &Argument<'_>,
) -> Result<Lowered, Refusal> {
    fn looked_up<T: Byte + Pod, O: Byte + Pod>(
        input: &Argument<'_>,
        output: &Argument<'_>,
    ) -> Result<Lowered, Refusal> {
        let by = Requantise::new(input.quantisation()?, output.quantisation()?)?;
        let table = Table::new(|x: T| O::saturate(by.apply(x.widen())));
        let step = Step::new("byte table", [input.tensor], output.tensor, move |io| {
            let (x, out) = io.unary::<T, O>();
            Ok(table.run(x, out)?)
        });
        Ok(Lowered::step(input.shape.to_vec(), step.costing(0, 256)))
    }
    match output.dtype {
        DType::I8 => looked_up::<T, i8>(input, output),
        DType::U8 => looked_up::<T, u8>(input, output),
        _ => rescaled::<T>(input, output),
    }
}

/// From integers to another quantisation, one by one.
fn rescaled<T: Pod + Into<i32>>(
    input: &Argument<'_>,
    output: &Argument<'_>,
) -> Result<Lowered, Refusal> {
    let by = Requantise::new(input.quantisation()?, output.quantisation()?)?;
    let path = "requantise";
    match output.dtype {
        DType::I8 => Ok(each(input, output, path, move |x: T| {
            i8::saturate(by.apply(x.into()))
        })),
        DType::U8 => Ok(each(input, output, path, move |x: T| {
            u8::saturate(by.apply(x.into()))
        })),
        DType::I16 => Ok(each(input, output, path, move |x: T| {
            i16::saturate(by.apply(x.into()))
        })),
        DType::I32 => Ok(each(input, output, path, move |x: T| by.apply(x.into()))),
        other => unsupported(format!("{} to {other}", input.dtype)),
    }
}

pub(super) fn dequantize(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    fn real<T: Element + Pod>(
        input: &Argument<'_>,
        output: &Argument<'_>,
    ) -> Result<Lowered, Refusal> {
        let from = input.quantisation()?;
        let step = Step::new("dequantise", [input.tensor], output.tensor, move |io| {
            let (x, out) = io.unary::<T, f32>();
            Ok(dequantise(from, x, out)?)
        });
        Ok(Lowered::step(input.shape.to_vec(), step))
    }
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    output.expect(DType::F32)?;
    let channelwise = input.scales.is_some_and(|scales| scales.scales.len() > 1);
    match input.dtype {
        DType::F16 => Ok(each(&input, &output, "half to single", |bits: u16| {
            f16::from_bits(bits).to_f32()
        })),
        DType::I8 if channelwise => by_channel(&input, &output),
        DType::I8 => real::<i8>(&input, &output),
        DType::U8 => real::<u8>(&input, &output),
        DType::I16 => real::<i16>(&input, &output),
        DType::I32 => {
            let from = input.quantisation()?;
            Ok(each(&input, &output, "dequantise", move |x: i32| {
                (f64::from(from.scale) * (f64::from(x) - f64::from(from.zero))) as f32
            }))
        }
        other => unsupported(format!("{other} to f32")),
    }
}

/// Weights with a scale for each index of an axis.
fn by_channel(input: &Argument<'_>, output: &Argument<'_>) -> Result<Lowered, Refusal> {
    let Some(scales) = input.scales.cloned() else {
        return broken("no scales");
    };
    let inner = Shape::new(input.shape)?.around(scales.axis)?.inner;
    let step = Step::new("dequantise", [input.tensor], output.tensor, move |io| {
        let (x, out) = io.unary::<i8, f32>();
        let (scales, zeros) = (&scales.scales, &scales.zero_points);
        Ok(dequantise_channels(scales, zeros, inner, x, out)?)
    });
    Ok(Lowered::step(input.shape.to_vec(), step))
}

pub(super) fn cast(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let (input, output) = (cx.input(operator, 0)?, cx.output(operator, 0)?);
    macro_rules! casts {
        ($(($from:ident, $a:ty)),+ => $to:tt) => {
            match (input.dtype, output.dtype) {
                (a, b) if a == b => Ok(Lowered::same(input.shape.to_vec(), input.tensor)),
                $((DType::$from, to) => casts!(@to $a, to, $to),)+
                (DType::Bool, to) => casts!(@truth to, $to),
                (a, b) => unsupported(format!("{a} to {b}")),
            }
        };
        (@to $a:ty, $dtype:expr, [$(($to:ident, $b:ty)),+]) => {
            match $dtype {
                $(DType::$to => Ok(each(&input, &output, "cast", |x: $a| x as $b)),)+
                DType::Bool => Ok(each(&input, &output, "cast", |x: $a| u8::from(x != <$a>::default()))),
                other => unsupported(format!("{} to {other}", input.dtype)),
            }
        };
        (@truth $dtype:expr, [$(($to:ident, $b:ty)),+]) => {
            match $dtype {
                $(DType::$to => Ok(each(&input, &output, "cast", |x: u8| u8::from(x != 0) as $b)),)+
                other => unsupported(format!("bool to {other}")),
            }
        };
    }
    casts! {
        (F32, f32), (I64, i64), (I32, i32), (I16, i16), (I8, i8), (U8, u8) =>
        [(F32, f32), (I64, i64), (I32, i32), (I16, i16), (I8, i8), (U8, u8)]
    }
}
