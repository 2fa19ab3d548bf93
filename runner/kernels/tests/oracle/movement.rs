//! Operators that move, select, convert and compare elements.

use scalebench_kernels::broadcast::{Broadcast, broadcast_to};
use scalebench_kernels::compare::{Comparison, Quantised};
use scalebench_kernels::element::{Byte, Element};
use scalebench_kernels::gather::{best, gather, gather_nd};
use scalebench_kernels::isa::Isa;
use scalebench_kernels::norm;
use scalebench_kernels::place::{Batches, Padding, join, part, rescaled};
use scalebench_kernels::quantise::{Requantise, dequantise, dequantise_channels, quantise};
use scalebench_kernels::resize::Resize;
use scalebench_kernels::shape::Shape;
use scalebench_kernels::table::map;
use scalebench_kernels::view::View;
use scalebench_oracle::{Case, Tensor};

use super::support::{each, near, quantisation, same, shape};

/// The elements' bytes as they lie, of any type: moving them needs no more.
fn chunks<const N: usize>(tensor: &Tensor) -> Vec<[u8; N]> {
    tensor.data.as_chunks::<N>().0.to_vec()
}

/// Runs `$body` with `$n` as the width of the tensor's elements.
macro_rules! by_width {
    ($tensor:expr, $n:ident => $body:expr) => {
        match $tensor.dtype.as_str() {
            "int8" | "uint8" | "bool" => {
                const $n: usize = 1;
                $body
            }
            "int16" | "float16" => {
                const $n: usize = 2;
                $body
            }
            "int32" | "float32" => {
                const $n: usize = 4;
                $body
            }
            _ => {
                const $n: usize = 8;
                $body
            }
        }
    };
}

fn moved<const N: usize>(case: &Case, output: &Tensor, got: &[[u8; N]]) {
    assert_eq!(
        got.concat(),
        output.data,
        "{} {:?}",
        case.name,
        case.options
    );
}

/// A constant tensor of indices.
fn indices(tensor: &Tensor) -> Vec<i64> {
    match tensor.dtype.as_str() {
        "int32" => tensor
            .elements::<i32>()
            .into_iter()
            .map(i64::from)
            .collect(),
        _ => tensor.elements::<i64>(),
    }
}

fn extents(tensor: &Tensor) -> [usize; 4] {
    tensor.shape.clone().try_into().expect("NHWC")
}

fn axis(case: &Case, rank: usize) -> usize {
    case.int("axis").rem_euclid(rank as i64) as usize
}

fn view(case: &Case, plan: View) {
    let x = case.input(0).expect("x");
    by_width!(x, N => {
        let mut out = vec![[0; N]; plan.count()];
        plan.run(&chunks::<N>(x), &mut out).expect("fits");
        moved(case, case.output(), &out);
    });
}

#[test]
fn views() {
    each("transpose", |case| {
        let order: Vec<_> = indices(case.input(1)?)
            .iter()
            .map(|&axis| axis as usize)
            .collect();
        view(
            case,
            View::transpose(&shape(case.input(0)?), &order).expect("order"),
        );
        Some(())
    });
    each("slice", |case| {
        let begin: Vec<_> = indices(case.input(1)?)
            .iter()
            .map(|&at| at as usize)
            .collect();
        let steps = vec![1; begin.len()];
        let plan = View::slice(&shape(case.input(0)?), &begin, &case.output().shape, &steps);
        view(case, plan.expect("inside"));
        Some(())
    });
    each("reverse", |case| {
        let axis = indices(case.input(1)?)[0] as usize;
        view(
            case,
            View::reverse(&shape(case.input(0)?), axis).expect("axis"),
        );
        Some(())
    });
    each("depth_to_space", |case| {
        let block = case.int("blockSize") as usize;
        view(
            case,
            View::depth_to_space(extents(case.input(0)?), block).expect("squares"),
        );
        Some(())
    });
    each("space_to_depth", |case| {
        let block = case.int("blockSize") as usize;
        view(
            case,
            View::space_to_depth(extents(case.input(0)?), block).expect("squares"),
        );
        Some(())
    });
}

#[test]
fn strided_slices() {
    each("strided_slice", |case| {
        let x = case.input(0)?;
        let [begin, end, step] = [1, 2, 3].map(|i| indices(case.input(i).expect("indices")));
        let set = |name: &str, axis: usize| case.int(name) >> axis & 1 == 1;
        let (mut from, mut extents, mut steps) = (vec![], vec![], vec![]);
        for (axis, &size) in x.shape.iter().enumerate() {
            let (size, step) = (size as i64, step[axis]);
            let wrapped = |at: i64| if at < 0 { at + size } else { at };
            let ends = if step > 0 { (0, size) } else { (-1, size - 1) };
            let first = if set("beginMask", axis) {
                if step > 0 { 0 } else { size - 1 }
            } else {
                wrapped(begin[axis]).clamp(ends.0, ends.1)
            };
            let last = if set("shrinkAxisMask", axis) {
                first + 1
            } else if set("endMask", axis) {
                if step > 0 { size } else { -1 }
            } else {
                wrapped(end[axis]).clamp(ends.0, ends.1)
            };
            let count = (last - first + step - step.signum()) / step;
            from.push(first.max(0) as usize);
            extents.push(count.max(0) as usize);
            steps.push(step as isize);
        }
        view(
            case,
            View::slice(&shape(x), &from, &extents, &steps).expect("inside"),
        );
        Some(())
    });
}

fn padding(case: &Case) -> Padding {
    let amounts = indices(case.input(1).expect("amounts"));
    let side = |side: usize| -> Vec<usize> {
        amounts
            .iter()
            .skip(side)
            .step_by(2)
            .map(|&n| n as usize)
            .collect()
    };
    Padding::new(&shape(case.input(0).expect("x")), &side(0), &side(1)).expect("small")
}

/// What PAD writes: the zero point.
fn nothing(tensor: &Tensor) -> Vec<u8> {
    let zero = tensor.zero_point.first().copied().unwrap_or(0);
    zero.to_le_bytes().to_vec()
}

#[test]
fn pads() {
    for name in ["pad", "padv2"] {
        each(name, |case| {
            let (x, plan) = (case.input(0)?, padding(case));
            by_width!(x, N => {
                let value = case.input(2).map_or_else(|| nothing(x), |value| value.data.clone());
                let value = *value.first_chunk::<N>().expect("an element");
                let mut out = vec![[0; N]; plan.output().count()];
                plan.fill(value, &chunks::<N>(x), &mut out).expect("fits");
                moved(case, case.output(), &out);
            });
            Some(())
        });
    }
    each("mirror_pad", |case| {
        let (x, plan) = (case.input(0)?, padding(case));
        by_width!(x, N => {
            let mut out = vec![[0; N]; plan.output().count()];
            plan.mirror(case.int("mode") == 1, &chunks::<N>(x), &mut out).expect("fits");
            moved(case, case.output(), &out);
        });
        Some(())
    });
}

#[test]
fn joins() {
    each("concatenation", |case| {
        let y = case.output();
        let axis = axis(case, y.shape.len());
        let whole = shape(y).around(axis).expect("axis");
        by_width!(y, N => {
            let (mut out, mut first) = (vec![[0; N]; shape(y).count()], 0);
            for x in (0..case.inputs.len()).filter_map(|i| case.input(i)) {
                let around = shape(x).around(axis).expect("axis");
                let mut x = x.clone();
                if x.dtype == "uint8" && (x.scale != y.scale || x.zero_point != y.zero_point) {
                    let table = rescaled(quantisation(&x), quantisation(y)).expect("sound");
                    x.data.iter_mut().for_each(|byte| *byte = table.answer::<u8, u8>(*byte));
                }
                join(around, whole, first, &chunks::<N>(&x), &mut out).expect("fits");
                first += around.along;
            }
            moved(case, y, &out);
        });
        Some(())
    });
    each("pack", |case| {
        let y = case.output();
        let axis = axis(case, y.shape.len());
        let whole = shape(y).around(axis).expect("axis");
        let slice = scalebench_kernels::shape::Around { along: 1, ..whole };
        by_width!(y, N => {
            let mut out = vec![[0; N]; shape(y).count()];
            for (at, x) in (0..case.inputs.len()).filter_map(|i| case.input(i)).enumerate() {
                join(slice, whole, at, &chunks::<N>(x), &mut out).expect("fits");
            }
            moved(case, y, &out);
        });
        Some(())
    });
}

fn parts(case: &Case, x: &Tensor, axis: usize, unpack: bool) {
    let whole = shape(x).around(axis).expect("axis");
    let mut first = 0;
    for output in case.outputs.iter().map(|&index| &case.tensors[index]) {
        let along = if unpack { 1 } else { output.shape[axis] };
        let slice = scalebench_kernels::shape::Around { along, ..whole };
        by_width!(x, N => {
            let mut out = vec![[0; N]; shape(output).count()];
            part(slice, whole, first, &chunks::<N>(x), &mut out).expect("fits");
            moved(case, output, &out);
        });
        first += along;
    }
}

#[test]
fn splits() {
    each("split", |case| {
        let x = case.input(1)?;
        let axis = indices(case.input(0)?)[0].rem_euclid(x.shape.len() as i64);
        parts(case, x, axis as usize, false);
        Some(())
    });
    each("split_v", |case| {
        parts(
            case,
            case.input(0)?,
            indices(case.input(2)?)[0] as usize,
            false,
        );
        Some(())
    });
    each("unpack", |case| {
        let x = case.input(0)?;
        parts(case, x, axis(case, x.shape.len()), true);
        Some(())
    });
}

#[test]
fn batches() {
    let plan = |case: &Case, space: &Tensor, batch: &Tensor| {
        let four = |tensor: &Tensor| -> [usize; 4] {
            let mut extents = tensor.shape.clone();
            if extents.len() == 3 {
                extents.insert(2, 1);
            }
            extents.try_into().expect("NHWC")
        };
        let pair = |values: Vec<i64>, fill: usize| -> [usize; 2] {
            let at = |i: usize| values.get(i).map_or(fill, |&n| n as usize);
            [at(0), at(1)]
        };
        let before = indices(case.input(2).expect("amounts"))
            .into_iter()
            .step_by(2)
            .collect();
        Batches {
            space: four(space),
            batch: four(batch),
            block: pair(indices(case.input(1).expect("block")), 1),
            before: pair(before, 0),
        }
    };
    each("space_to_batch", |case| {
        let (x, y) = (case.input(0)?, case.output());
        by_width!(x, N => {
            let mut out = vec![[1; N]; shape(y).count()];
            let value = *nothing(x).first_chunk::<N>().expect("an element");
            plan(case, x, y).spread(value, &chunks::<N>(x), &mut out).expect("fits");
            moved(case, y, &out);
        });
        Some(())
    });
    each("batch_to_space", |case| {
        let (x, y) = (case.input(0)?, case.output());
        by_width!(x, N => {
            let mut out = vec![[1; N]; shape(y).count()];
            plan(case, y, x).gather(&chunks::<N>(x), &mut out).expect("fits");
            moved(case, y, &out);
        });
        Some(())
    });
}

#[test]
fn gathers() {
    each("gather", |case| {
        let x = case.input(0)?;
        let axis = axis(case, x.shape.len());
        let batches = x.shape[..case.int("batchDims") as usize].iter().product();
        by_width!(x, N => {
            let mut out = vec![[0; N]; shape(case.output()).count()];
            let around = shape(x).around(axis).expect("axis");
            let chosen = indices(case.input(1).expect("indices"));
            gather(around, batches, &chunks::<N>(x), &chosen, &mut out).expect("fits");
            moved(case, case.output(), &out);
        });
        Some(())
    });
    each("gather_nd", |case| {
        let (x, chosen) = (case.input(0)?, case.input(1)?);
        by_width!(x, N => {
            let mut out = vec![[0; N]; shape(case.output()).count()];
            let depth = *chosen.shape.last().expect("an axis");
            gather_nd(&shape(x), depth, &chunks::<N>(x), &indices(chosen), &mut out).expect("fits");
            moved(case, case.output(), &out);
        });
        Some(())
    });
    each("embedding_lookup", |case| {
        let (chosen, x) = (case.input(0)?, case.input(1)?);
        by_width!(x, N => {
            let mut out = vec![[0; N]; shape(case.output()).count()];
            let around = shape(x).around(0).expect("axis");
            gather(around, 1, &chunks::<N>(x), &indices(chosen), &mut out).expect("fits");
            moved(case, case.output(), &out);
        });
        Some(())
    });
    each("broadcast_to", |case| {
        let x = case.input(0)?;
        by_width!(x, N => {
            let mut out = vec![[0; N]; shape(case.output()).count()];
            broadcast_to(&shape(x), &shape(case.output()), &chunks::<N>(x), &mut out).expect("fits");
            moved(case, case.output(), &out);
        });
        Some(())
    });
}

fn winner<T>(case: &Case, better: impl Fn(T, T) -> bool)
where
    T: scalebench_oracle::Element,
{
    let (x, y) = (case.input(0).expect("x"), case.output());
    let axis = indices(case.input(1).expect("axis"))[0].rem_euclid(x.shape.len() as i64);
    let around = shape(x).around(axis as usize).expect("axis");
    let mut out = vec![0_i64; shape(y).count()];
    best(around, &x.elements::<T>(), &mut out, better, |at| at as i64).expect("fits");
    assert_eq!(out, indices(y), "{}", case.name);
}

#[test]
fn winners() {
    for (name, max) in [("arg_max", true), ("arg_min", false)] {
        each(name, |case| {
            match case.input(0)?.dtype.as_str() {
                "int8" => winner(case, |a: i8, b| if max { a > b } else { a < b }),
                "uint8" => winner(case, |a: u8, b| if max { a > b } else { a < b }),
                "int32" => winner(case, |a: i32, b| if max { a > b } else { a < b }),
                _ => winner(case, |a: f32, b| if max { a > b } else { a < b }),
            }
            Some(())
        });
    }
}

fn resize(case: &Case) -> Resize {
    let y = extents(case.output());
    Resize {
        input: extents(case.input(0).expect("x")),
        size: [y[1], y[2]],
        align_corners: case.int("alignCorners") == 1,
        half_pixel_centers: case.int("halfPixelCenters") == 1,
    }
}

#[test]
fn resizes() {
    each("resize_nearest", |case| {
        let x = case.input(0)?;
        by_width!(x, N => {
            let mut out = vec![[0; N]; shape(case.output()).count()];
            resize(case).nearest(&chunks::<N>(x), &mut out).expect("fits");
            moved(case, case.output(), &out);
        });
        Some(())
    });
    each("resize_bilinear", |case| {
        let (x, count) = (case.input(0)?, shape(case.output()).count());
        match x.dtype.as_str() {
            "int8" => {
                let mut out = vec![0; count];
                resize(case)
                    .bilinear_quantised(&x.elements::<i8>(), &mut out)
                    .expect("fits");
                same(case, &out);
            }
            "int16" => {
                let mut out = vec![0; count];
                resize(case)
                    .bilinear_quantised(&x.elements::<i16>(), &mut out)
                    .expect("fits");
                same(case, &out);
            }
            "uint8" => {
                let mut out = vec![0; count];
                resize(case)
                    .bilinear(&x.elements::<u8>(), &mut out, f32::from, |value| {
                        value.round() as u8
                    })
                    .expect("fits");
                same(case, &out);
            }
            _ => {
                let mut out = vec![0.0; count];
                let x = x.elements::<f32>();
                resize(case)
                    .bilinear(&x, &mut out, |x| x, |x| x)
                    .expect("fits");
                near(case, &out, 1e-5);
            }
        }
        Some(())
    });
}

fn from_real<T>(case: &Case)
where
    T: Element + scalebench_oracle::Element + Default + PartialEq + std::fmt::Debug,
{
    let x = case.input(0).expect("x").elements::<f32>();
    let mut out = vec![T::default(); x.len()];
    quantise(quantisation(case.output()), &x, &mut out).expect("fits");
    same(case, &out);
}

fn requantised<T>(case: &Case, x: Vec<i32>)
where
    T: Element + scalebench_oracle::Element + Default + PartialEq + std::fmt::Debug,
{
    let (from, to) = (
        quantisation(case.input(0).expect("x")),
        quantisation(case.output()),
    );
    let plan = Requantise::new(from, to).expect("sound");
    let mut out = vec![T::default(); x.len()];
    map(&x, &mut out, |x| T::saturate(plan.apply(x))).expect("fits");
    same(case, &out);
}

fn widened(x: &Tensor) -> Vec<i32> {
    match x.dtype.as_str() {
        "int8" => x.elements::<i8>().into_iter().map(i32::from).collect(),
        "uint8" => x.elements::<u8>().into_iter().map(i32::from).collect(),
        "int16" => x.elements::<i16>().into_iter().map(i32::from).collect(),
        _ => x.elements::<i32>(),
    }
}

#[test]
fn quantisations() {
    each("quantize", |case| {
        let x = case.input(0)?;
        match (x.dtype.as_str(), case.output().dtype.as_str()) {
            ("float32", "int8") => from_real::<i8>(case),
            ("float32", "uint8") => from_real::<u8>(case),
            ("float32", "int16") => from_real::<i16>(case),
            (_, "int8") => requantised::<i8>(case, widened(x)),
            (_, "uint8") => requantised::<u8>(case, widened(x)),
            (_, "int16") => requantised::<i16>(case, widened(x)),
            _ => {
                let (from, to) = (quantisation(x), quantisation(case.output()));
                let plan = Requantise::new(from, to).expect("sound");
                same(
                    case,
                    &widened(x)
                        .into_iter()
                        .map(|x| plan.apply(x))
                        .collect::<Vec<_>>(),
                );
            }
        }
        Some(())
    });
    each("dequantize", |case| {
        let x = case.input(0)?;
        let mut out = vec![0.0; shape(x).count()];
        match x.dtype.as_str() {
            "int8" if x.scale.len() > 1 => {
                let zeros: Vec<_> = x.zero_point.iter().map(|&zero| zero as i32).collect();
                let inner = shape(x).around(x.axis).expect("axis").inner;
                dequantise_channels(&x.scale, &zeros, inner, &x.elements::<i8>(), &mut out)
            }
            "int8" => dequantise(quantisation(x), &x.elements::<i8>(), &mut out),
            "uint8" => dequantise(quantisation(x), &x.elements::<u8>(), &mut out),
            "int16" => dequantise(quantisation(x), &x.elements::<i16>(), &mut out),
            _ => return None,
        }
        .expect("fits");
        near(case, &out, 0.0);
        Some(())
    });
}

fn normed<T>(case: &Case)
where
    T: Byte + scalebench_oracle::Element + Default + PartialEq + std::fmt::Debug,
{
    let x = case.input(0).expect("x");
    let depth = *x.shape.last().expect("an axis");
    let mut out = vec![T::default(); shape(x).count()];
    norm::quantised(quantisation(x), depth, &x.elements::<T>(), &mut out).expect("fits");
    same(case, &out);
}

#[test]
fn norms() {
    each("l2_normalization", |case| {
        match case.output().dtype.as_str() {
            "int8" => normed::<i8>(case),
            "uint8" => normed::<u8>(case),
            _ => {
                let x = case.input(0)?;
                let mut out = vec![0.0; shape(x).count()];
                norm::real(*x.shape.last()?, &x.elements::<f32>(), &mut out).expect("fits");
                near(case, &out, 1e-6);
            }
        }
        Some(())
    });
}

fn compared<T: scalebench_oracle::Element + PartialOrd>(case: &Case, comparison: Comparison) {
    answers(case, |plan, a, b, out| {
        plan.run(
            Isa::PORTABLE,
            &comparison,
            &a.elements::<T>(),
            &b.elements::<T>(),
            out,
        )
        .expect("fits");
    });
}

fn compared_quantised<T>(case: &Case, comparison: Comparison)
where
    T: Element + scalebench_oracle::Element,
{
    answers(case, |plan, a, b, out| {
        let compare =
            Quantised::new::<T>(comparison, quantisation(a), quantisation(b)).expect("sound");
        plan.run(
            Isa::PORTABLE,
            &compare,
            &a.elements::<T>(),
            &b.elements::<T>(),
            out,
        )
        .expect("fits");
    });
}

fn answers(case: &Case, run: impl Fn(&Broadcast, &Tensor, &Tensor, &mut [u8])) {
    let (a, b) = (case.input(0).expect("a"), case.input(1).expect("b"));
    let plan = Broadcast::new(&shape(a), &shape(b)).expect("broadcasts");
    let mut out = vec![0; plan.output().count()];
    run(&plan, a, b, &mut out);
    assert_eq!(out, case.output().data, "{}", case.name);
}

#[test]
fn comparisons() {
    for (name, comparison) in [
        ("equal", Comparison::Equal),
        ("not_equal", Comparison::NotEqual),
        ("less", Comparison::Less),
        ("less_equal", Comparison::LessEqual),
        ("greater", Comparison::Greater),
        ("greater_equal", Comparison::GreaterEqual),
    ] {
        each(name, |case| {
            match case.input(0)?.dtype.as_str() {
                "int8" => compared_quantised::<i8>(case, comparison),
                "uint8" => compared_quantised::<u8>(case, comparison),
                "int32" => compared::<i32>(case, comparison),
                "int64" => compared::<i64>(case, comparison),
                _ => compared::<f32>(case, comparison),
            }
            Some(())
        });
    }
}

#[test]
fn shapes_of_seven_dimensions_are_refused() {
    assert!(Shape::new(&[1; 7]).is_err());
}
