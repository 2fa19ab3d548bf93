//! Operators with weights.

use scalebench_kernels::depthwise::{self, Depthwise, Params};
use scalebench_kernels::element::{Quantisation, Range};
use scalebench_kernels::requant::{Multiplier, Output};
use scalebench_kernels::transpose_conv::{self, Stage, Weights};
use scalebench_kernels::window::Window;
use scalebench_oracle::{Case, Tensor};

use super::support::{activation, each, isas, near, quantisation, same, window};

/// One multiplier for each channel, as `PopulateConvolutionQuantizationParams` derives them.
fn multipliers(x: &Tensor, w: &Tensor, y: &Tensor, channels: usize) -> Vec<Multiplier> {
    (0..channels)
        .map(|channel| {
            let scale = f64::from(w.scale[channel % w.scale.len()]);
            let real = f64::from(x.scale[0]) * scale / f64::from(y.scale[0]);
            Multiplier::from_real(real).expect("a usual multiplier")
        })
        .collect()
}

fn bias<T: scalebench_oracle::Element>(case: &Case) -> Option<Vec<T>> {
    case.input(2).map(Tensor::elements)
}

fn bytes(case: &Case, x: &Tensor, w: &Tensor) {
    let unsigned = x.dtype == "uint8";
    let moved = |q: Quantisation| q.zero - if unsigned { 128 } else { 0 };
    let signed = |tensor: &Tensor| -> Vec<i8> {
        let flip = if unsigned { 0x80 } else { 0 };
        tensor
            .data
            .iter()
            .map(|&byte| (byte ^ flip) as i8)
            .collect()
    };
    let y = case.output();
    let kernel = [w.shape[1], w.shape[2]];
    let q = quantisation(y);
    let range = if unsigned {
        let Range { min, max } = activation(case).range::<u8>(q);
        Range {
            min: min - 128,
            max: max - 128,
        }
    } else {
        activation(case).range::<i8>(q)
    };
    let params = Params {
        window: window(case, x, kernel),
        input_zero: moved(quantisation(x)),
        weight_zero: moved(quantisation(w)) * i32::from(unsigned),
        output: Output {
            zero: moved(q),
            min: range.min as i8,
            max: range.max as i8,
        },
    };
    let multipliers = multipliers(x, w, y, y.shape[3]);
    let (bias, weights) = (bias::<i32>(case), signed(w));
    let given = (weights.as_slice(), bias.as_deref(), multipliers.as_slice());
    let mut out = vec![0; y.data.len()];
    depthwise::reference(&params, &signed(x), given, &mut out).expect("sound");
    assert_eq!(out, signed(y), "{}", case.name);
    for isa in isas() {
        let plan = Depthwise::new(isa, params).expect("sound");
        let mut packed = vec![0; plan.packed_len()];
        plan.pack(given.0, given.1, given.2, &mut packed)
            .expect("fits");
        let mut scratch = vec![0; plan.scratch_len()];
        plan.run(&packed, &signed(x), &mut scratch, &mut out)
            .expect("fits");
        assert_eq!(out, signed(y), "{} {}", case.name, isa.name());
    }
}

#[test]
fn depthwise_convolutions() {
    each("depthwise", |case| {
        let (x, w) = (case.input(0).expect("x"), case.input(1).expect("w"));
        match x.dtype.as_str() {
            "int8" | "uint8" => bytes(case, x, w),
            "int16" => {
                let y = case.output();
                let window = window(case, x, [w.shape[1], w.shape[2]]);
                let range = activation(case).range::<i16>(quantisation(y));
                let (weights, bias) = (w.elements::<i8>(), bias::<i64>(case));
                let multipliers = multipliers(x, w, y, y.shape[3]);
                let mut out = vec![0; y.shape.iter().product()];
                let given = (weights.as_slice(), bias.as_deref(), multipliers.as_slice());
                depthwise::wide(&window, range, &x.elements(), given, &mut out).expect("sound");
                same(case, &out);
            }
            _ => return None,
        }
        Some(())
    });
}

/// The window of the convolution that this is the transpose of.
fn transposed(case: &Case, x: &Tensor, w: &Tensor) -> Window {
    let extents =
        |tensor: &Tensor| -> [usize; 4] { tensor.shape.clone().try_into().expect("NHWC") };
    let (input, output) = (extents(case.output()), extents(x));
    let kernel = [w.shape[1], w.shape[2]];
    let stride = [case.int("strideH") as usize, case.int("strideW") as usize];
    let before = std::array::from_fn(|axis| {
        let covered = (output[1 + axis] - 1) * stride[axis] + kernel[axis];
        if case.int("padding") == 0 {
            covered.saturating_sub(input[1 + axis]) / 2
        } else {
            0
        }
    });
    Window {
        input,
        output,
        kernel,
        stride,
        dilation: [1, 1],
        before,
    }
}

fn transposed_bytes<T>(case: &Case, x: &Tensor, w: &Tensor)
where
    T: scalebench_kernels::element::Element
        + scalebench_oracle::Element
        + Default
        + std::fmt::Debug,
{
    let y = case.output();
    let multipliers = multipliers(x, w, y, y.shape[3]);
    let bias = case.input(3).map(Tensor::elements::<i32>);
    let weight_zero = if w.dtype == "uint8" {
        quantisation(w).zero
    } else {
        0
    };
    let stage = Stage {
        input_zero: quantisation(x).zero,
        weight_zero,
        zero: quantisation(y).zero,
        range: activation(case).range::<T>(quantisation(y)),
    };
    let mut out = vec![T::default(); y.shape.iter().product()];
    let mut sums = vec![0; out.len()];
    let weights = w.elements::<T>();
    let given = Weights {
        weights: &weights,
        bias: bias.as_deref(),
        multipliers: &multipliers,
    };
    transpose_conv::bytes(
        &transposed(case, x, w),
        stage,
        &x.elements::<T>(),
        given,
        &mut sums,
        &mut out,
    )
    .expect("sound");
    same(case, &out);
}

#[test]
fn transposed_convolutions() {
    each("transpose_conv", |case| {
        let (w, x) = (case.input(1).expect("w"), case.input(2).expect("x"));
        let y = case.output();
        match x.dtype.as_str() {
            "int8" => transposed_bytes::<i8>(case, x, w),
            "uint8" => transposed_bytes::<u8>(case, x, w),
            "int16" => {
                let multipliers = multipliers(x, w, y, y.shape[3]);
                let bias = case.input(3).map(Tensor::elements::<i64>);
                let weights = w.elements::<i8>();
                let given = Weights {
                    weights: &weights,
                    bias: bias.as_deref(),
                    multipliers: &multipliers,
                };
                let range = activation(case).range::<i16>(quantisation(y));
                let mut out = vec![0; y.shape.iter().product()];
                let mut sums = vec![0; out.len()];
                let window = transposed(case, x, w);
                transpose_conv::wide(&window, range, &x.elements(), given, &mut sums, &mut out)
                    .expect("sound");
                same(case, &out);
            }
            _ => {
                let mut out = vec![0.0; y.shape.iter().product()];
                let bias = case.input(3).map(Tensor::elements::<f32>);
                let (weights, window) = (w.elements::<f32>(), transposed(case, x, w));
                let given = (&*x.elements::<f32>(), weights.as_slice(), bias.as_deref());
                transpose_conv::real(&window, activation(case).bounds(), given, &mut out)
                    .expect("sound");
                near(case, &out, 1e-5);
            }
        }
        Some(())
    });
}
