//! Operators on single elements and on pairs.

use scalebench_kernels::activation::{Abs, Function, HardSwish, LeakyRelu, Relu, Rsqrt, Sigmoid};
use scalebench_kernels::arithmetic::{Add, Mul, Operation, Plain, Prelu, SquaredDifference};
use scalebench_kernels::broadcast::{Binary, Broadcast};
use scalebench_kernels::element::{Byte, Element, Quantisation};
use scalebench_kernels::table::{Interpolated, Table, map};
use scalebench_oracle::Case;

use super::support::{activation, each, isas, near, quantisation, same, shape};

fn pairs<T, O>(case: &Case, operator: &impl Binary<T, O>) -> Vec<O>
where
    T: scalebench_oracle::Element,
    O: Default + Clone + PartialEq,
{
    let (a, b) = (case.input(0).expect("a"), case.input(1).expect("b"));
    let plan = Broadcast::new(&shape(a), &shape(b)).expect("broadcasts");
    assert_eq!(plan.output(), shape(case.output()));
    let (a, b) = (a.elements::<T>(), b.elements::<T>());
    let mut answers = isas().into_iter().map(|isa| {
        let mut out = vec![O::default(); plan.output().count()];
        plan.run(isa, operator, &a, &b, &mut out).expect("fits");
        out
    });
    let first = answers.next().expect("the portable path");
    for other in answers {
        assert!(other == first, "{}: a wider path differs", case.name);
    }
    first
}

fn quantisations(case: &Case) -> [Quantisation; 3] {
    [
        quantisation(case.input(0).expect("a")),
        quantisation(case.input(1).expect("b")),
        quantisation(case.output()),
    ]
}

fn dtype(case: &Case) -> &str {
    &case.input(0).expect("an input").dtype
}

fn sum<T>(case: &Case, subtract: bool)
where
    T: Element + scalebench_oracle::Element + Default + PartialEq + std::fmt::Debug,
{
    let [a, b, y] = quantisations(case);
    let new = if subtract {
        Add::subtract::<T>
    } else {
        Add::new::<T>
    };
    same(
        case,
        &pairs::<T, T>(case, &new(a, b, y, activation(case)).expect("sound")),
    );
}

fn product<T>(case: &Case)
where
    T: Element + scalebench_oracle::Element + Default + PartialEq + std::fmt::Debug,
{
    let [a, b, y] = quantisations(case);
    same(
        case,
        &pairs::<T, T>(
            case,
            &Mul::new::<T>(a, b, y, activation(case)).expect("sound"),
        ),
    );
}

fn plain(case: &Case, operation: Operation) -> Option<()> {
    let [min, max] = activation(case).bounds();
    match dtype(case) {
        "float32" => near(
            case,
            &pairs(
                case,
                &Plain {
                    operation,
                    bounds: [min, max],
                },
            ),
            1e-6,
        ),
        "int32" => {
            let bounds = [min as i32, max as i32];
            same(case, &pairs(case, &Plain { operation, bounds }));
        }
        "int64" => same(
            case,
            &pairs(
                case,
                &Plain {
                    operation,
                    bounds: [i64::MIN, i64::MAX],
                },
            ),
        ),
        "int8" => same(
            case,
            &pairs(
                case,
                &Plain {
                    operation,
                    bounds: [i8::MIN, i8::MAX],
                },
            ),
        ),
        "uint8" => same(
            case,
            &pairs(
                case,
                &Plain {
                    operation,
                    bounds: [u8::MIN, u8::MAX],
                },
            ),
        ),
        "int16" => same(
            case,
            &pairs(
                case,
                &Plain {
                    operation,
                    bounds: [i16::MIN, i16::MAX],
                },
            ),
        ),
        _ => return None,
    }
    Some(())
}

fn summed(case: &Case, subtract: bool, operation: Operation) -> Option<()> {
    match dtype(case) {
        "int8" => sum::<i8>(case, subtract),
        "uint8" => sum::<u8>(case, subtract),
        "int16" => sum::<i16>(case, subtract),
        _ => return plain(case, operation),
    }
    Some(())
}

#[test]
fn add() {
    each("add", |case| summed(case, false, Operation::Add));
}

#[test]
fn sub() {
    each("sub", |case| summed(case, true, Operation::Subtract));
}

#[test]
fn mul() {
    each("mul", |case| {
        match dtype(case) {
            "int8" => product::<i8>(case),
            "uint8" => product::<u8>(case),
            "int16" => product::<i16>(case),
            _ => return plain(case, Operation::Multiply),
        }
        Some(())
    });
}

#[test]
fn div() {
    each("div", |case| match dtype(case) {
        "uint8" => None,
        _ => plain(case, Operation::Divide),
    });
}

#[test]
fn maximum_and_minimum() {
    each("maximum", |case| plain(case, Operation::Maximum));
    each("minimum", |case| plain(case, Operation::Minimum));
}

#[test]
fn squared_difference() {
    each("squared_difference", |case| {
        if dtype(case) != "int8" {
            return plain(case, Operation::SquaredDifference);
        }
        let [a, b, y] = quantisations(case);
        same(
            case,
            &pairs::<i8, i8>(case, &SquaredDifference::new(a, b, y).expect("sound")),
        );
        Some(())
    });
}

#[test]
fn prelu() {
    each("prelu", |case| {
        match dtype(case) {
            "int8" => {
                let [x, slope, y] = quantisations(case);
                same(
                    case,
                    &pairs::<i8, i8>(case, &Prelu::new::<i8>(x, slope, y).expect("sound")),
                );
            }
            "uint8" => {
                let [x, slope, y] = quantisations(case);
                same(
                    case,
                    &pairs::<u8, u8>(case, &Prelu::new::<u8>(x, slope, y).expect("sound")),
                );
            }
            _ => near(
                case,
                &pairs(case, &|x: f32, a: f32| if x >= 0.0 { x } else { x * a }),
                0.0,
            ),
        }
        Some(())
    });
}

/// Runs a specification over `i8` and `u8` through a table, over `i16` one by one.
trait Spec {
    fn apply<T: Element>(&self, x: T) -> T;
}

macro_rules! specs {
    ($($kind:ty),*) => {$(
        impl Spec for $kind {
            fn apply<T: Element>(&self, x: T) -> T {
                self.apply(x)
            }
        }
    )*};
}
specs!(Relu, LeakyRelu, Abs);

fn tabled<T>(case: &Case, table: Table)
where
    T: Byte + scalebench_oracle::Element + Default + PartialEq + std::fmt::Debug,
{
    let x = case.input(0).expect("x").elements::<T>();
    let mut out = vec![T::default(); x.len()];
    table.run(&x, &mut out).expect("fits");
    same(case, &out);
}

fn wide(case: &Case, f: impl Fn(i16) -> i16) {
    let x = case.input(0).expect("x").elements::<i16>();
    let mut out = vec![0; x.len()];
    map(&x, &mut out, f).expect("fits");
    same(case, &out);
}

fn real(case: &Case, function: Function) {
    let x = case.input(0).expect("x").elements::<f32>();
    let mut out = vec![0.0; x.len()];
    map(&x, &mut out, |x| function.apply(x)).expect("fits");
    near(case, &out, 1e-6);
}

fn ends(case: &Case) -> (Quantisation, Quantisation) {
    (
        quantisation(case.input(0).expect("x")),
        quantisation(case.output()),
    )
}

fn spec<S: Spec>(
    case: &Case,
    function: Function,
    byte: impl Fn(bool) -> S,
    word: impl Fn() -> S,
) -> Option<()> {
    match dtype(case) {
        "int8" => tabled::<i8>(case, Table::new(|x: i8| byte(true).apply(x))),
        "uint8" => tabled::<u8>(case, Table::new(|x: u8| byte(false).apply(x))),
        "int16" => {
            let spec = word();
            wide(case, |x| spec.apply(x));
        }
        "float32" => real(case, function),
        _ => return None,
    }
    Some(())
}

#[test]
fn rectifiers() {
    for (name, bounds) in [
        ("relu", [0.0, f32::INFINITY]),
        ("relu6", [0.0, 6.0]),
        ("relu_n1", [-1.0, 1.0]),
        ("relu_0_1", [0.0, 1.0]),
    ] {
        each(name, |case| {
            let new = |signed: bool| {
                let (x, y) = ends(case);
                let new = if signed {
                    Relu::new::<i8>
                } else {
                    Relu::new::<u8>
                };
                new(x, y, bounds).expect("sound")
            };
            let word = || {
                let (x, y) = ends(case);
                Relu::new::<i16>(x, y, bounds).expect("sound")
            };
            spec(case, Function::Clamp(bounds), new, word)
        });
    }
}

#[test]
fn leaky_relu() {
    each("leaky_relu", |case| {
        let alpha = case.float("alpha");
        let new = |signed: bool| {
            let (x, y) = ends(case);
            let new = if signed {
                LeakyRelu::new::<i8>
            } else {
                LeakyRelu::new::<u8>
            };
            new(x, y, alpha).expect("sound")
        };
        let word = || {
            let (x, y) = ends(case);
            LeakyRelu::new::<i16>(x, y, alpha).expect("sound")
        };
        spec(case, Function::LeakyRelu(alpha), new, word)
    });
}

#[test]
fn abs() {
    each("abs", |case| {
        if dtype(case) == "int32" {
            let x = case.input(0).expect("x").elements::<i32>();
            let mut out = vec![0; x.len()];
            map(&x, &mut out, i32::wrapping_abs).expect("fits");
            same(case, &out);
            return Some(());
        }
        let new = |_| {
            let (x, y) = ends(case);
            Abs::new::<i8>(x, y).expect("sound")
        };
        let word = || {
            let (x, y) = ends(case);
            Abs::new::<i16>(x, y).expect("sound")
        };
        spec(case, Function::Abs, new, word)
    });
}

#[test]
fn hard_swish() {
    each("hard_swish", |case| {
        match dtype(case) {
            "int8" => {
                let (x, y) = ends(case);
                let swish = HardSwish::new::<i8>(x, y).expect("sound");
                tabled::<i8>(case, Table::new(|x: i8| swish.apply(x)));
            }
            "uint8" => {
                let (x, y) = ends(case);
                let swish = HardSwish::new::<u8>(x, y).expect("sound");
                tabled::<u8>(case, Table::new(|x: u8| swish.apply(x)));
            }
            _ => real(case, Function::HardSwish),
        }
        Some(())
    });
}

/// A real function, by table where quantised.
fn function(case: &Case, function: Function) -> Option<()> {
    match dtype(case) {
        "int8" => {
            let (x, y) = ends(case);
            tabled::<i8>(
                case,
                Table::real::<i8>(x, y, |x| function.apply(x)).expect("sound"),
            );
        }
        "uint8" => {
            let (x, y) = ends(case);
            tabled::<u8>(
                case,
                Table::real::<u8>(x, y, |x| function.apply(x)).expect("sound"),
            );
        }
        "float32" => real(case, function),
        _ => return None,
    }
    Some(())
}

#[test]
fn logistic_and_tanh() {
    each("logistic", |case| {
        if dtype(case) == "int16" {
            let sigmoid = Sigmoid::logistic(ends(case).0).expect("sound");
            wide(case, |x| sigmoid.apply(x));
            return Some(());
        }
        function(case, Function::Logistic)
    });
    each("tanh", |case| {
        if dtype(case) == "int16" {
            let sigmoid = Sigmoid::tanh(ends(case).0).expect("sound");
            wide(case, |x| sigmoid.apply(x));
            return Some(());
        }
        function(case, Function::Tanh)
    });
}

#[test]
fn exponentials() {
    each("exp", |case| {
        if dtype(case) == "int16" {
            let (x, y) = ends(case);
            let table = Interpolated::real(x, y, |x| Function::Exp.apply(x)).expect("sound");
            wide(case, |x| table.answer(x));
            return Some(());
        }
        function(case, Function::Exp)
    });
    each("gelu", |case| match case.int("approximate") {
        0 => function(case, Function::Gelu),
        _ => function(case, Function::GeluByTanh),
    });
    each("log", |case| {
        if dtype(case) == "float32" {
            return function(case, Function::Log);
        }
        let (x, y) = ends(case);
        let least = (-128 - y.zero) as f32 * y.scale;
        let log = |x: f32| {
            if x <= 0.0 {
                least
            } else {
                Function::Log.apply(x)
            }
        };
        tabled::<i8>(case, Table::real::<i8>(x, y, log).expect("sound"));
        Some(())
    });
}

#[test]
fn roots() {
    each("rsqrt", |case| {
        match dtype(case) {
            "int8" => {
                let (x, y) = ends(case);
                let root = Rsqrt::new(x, y).expect("sound");
                tabled::<i8>(case, Table::new(|x: i8| root.apply(x)));
            }
            "int16" => {
                let (x, y) = ends(case);
                let most = 32767.0 * y.scale;
                let root = |x: f32| {
                    if x <= 0.0 {
                        most
                    } else {
                        Function::Rsqrt.apply(x)
                    }
                };
                let table = Interpolated::real(x, y, root).expect("sound");
                wide(case, |x| table.answer(x));
            }
            _ => real(case, Function::Rsqrt),
        }
        Some(())
    });
    each("sqrt", |case| function(case, Function::Sqrt));
}

#[test]
fn plain_functions() {
    for (name, which) in [
        ("square", Function::Square),
        ("floor", Function::Floor),
        ("sin", Function::Sin),
        ("cos", Function::Cos),
    ] {
        each(name, |case| function(case, which));
    }
    each("neg", |case| function(case, Function::Neg));
}
