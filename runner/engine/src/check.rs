//! Comparing a model's answers with golden vectors, and finding the first operator that differs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{DType, Model, RunError};

/// Largest difference that passes for float tensors, as a share of the largest magnitude of the reference.
pub const FLOAT_TOLERANCE: f64 = 1e-4;

/// Why golden vectors could not be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds no vectors for this model.
    #[error("{} holds no golden vectors of `{stem}`: they are called {stem}.0.in.bin and {stem}.0.out.bin, and so on", folder.display())]
    Missing {
        /// Where they were looked for.
        folder: PathBuf,
        /// Name of the model without its ending.
        stem: String,
    },
    /// A vector has another size than the model's tensors.
    #[error("{} has {given} bytes, the model's tensors take {due}: it belongs to another model", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes it has.
        given: usize,
        /// Bytes it should have.
        due: usize,
    },
    /// An inference failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// How far an answer is from its reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Vector it was seen with.
    pub vector: usize,
    /// Type of the operator that wrote the tensor; `output` for an output of the graph.
    pub operator: String,
    /// Name of the tensor.
    pub tensor: String,
    /// Elements that differ.
    pub elements: usize,
    /// Of so many.
    pub of: usize,
    /// The largest difference: in steps of an integer tensor, in units of a float one.
    pub largest: f64,
    /// Whether that passes: integers must be equal, floats within the tolerance.
    pub passes: bool,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// Vectors compared.
    pub vectors: usize,
    /// The worst difference of each output, where there is any.
    pub outputs: Vec<Difference>,
    /// The first operator that differs, where references for single tensors are given.
    pub first: Option<Difference>,
}

impl CheckReport {
    /// Whether every output passes.
    pub fn passes(&self) -> bool {
        self.outputs.iter().all(|difference| difference.passes)
    }
}

/// Compares `model` with the vectors of `stem` in `folder`.
///
/// Vector `i` is the files `STEM.i.in.bin` and `STEM.i.out.bin`, raw little-endian elements of all inputs and
/// outputs, one tensor after the other. With a folder `STEM.i.tensors` beside them, every operator is compared
/// as well: its file `N.bin` holds the elements of tensor number `N` of the main subgraph.
///
/// # Errors
/// When a file is missing, unreadable or of another size, or an inference fails.
pub fn check(
    model: &mut Model,
    folder: &Path,
    stem: &str,
    tolerance: f64,
) -> Result<CheckReport, CheckError> {
    let mut report = CheckReport {
        vectors: 0,
        outputs: Vec::new(),
        first: None,
    };
    for vector in 0.. {
        let path = |end: &str| folder.join(format!("{stem}.{vector}.{end}"));
        let input = path("in.bin");
        if !input.exists() {
            break;
        }
        fill(model, &input)?;
        let tensors = path("tensors");
        let mut seen: Vec<(usize, Difference)> = Vec::new();
        let mut failed = None;
        model.run_observed(|written| {
            let Some(reference) =
                reference(&tensors, written.tensor, written.bytes.len(), &mut failed)
            else {
                return;
            };
            let difference = compare(written.dtype, written.bytes, &reference, tolerance);
            // A tensor written by several steps counts as the last one leaves it.
            seen.retain(|&(tensor, _)| tensor != written.tensor);
            seen.extend(difference.map(|difference| {
                let named = Difference {
                    vector,
                    operator: written.operator.into(),
                    tensor: written.name.into(),
                    ..difference
                };
                (written.tensor, named)
            }));
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if report.first.is_none() {
            report.first = seen
                .into_iter()
                .map(|(_, difference)| difference)
                .find(|difference| !difference.passes);
        }
        outputs(
            model,
            &path("out.bin"),
            vector,
            tolerance,
            &mut report.outputs,
        )?;
        report.vectors += 1;
    }
    if report.vectors == 0 {
        return Err(CheckError::Missing {
            folder: folder.into(),
            stem: stem.into(),
        });
    }
    Ok(report)
}

fn read(path: &Path) -> Result<Vec<u8>, CheckError> {
    fs::read(path).map_err(|source| CheckError::Io {
        path: path.into(),
        source,
    })
}

fn sized(path: &Path, due: usize) -> Result<Vec<u8>, CheckError> {
    let bytes = read(path)?;
    if bytes.len() == due {
        Ok(bytes)
    } else {
        Err(CheckError::Size {
            path: path.into(),
            given: bytes.len(),
            due,
        })
    }
}

fn fill(model: &mut Model, path: &Path) -> Result<(), CheckError> {
    let sizes: Vec<usize> = model
        .inputs()
        .iter()
        .map(crate::TensorInfo::bytes)
        .collect();
    let bytes = sized(path, sizes.iter().sum())?;
    let mut rest = bytes.as_slice();
    for (index, size) in sizes.into_iter().enumerate() {
        let (own, after) = rest.split_at(size);
        model.input_mut(index).copy_from_slice(own);
        rest = after;
    }
    Ok(())
}

fn reference(
    folder: &Path,
    tensor: usize,
    due: usize,
    failed: &mut Option<CheckError>,
) -> Option<Vec<u8>> {
    let path = folder.join(format!("{tensor}.bin"));
    if failed.is_some() || !path.exists() {
        return None;
    }
    sized(&path, due)
        .map_err(|error| *failed = Some(error))
        .ok()
}

fn outputs(
    model: &Model,
    path: &Path,
    vector: usize,
    tolerance: f64,
    worst: &mut Vec<Difference>,
) -> Result<(), CheckError> {
    let bytes = sized(
        path,
        model.outputs().iter().map(crate::TensorInfo::bytes).sum(),
    )?;
    let mut rest = bytes.as_slice();
    for (index, info) in model.outputs().iter().enumerate() {
        let (own, after) = rest.split_at(info.bytes());
        rest = after;
        let Some(difference) = compare(info.dtype, model.output(index), own, tolerance) else {
            continue;
        };
        let difference = Difference {
            vector,
            operator: "output".into(),
            tensor: info.name.clone(),
            ..difference
        };
        match worst.iter_mut().find(|known| known.tensor == info.name) {
            Some(known) if difference.largest <= known.largest => known.passes &= difference.passes,
            Some(known) => {
                let passes = known.passes && difference.passes;
                *known = Difference {
                    passes,
                    ..difference
                };
            }
            None => worst.push(difference),
        }
    }
    Ok(())
}

/// The difference of two tensors, `None` if every byte is the same.
fn compare(dtype: DType, ours: &[u8], reference: &[u8], tolerance: f64) -> Option<Difference> {
    let (ours, theirs) = (values(dtype, ours), values(dtype, reference));
    // Written so that a difference that is not a number counts as one.
    let apart: Vec<f64> = ours
        .iter()
        .zip(&theirs)
        .filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan()))
        .map(|(a, b)| (a - b).abs())
        .collect();
    if apart.is_empty() {
        return None;
    }
    let largest = apart.iter().fold(0.0, |most: f64, &d| {
        if d.is_nan() {
            f64::INFINITY
        } else {
            most.max(d)
        }
    });
    let magnitude = theirs
        .iter()
        .fold(0.0, |most: f64, value| most.max(value.abs()));
    Some(Difference {
        vector: 0,
        operator: String::new(),
        tensor: String::new(),
        elements: apart.len(),
        of: ours.len(),
        largest,
        passes: dtype == DType::F32 && largest <= tolerance * magnitude,
    })
}

/// Elements as numbers. 64-bit integers beyond 2^53 lose their last bits, which then differ in neither.
fn values(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    fn of<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes
            .chunks_exact(N)
            .filter_map(|chunk| chunk.try_into().ok())
            .map(number)
            .collect()
    }
    match dtype {
        DType::F32 => of(bytes, |b| f64::from(f32::from_le_bytes(b))),
        DType::I8 => of(bytes, |b| f64::from(i8::from_le_bytes(b))),
        DType::U8 | DType::Bool => of(bytes, |[b]: [u8; 1]| f64::from(b)),
        DType::I16 => of(bytes, |b| f64::from(i16::from_le_bytes(b))),
        DType::F16 => of(bytes, |b| f64::from(u16::from_le_bytes(b))),
        DType::I32 => of(bytes, |b| f64::from(i32::from_le_bytes(b))),
        DType::I64 => of(bytes, |b| i64::from_le_bytes(b) as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_must_be_equal_and_floats_near() {
        let bytes = |values: &[f32]| {
            values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<_>>()
        };
        assert_eq!(compare(DType::I8, &[1, 255], &[1, 255], 1.0), None);
        let off = compare(DType::I8, &[1, 255], &[1, 1], 1.0).unwrap();
        assert_eq!((off.elements, off.largest, off.passes), (1, 2.0, false));
        let near = compare(
            DType::F32,
            &bytes(&[100.0, 1e-3]),
            &bytes(&[100.001, 0.0]),
            1e-4,
        )
        .unwrap();
        assert!(near.passes && near.elements == 2);
        let broken = compare(DType::F32, &bytes(&[f32::NAN]), &bytes(&[1.0]), 1e-4).unwrap();
        assert!(!broken.passes);
    }
}
