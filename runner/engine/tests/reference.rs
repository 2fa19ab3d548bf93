//! Every operator the oracle asks about (`tests/oracle`), through reader, lowering, plan and session: the
//! engine's answer is that of the TFLite reference kernels, integers to the bit, or the operator is refused
//! for a reason listed here.

use scalebench_engine::{DType, Limits, LoadError, Model};
use scalebench_oracle::{Case, Tensor, cases, names};

/// What the engine refuses of these operators: file of cases, words of the refusal, and why.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "div",
        "operands of u8",
        "no converter of the uint8 scheme writes it: it multiplies by the reciprocal",
    ),
    (
        "log_softmax",
        "is u8, f32 is due",
        "the reference's logarithm in fixed point is not among the kernels",
    ),
    (
        "log_softmax",
        "is i8, f32 is due",
        "the reference's logarithm in fixed point is not among the kernels",
    ),
];

/// How near floats are, relative or absolute: sums are taken in another order than the reference's.
const TOLERANCE: f32 = 1e-5;

/// Why an answer is not the reference's.
fn difference(dtype: DType, got: &[u8], want: &Tensor) -> Option<String> {
    if dtype != DType::F32 {
        let at = got.iter().zip(&want.data).position(|(a, b)| a != b)?;
        return Some(format!(
            "byte {at} is {}, the reference has {}",
            got[at], want.data[at]
        ));
    }
    let got = got
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")));
    got.zip(want.elements::<f32>())
        .enumerate()
        .find_map(|(at, (got, want))| {
            let near = got == want
                || (got.is_nan() && want.is_nan())
                || (got - want).abs() <= TOLERANCE * want.abs().max(1.0);
            (!near).then(|| format!("element {at} is {got}, the reference has {want}"))
        })
}

/// Whether the reference answers itself. A dynamic-range depthwise convolution whose weights have one scale makes
/// it read beyond that scale (per-channel indexing in `EvalHybridPerChannel`, depthwise_conv.cc), and its answers
/// are what happens to lie there. Converters give these weights a scale for each channel.
fn sound(case: &Case) -> bool {
    let Some(weights) = case.input(1) else {
        return true;
    };
    let hybrid = weights.dtype == "int8" && case.tensors[0].dtype == "float32";
    case.op != "DEPTHWISE_CONV_2D" || !hybrid || weights.scale.len() == weights.shape[3]
}

/// Runs a case; false if the engine refuses it for a listed reason.
fn answer(name: &str, case: &Case, met: &mut [bool]) -> Result<bool, String> {
    let mut model = match Model::load(&case.model, &Limits::default()) {
        Ok(model) => model,
        Err(error @ LoadError::Unsupported { .. }) => {
            let sentence = error.to_string();
            let listed = REFUSED
                .iter()
                .position(|(of, words, _)| *of == name && sentence.contains(words));
            met[listed.ok_or(sentence)?] = true;
            return Ok(false);
        }
        Err(error) => return Err(error.to_string()),
    };
    for (index, &fed) in case.fed.iter().enumerate() {
        let given = &case.tensors[fed].data;
        model.input_mut(index).copy_from_slice(given);
    }
    model.run().map_err(|error| error.to_string())?;
    for (index, &output) in case.outputs.iter().enumerate() {
        let (info, want) = (&model.outputs()[index], &case.tensors[output]);
        if info.shape != want.shape || model.output(index).len() != want.data.len() {
            return Err(format!(
                "the shape is {:?}, {:?} is due",
                info.shape, want.shape
            ));
        }
        if let Some(difference) = difference(info.dtype, model.output(index), want) {
            return Err(format!("output {index}: {difference}"));
        }
    }
    Ok(true)
}

#[test]
fn every_operator_answers_as_the_reference_does() {
    let (mut met, mut wrong) = (vec![false; REFUSED.len()], Vec::new());
    for name in names() {
        let (mut ran, mut all) = (0, 0);
        for case in cases(&name).iter().filter(|case| sound(case)) {
            all += 1;
            match answer(&name, case, &mut met) {
                Ok(answered) => ran += usize::from(answered),
                Err(why) => {
                    let types: Vec<_> = case.tensors.iter().map(|t| &*t.dtype).collect();
                    wrong.push(format!("{} {types:?} {:?}: {why}", case.name, case.options));
                }
            }
        }
        println!("{name}: {ran} of {all} cases");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for ((name, words, _), met) in REFUSED.iter().zip(met) {
        assert!(
            met,
            "no case of {name} is refused because of \"{words}\" any more: strike it"
        );
    }
}
