//! Convolutions, fully connected layers and products of matrices.

use scalebench_kernels::element::Quantisation;
use scalebench_kernels::float::{self, Clamp};
use scalebench_kernels::requant::{Multiplier, Output};
use scalebench_kernels::{batch_matmul, conv, fully_connected, hybrid};
use scalebench_oracle::{Case, Tensor};

use super::support::{activation, each, isas, near, quantisation, same, window};

/// The tensor's bytes as int8: uint8 moves by 128.
fn signed(tensor: &Tensor) -> Vec<i8> {
    let flip = if tensor.dtype == "uint8" { 0x80 } else { 0 };
    let bytes = tensor.data.iter();
    bytes.map(|&byte| (byte ^ flip) as i8).collect()
}

/// The tensor's zero point as int8.
fn zero(tensor: &Tensor) -> i32 {
    let Quantisation { zero, .. } = quantisation(tensor);
    zero - if tensor.dtype == "uint8" { 128 } else { 0 }
}

fn output(case: &Case) -> Output {
    let y = case.output();
    let (range, moved) = if y.dtype == "uint8" {
        (activation(case).range::<u8>(quantisation(y)), 128)
    } else {
        (activation(case).range::<i8>(quantisation(y)), 0)
    };
    Output {
        zero: zero(y),
        min: (range.min - moved) as i8,
        max: (range.max - moved) as i8,
    }
}

fn multipliers(x: &Tensor, w: &Tensor, y: &Tensor, channels: usize) -> Vec<Multiplier> {
    let real = |channel: usize| {
        let scale = f64::from(w.scale[channel % w.scale.len()]);
        f64::from(x.scale[0]) * scale / f64::from(y.scale[0])
    };
    (0..channels)
        .map(|channel| Multiplier::from_real(real(channel)).expect("a usual multiplier"))
        .collect()
}

fn clamp(case: &Case) -> Clamp {
    let [min, max] = activation(case).bounds();
    Clamp { min, max }
}

fn scheme(asymmetric: bool) -> hybrid::Scheme {
    if asymmetric {
        hybrid::Scheme::Asymmetric
    } else {
        hybrid::Scheme::Symmetric
    }
}

/// Calls `run` with weights as a hybrid layer wants them, and working memory.
fn with_columns(
    (w, bias, channels): (&Tensor, Option<&[f32]>, usize),
    packed: &[u8],
    needed: hybrid::ScratchLen,
    run: impl FnOnce(&hybrid::Columns, hybrid::Scratch),
) {
    let mut sums = vec![0; channels];
    hybrid::column_sums(&signed(w), &mut sums);
    let scales: Vec<f32> = w.scale.iter().copied().cycle().take(channels).collect();
    let columns = hybrid::Columns {
        packed,
        sums: &sums,
        scales: &scales,
        bias,
    };
    let scratch = hybrid::Scratch {
        bytes: &mut vec![77; needed.bytes],
        words: &mut vec![77; needed.words],
        rows: &mut vec![hybrid::Quantised::default(); needed.rows],
    };
    run(&columns, scratch);
}

#[test]
fn convolutions() {
    each("conv", |case| {
        let (x, w, y) = (case.input(0)?, case.input(1)?, case.output());
        let window = window(case, x, [w.shape[1], w.shape[2]]);
        let groups = x.shape[3] / w.shape[3];
        match (x.dtype.as_str(), w.dtype.as_str()) {
            ("int8" | "uint8", _) => {
                let params = conv::Params {
                    window,
                    groups,
                    input_zero: zero(x),
                    weight_zero: zero(w),
                    output: output(case),
                };
                integer_convolution(case, params, [x, w, y]);
            }
            ("float32", "float32") => {
                let (weights, bias) = (w.elements::<f32>(), case.input(2)?.elements::<f32>());
                let mut out = vec![0.0; y.shape.iter().product()];
                let shape = (&window, groups, clamp(case));
                float::conv_reference(shape, &x.elements(), (&weights, Some(&bias)), &mut out)
                    .expect("sound");
                near(case, &out, 1e-5);
                for isa in isas() {
                    let plan = float::Conv::new(isa, window, groups, clamp(case)).expect("sound");
                    let mut packed = vec![0.0; plan.packed_len()];
                    plan.pack(&weights, Some(&bias), &mut packed).expect("fits");
                    let mut scratch = vec![f32::NAN; plan.scratch_len()];
                    plan.run(&packed, &x.elements(), &mut scratch, &mut out)
                        .expect("fits");
                    near(case, &out, 1e-5);
                }
            }
            ("float32", "int8") => {
                let bias = case.input(2)?.elements::<f32>();
                let scheme = scheme(w.scale.len() > 1);
                for isa in isas() {
                    let plan =
                        hybrid::Conv::new(isa, window, groups, scheme, clamp(case)).expect("sound");
                    let mut packed = vec![0; plan.packed_len()];
                    plan.pack(&signed(w), &mut packed).expect("fits");
                    let mut out = vec![0.0; y.shape.iter().product()];
                    let weights = (w, Some(bias.as_slice()), y.shape[3]);
                    with_columns(weights, &packed, plan.scratch_len(), |columns, scratch| {
                        plan.run(columns, &x.elements(), scratch, &mut out)
                            .expect("fits");
                    });
                    same(case, &out);
                }
            }
            _ => return None,
        }
        Some(())
    });
}

fn integer_convolution(case: &Case, params: conv::Params, [x, w, y]: [&Tensor; 3]) {
    let multipliers = multipliers(x, w, y, y.shape[3]);
    let bias = case.input(2).map(Tensor::elements::<i32>);
    let (weights, bias) = (signed(w), bias.as_deref());
    let mut out = vec![0; y.data.len()];
    conv::reference(
        &params,
        &signed(x),
        (&weights, bias, &multipliers),
        &mut out,
    )
    .expect("sound");
    assert_eq!(out, signed(y), "{} {:?}", case.name, case.options);
    for isa in isas() {
        let plan = conv::Conv::new(isa, params).expect("sound");
        let mut packed = vec![0; plan.packed_len()];
        plan.pack(&weights, bias, &multipliers, &mut packed)
            .expect("fits");
        let mut scratch = vec![77; plan.scratch_len()];
        plan.run(&packed, &signed(x), &mut scratch, &mut out)
            .expect("fits");
        assert_eq!(out, signed(y), "{} {}", case.name, isa.name());
    }
}

#[test]
fn fully_connected_layers() {
    each("fully_connected", |case| {
        let (x, w, y) = (case.input(0)?, case.input(1)?, case.output());
        let [outputs, inputs] = [w.shape[0], w.shape[1]];
        let rows = x.shape.iter().product::<usize>() / inputs;
        match (x.dtype.as_str(), w.dtype.as_str()) {
            ("int8" | "uint8", _) => {
                let params = fully_connected::Params {
                    rows,
                    inputs,
                    outputs,
                    input_zero: zero(x),
                    weight_zero: zero(w),
                    output: output(case),
                };
                integer_layer(case, params, [x, w, y]);
            }
            ("float32", "float32") => {
                let bias = case.input(2).map(Tensor::elements::<f32>);
                for isa in isas() {
                    let shape = [rows, inputs, outputs];
                    let plan = float::FullyConnected::new(isa, shape, clamp(case)).expect("sound");
                    let mut packed = vec![0.0; plan.packed_len()];
                    plan.pack(&w.elements::<f32>(), bias.as_deref(), &mut packed)
                        .expect("fits");
                    let mut out = vec![0.0; rows * outputs];
                    plan.run(&packed, &x.elements(), &mut out).expect("fits");
                    near(case, &out, 1e-5);
                }
            }
            ("float32", "int8") => {
                dynamic_layer(case, [rows, inputs, outputs], [x, w]);
            }
            _ => return None,
        }
        Some(())
    });
}

/// A layer of float activations and int8 weights: its floats are the reference's to the bit.
fn dynamic_layer(case: &Case, shape: [usize; 3], [x, w]: [&Tensor; 2]) {
    let bias = case.input(2).map(Tensor::elements::<f32>);
    let scheme = scheme(case.int("asymmetricQuantizeInputs") == 1);
    let [rows, _, outputs] = shape;
    for isa in isas() {
        let plan = hybrid::FullyConnected::new(isa, shape, scheme, clamp(case)).expect("sound");
        let mut packed = vec![0; plan.packed_len()];
        plan.pack(&signed(w), &mut packed).expect("fits");
        let mut out = vec![0.0; rows * outputs];
        let weights = (w, bias.as_deref(), outputs);
        with_columns(weights, &packed, plan.scratch_len(), |columns, scratch| {
            plan.run(columns, &x.elements(), scratch, &mut out)
                .expect("fits");
        });
        same(case, &out);
    }
}

#[test]
fn activations_on_ties_between_steps() {
    each("rounding", |case| {
        let (x, w) = (case.input(0)?, case.input(1)?);
        let shape = [x.shape[0], w.shape[1], w.shape[0]];
        dynamic_layer(case, shape, [x, w]);
        Some(())
    });
}

fn integer_layer(case: &Case, params: fully_connected::Params, [x, w, y]: [&Tensor; 3]) {
    let multipliers = multipliers(x, w, y, params.outputs);
    let bias = case.input(2).map(Tensor::elements::<i32>);
    let (weights, bias) = (signed(w), bias.as_deref());
    let mut out = vec![0; y.data.len()];
    let given = (weights.as_slice(), bias, multipliers.as_slice());
    fully_connected::reference(&params, &signed(x), given, &mut out).expect("sound");
    assert_eq!(out, signed(y), "{} {:?}", case.name, case.options);
    for isa in isas() {
        let plan = fully_connected::FullyConnected::new(isa, params).expect("sound");
        let mut packed = vec![0; plan.packed_len()];
        plan.pack(&weights, bias, &multipliers, &mut packed)
            .expect("fits");
        let mut scratch = vec![77; plan.scratch_len()];
        plan.run(&packed, &signed(x), &mut scratch, &mut out)
            .expect("fits");
        assert_eq!(out, signed(y), "{} {}", case.name, isa.name());
    }
}

/// Pairs of matrices of a batched product without broadcasting, and the answer of each.
fn matrices<T>(
    [x, y, z]: [&[T]; 3],
    [rows, inner, columns]: [usize; 3],
) -> impl Iterator<Item = [&[T]; 3]> {
    x.chunks(rows * inner)
        .zip(y.chunks(inner * columns))
        .zip(z.chunks(rows * columns))
        .map(|((x, y), z)| [x, y, z])
}

#[test]
fn products_of_activations() {
    each("batch_matmul", |case| {
        let (x, y, z) = (case.input(0)?, case.input(1)?, case.output());
        let rank = x.shape.len();
        // Transposing the first operand and broadcasting batches are the caller's.
        if case.int("adjX") == 1 || x.shape[..rank - 2] != y.shape[..rank - 2] {
            return None;
        }
        let transposed = case.int("adjY") == 1;
        let [rows, inner] = [x.shape[rank - 2], x.shape[rank - 1]];
        let columns = z.shape[rank - 1];
        let shape = [rows, inner, columns];
        match x.dtype.as_str() {
            "int8" => {
                let params = batch_matmul::Params {
                    rows,
                    inner,
                    columns,
                    transposed,
                    input_zero: zero(x),
                    other_zero: zero(y),
                    multiplier: multipliers(x, y, z, 1)[0],
                    output: output(case),
                };
                let all = [signed(x), signed(y), signed(z)];
                for [x, y, z] in matrices(all.each_ref().map(Vec::as_slice), shape) {
                    let mut out = vec![0; z.len()];
                    batch_matmul::reference(&params, x, y, &mut out).expect("sound");
                    assert_eq!(out, z, "{}", case.name);
                    for isa in isas() {
                        let plan = batch_matmul::BatchMatmul::new(isa, params).expect("sound");
                        let mut packed = vec![0; plan.packed_len()];
                        plan.pack(y, &mut packed).expect("fits");
                        let mut scratch = vec![77; plan.scratch_len()];
                        plan.run(&packed, x, &mut scratch, &mut out).expect("fits");
                        assert_eq!(out, z, "{} {}", case.name, isa.name());
                    }
                }
            }
            "float32" => {
                let all = [x.elements::<f32>(), y.elements(), z.elements()];
                for isa in isas() {
                    let plan = float::BatchMatmul::new(isa, shape, transposed).expect("sound");
                    let mut out = vec![0.0; all[2].len()];
                    let mut rest = out.as_mut_slice();
                    for [x, y, z] in matrices(all.each_ref().map(Vec::as_slice), shape) {
                        let mut packed = vec![0.0; plan.packed_len()];
                        plan.pack(y, &mut packed).expect("fits");
                        let (part, after) = rest.split_at_mut(z.len());
                        plan.run(&packed, x, part).expect("fits");
                        rest = after;
                    }
                    near(case, &out, 1e-5);
                }
            }
            _ => return None,
        }
        Some(())
    });
}
