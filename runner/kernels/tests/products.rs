//! Packed products against their specifications, on every instruction set this processor has.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use scalebench_kernels::isa::Isa;
use scalebench_kernels::requant::{Multiplier, Output};
use scalebench_kernels::window::Window;
use scalebench_kernels::{batch_matmul, conv, fully_connected};

/// A stream of numbers from a seed (xorshift), for tensors whose sizes depend on drawn shapes.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: i64) -> i64 {
        (self.next() >> 16) as i64 % bound
    }

    /// Bytes, with the extremes more often than chance has them.
    fn bytes(&mut self, len: usize) -> Vec<i8> {
        let byte = |n: u64| match n >> 60 {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => (n >> 24) as i8,
        };
        (0..len).map(|_| byte(self.next())).collect()
    }

    fn words(&mut self, len: usize) -> Vec<i32> {
        (0..len)
            .map(|_| (self.below(1 << 18) - (1 << 17)) as i32)
            .collect()
    }

    /// Multipliers from the usual (a thousandth) to the absurd (shifts to the left, zero).
    fn multipliers(&mut self, len: usize) -> Vec<Multiplier> {
        let one = |stream: &mut Self| {
            let usual = (1.0 + stream.below(1 << 20) as f64 / f64::from(1 << 20)) / 1024.0;
            match stream.below(16) {
                0 => usual * 1024.0,
                1 => usual * 4096.0,
                2 => usual / f64::from(1 << 20),
                3 => 0.0,
                _ => usual,
            }
        };
        (0..len)
            .map(|_| Multiplier::from_real(one(self)).unwrap())
            .collect()
    }

    fn zero(&mut self) -> i32 {
        (self.below(256) - 128) as i32
    }

    fn output(&mut self) -> Output {
        let zero = self.zero();
        match self.below(3) {
            0 => Output {
                zero,
                min: zero as i8,
                max: i8::MAX,
            },
            1 => Output {
                zero,
                min: -100,
                max: 90,
            },
            _ => Output {
                zero,
                min: i8::MIN,
                max: i8::MAX,
            },
        }
    }
}

/// Bytes that begin at a multiple of 64, as an engine lends them.
fn aligned(len: usize) -> Vec<u8> {
    vec![0; len]
}

/// A window that fits: the output's extent follows from the input's, padding being whatever it is.
fn windows() -> impl Strategy<Value = (Window, usize)> {
    let axis = (
        1_usize..=9,
        1_usize..=4,
        1_usize..=3,
        1_usize..=2,
        0_usize..=3,
        0_usize..=3,
    );
    let channels = (1_usize..=3, 1_usize..=24, 1_usize..=40, 1_usize..=2);
    (axis.clone(), axis, channels).prop_filter_map(
        "the window is larger than the input",
        |(y, x, c)| {
            let extent = |(input, kernel, stride, dilation, before, after): (
                usize,
                usize,
                usize,
                usize,
                usize,
                usize,
            )| {
                (input + before + after)
                    .checked_sub((kernel - 1) * dilation + 1)
                    .map(|room| room / stride + 1)
            };
            let (groups, inputs, outputs, batch) = c;
            let window = Window {
                input: [batch, y.0, x.0, inputs * groups],
                output: [batch, extent(y)?, extent(x)?, outputs * groups],
                kernel: [y.1, x.1],
                stride: [y.2, x.2],
                dilation: [y.3, x.3],
                before: [y.4, x.4],
            };
            Some((window, groups))
        },
    )
}

fn convolve(params: conv::Params, seed: u64) -> Result<(), TestCaseError> {
    let mut stream = Stream(seed | 1);
    let channels = params.window.output[3];
    let input = stream.bytes(params.window.input.iter().product());
    let weights = stream.bytes(params.weights_len().unwrap());
    let bias = stream.words(channels);
    let bias = (seed & 2 == 0).then_some(bias.as_slice());
    let multipliers = stream.multipliers(channels);
    let mut expected = vec![0; params.window.output.iter().product()];
    conv::reference(
        &params,
        &input,
        (&weights, bias, &multipliers),
        &mut expected,
    )
    .unwrap();
    for isa in Isa::available() {
        let conv = conv::Conv::new(isa, params).unwrap();
        let mut packed = aligned(conv.packed_len());
        conv.pack(&weights, bias, &multipliers, &mut packed)
            .unwrap();
        let mut scratch = stream.bytes(conv.scratch_len());
        let mut out = vec![0; expected.len()];
        conv.run(&packed, &input, &mut scratch, &mut out).unwrap();
        prop_assert_eq!(&out, &expected, "{}", isa.name());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn convolutions_equal_their_specification((window, groups) in windows(), seed: u64) {
        let mut stream = Stream(!seed | 1);
        let weight_zero = if seed % 3 == 0 { stream.zero() } else { 0 };
        let params = conv::Params {
            window,
            groups,
            input_zero: stream.zero(),
            weight_zero,
            output: stream.output(),
        };
        convolve(params, seed)?;
    }

    #[test]
    fn wide_convolutions_equal_their_specification(
        size in 1_usize..=6,
        inputs in 1_usize..=70,
        outputs in 1_usize..=150,
        seed: u64,
    ) {
        let mut stream = Stream(!seed | 1);
        let window = Window {
            input: [1, size, size, inputs],
            output: [1, size, size, outputs],
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            before: [0, 0],
        };
        let params = conv::Params {
            window,
            groups: 1,
            input_zero: stream.zero(),
            weight_zero: 0,
            output: stream.output(),
        };
        convolve(params, seed)?;
    }

    #[test]
    fn fully_connected_layers_equal_their_specification(
        rows in 1_usize..=20,
        inputs in 1_usize..=300,
        outputs in 1_usize..=150,
        seed: u64,
    ) {
        let mut stream = Stream(seed | 1);
        let weight_zero = if seed % 3 == 0 { stream.zero() } else { 0 };
        let params = fully_connected::Params {
            rows,
            inputs,
            outputs,
            input_zero: stream.zero(),
            weight_zero,
            output: stream.output(),
        };
        let input = stream.bytes(rows * inputs);
        let weights = stream.bytes(outputs * inputs);
        let bias = stream.words(outputs);
        let bias = (seed & 2 == 0).then_some(bias.as_slice());
        let multipliers = stream.multipliers(outputs);
        let mut expected = vec![0; rows * outputs];
        fully_connected::reference(&params, &input, (&weights, bias, &multipliers), &mut expected)
            .unwrap();
        for isa in Isa::available() {
            let layer = fully_connected::FullyConnected::new(isa, params).unwrap();
            let mut packed = aligned(layer.packed_len());
            layer.pack(&weights, bias, &multipliers, &mut packed).unwrap();
            let mut scratch = stream.bytes(layer.scratch_len());
            let mut out = vec![0; expected.len()];
            layer.run(&packed, &input, &mut scratch, &mut out).unwrap();
            prop_assert_eq!(&out, &expected, "{}", isa.name());
        }
    }

    #[test]
    fn products_of_activations_equal_their_specification(
        rows in 1_usize..=20,
        inner in 1_usize..=100,
        columns in 1_usize..=100,
        transposed: bool,
        seed: u64,
    ) {
        let mut stream = Stream(seed | 1);
        let params = batch_matmul::Params {
            rows,
            inner,
            columns,
            transposed,
            input_zero: stream.zero(),
            other_zero: stream.zero(),
            multiplier: stream.multipliers(1)[0],
            output: stream.output(),
        };
        let input = stream.bytes(rows * inner);
        let other = stream.bytes(columns * inner);
        let mut expected = vec![0; rows * columns];
        batch_matmul::reference(&params, &input, &other, &mut expected).unwrap();
        for isa in Isa::available() {
            let product = batch_matmul::BatchMatmul::new(isa, params).unwrap();
            let mut packed = aligned(product.packed_len());
            product.pack(&other, &mut packed).unwrap();
            let mut scratch = stream.bytes(product.scratch_len());
            let mut out = vec![0; expected.len()];
            product.run(&packed, &input, &mut scratch, &mut out).unwrap();
            prop_assert_eq!(&out, &expected, "{}", isa.name());
        }
    }
}
