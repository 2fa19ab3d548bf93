//! The four models of the benchmark: what their inputs are on the line, and what their scores are.

use crate::board::{Engine, Tensor};
use crate::tensor::{self, Mismatch};
use core::fmt;
use scalebench_wire::container::{Dtype, InputSpec};

/// Which of the benchmark's tasks a model does; the benchmark's own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Anomaly detection: float features in; the score is how badly the model reconstructs them.
    Ad01,
    /// Image classification: pixels in, a score a class out.
    Ic01,
    /// Keyword spotting: int8 features in, as the model has them; a score a word out.
    Kws01,
    /// Visual wake words: pixels in; scores of "no person" and "person" out.
    Vww01,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ad01, Self::Ic01, Self::Kws01, Self::Vww01];

    /// The name on the line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ad01 => "ad01",
            Self::Ic01 => "ic01",
            Self::Kws01 => "kws01",
            Self::Vww01 => "vww01",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// How elements lie on the line, and the real values they stand for.
    ///
    /// Pixels are unsigned bytes; the float networks were trained on 0 to 255 (ic01) and on 0 to 1 (vww01).
    /// Features of ad01 are floats.
    fn stored(self, elements: u32) -> InputSpec {
        let (dtype, scale) = match self {
            Self::Ad01 => (Dtype::F32, 1.0),
            Self::Ic01 => (Dtype::U8, 1.0),
            Self::Kws01 => (Dtype::I8, 1.0),
            Self::Vww01 => (Dtype::U8, 1.0 / 255.0),
        };
        InputSpec {
            dtype,
            elements,
            scale,
            offset: 0.0,
        }
    }

    /// Bytes of an input on the line, for the model that `engine` holds.
    ///
    /// # Errors
    /// [`Unfit`] when that model cannot do this task.
    pub fn input_bytes(self, engine: &impl Engine) -> Result<usize, Unfit> {
        let (Some(input), Some(output)) = (engine.input(0), engine.output(0)) else {
            return Err(Unfit::Tensors);
        };
        if engine.input(1).is_some() || engine.output(1).is_some() {
            return Err(Unfit::Tensors);
        }
        let fits = match self {
            Self::Ad01 => input.dtype == Dtype::F32 || input.quantisation.is_some(),
            Self::Kws01 => input.dtype == Dtype::I8,
            Self::Ic01 | Self::Vww01 => matches!(input.dtype, Dtype::U8 | Dtype::I8 | Dtype::F32),
        };
        if !fits {
            return Err(Unfit::Input {
                kind: self,
                dtype: input.dtype,
            });
        }
        let elements = input.bytes / input.dtype.size();
        if self == Self::Ad01 && elements != output.bytes / output.dtype.size() {
            return Err(Unfit::Reconstruction);
        }
        Ok(elements * self.stored(0).dtype.size())
    }

    /// Puts an input from the line into the model's, as the reference submissions do (`th_load_tensor`): int8
    /// features as they are; pixels less 128 for an int8 model; floats rounded to the model's own steps.
    ///
    /// # Errors
    /// [`Mismatch`] when it is none of the model's size.
    pub fn fill(self, tensor: &Tensor, stored: &[u8], into: &mut [u8]) -> Result<(), Mismatch> {
        let shift = match (self, tensor.dtype) {
            (Self::Kws01, _) | (Self::Ic01 | Self::Vww01, Dtype::U8) => Some(0),
            (Self::Ic01 | Self::Vww01, Dtype::I8) => Some(128),
            _ => None,
        };
        let Some(shift) = shift else {
            return tensor::fill(tensor, &self.stored(0), stored, into);
        };
        if stored.len() != into.len() {
            return Err(Mismatch::Elements {
                dataset: stored.len(),
                model: into.len(),
            });
        }
        for (slot, &byte) in into.iter_mut().zip(stored) {
            *slot = byte.wrapping_sub(shift);
        }
        Ok(())
    }
}

/// Mean squared difference between the features from the line and the model's reconstruction of them, summed
/// in single precision from the first to the last as the reference submission does.
#[must_use]
pub fn anomaly(stored: &[u8], output: &Tensor, bytes: &[u8]) -> f32 {
    let features = stored.chunks_exact(Dtype::F32.size());
    let count = features.len().max(1) as f32;
    let sum: f32 = features
        .zip(tensor::reals(output, bytes))
        .map(|(feature, real)| {
            let off = real - Dtype::F32.read(feature).unwrap_or(f32::NAN);
            off * off
        })
        .sum();
    sum / count
}

/// Why a model cannot do a task. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfit {
    /// Not one input and one output.
    Tensors,
    /// The input's type.
    Input {
        /// The task.
        kind: Kind,
        /// The type.
        dtype: Dtype,
    },
    /// An autoencoder has as many outputs as inputs.
    Reconstruction,
    /// An input does not fit into the buffer.
    Buffer {
        /// Bytes of an input.
        input: usize,
        /// Bytes of the buffer.
        buffer: usize,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensors => f.write_str(
                "the benchmark's models have one input and one output, and this one has not: name another model",
            ),
            Self::Input { kind, dtype } => write!(
                f,
                "the model's input is {dtype:?}, which inputs of {} cannot become: name another model, or another model id",
                kind.word()
            ),
            Self::Reconstruction => f.write_str(
                "a model of ad01 reconstructs its input, and this one's output has another size: name another model, or another model id",
            ),
            Self::Buffer { input, buffer } => write!(
                f,
                "an input of this model has {input} bytes, and the buffer {buffer}: name a smaller model"
            ),
        }
    }
}

impl core::error::Error for Unfit {}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn int8(bytes: usize, scale: f32, zero_point: i32) -> Tensor {
        Tensor {
            dtype: Dtype::I8,
            quantisation: Some((scale, zero_point)),
            bytes,
        }
    }

    fn float(elements: usize) -> Tensor {
        Tensor {
            dtype: Dtype::F32,
            quantisation: None,
            bytes: 4 * elements,
        }
    }

    fn filled<const N: usize>(kind: Kind, tensor: &Tensor, stored: &[u8]) -> [u8; N] {
        let mut into = [0; N];
        kind.fill(tensor, stored, &mut into).unwrap();
        into
    }

    #[test]
    fn pixels_lose_128_whatever_the_scale_and_features_stay() {
        let tensor = int8(3, 0.003_921_569, -128);
        let stored = [0, 127, 255];
        for kind in [Kind::Ic01, Kind::Vww01] {
            let bytes = filled::<3>(kind, &tensor, &stored);
            assert_eq!(bytes.map(|byte| byte as i8), [-128, -1, 127]);
        }
        assert_eq!(filled::<3>(Kind::Kws01, &tensor, &stored), stored);
    }

    #[test]
    fn pixels_of_float_models_are_those_they_were_trained_on() {
        let ic = filled::<4>(Kind::Ic01, &float(1), &[255]);
        assert_eq!(f32::from_le_bytes(ic), 255.0);
        let vww = filled::<4>(Kind::Vww01, &float(1), &[255]);
        assert!((f32::from_le_bytes(vww) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn features_are_rounded_to_the_models_steps_and_held_within_them() {
        let stored: std::vec::Vec<u8> = [0.0_f32, 1.0, 1.3, -1e9]
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect();
        let bytes = filled::<4>(Kind::Ad01, &int8(4, 0.5, 10), &stored);
        assert_eq!(bytes.map(|byte| byte as i8), [10, 12, 13, -128]);
    }

    #[test]
    fn an_input_of_another_size_is_refused() {
        let refused = Kind::Kws01.fill(&int8(3, 1.0, 0), &[0; 2], &mut [0; 3]);
        assert_eq!(
            refused,
            Err(Mismatch::Elements {
                dataset: 2,
                model: 3
            })
        );
    }

    #[test]
    fn the_anomaly_is_the_mean_of_squares() {
        let stored: std::vec::Vec<u8> = [1.0_f32, 2.0]
            .into_iter()
            .flat_map(f32::to_le_bytes)
            .collect();
        assert_eq!(anomaly(&stored, &int8(2, 0.5, 0), &[4, 4]), 0.5);
    }
}
