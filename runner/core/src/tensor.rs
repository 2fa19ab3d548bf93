//! Dataset samples into input tensors, output tensors into numbers.

use crate::board::Tensor;
use scalebench_wire::container::{Dtype, InputSpec};

/// Why a sample cannot be put into an input. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// The dataset has another number of elements than the model's input.
    Elements {
        /// In the dataset.
        dataset: usize,
        /// In the model's input.
        model: usize,
    },
    /// Real numbers cannot become the plain integers that the model takes.
    Type,
}

/// Fills a model's input from a stored sample.
///
/// A float tensor takes the real value `stored * scale + offset`; a quantised one takes
/// `round(real / its scale) + its zero point`, ties away from zero, held within its type; a plain
/// integer tensor (token ids) takes stored integers as they are.
///
/// # Errors
/// [`Mismatch`] when sample and tensor do not fit together.
pub fn fill(
    tensor: &Tensor,
    spec: &InputSpec,
    sample: &[u8],
    into: &mut [u8],
) -> Result<(), Mismatch> {
    let stored = sample.chunks_exact(spec.dtype.size());
    let slots = into.len() / tensor.dtype.size();
    if stored.len() != slots {
        return Err(Mismatch::Elements {
            dataset: stored.len(),
            model: slots,
        });
    }
    let plain = tensor.dtype != Dtype::F32 && tensor.quantisation.is_none();
    if plain && spec.dtype == Dtype::F32 {
        return Err(Mismatch::Type);
    }
    for (slot, stored) in into.chunks_exact_mut(tensor.dtype.size()).zip(stored) {
        let number = spec.dtype.read(stored).unwrap_or(0.0);
        let real = number * spec.scale + spec.offset;
        match (tensor.dtype, tensor.quantisation) {
            (Dtype::F32, _) => slot.copy_from_slice(&real.to_le_bytes()),
            (dtype, Some((scale, zero_point))) => {
                put(
                    dtype,
                    rounded(real / scale).saturating_add(zero_point),
                    slot,
                );
            }
            (dtype, None) => put(dtype, integer(spec.dtype, stored), slot),
        }
    }
    Ok(())
}

/// Nearest integer, ties away from zero; NaN gives zero.
fn rounded(value: f32) -> i32 {
    libm::roundf(value) as i32
}

fn integer(dtype: Dtype, bytes: &[u8]) -> i32 {
    match (dtype, bytes) {
        (Dtype::U8, &[a]) => a.into(),
        (Dtype::I8, &[a]) => i8::from_le_bytes([a]).into(),
        (Dtype::I16, &[a, b]) => i16::from_le_bytes([a, b]).into(),
        (Dtype::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

fn put(dtype: Dtype, value: i32, slot: &mut [u8]) {
    let clamped = |low: i32, high: i32| value.clamp(low, high).to_le_bytes();
    let bytes = match dtype {
        Dtype::U8 => clamped(0, 255),
        Dtype::I8 => clamped(-128, 127),
        Dtype::I16 => clamped(-32_768, 32_767),
        Dtype::I32 | Dtype::F32 => value.to_le_bytes(),
    };
    for (slot, byte) in slot.iter_mut().zip(bytes) {
        *slot = byte;
    }
}

/// The real values of a tensor's bytes.
pub fn reals<'a>(
    tensor: &Tensor,
    bytes: &'a [u8],
) -> impl ExactSizeIterator<Item = f32> + Clone + use<'a> {
    let Tensor {
        dtype,
        quantisation,
        ..
    } = *tensor;
    bytes
        .chunks_exact(dtype.size())
        .map(move |element| match quantisation {
            Some((scale, zero_point)) if dtype != Dtype::F32 => {
                integer(dtype, element).wrapping_sub(zero_point) as f32 * scale
            }
            _ => dtype.read(element).unwrap_or(0.0),
        })
}

/// Comparison of an output with its reference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// Values compared.
    pub values: u32,
    /// Values further from the reference than allowed.
    pub beyond: u32,
    /// The largest distance: steps for integers, absolute for floats.
    pub worst: f32,
}

impl Difference {
    /// Adds the comparison of one more tensor of type `dtype`. Integers may be `steps` off, floats
    /// `absolute + relative * |reference|`; a NaN is beyond any tolerance.
    pub fn add(
        &mut self,
        dtype: Dtype,
        ours: &[u8],
        reference: &[u8],
        steps: u32,
        absolute: f32,
        relative: f32,
    ) {
        let size = dtype.size();
        let length = ours.len().max(reference.len()) / size;
        self.values = self.values.saturating_add(length as u32);
        let missing = length - ours.len().min(reference.len()) / size;
        self.beyond = self.beyond.saturating_add(missing as u32);
        for (ours, reference) in ours.chunks_exact(size).zip(reference.chunks_exact(size)) {
            let (distance, within) = if dtype == Dtype::F32 {
                let reference = dtype.read(reference).unwrap_or(f32::NAN);
                let distance = libm::fabsf(dtype.read(ours).unwrap_or(f32::NAN) - reference);
                (
                    distance,
                    distance <= absolute + relative * libm::fabsf(reference),
                )
            } else {
                let distance = integer(dtype, ours).abs_diff(integer(dtype, reference));
                (distance as f32, distance <= steps)
            };
            if !within {
                self.beyond = self.beyond.saturating_add(1);
            }
            if distance > self.worst || distance.is_nan() {
                self.worst = distance;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    const PIXELS: InputSpec = InputSpec {
        dtype: Dtype::U8,
        elements: 3,
        scale: 1.0 / 255.0,
        offset: 0.0,
    };

    #[test]
    fn pixels_become_floats_or_steps() {
        let float = Tensor {
            dtype: Dtype::F32,
            quantisation: None,
            bytes: 12,
        };
        let mut into = [0; 12];
        fill(&float, &PIXELS, &[0, 51, 255], &mut into).unwrap();
        let values: Vec<f32> = reals(&float, &into).collect();
        assert!(
            (values[1] - 0.2).abs() < 1e-6 && values[2] == 1.0,
            "{values:?}"
        );

        let int8 = Tensor {
            dtype: Dtype::I8,
            quantisation: Some((1.0 / 255.0, -128)),
            bytes: 3,
        };
        let mut into = [0; 3];
        fill(&int8, &PIXELS, &[0, 51, 255], &mut into).unwrap();
        assert_eq!(into.map(|byte| byte as i8), [-128, -77, 127]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let float = Tensor {
            dtype: Dtype::F32,
            quantisation: None,
            bytes: 8,
        };
        let answer = fill(&float, &PIXELS, &[0, 51, 255], &mut [0; 8]);
        assert_eq!(
            answer,
            Err(Mismatch::Elements {
                dataset: 3,
                model: 2
            })
        );
        let ids = Tensor {
            dtype: Dtype::I32,
            quantisation: None,
            bytes: 4,
        };
        let floats = InputSpec {
            dtype: Dtype::F32,
            elements: 1,
            scale: 1.0,
            offset: 0.0,
        };
        assert_eq!(
            fill(&ids, &floats, &[0; 4], &mut [0; 4]),
            Err(Mismatch::Type)
        );
    }

    #[test]
    fn token_ids_stay_whole() {
        let ids = Tensor {
            dtype: Dtype::I32,
            quantisation: None,
            bytes: 4,
        };
        let stored = InputSpec {
            dtype: Dtype::I32,
            elements: 1,
            scale: 1.0,
            offset: 0.0,
        };
        let mut into = [0; 4];
        fill(&ids, &stored, &16_777_217_i32.to_le_bytes(), &mut into).unwrap();
        assert_eq!(i32::from_le_bytes(into), 16_777_217);
    }

    #[test]
    fn differences_are_counted() {
        let mut difference = Difference::default();
        difference.add(Dtype::I8, &[1, 2, 3], &[1, 3, 250], 1, 0.0, 0.0);
        assert_eq!(
            difference,
            Difference {
                values: 3,
                beyond: 1,
                worst: 9.0
            }
        );
        let mut difference = Difference::default();
        difference.add(
            Dtype::F32,
            &f32::NAN.to_le_bytes(),
            &0_f32.to_le_bytes(),
            0,
            1.0,
            0.0,
        );
        assert_eq!(difference.beyond, 1);
        let mut difference = Difference::default();
        difference.add(Dtype::I8, &[1], &[1, 1], 0, 0.0, 0.0);
        assert_eq!(difference.beyond, 1, "a missing value is beyond");
    }
}
