//! Pools, reductions and softmax.

use scalebench_kernels::element::{Byte, Element, Quantisation};
use scalebench_kernels::pool::{Pool, RealPool};
use scalebench_kernels::reduce::{Mean, Reduction, real_mean};
use scalebench_kernels::softmax::{self, Softmax, WideSoftmax};
use scalebench_oracle::{Case, Tensor};

use super::support::{activation, each, near, quantisation, same, shape, window};

fn pool<T>(case: &Case, max: bool)
where
    T: Element + scalebench_oracle::Element + Default + PartialEq + std::fmt::Debug,
{
    let x = case.input(0).expect("x");
    let kernel = [
        case.int("filterHeight") as usize,
        case.int("filterWidth") as usize,
    ];
    let pool = Pool {
        window: window(case, x, kernel),
        range: activation(case).range::<T>(quantisation(case.output())),
    };
    let mut out = vec![T::default(); case.output().shape.iter().product()];
    let x = x.elements::<T>();
    if max {
        pool.max(&x, &mut out)
    } else {
        pool.average(&x, &mut out)
    }
    .expect("fits");
    same(case, &out);
}

fn real_pool(case: &Case, run: impl Fn(&RealPool, &[f32], &mut [f32])) {
    let x = case.input(0).expect("x");
    let kernel = [
        case.int("filterHeight") as usize,
        case.int("filterWidth") as usize,
    ];
    let pool = RealPool {
        window: window(case, x, kernel),
        bounds: activation(case).bounds(),
    };
    let mut out = vec![0.0; case.output().shape.iter().product()];
    run(&pool, &x.elements::<f32>(), &mut out);
    near(case, &out, 1e-6);
}

#[test]
fn pools() {
    for (name, max) in [("average_pool", false), ("max_pool", true)] {
        each(name, |case| {
            match case.output().dtype.as_str() {
                "int8" => pool::<i8>(case, max),
                "uint8" => pool::<u8>(case, max),
                "int16" => pool::<i16>(case, max),
                _ => real_pool(case, |pool, x, out| {
                    if max {
                        pool.max(x, out)
                    } else {
                        pool.average(x, out)
                    }
                    .expect("fits");
                }),
            }
            Some(())
        });
    }
    each("l2_pool", |case| {
        real_pool(case, |pool, x, out| pool.l2(x, out).expect("fits"));
        Some(())
    });
}

fn reduction(case: &Case) -> Reduction {
    let x = case.input(0).expect("x");
    let rank = x.shape.len() as i32;
    let axes = case.input(1).expect("axes").elements::<i32>();
    let axes: Vec<usize> = axes
        .iter()
        .map(|&axis| axis.rem_euclid(rank) as usize)
        .collect();
    Reduction::new(&shape(x), &axes).expect("axes")
}

fn mean<T>(case: &Case, sum: bool)
where
    T: Element + scalebench_oracle::Element + Default + PartialEq + std::fmt::Debug,
{
    let x = case.input(0).expect("x");
    let (from, to) = (quantisation(x), quantisation(case.output()));
    let new = if sum { Mean::sum::<T> } else { Mean::new::<T> };
    let mean = new(reduction(case), from, to).expect("sound");
    let mut out = vec![T::default(); case.output().shape.iter().product()];
    let mut totals = vec![0; out.len()];
    mean.run(&x.elements::<T>(), &mut totals, &mut out)
        .expect("fits");
    same(case, &out);
}

fn folded<T, A>(case: &Case, first: A, fold: impl Fn(A, T) -> A) -> Vec<A>
where
    T: scalebench_oracle::Element,
    A: Copy,
{
    let mut totals = vec![first; case.output().shape.iter().product()];
    let x = case.input(0).expect("x").elements::<T>();
    reduction(case)
        .fold(&x, &mut totals, first, fold)
        .expect("fits");
    totals
}

#[test]
fn means() {
    each("mean", |case| {
        match case.output().dtype.as_str() {
            "int8" => mean::<i8>(case, false),
            "uint8" => mean::<u8>(case, false),
            "int16" => mean::<i16>(case, false),
            "float32" => {
                let mut out = vec![0.0; case.output().shape.iter().product()];
                let x = case.input(0).expect("x").elements::<f32>();
                real_mean(&reduction(case), &x, &mut out).expect("fits");
                near(case, &out, 1e-6);
            }
            "int32" => {
                let count = reduction(case).count() as i64;
                let totals = folded(case, 0_i64, |total, x: i32| total + i64::from(x));
                same(
                    case,
                    &totals
                        .iter()
                        .map(|total| (total / count) as i32)
                        .collect::<Vec<_>>(),
                );
            }
            _ => {
                let count = reduction(case).count() as i64;
                let totals = folded(case, 0_i64, |total, x: i64| total + x);
                same(
                    case,
                    &totals.iter().map(|total| total / count).collect::<Vec<_>>(),
                );
            }
        }
        Some(())
    });
    each("sum", |case| {
        match case.output().dtype.as_str() {
            "uint8" => mean::<u8>(case, true),

            "float32" => near(case, &folded(case, 0.0, |total, x: f32| total + x), 1e-6),
            _ => same(case, &folded(case, 0, i32::wrapping_add)),
        }
        Some(())
    });
}

#[test]
fn extremes_and_products() {
    each("reduce_max", |case| {
        match case.output().dtype.as_str() {
            "int8" => same(case, &folded(case, i8::MIN, i8::max)),
            "uint8" => same(case, &folded(case, u8::MIN, u8::max)),
            "int16" => same(case, &folded(case, i16::MIN, i16::max)),
            "int32" => same(case, &folded(case, i32::MIN, i32::max)),
            _ => near(case, &folded(case, f32::MIN, f32::max), 0.0),
        }
        Some(())
    });
    each("reduce_min", |case| {
        match case.output().dtype.as_str() {
            "int8" => same(case, &folded(case, i8::MAX, i8::min)),
            "uint8" => same(case, &folded(case, u8::MAX, u8::min)),
            "int16" => same(case, &folded(case, i16::MAX, i16::min)),
            "int32" => same(case, &folded(case, i32::MAX, i32::min)),
            _ => near(case, &folded(case, f32::MAX, f32::min), 0.0),
        }
        Some(())
    });
    each("reduce_prod", |case| {
        match case.output().dtype.as_str() {
            "int32" => same(case, &folded(case, 1, i32::wrapping_mul)),
            _ => near(case, &folded(case, 1.0, |total, x: f32| total * x), 1e-5),
        }
        Some(())
    });
}

fn bytes<T, O>(case: &Case, x: &Tensor, depth: usize)
where
    T: Byte + scalebench_oracle::Element,
    O: Element + scalebench_oracle::Element + Default + PartialEq + std::fmt::Debug,
{
    let softmax = Softmax::new::<T>(quantisation(x), case.float("beta")).expect("sound");
    let x = x.elements::<T>();
    let mut out = vec![O::default(); x.len()];
    softmax.run(depth, &x, &mut out).expect("fits");
    same(case, &out);
}

#[test]
fn softmaxes() {
    each("softmax", |case| {
        let x = case.input(0).expect("x");
        let depth = *x.shape.last().expect("an axis");
        match (x.dtype.as_str(), case.output().dtype.as_str()) {
            ("int8", "int8") => bytes::<i8, i8>(case, x, depth),
            ("int8", _) => bytes::<i8, i16>(case, x, depth),
            ("uint8", _) => bytes::<u8, u8>(case, x, depth),
            ("int16", _) => {
                let softmax = WideSoftmax::new(quantisation(x), case.float("beta")).expect("sound");
                let x = x.elements::<i16>();
                let mut out = vec![0; x.len()];
                softmax.run(depth, &x, &mut out).expect("fits");
                same(case, &out);
            }
            _ => {
                let x = x.elements::<f32>();
                let mut out = vec![0.0; x.len()];
                softmax::real(case.float("beta"), depth, &x, &mut out).expect("fits");
                near(case, &out, 1e-6);
            }
        }
        Some(())
    });
    each("log_softmax", |case| {
        let x = case.input(0).expect("x");
        if x.dtype != "float32" {
            return None;
        }
        let mut out = vec![0.0; case.output().shape.iter().product()];
        let depth = *x.shape.last().expect("an axis");
        softmax::log(depth, &x.elements::<f32>(), &mut out).expect("fits");
        near(case, &out, 1e-5);
        Some(())
    });
}

#[test]
fn absurd_scales_are_refused() {
    let tiny = Quantisation {
        scale: 1e-30,
        zero: 0,
    };
    assert!(Softmax::new::<i8>(tiny, 1.0).is_err());
}
