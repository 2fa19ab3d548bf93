//! Cases by element type, and comparison with the reference's answers.

use scalebench_kernels::element::{Activation, Quantisation};
use scalebench_kernels::isa::Isa;
use scalebench_kernels::shape::Shape;
use scalebench_kernels::window::Window;
use scalebench_oracle::{Case, Element, Tensor};

/// Runs `check` over the cases of a file, whose answer is `None` for types it does not cover.
pub(crate) fn each(name: &str, check: impl Fn(&Case) -> Option<()>) {
    let cases = scalebench_oracle::cases(name);
    let covered = cases.iter().filter(|case| check(case).is_some()).count();
    assert!(covered > 0, "no case of {name} was covered");
    println!("{name}: {covered} of {} cases", cases.len());
}

/// Holds when the answers are the reference's to the bit.
pub(crate) fn same<T: Element + PartialEq + std::fmt::Debug>(case: &Case, got: &[T]) {
    same_as(case, case.output(), got);
}

/// The same for one of several outputs.
pub(crate) fn same_as<T: Element + PartialEq + std::fmt::Debug>(
    case: &Case,
    output: &Tensor,
    got: &[T],
) {
    let want = output.elements::<T>();
    assert_eq!(got.len(), want.len(), "{}: {case:?}", case.name);
    if let Some(at) = (0..got.len()).find(|&at| got[at] != want[at]) {
        panic!(
            "{} {:?}: element {at} is {:?}, the reference has {:?}; inputs {:?}, output {:?}",
            case.name,
            case.options,
            got[at],
            want[at],
            (0..case.inputs.len())
                .filter_map(|i| case.input(i))
                .map(brief)
                .collect::<Vec<_>>(),
            brief(output),
        );
    }
}

/// Holds when every `f32` is as near as `tolerance`, relative or absolute.
pub(crate) fn near(case: &Case, got: &[f32], tolerance: f32) {
    let want = case.output().elements::<f32>();
    assert_eq!(got.len(), want.len());
    for (at, (&got, &want)) in got.iter().zip(&want).enumerate() {
        let close = got == want
            || (got.is_nan() && want.is_nan())
            || (got - want).abs() <= tolerance * want.abs().max(1.0);
        assert!(
            close,
            "{} {:?}: element {at} is {got}, the reference has {want}",
            case.name, case.options
        );
    }
}

fn brief(tensor: &Tensor) -> (String, Vec<usize>, Vec<f32>, Vec<i64>) {
    (
        tensor.dtype.clone(),
        tensor.shape.clone(),
        tensor.scale.clone(),
        tensor.zero_point.clone(),
    )
}

pub(crate) fn quantisation(tensor: &Tensor) -> Quantisation {
    Quantisation {
        scale: tensor.scale[0],
        zero: tensor.zero_point[0] as i32,
    }
}

pub(crate) fn shape(tensor: &Tensor) -> Shape {
    Shape::new(&tensor.shape).expect("a small shape")
}

pub(crate) fn activation(case: &Case) -> Activation {
    match case.int("fusedActivationFunction") {
        1 => Activation::Relu,
        2 => Activation::ReluN1To1,
        3 => Activation::Relu6,
        _ => Activation::None,
    }
}

/// The window of a convolution or pool from the case's options.
pub(crate) fn window(case: &Case, x: &Tensor, kernel: [usize; 2]) -> Window {
    let extents =
        |tensor: &Tensor| -> [usize; 4] { tensor.shape.clone().try_into().expect("NHWC") };
    let (input, output) = (extents(x), extents(case.output()));
    let option = |name: &str| (case.int(name) as usize).max(1);
    let stride = [option("strideH"), option("strideW")];
    let dilation = [option("dilationHFactor"), option("dilationWFactor")];
    let before = std::array::from_fn(|axis| {
        let reach = (kernel[axis] - 1) * dilation[axis] + 1;
        let covered = (output[1 + axis] - 1) * stride[axis] + reach;
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
        dilation,
        before,
    }
}

/// The instruction sets to try.
pub(crate) fn isas() -> Vec<Isa> {
    #[cfg(feature = "detect")]
    return Isa::available().collect();
    #[cfg(not(feature = "detect"))]
    vec![Isa::PORTABLE]
}
