use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

#[derive(Debug)]
struct Case {
    params: Params,
    input: Vec<i8>,
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<Multiplier>,
}

fn case() -> impl Strategy<Value = Case> {
    let sizes = (
        (
            1_usize..3,
            1_usize..4,
            prop::sample::select(vec![1, 2, 3, 4, 7, 8, 16, 24, 33, 64, 70, 96, 130]),
        ),
        [1_usize..5, 1_usize..5],
        [1_usize..4, 1_usize..4],
        [1_usize..3, 1_usize..3],
        [0_usize..3, 0_usize..3],
        [1_usize..9, 1_usize..9],
    );
    let zeros = (
        any::<i8>(),
        prop_oneof![3 => Just(0_i8), 1 => any::<i8>()],
        any::<i8>(),
    );
    (sizes, zeros, any::<u64>()).prop_map(|(sizes, (input_zero, weight_zero, zero), seed)| {
        let ((batch, repeat, depth), kernel, stride, dilation, before, output) = sizes;
        let input = |axis: usize| {
            let covered =
                (output[axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1;
            covered
                .saturating_sub(before[axis] + seed as usize % 3)
                .max(1)
        };
        let channels = depth * repeat;
        let window = Window {
            input: [batch, input(0), input(1), depth],
            output: [batch, output[0], output[1], channels],
            kernel,
            stride,
            dilation,
            before,
        };
        let mut state = seed | 1;
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as i32
        };
        let mut bytes = |count: usize| (0..count).map(|_| draw() as i8).collect::<Vec<_>>();
        let (input, weights) = (
            bytes(window.input.iter().product()),
            bytes(kernel[0] * kernel[1] * channels),
        );
        Case {
            params: Params {
                window,
                input_zero: i32::from(input_zero),
                weight_zero: i32::from(weight_zero),
                output: Output {
                    zero: i32::from(zero),
                    min: -100,
                    max: 101,
                },
            },
            input,
            weights,
            bias: (0..channels).map(|_| draw() % 20_000).collect(),
            multipliers: (0..channels)
                .map(|_| Multiplier {
                    mantissa: (1 << 30) + draw() % (1 << 30),
                    shift: draw() % 14 - 12,
                })
                .collect(),
        }
    })
}

proptest! {
    #[test]
    fn packed_equals_the_specification(case in case(), biased: bool) {
        let bias = biased.then_some(case.bias.as_slice());
        let mut want = vec![0; case.params.window.output.iter().product()];
        reference(&case.params, &case.input, (&case.weights, bias, &case.multipliers), &mut want)
            .expect("sound");
        for isa in Isa::available() {
            let plan = Depthwise::new(isa, case.params).expect("sound");
            let mut packed = vec![0xa5; plan.packed_len()];
            plan.pack(&case.weights, bias, &case.multipliers, &mut packed).expect("fits");
            let mut scratch = vec![0x5a; plan.scratch_len()];
            let mut got = vec![0; want.len()];
            plan.run(&packed, &case.input, &mut scratch, &mut got).expect("fits");
            prop_assert_eq!(&got, &want, "{}", isa.name());
        }
    }
}

#[test]
fn channels_that_do_not_divide_are_refused() {
    let window = Window {
        input: [1, 4, 4, 3],
        output: [1, 4, 4, 4],
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        before: [0, 0],
    };
    let output = Output {
        zero: 0,
        min: -128,
        max: 127,
    };
    let params = Params {
        window,
        input_zero: 0,
        weight_zero: 0,
        output,
    };
    assert_eq!(
        Depthwise::new(Isa::PORTABLE, params).err(),
        Some(Error::Channels)
    );
}
