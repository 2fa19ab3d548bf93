//! How far a dynamic-range model's answers move when the floats in its file change in their last places.
//!
//! Such a model rounds its activations to steps while it runs. Where one lies beside a tie, the last place of a float decides
//! between two steps, and implementations that sum in different orders decide differently. So no board can be held to
//! less than what such a change does; the shipped families' recipes measure it in the same way, with the reference
//! kernels (`models/recipe/perturbation.py`).

use super::AddError;
use super::golden::Vectors;
use super::sizes::Size;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use scalebench_engine::check::FLOAT_TOLERANCE;
use scalebench_engine::{DType, Limits, LoadError, Model, float_constants};

/// Changed copies of a model, and how many times the greatest deviation among them is allowed.
const COPIES: usize = 16;
const MARGIN: f64 = 2.0;
/// By how many of its last places a float is moved at most.
const PLACES: i32 = 8;
const SEED: u64 = 16;

/// The largest difference to be allowed on the inputs of `vectors`, as a share of the outputs' largest magnitude.
pub(super) fn share(size: &mut Size, vectors: &Vectors) -> Result<f64, AddError> {
    let due = answers(size, None, vectors)?;
    let most = due
        .iter()
        .fold(0.0_f64, |most, value| most.max(value.abs()));
    let mut dice = ChaCha8Rng::seed_from_u64(SEED);
    let mut worst = 0.0_f64;
    for _ in 0..COPIES {
        let copy = changed(&size.content, &mut dice).map_err(AddError::model(&size.path))?;
        let copy = Model::load(&copy, &Limits::default()).map_err(AddError::model(&size.path))?;
        let moved = answers(size, Some(copy), vectors)?;
        let apart = moved
            .iter()
            .zip(&due)
            .map(|(moved, due)| (moved - due).abs());
        worst = apart.fold(worst, f64::max);
    }
    let share = if most > 0.0 {
        MARGIN * worst / most
    } else {
        0.0
    };
    Ok(share.max(FLOAT_TOLERANCE))
}

/// The file with every float constant but zeros moved by up to [`PLACES`] of its last places.
fn changed(content: &[u8], dice: &mut ChaCha8Rng) -> Result<Vec<u8>, LoadError> {
    let mut copy = content.to_vec();
    for range in float_constants(content)? {
        let (elements, _) = copy[range].as_chunks_mut::<4>();
        for element in elements {
            let value = f32::from_le_bytes(*element);
            // Read as an integer, the neighbours of a float are the integers beside it.
            let by = (dice.next_u32() % (2 * PLACES as u32 + 1)) as i32 - PLACES;
            let moved = f32::from_bits(value.to_bits().wrapping_add_signed(by));
            if value.is_normal() && moved.is_normal() {
                *element = moved.to_le_bytes();
            }
        }
    }
    Ok(copy)
}

/// What the model, or `other` in its place, answers to the inputs of `vectors`: all float outputs, one after the other.
fn answers(size: &mut Size, other: Option<Model>, vectors: &Vectors) -> Result<Vec<f64>, AddError> {
    let mut other = other;
    let mut all = Vec::new();
    for vector in vectors {
        let model = other.as_mut().unwrap_or(&mut size.model);
        for (index, input) in vector[..model.inputs().len()].iter().enumerate() {
            model.input_mut(index).copy_from_slice(input);
        }
        model.run().map_err(|source| AddError::Run {
            path: size.path.clone(),
            source,
        })?;
        let floats = |(_, info): &(usize, &scalebench_engine::TensorInfo)| info.dtype == DType::F32;
        for (index, _) in model.outputs().iter().enumerate().filter(floats) {
            let (elements, _) = model.output(index).as_chunks::<4>();
            all.extend(
                elements
                    .iter()
                    .map(|element| f64::from(f32::from_le_bytes(*element))),
            );
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_copy_differs_in_the_last_places_of_its_floats_only() {
        let path = scalebench_models::root(None).join("gloss-bert/weights/l1-h16.dynamic.tflite");
        let content = std::fs::read(path).unwrap();
        let copy = changed(&content, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        let ranges = float_constants(&content).unwrap();
        assert!(!ranges.is_empty());
        let (mut rest, mut moved) = (0, 0);
        for range in ranges {
            // What lies between constants stays.
            assert_eq!(copy[rest..range.start], content[rest..range.start]);
            rest = range.end;
            let floats = |bytes: &[u8]| -> Vec<f32> {
                let (elements, odd) = bytes.as_chunks::<4>();
                assert!(odd.is_empty());
                elements.iter().map(|e| f32::from_le_bytes(*e)).collect()
            };
            for (was, is) in floats(&content[range.clone()])
                .into_iter()
                .zip(floats(&copy[range]))
            {
                moved += u32::from(was != is);
                let places = was.to_bits().abs_diff(is.to_bits());
                assert!(places <= PLACES as u32, "{was} became {is}");
            }
        }
        assert_eq!(copy[rest..], content[rest..]);
        // Of 17 draws one moves nothing.
        assert!(moved > 100, "{moved}");
    }
}
