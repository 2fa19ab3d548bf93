//! Operators on pairs of elements, with broadcasting.

use bytemuck::Pod;
use scalebench_kernels::arithmetic::{Add, Mul, Operation, Plain, Prelu, SquaredDifference};
use scalebench_kernels::broadcast::{Binary, Broadcast};
use scalebench_kernels::compare::{Comparison, Quantised};
use scalebench_kernels::element::{Activation, Element};
use scalebench_kernels::shape::Shape;
use tract_tflite::tflite::{ActivationFunctionType, BuiltinOperator as B};

use crate::DType;
use crate::graph::Operator;
use crate::lower::argument::{Argument, broken, unsupported};
use crate::lower::scheme::{activation, clamp};
use crate::lower::{Lowered, Lowering, Refusal};
use crate::step::Step;

/// Both operands and the output.
struct Pair<'l> {
    a: Argument<'l>,
    b: Argument<'l>,
    output: Argument<'l>,
    plan: Broadcast,
}

impl<'l> Pair<'l> {
    fn of(cx: &'l Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Self, Refusal> {
        let (a, b, output) = (
            cx.input(operator, 0)?,
            cx.input(operator, 1)?,
            cx.output(operator, 0)?,
        );
        if a.dtype != b.dtype {
            return broken(format!("operands of {} and {}", a.dtype, b.dtype));
        }
        Ok(Self {
            plan: Broadcast::new(&Shape::new(a.shape)?, &Shape::new(b.shape)?)?,
            a,
            b,
            output,
        })
    }

    /// A step that applies `kernel` to every pair.
    fn lowered<T: Pod, O: Pod>(
        &self,
        cx: &Lowering<'_, '_>,
        path: &'static str,
        kernel: impl Binary<T, O> + Send + Sync + 'static,
    ) -> Lowered {
        let (plan, isa) = (self.plan, cx.isa);
        let inputs = [self.a.tensor, self.b.tensor];
        let step = Step::new(path, inputs, self.output.tensor, move |io| {
            let (a, b, out) = io.binary::<T, T, O>();
            Ok(plan.run(isa, &kernel, a, b, out)?)
        });
        Lowered::step(plan.output().extents().to_vec(), step)
    }

    /// The same for numbers that stand for themselves.
    fn plain(
        &self,
        cx: &Lowering<'_, '_>,
        operation: Operation,
        fused: Activation,
    ) -> Result<Lowered, Refusal> {
        self.output.expect(self.a.dtype)?;
        let clamp = clamp(fused);
        match self.a.dtype {
            DType::F32 => {
                let bounds = [clamp.min, clamp.max];
                Ok(self.lowered::<f32, f32>(cx, "float elementwise", Plain { operation, bounds }))
            }
            // The bounds saturate: without an activation they are those of the type.
            DType::I32 => {
                let bounds = [clamp.min as i32, clamp.max as i32];
                Ok(self.lowered::<i32, i32>(cx, "i32 elementwise", Plain { operation, bounds }))
            }
            DType::I64 => {
                let bounds = [clamp.min as i64, clamp.max as i64];
                Ok(self.lowered::<i64, i64>(cx, "i64 elementwise", Plain { operation, bounds }))
            }
            other => unsupported(format!("operands of {other}")),
        }
    }
}

/// The fused activation and whether `ADD` or `SUB` of int16 is meant to scale by powers of two.
fn fused(operator: &Operator<'_>) -> Result<Activation, Refusal> {
    let table = &operator.table;
    let function = match operator.code {
        B::ADD => table
            .builtin_options_as_add_options()
            .map(|o| o.fused_activation_function()),
        B::SUB => table
            .builtin_options_as_sub_options()
            .map(|o| o.fused_activation_function()),
        B::MUL => table
            .builtin_options_as_mul_options()
            .map(|o| o.fused_activation_function()),
        B::DIV => table
            .builtin_options_as_div_options()
            .map(|o| o.fused_activation_function()),
        _ => None,
    };
    activation(function.unwrap_or(ActivationFunctionType::NONE))
}

/// `ADD`, `SUB`, `MUL`, `DIV`, `SQUARED_DIFFERENCE`.
pub(super) fn arithmetic(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
) -> Result<Lowered, Refusal> {
    let pair = Pair::of(cx, operator)?;
    let fused = fused(operator)?;
    match pair.a.dtype {
        DType::I8 => quantised::<i8>(cx, operator, &pair, fused),
        DType::U8 => quantised::<u8>(cx, operator, &pair, fused),
        DType::I16 => quantised::<i16>(cx, operator, &pair, fused),
        _ => {
            let operation = match operator.code {
                B::ADD => Operation::Add,
                B::SUB => Operation::Subtract,
                B::MUL => Operation::Multiply,
                B::DIV => Operation::Divide,
                _ => Operation::SquaredDifference,
            };
            pair.plain(cx, operation, fused)
        }
    }
}

fn quantised<T: Element + Pod + Send + Sync>(
    cx: &Lowering<'_, '_>,
    operator: &Operator<'_>,
    pair: &Pair<'_>,
    fused: Activation,
) -> Result<Lowered, Refusal>
where
    Add: Binary<T>,
    Mul: Binary<T>,
{
    pair.output.expect(pair.a.dtype)?;
    let (a, b) = (pair.a.quantisation()?, pair.b.quantisation()?);
    let output = pair.output.quantisation()?;
    let path = "integer elementwise";
    match operator.code {
        B::ADD => Ok(pair.lowered::<T, T>(cx, path, Add::new::<T>(a, b, output, fused)?)),
        B::SUB => Ok(pair.lowered::<T, T>(cx, path, Add::subtract::<T>(a, b, output, fused)?)),
        B::MUL => Ok(pair.lowered::<T, T>(cx, path, Mul::new::<T>(a, b, output, fused)?)),
        B::SQUARED_DIFFERENCE if pair.a.dtype == DType::I8 => {
            Ok(pair.lowered::<i8, i8>(cx, path, SquaredDifference::new(a, b, output)?))
        }
        _ => unsupported(format!("operands of {}", pair.a.dtype)),
    }
}

/// `MAXIMUM` and `MINIMUM`; quantised operands keep their quantisation.
pub(super) fn extremum(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let pair = Pair::of(cx, operator)?;
    let operation = if operator.code == B::MAXIMUM {
        Operation::Maximum
    } else {
        Operation::Minimum
    };
    let alike = |argument: &Argument<'_>| argument.scales == pair.output.scales;
    let path = "integer elementwise";
    match pair.a.dtype {
        DType::I8 | DType::U8 | DType::I16 if !(alike(&pair.a) && alike(&pair.b)) => {
            unsupported("operands and output with different quantisation")
        }
        DType::I8 => {
            let bounds = [i8::MIN, i8::MAX];
            Ok(pair.lowered::<i8, i8>(cx, path, Plain { operation, bounds }))
        }
        DType::U8 => {
            let bounds = [u8::MIN, u8::MAX];
            Ok(pair.lowered::<u8, u8>(cx, path, Plain { operation, bounds }))
        }
        DType::I16 => {
            let bounds = [i16::MIN, i16::MAX];
            Ok(pair.lowered::<i16, i16>(cx, path, Plain { operation, bounds }))
        }
        _ => pair.plain(cx, operation, Activation::None),
    }
}

/// `PRELU`.
pub(super) fn prelu(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let pair = Pair::of(cx, operator)?;
    pair.output.expect(pair.a.dtype)?;
    let scales = || {
        Ok::<_, Refusal>((
            pair.a.quantisation()?,
            pair.b.quantisation()?,
            pair.output.quantisation()?,
        ))
    };
    match pair.a.dtype {
        DType::F32 => Ok(pair.lowered(
            cx,
            "float prelu",
            |x: f32, slope: f32| {
                if x >= 0.0 { x } else { x * slope }
            },
        )),
        DType::I8 => {
            let (a, b, output) = scales()?;
            Ok(pair.lowered::<i8, i8>(cx, "int8 prelu", Prelu::new::<i8>(a, b, output)?))
        }
        DType::U8 => {
            let (a, b, output) = scales()?;
            Ok(pair.lowered::<u8, u8>(cx, "uint8 prelu", Prelu::new::<u8>(a, b, output)?))
        }
        other => unsupported(format!("operands of {other}")),
    }
}

/// `POW`, `FLOOR_DIV` and `FLOOR_MOD`, of plain numbers.
pub(super) fn plain(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let pair = Pair::of(cx, operator)?;
    pair.output.expect(pair.a.dtype)?;
    match (operator.code, pair.a.dtype) {
        (code, DType::F32) => {
            let function: fn(f32, f32) -> f32 = match code {
                B::POW => |a, b| f64::from(a).powf(f64::from(b)) as f32,
                B::FLOOR_DIV => |a, b| (a / b).floor(),
                _ => |a, b| a - (a / b).floor() * b,
            };
            Ok(pair.lowered(cx, "float elementwise", function))
        }
        (B::FLOOR_DIV, DType::I32) => Ok(pair.lowered(cx, "i32 elementwise", |a: i32, b: i32| {
            let (quotient, rest) = (
                a.checked_div(b).unwrap_or_default(),
                a.checked_rem(b).unwrap_or_default(),
            );
            quotient - i32::from(rest != 0 && (rest < 0) != (b < 0))
        })),
        (B::FLOOR_MOD, DType::I32) => Ok(pair.lowered(cx, "i32 elementwise", |a: i32, b: i32| {
            let rest = a.checked_rem(b).unwrap_or_default();
            if rest != 0 && (rest < 0) != (b < 0) {
                rest + b
            } else {
                rest
            }
        })),
        (_, other) => unsupported(format!("operands of {other}")),
    }
}

/// `EQUAL`, `NOT_EQUAL`, `LESS`, `LESS_EQUAL`, `GREATER`, `GREATER_EQUAL`.
pub(super) fn compare(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    fn quantised<T: Element + Pod + Send + Sync>(
        cx: &Lowering<'_, '_>,
        pair: &Pair<'_>,
        comparison: Comparison,
    ) -> Result<Lowered, Refusal> {
        let (a, b) = (pair.a.quantisation()?, pair.b.quantisation()?);
        let compare = Quantised::new::<T>(comparison, a, b)?;
        Ok(pair.lowered::<T, u8>(cx, "integer comparison", compare))
    }
    let pair = Pair::of(cx, operator)?;
    pair.output.expect(DType::Bool)?;
    let comparison = match operator.code {
        B::EQUAL => Comparison::Equal,
        B::NOT_EQUAL => Comparison::NotEqual,
        B::LESS => Comparison::Less,
        B::LESS_EQUAL => Comparison::LessEqual,
        B::GREATER => Comparison::Greater,
        _ => Comparison::GreaterEqual,
    };
    let path = "comparison";
    match pair.a.dtype {
        DType::F32 => Ok(pair.lowered::<f32, u8>(cx, path, comparison)),
        DType::I16 => Ok(pair.lowered::<i16, u8>(cx, path, comparison)),
        DType::I32 => Ok(pair.lowered::<i32, u8>(cx, path, comparison)),
        DType::I64 => Ok(pair.lowered::<i64, u8>(cx, path, comparison)),
        DType::Bool => Ok(pair.lowered::<u8, u8>(cx, path, comparison)),
        DType::I8 => quantised::<i8>(cx, &pair, comparison),
        DType::U8 => quantised::<u8>(cx, &pair, comparison),
        other => unsupported(format!("operands of {other}")),
    }
}

/// `LOGICAL_AND` and `LOGICAL_OR`.
pub(super) fn logical(cx: &Lowering<'_, '_>, operator: &Operator<'_>) -> Result<Lowered, Refusal> {
    let pair = Pair::of(cx, operator)?;
    pair.a.expect(DType::Bool)?;
    pair.output.expect(DType::Bool)?;
    let and = operator.code == B::LOGICAL_AND;
    Ok(pair.lowered(cx, "logic", move |a: u8, b: u8| {
        let (a, b) = (a != 0, b != 0);
        u8::from(if and { a && b } else { a || b })
    }))
}
