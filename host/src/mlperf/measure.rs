//! Windows, and the accuracy pass.

use super::board::{Board, Inferred};
use super::dataset::{Dataset, DatasetError};
use super::score::Outcome;
use super::task::Task;
use super::trouble::BoardError;
use crate::progress::{Progress, Watch};
use std::time::Duration;

/// Windows of a measurement.
pub const WINDOWS: usize = 5;
/// What a window lasts at least, by the rules.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Inferences before each window, as the reference firmware has them where none are named.
const WARM_UP: u32 = 10;
/// How much longer than it must a window is planned, on the board's clock, and on this machine's where the board
/// does not tell.
const MARGIN: f64 = 1.02;
const ENERGY_MARGIN: f64 = 1.10;
/// A calibration that lasts this share of a window is long enough.
const CALIBRATION: f64 = 0.1;
/// Windows that may be too short before the board is given up, the good ones among them.
const MOST_TRIES: usize = 5 * WINDOWS;
/// How much more is tried from one calibration to the next.
const MOST_GROWTH: f64 = 50.0;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The board.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// The dataset.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Windows are too short again and again.
    #[error(
        "the board's inferences take so unlike times that no five windows could be filled: check its clock and its cooling"
    )]
    Unsteady,
    /// Scores that do not fit to the labels.
    #[error(
        "the board gives {scores} scores for {file}, whose label is one of {classes} classes: the firmware and the dataset are of different tasks"
    )]
    Classes {
        /// The input.
        file: String,
        /// How many scores.
        scores: usize,
        /// How many classes.
        classes: usize,
    },
}

/// Five windows of at least `window`, each with the next input of the set, of anomaly detection with the first
/// window of the next file.
///
/// # Errors
/// [`MeasureError`].
pub fn windows(
    board: &mut Board,
    dataset: &Dataset,
    window: Duration,
    watch: &Watch,
) -> Result<Vec<Inferred>, MeasureError> {
    let input = |at: usize| -> Result<Vec<u8>, DatasetError> {
        let sample = &dataset.samples[at % dataset.samples.len()];
        Ok(dataset.inputs(sample)?.swap_remove(0))
    };
    let margin = if board.energy { ENERGY_MARGIN } else { MARGIN };
    watch.tell(Progress::Phase("calibration".to_owned()));
    let mut one = calibrated(board, &input(0)?, window)?;
    let mut measured = Vec::with_capacity(WINDOWS);
    let mut tries = 0;
    while measured.len() < WINDOWS {
        let at = measured.len();
        watch.tell(Progress::Phase(format!("window {} of {WINDOWS}", at + 1)));
        let inferences = filling(window.mul_f64(margin), one);
        let inferred = board.infer(
            &input(at)?,
            inferences,
            WARM_UP,
            one.saturating_mul(inferences.saturating_add(WARM_UP)),
        )?;
        one = inferred.duration() / inferences;
        tries += 1;
        if tries > MOST_TRIES {
            return Err(MeasureError::Unsteady);
        }
        // One that was too short is measured again: its inferences took less than was thought.
        if inferred.duration() >= window {
            measured.push(inferred);
        }
    }
    Ok(measured)
}

/// How long one inference takes, told by ever more of them.
fn calibrated(board: &mut Board, input: &[u8], window: Duration) -> Result<Duration, BoardError> {
    let enough = window.mul_f64(CALIBRATION);
    let mut inferences = 1;
    let mut expected = Duration::ZERO;
    loop {
        let took = board.infer(input, inferences, 0, expected)?.duration();
        if took >= enough || inferences == u32::MAX {
            return Ok(took / inferences);
        }
        let growth =
            (1.2 * enough.as_secs_f64() / took.as_secs_f64().max(1e-6)).clamp(2.0, MOST_GROWTH);
        inferences = (f64::from(inferences) * growth) as u32;
        expected = took.mul_f64(growth);
    }
}

/// How many inferences of this length fill so much time.
fn filling(time: Duration, one: Duration) -> u32 {
    (time.as_secs_f64() / one.as_secs_f64().max(1e-9))
        .ceil()
        .max(1.0) as u32
}

/// Every input of the set once; of anomaly detection the mean score over the windows of each file.
///
/// # Errors
/// [`MeasureError`].
pub fn accuracy(
    board: &mut Board,
    dataset: &Dataset,
    watch: &Watch,
) -> Result<Vec<Outcome>, MeasureError> {
    let mut outcomes = Vec::with_capacity(dataset.samples.len());
    for (at, sample) in dataset.samples.iter().enumerate() {
        watch.tell(Progress::Phase(format!(
            "input {} of {}",
            at + 1,
            dataset.samples.len()
        )));
        let inputs = dataset.inputs(sample)?;
        let count = inputs.len() as f64;
        let wanted = match board.task {
            Task::Ad01 => 1,
            _ => sample.classes,
        };
        let mut scores = vec![0.0; wanted];
        for input in &inputs {
            let inferred = board.infer(input, 1, 0, Duration::ZERO)?;
            if inferred.scores.len() != wanted {
                return Err(MeasureError::Classes {
                    file: sample.file.clone(),
                    scores: inferred.scores.len(),
                    classes: wanted,
                });
            }
            for (sum, score) in scores.iter_mut().zip(inferred.scores) {
                *sum += score / count;
            }
        }
        outcomes.push(Outcome {
            class: sample.class,
            scores,
        });
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_filled() {
        assert_eq!(filling(WINDOW, Duration::from_millis(3)), 3_334);
        assert_eq!(filling(WINDOW, Duration::from_secs(60)), 1);
        assert_eq!(filling(WINDOW, Duration::ZERO), u32::MAX);
    }
}
