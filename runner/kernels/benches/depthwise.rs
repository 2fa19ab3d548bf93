//! The depthwise layers of kws_ref_model and vww_96_int8, on every instruction set this processor
//! has: `cargo bench -p scalebench-kernels --features detect --bench depthwise`.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use scalebench_kernels::depthwise::{Depthwise, Params};
use scalebench_kernels::isa::Isa;
use scalebench_kernels::requant::{Multiplier, Output};
use scalebench_kernels::window::Window;
use std::fmt;

fn main() {
    divan::main();
}

/// A 3×3 filter with "same" padding.
#[derive(Clone, Copy)]
struct Layer {
    size: [usize; 2],
    channels: usize,
    stride: usize,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [height, width] = self.size;
        write!(f, "{height}x{width}x{} /{}", self.channels, self.stride)
    }
}

const fn layer(size: [usize; 2], channels: usize, stride: usize) -> Layer {
    Layer {
        size,
        channels,
        stride,
    }
}

/// First that of kws_ref_model, which comes four times; then those of vww_96_int8.
const LAYERS: [Layer; 10] = [
    layer([25, 5], 64, 1),
    layer([48, 48], 8, 1),
    layer([48, 48], 16, 2),
    layer([24, 24], 32, 1),
    layer([24, 24], 32, 2),
    layer([12, 12], 64, 1),
    layer([12, 12], 64, 2),
    layer([6, 6], 128, 1),
    layer([6, 6], 128, 2),
    layer([3, 3], 256, 1),
];

fn cases() -> impl Iterator<Item = Case> {
    Isa::available().flat_map(|isa| LAYERS.map(|layer| Case(isa, layer)))
}

#[divan::bench(args = cases())]
fn depthwise(bencher: Bencher, case: &Case) {
    let Case(isa, layer) = *case;
    let output = layer.size.map(|size| size.div_ceil(layer.stride));
    let before = [0, 1]
        .map(|axis| ((output[axis] - 1) * layer.stride + 3).saturating_sub(layer.size[axis]) / 2);
    let params = Params {
        window: Window {
            input: [1, layer.size[0], layer.size[1], layer.channels],
            output: [1, output[0], output[1], layer.channels],
            kernel: [3, 3],
            stride: [layer.stride; 2],
            dilation: [1, 1],
            before,
        },
        input_zero: -128,
        weight_zero: 0,
        output: Output {
            zero: -128,
            min: -128,
            max: 127,
        },
    };
    let plan = Depthwise::new(isa, params).expect("sound");
    let weights: Vec<i8> = (0..params.weights_len()).map(|i| (i * 37) as i8).collect();
    let multipliers = vec![
        Multiplier {
            mantissa: 1_500_000_000,
            shift: -8
        };
        layer.channels
    ];
    let mut packed = vec![0; plan.packed_len()];
    plan.pack(&weights, None, &multipliers, &mut packed)
        .expect("fits");
    let input: Vec<i8> = (0..params.window.input.iter().product())
        .map(|i: usize| (i * 11) as i8)
        .collect();
    let mut scratch = vec![0; plan.scratch_len()];
    let mut out = vec![0; params.window.output.iter().product()];
    bencher
        .counter(ItemsCount::new(out.len() * 9))
        .bench_local(|| {
            plan.run(&packed, black_box(&input), &mut scratch, &mut out)
                .expect("fits");
            black_box(&out);
        });
}

#[derive(Clone, Copy)]
struct Case(Isa, Layer);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.name(), self.1)
    }
}
