//! Golden vectors: a reference's answers where a folder of them is given, else the engine's own, marked as such.

use super::data::Samples;
use super::sizes::Size;
use super::{AddError, MAX_GOLDEN, Maker, OWN_GOLDEN, Wishes, perturbation};
use scalebench_engine::check::{CheckReport, FLOAT_TOLERANCE, check};
use scalebench_engine::{DType, TensorInfo};
use scalebench_models::container::{Dtype, InputSpec, TensorSpec, quantise};
use scalebench_models::{Answers, Build, Precision, Tolerance, write};
use std::fs;
use std::path::Path;

/// Inputs and outputs, tensor after tensor.
pub(super) type Vectors = Vec<Vec<Vec<u8>>>;

/// Writes model and vectors, and describes them.
pub(super) fn build(
    maker: &mut Maker,
    wishes: &Wishes,
    size: &mut Size,
    samples: &Samples,
) -> Result<Build, AddError> {
    let (vectors, share, answers) = match &wishes.golden {
        Some(folder) => {
            let (vectors, share) = given(size, folder)?;
            (vectors, share, Answers::Reference)
        }
        None => {
            let vectors = own(size, samples)?;
            let share = allowed(size, &vectors)?;
            (vectors, share, Answers::Engine)
        }
    };
    let label = format!("{} {}", size.variant, size.precision);
    maker.remarks.push(match answers {
        Answers::Reference => format!("{label}: meets {} reference answers", vectors.len()),
        Answers::Engine => format!(
            "{label}: no reference answers were given, its golden vectors are this engine's own"
        ),
    });
    let specs = |tensors: &[TensorInfo]| -> Result<Vec<TensorSpec>, AddError> {
        let spec = |tensor: &TensorInfo| {
            Ok(TensorSpec {
                dtype: stored(size, tensor)?,
                bytes: tensor.bytes() as u32,
            })
        };
        tensors.iter().map(spec).collect()
    };
    let borrowed: Vec<Vec<&[u8]>> = vectors
        .iter()
        .map(|vector| vector.iter().map(Vec::as_slice).collect())
        .collect();
    let (inputs, outputs) = (specs(size.model.inputs())?, specs(size.model.outputs())?);
    let bytes = write::golden(&inputs, &outputs, &borrowed);
    let name = format!("{}.{}", size.variant, size.precision);
    Ok(Build {
        model: maker.put(&format!("weights/{name}.tflite"), &size.content)?,
        golden: maker.put(&format!("golden/{name}.sbgv"), &bytes)?,
        vectors: vectors.len() as u32,
        answers,
        tolerance: tolerance(size, share, &vectors),
        quality: Default::default(),
    })
}

/// How a golden file stores a tensor.
fn stored(size: &Size, tensor: &TensorInfo) -> Result<Dtype, AddError> {
    match tensor.dtype {
        DType::F32 => Ok(Dtype::F32),
        DType::I8 => Ok(Dtype::I8),
        DType::U8 => Ok(Dtype::U8),
        DType::I16 => Ok(Dtype::I16),
        DType::I32 => Ok(Dtype::I32),
        other => Err(AddError::file(
            &size.path,
            format!(
                "`{}` is of type {other}, which boards are not sent: convert with float32, int8 or int32 inputs and outputs",
                crate::text::escaped(&tensor.name)
            ),
        )),
    }
}

/// The largest difference of float outputs that is allowed, as a share of their largest magnitude.
fn allowed(size: &mut Size, vectors: &Vectors) -> Result<f64, AddError> {
    match size.precision {
        Precision::Dynamic => perturbation::share(size, vectors),
        _ => Ok(FLOAT_TOLERANCE),
    }
}

/// Reference vectors, once the engine was seen to meet them, and the difference that was allowed.
fn given(size: &mut Size, folder: &Path) -> Result<(Vectors, f64), AddError> {
    let mut report = check(&mut size.model, folder, &size.stem, FLOAT_TOLERANCE)?;
    let vectors = read(size, folder, report.vectors.min(MAX_GOLDEN))?;
    let share = allowed(size, &vectors)?;
    if share > FLOAT_TOLERANCE {
        report = check(&mut size.model, folder, &size.stem, share)?;
    }
    // Boards compare everything of an int8 model to the last bit, its float outputs too.
    let exact = size.precision != Precision::Int8 || report.outputs.is_empty();
    if !report.passes() || !exact {
        return Err(AddError::Unfaithful {
            path: size.path.clone(),
            folder: folder.to_owned(),
            differ: worst(&report),
        });
    }
    Ok((vectors, share))
}

/// The first `count` vectors of a folder that was looked at already.
fn read(size: &Size, folder: &Path, count: usize) -> Result<Vectors, AddError> {
    let mut vectors = Vec::new();
    for vector in 0..count {
        let mut tensors = Vec::new();
        for (end, infos) in [
            ("in.bin", size.model.inputs()),
            ("out.bin", size.model.outputs()),
        ] {
            let path = folder.join(format!("{}.{vector}.{end}", size.stem));
            let bytes = fs::read(&path).map_err(AddError::read(&path))?;
            let mut rest = bytes.as_slice();
            for info in infos {
                let (own, after) = rest.split_at(info.bytes());
                tensors.push(own.to_vec());
                rest = after;
            }
        }
        vectors.push(tensors);
    }
    Ok(vectors)
}

fn worst(report: &CheckReport) -> String {
    let outputs = report.outputs.iter().map(|difference| {
        format!(
            "`{}`: {} of {} elements, by at most {}",
            crate::text::escaped(&difference.tensor),
            difference.elements,
            difference.of,
            difference.largest
        )
    });
    outputs.collect::<Vec<_>>().join("; ")
}

/// The engine's own answers to the first samples.
fn own(size: &mut Size, samples: &Samples) -> Result<Vectors, AddError> {
    let mut vectors = Vec::new();
    for sample in 0..samples.count.min(OWN_GOLDEN) {
        let mut tensors = Vec::new();
        for index in 0..samples.inputs.len() {
            let info = size.model.inputs()[index].clone();
            stored(size, &info)?;
            let spec = &samples.inputs[index].spec;
            let bytes = tensor(&info, spec, samples.sample(index, sample));
            size.model.input_mut(index).copy_from_slice(&bytes);
            tensors.push(bytes);
        }
        size.model.run().map_err(|source| AddError::Run {
            path: size.path.clone(),
            source,
        })?;
        let outputs = 0..size.model.outputs().len();
        tensors.extend(outputs.map(|index| size.model.output(index).to_vec()));
        vectors.push(tensors);
    }
    Ok(vectors)
}

/// A stored sample as the input takes it, by the rule of [`scalebench_models::container`].
fn tensor(info: &TensorInfo, spec: &InputSpec, sample: &[u8]) -> Vec<u8> {
    let size = spec.dtype.size();
    let mut bytes = Vec::with_capacity(info.bytes());
    for (index, element) in sample.chunks_exact(size).enumerate() {
        let real = spec.real(sample, index).unwrap_or(f32::NAN);
        match (info.dtype, info.quantization) {
            (DType::F32, _) => bytes.extend(real.to_le_bytes()),
            (DType::I8, Some(q)) => {
                bytes.extend(quantise(real, q.scale, q.zero_point).to_le_bytes())
            }
            (dtype, quantisation) => {
                let whole = match quantisation {
                    Some(q) => ((real / q.scale).round() as i32).saturating_add(q.zero_point),
                    None => whole(spec.dtype, element),
                };
                let most = match dtype {
                    DType::U8 => 0..=255,
                    DType::I8 => -128..=127,
                    DType::I16 => -32_768..=32_767,
                    _ => i32::MIN..=i32::MAX,
                };
                let held = whole.clamp(*most.start(), *most.end());
                bytes.extend(&held.to_le_bytes()[..dtype.size()]);
            }
        }
    }
    bytes
}

/// A stored integer.
fn whole(dtype: Dtype, element: &[u8]) -> i32 {
    match (dtype, element) {
        (Dtype::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]),
        // The others are exact as floats.
        _ => dtype.read(element).unwrap_or(0.0) as i32,
    }
}

/// Integers to the bit; floats by a share of the largest magnitude that the outputs have, to two digits.
fn tolerance(size: &Size, share: f64, vectors: &Vectors) -> Tolerance {
    if size.precision == Precision::Int8 {
        return Tolerance {
            steps: Some(0),
            absolute: None,
            relative: None,
        };
    }
    let outputs = vectors
        .iter()
        .flat_map(|vector| &vector[size.model.inputs().len()..])
        .zip(size.model.outputs().iter().cycle());
    let most = outputs
        .filter(|(_, info)| info.dtype == DType::F32)
        .flat_map(|(bytes, _)| bytes.chunks_exact(4))
        .map(|element| Dtype::F32.read(element).unwrap_or(0.0).abs())
        .filter(|value| value.is_finite())
        .fold(0.0_f32, f32::max);
    let absolute = (f64::from(most) * share).clamp(1e-6, 1e5);
    let rounded = format!("{absolute:.1e}").parse().unwrap_or(absolute);
    Tolerance {
        steps: None,
        absolute: Some(rounded),
        relative: Some(share),
    }
}
