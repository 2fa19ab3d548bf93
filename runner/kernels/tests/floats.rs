//! Packed float products and convolutions against their specifications, on every instruction set this
//! processor has, within `k · 2^-23 · Σ|xw|` for `k` terms.

use proptest::prelude::*;
use scalebench_kernels::float::{
    BatchMatmul, Clamp, Conv, Depthwise, FullyConnected, conv_reference, depthwise_reference,
};
use scalebench_kernels::isa::Isa;
use scalebench_kernels::window::Window;

/// Numbers in −1..1 from a seed.
fn reals(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as f32 / 8_388_608.0) - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// The numbers of `reals` are below one, so `terms` bounds the sum of their products.
fn assert_close(got: &[f32], expected: &[f32], terms: usize, isa: Isa) {
    let tolerance = (terms * terms) as f32 * f32::EPSILON;
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance,
            "{}: {got} instead of {expected} at {index}",
            isa.name()
        );
    }
}

const CLAMP: Clamp = Clamp {
    min: -0.5,
    max: 1.5,
};

fn windows() -> impl Strategy<Value = Window> {
    let axis = (
        4_usize..=9,
        1_usize..=3,
        1_usize..=3,
        1_usize..=2,
        0_usize..=2,
    );
    (axis.clone(), axis, 1_usize..=40, 1_usize..=70).prop_map(|(y, x, inputs, outputs)| {
        let extent =
            |(input, kernel, stride, dilation, before): (usize, usize, usize, usize, usize)| {
                (input + 2 * before).saturating_sub((kernel - 1) * dilation + 1) / stride + 1
            };
        Window {
            input: [1, y.0, x.0, inputs],
            output: [1, extent(y), extent(x), outputs],
            kernel: [y.1, x.1],
            stride: [y.2, x.2],
            dilation: [y.3, x.3],
            before: [y.4, x.4],
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn convolutions_are_close_to_their_specification(window in windows(), seed: u64) {
        let terms = window.kernel[0] * window.kernel[1] * window.input[3];
        let weights = reals(window.output[3] * terms, seed);
        let bias = reals(window.output[3], seed ^ 2);
        let input = reals(window.input.iter().product(), seed ^ 4);
        let mut expected = vec![0.0; window.output.iter().product()];
        conv_reference((&window, 1, CLAMP), &input, (&weights, Some(&bias)), &mut expected).unwrap();
        for isa in Isa::available() {
            let conv = Conv::new(isa, window, 1, CLAMP).unwrap();
            let mut packed = vec![0.0; conv.packed_len()];
            conv.pack(&weights, Some(&bias), &mut packed).unwrap();
            let mut scratch = vec![f32::NAN; conv.scratch_len()];
            let mut out = vec![f32::NAN; expected.len()];
            conv.run(&packed, &input, &mut scratch, &mut out).unwrap();
            assert_close(&out, &expected, terms + 1, isa);
        }
    }

    #[test]
    fn depthwise_is_close_to_its_specification(
        window in windows(),
        multiplier in 1_usize..=3,
        seed: u64,
    ) {
        let mut window = window;
        window.output[3] = window.input[3] * multiplier;
        let terms = window.kernel[0] * window.kernel[1];
        let weights = reals(window.output[3] * terms, seed);
        let bias = reals(window.output[3], seed ^ 2);
        let input = reals(window.input.iter().product(), seed ^ 4);
        let mut expected = vec![0.0; window.output.iter().product()];
        let tensors = (weights.as_slice(), Some(bias.as_slice()));
        depthwise_reference((&window, CLAMP), &input, tensors, &mut expected).unwrap();
        for isa in Isa::available() {
            let plan = Depthwise::new(isa, window, CLAMP).unwrap();
            let mut out = vec![f32::NAN; expected.len()];
            plan.run(tensors, &input, &mut out).unwrap();
            assert_close(&out, &expected, terms + 1, isa);
        }
    }

    #[test]
    fn products_are_close_to_sums_of_products(
        rows in 1_usize..=12,
        inner in 1_usize..=80,
        columns in 1_usize..=100,
        seed: u64,
    ) {
        let left = reals(rows * inner, seed);
        let right = reals(columns * inner, seed ^ 2);
        let expected: Vec<f32> = left
            .chunks(inner)
            .flat_map(|row| right.chunks(inner).map(|column| {
                row.iter().zip(column).map(|(x, y)| x * y).sum()
            }))
            .collect();
        // The second operand as rows of inner extent.
        let upright: Vec<f32> = (0..inner * columns)
            .map(|at| right[at % columns * inner + at / columns])
            .collect();
        for isa in Isa::available() {
            let mut out = vec![f32::NAN; rows * columns];
            for (transposed, other) in [(true, &right), (false, &upright)] {
                let product = BatchMatmul::new(isa, [rows, inner, columns], transposed).unwrap();
                let mut packed = vec![0.0; product.packed_len()];
                product.pack(other, &mut packed).unwrap();
                product.run(&packed, &left, &mut out).unwrap();
                assert_close(&out, &expected, inner, isa);
            }
            let layer = FullyConnected::new(isa, [rows, inner, columns], Clamp::NONE).unwrap();
            let mut packed = vec![0.0; layer.packed_len()];
            layer.pack(&right, None, &mut packed).unwrap();
            layer.run(&packed, &left, &mut out).unwrap();
            assert_close(&out, &expected, inner, isa);
        }
    }
}

#[test]
fn not_a_number_stays_not_a_number() {
    for isa in Isa::available() {
        let layer = FullyConnected::new(isa, [1, 2, 3], CLAMP).unwrap();
        let mut packed = vec![0.0; layer.packed_len()];
        layer.pack(&[1.0; 6], None, &mut packed).unwrap();
        let mut out = [0.0; 3];
        layer.run(&packed, &[f32::NAN, 1.0], &mut out).unwrap();
        assert!(out.iter().all(|out| out.is_nan()), "{}", isa.name());
    }
}
