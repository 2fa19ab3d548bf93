//! The layer shapes of the MLPerf Tiny models, on every instruction set this processor has.
//!
//! `cargo bench -p scalebench-kernels --features detect` prints times, and multiply-accumulates per
//! second, of what these networks spend their time in: a first layer with three channels, pointwise
//! convolutions with few rows, 3×3 convolutions of 16 to 64 channels, and matrix-vector products.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use scalebench_kernels::conv::{self, Conv};
use scalebench_kernels::float::{self, Clamp};
use scalebench_kernels::fully_connected::{self, FullyConnected};
use scalebench_kernels::isa::Isa;
use scalebench_kernels::requant::{Multiplier, Output};
use scalebench_kernels::window::Window;
use std::fmt;

fn main() {
    divan::main();
}

const OUTPUT: Output = Output {
    zero: -7,
    min: -128,
    max: 127,
};

/// A convolution of a square image with "same" padding.
#[derive(Clone, Copy)]
struct Layer {
    name: &'static str,
    size: [usize; 2],
    inputs: usize,
    outputs: usize,
    kernel: [usize; 2],
    stride: usize,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [height, width] = self.size;
        write!(
            f,
            "{} {height}x{width}x{}->{}",
            self.name, self.inputs, self.outputs
        )
    }
}

impl Layer {
    fn window(&self) -> Window {
        let out = self.size.map(|size| size.div_ceil(self.stride));
        let padding = |axis: usize| {
            ((out[axis] - 1) * self.stride + self.kernel[axis]).saturating_sub(self.size[axis])
        };
        Window {
            input: [1, self.size[0], self.size[1], self.inputs],
            output: [1, out[0], out[1], self.outputs],
            kernel: self.kernel,
            stride: [self.stride; 2],
            dilation: [1, 1],
            before: [padding(0) / 2, padding(1) / 2],
        }
    }

    fn macs(&self) -> usize {
        let window = self.window();
        window.output.iter().product::<usize>() * self.kernel[0] * self.kernel[1] * self.inputs
    }
}

const fn layer(
    name: &'static str,
    size: [usize; 2],
    [inputs, outputs]: [usize; 2],
    kernel: [usize; 2],
    stride: usize,
) -> Layer {
    Layer {
        name,
        size,
        inputs,
        outputs,
        kernel,
        stride,
    }
}

const LAYERS: &[Layer] = &[
    layer("kws first 10x4/2", [49, 10], [1, 64], [10, 4], 2),
    layer("kws pointwise", [25, 5], [64, 64], [1, 1], 1),
    layer("vww first 3x3/2", [96, 96], [3, 8], [3, 3], 2),
    layer("vww pointwise", [48, 48], [8, 16], [1, 1], 1),
    layer("vww pointwise", [24, 24], [32, 32], [1, 1], 1),
    layer("vww pointwise", [12, 12], [64, 64], [1, 1], 1),
    layer("vww pointwise", [6, 6], [128, 128], [1, 1], 1),
    layer("vww pointwise", [3, 3], [256, 256], [1, 1], 1),
    layer("resnet first 3x3", [32, 32], [3, 16], [3, 3], 1),
    layer("resnet 3x3", [32, 32], [16, 16], [3, 3], 1),
    layer("resnet 3x3/2", [32, 32], [16, 32], [3, 3], 2),
    layer("resnet 3x3", [16, 16], [32, 32], [3, 3], 1),
    layer("resnet 3x3", [8, 8], [64, 64], [3, 3], 1),
];

const DEPTHWISE: &[Layer] = &[
    layer("vww depthwise", [48, 48], [8, 8], [3, 3], 1),
    layer("vww depthwise/2", [48, 48], [16, 16], [3, 3], 2),
    layer("vww depthwise", [24, 24], [32, 32], [3, 3], 1),
    layer("vww depthwise", [12, 12], [64, 64], [3, 3], 1),
    layer("vww depthwise", [6, 6], [128, 128], [3, 3], 1),
    layer("vww depthwise", [3, 3], [256, 256], [3, 3], 1),
];

/// Inputs and outputs of the matrix-vector products of the anomaly detector.
const PRODUCTS: &[[usize; 2]] = &[[640, 128], [128, 128], [128, 8], [8, 128], [128, 640]];

/// The part of `memory` that begins at a multiple of 64 bytes.
fn aligned<T>(memory: &mut [T], len: usize) -> &mut [T] {
    let skip = memory.as_ptr().align_offset(64);
    &mut memory[skip..skip + len]
}

fn noise(len: usize) -> Vec<i8> {
    (0..len as u32)
        .map(|i| (i.wrapping_mul(0x9e37_79b9) >> 13) as i8)
        .collect()
}

fn reals(len: usize) -> Vec<f32> {
    noise(len).iter().map(|&x| f32::from(x) / 128.0).collect()
}

fn paths() -> Vec<Isa> {
    Isa::available().collect()
}

fn cases<T: Copy>(shapes: &'static [T]) -> impl Iterator<Item = Case<T>> {
    paths()
        .into_iter()
        .flat_map(move |isa| shapes.iter().map(move |&shape| Case { isa, shape }))
}

#[derive(Clone, Copy)]
struct Case<T> {
    isa: Isa,
    shape: T,
}

impl fmt::Display for Case<Layer> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.shape, self.isa.name())
    }
}

impl fmt::Display for Case<[usize; 2]> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [inputs, outputs] = self.shape;
        write!(f, "ad {inputs}->{outputs}, {}", self.isa.name())
    }
}

#[divan::bench(args = cases(LAYERS))]
fn int8_convolution(bencher: Bencher, case: Case<Layer>) {
    let params = conv::Params {
        window: case.shape.window(),
        groups: 1,
        input_zero: -3,
        weight_zero: 0,
        output: OUTPUT,
    };
    let plan = Conv::new(case.isa, params).unwrap();
    let channels = case.shape.outputs;
    let multipliers = vec![Multiplier::from_real(0.0013).unwrap(); channels];
    let weights = noise(params.weights_len().unwrap());
    let mut memory = vec![0; plan.packed_len() + 64];
    let packed = aligned(&mut memory, plan.packed_len());
    plan.pack(&weights, Some(&vec![5; channels]), &multipliers, packed)
        .unwrap();
    let input = noise(params.window.input.iter().product());
    let mut scratch = vec![0; plan.scratch_len()];
    let mut out = vec![0; params.window.output.iter().product()];
    bencher
        .counter(ItemsCount::new(case.shape.macs()))
        .bench_local(|| {
            plan.run(packed, black_box(&input), &mut scratch, &mut out)
                .unwrap();
            out[0]
        });
}

#[divan::bench(args = cases(PRODUCTS))]
fn int8_fully_connected(bencher: Bencher, case: Case<[usize; 2]>) {
    let [inputs, outputs] = case.shape;
    let params = fully_connected::Params {
        rows: 1,
        inputs,
        outputs,
        input_zero: -3,
        weight_zero: 0,
        output: OUTPUT,
    };
    let plan = FullyConnected::new(case.isa, params).unwrap();
    let multipliers = vec![Multiplier::from_real(0.0013).unwrap(); outputs];
    let mut memory = vec![0; plan.packed_len() + 64];
    let packed = aligned(&mut memory, plan.packed_len());
    plan.pack(&noise(inputs * outputs), None, &multipliers, packed)
        .unwrap();
    let input = noise(inputs);
    let mut scratch = vec![0; plan.scratch_len()];
    let mut out = vec![0; outputs];
    bencher
        .counter(ItemsCount::new(inputs * outputs))
        .bench_local(|| {
            plan.run(packed, black_box(&input), &mut scratch, &mut out)
                .unwrap();
            out[0]
        });
}

#[divan::bench(args = cases(LAYERS))]
fn float_convolution(bencher: Bencher, case: Case<Layer>) {
    let window = case.shape.window();
    let plan = float::Conv::new(case.isa, window, 1, Clamp::NONE).unwrap();
    let [height, width] = window.kernel;
    let weights = reals(window.output[3] * height * width * window.input[3]);
    let mut memory = vec![0.0; plan.packed_len() + 16];
    let packed = aligned(&mut memory, plan.packed_len());
    plan.pack(&weights, None, packed).unwrap();
    let input = reals(window.input.iter().product());
    let mut scratch = vec![0.0; plan.scratch_len()];
    let mut out = vec![0.0; window.output.iter().product()];
    bencher
        .counter(ItemsCount::new(case.shape.macs()))
        .bench_local(|| {
            plan.run(packed, black_box(&input), &mut scratch, &mut out)
                .unwrap();
            out[0]
        });
}

#[divan::bench(args = cases(DEPTHWISE))]
fn float_depthwise(bencher: Bencher, case: Case<Layer>) {
    let window = case.shape.window();
    let plan = float::Depthwise::new(case.isa, window, Clamp::NONE).unwrap();
    let weights = reals(window.kernel[0] * window.kernel[1] * window.output[3]);
    let bias = reals(window.output[3]);
    let input = reals(window.input.iter().product());
    let mut out = vec![0.0; window.output.iter().product()];
    bencher
        .counter(ItemsCount::new(case.shape.macs() / case.shape.inputs))
        .bench_local(|| {
            plan.run((&weights, Some(&bias)), black_box(&input), &mut out)
                .unwrap();
            out[0]
        });
}
