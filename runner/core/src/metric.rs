//! Quality metrics that need no heap.

use crate::average_precision::AveragePrecision;
use scalebench_wire::message::Metrics;

/// Most classes that are told apart in a confusion table.
pub const MAX_CLASSES: usize = 64;
/// Scores closer to zero than this count as this in the log loss, as Keras clips them.
const LEAST_PROBABILITY: f32 = 1e-7;
const BINS: usize = 256;

/// What a dataset's labels ask for, and what was seen of them so far.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one of them, placed once, without a heap to box it"
)]
pub enum Tally {
    /// No labels.
    None,
    /// One class of several.
    Classification(Classification),
    /// A number.
    Regression(Regression),
    /// Boxes.
    Detection(AveragePrecision),
}

impl Tally {
    /// The metrics of everything added.
    pub fn metrics(&mut self) -> Metrics {
        match self {
            Self::None => Metrics::None,
            Self::Classification(classification) => classification.metrics(),
            Self::Regression(regression) => regression.metrics(),
            Self::Detection(boxes) => boxes.metrics(),
        }
    }
}

/// Top-1, top-5, log loss, area under the curve, confusion, macro F1.
#[derive(Clone, Debug)]
pub struct Classification {
    samples: u32,
    top1: u32,
    top5: u32,
    log_loss: f64,
    probabilities: bool,
    /// Rows are labels, columns are predictions; classes from [`MAX_CLASSES`] on are not told apart.
    confusion: [[u32; MAX_CLASSES]; MAX_CLASSES],
    /// Scores of class 1 in 256 steps, for label 0 and label 1.
    scores: [[u32; BINS]; 2],
    classes: usize,
}

impl Default for Classification {
    fn default() -> Self {
        Self::new()
    }
}

impl Classification {
    /// Nothing seen.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            samples: 0,
            top1: 0,
            top5: 0,
            log_loss: 0.0,
            probabilities: true,
            confusion: [[0; MAX_CLASSES]; MAX_CLASSES],
            scores: [[0; BINS]; 2],
            classes: 0,
        }
    }

    /// Adds a sample's scores; returns the predicted class. Of equal scores the lower class wins.
    pub fn add(&mut self, scores: impl ExactSizeIterator<Item = f32> + Clone, label: u16) -> u16 {
        let label = usize::from(label);
        self.classes = scores.len();
        self.samples += 1;
        let mut best = (0, f32::NEG_INFINITY);
        let mut sum = 0.0;
        let mut negative = false;
        for (class, score) in scores.clone().enumerate() {
            if score > best.1 {
                best = (class, score);
            }
            sum += score;
            negative |= score < 0.0;
        }
        let own = scores.clone().nth(label).unwrap_or(f32::NEG_INFINITY);
        let rank = scores
            .clone()
            .enumerate()
            .filter(|&(class, s)| s > own || (s == own && class < label))
            .count();
        self.top1 += u32::from(best.0 == label);
        self.top5 += u32::from(rank < 5);
        // Quantised probabilities do not sum to one exactly: each may be off by half a step of 1/256.
        let slack = 0.02 + scores.len() as f32 / 512.0;
        self.probabilities &= !negative && libm::fabsf(sum - 1.0) <= slack;
        self.log_loss -= libm::log(f64::from(own.clamp(LEAST_PROBABILITY, 1.0)));
        if let Some(cell) = self
            .confusion
            .get_mut(label.min(MAX_CLASSES - 1))
            .and_then(|row| row.get_mut(best.0.min(MAX_CLASSES - 1)))
        {
            *cell += 1;
        }
        if scores.len() == 2 {
            let bin = (scores.clone().nth(1).unwrap_or(0.0) * BINS as f32) as usize;
            if let Some(cell) = self
                .scores
                .get_mut(label)
                .and_then(|bins| bins.get_mut(bin.min(BINS - 1)))
            {
                *cell += 1;
            }
        }
        best.0 as u16
    }

    /// Samples with this label that were predicted as that class.
    #[must_use]
    pub fn confused(&self, label: usize, predicted: usize) -> u32 {
        self.confusion
            .get(label)
            .and_then(|row| row.get(predicted))
            .copied()
            .unwrap_or(0)
    }

    fn metrics(&self) -> Metrics {
        let samples = f64::from(self.samples.max(1));
        Metrics::Classes {
            top1: f64::from(self.top1) / samples,
            top5: f64::from(self.top5) / samples,
            log_loss: self.probabilities.then_some(self.log_loss / samples),
            auc: (self.classes == 2).then(|| self.auc()).flatten(),
            macro_f1: self.macro_f1(),
        }
    }

    /// Mean of F1 over the classes that occur among labels or predictions, as scikit-learn's
    /// `f1_score(average="macro")`.
    fn macro_f1(&self) -> Option<f64> {
        if self.classes > MAX_CLASSES {
            return None;
        }
        let (mut sum, mut occurring) = (0.0, 0.0);
        for class in 0..self.classes {
            let labelled: u32 = (0..MAX_CLASSES)
                .map(|other| self.confused(class, other))
                .sum();
            let predicted: u32 = (0..MAX_CLASSES)
                .map(|other| self.confused(other, class))
                .sum();
            if labelled + predicted > 0 {
                sum +=
                    2.0 * f64::from(self.confused(class, class)) / f64::from(labelled + predicted);
                occurring += 1.0;
            }
        }
        (occurring > 0.0).then(|| sum / occurring)
    }

    /// Mann-Whitney form of the area under the ROC curve; scores in one bin count as equal.
    fn auc(&self) -> Option<f64> {
        let [negatives, positives] = &self.scores;
        let (mut below, mut wins, mut all_positives) = (0.0, 0.0, 0.0);
        for (&negative, &positive) in negatives.iter().zip(positives) {
            wins += f64::from(positive) * (below + f64::from(negative) / 2.0);
            below += f64::from(negative);
            all_positives += f64::from(positive);
        }
        let pairs = below * all_positives;
        (pairs > 0.0).then_some(wins / pairs)
    }
}

/// Errors of a predicted number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Regression {
    samples: f64,
    absolute: f64,
    squared: f64,
    mean: f64,
    /// Sum of squared distances of the labels from their mean (Welford 1962).
    spread: f64,
}

impl Regression {
    /// Adds one prediction and its label, in natural units.
    pub fn add(&mut self, prediction: f32, label: f32) {
        let (prediction, label) = (f64::from(prediction), f64::from(label));
        let error = prediction - label;
        self.samples += 1.0;
        self.absolute += libm::fabs(error);
        self.squared += error * error;
        let from_mean = label - self.mean;
        self.mean += from_mean / self.samples;
        self.spread += from_mean * (label - self.mean);
    }

    fn metrics(&self) -> Metrics {
        let samples = self.samples.max(1.0);
        let r2 = if self.spread > 0.0 {
            1.0 - self.squared / self.spread
        } else {
            f64::NAN
        };
        Metrics::Regression {
            mae: self.absolute / samples,
            mse: self.squared / samples,
            r2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classification_by_hand() {
        let mut tally = Classification::new();
        let scores: [([f32; 6], u16); 3] = [
            ([0.7, 0.1, 0.1, 0.05, 0.03, 0.02], 0),
            ([0.7, 0.1, 0.1, 0.05, 0.03, 0.02], 5),
            ([0.2, 0.2, 0.2, 0.2, 0.1, 0.1], 3),
        ];
        let predicted = scores.map(|(scores, label)| tally.add(scores.into_iter(), label));
        assert_eq!(predicted, [0, 0, 0]);
        let Metrics::Classes {
            top1,
            top5,
            log_loss,
            auc,
            macro_f1,
        } = tally.metrics()
        else {
            panic!()
        };
        assert_eq!((top1, top5, auc), (1.0 / 3.0, 2.0 / 3.0, None));
        // Class 0: one of three predictions right; classes 3 and 5 occur and are never predicted.
        assert_eq!(macro_f1, Some(0.5 / 3.0));
        let by_hand = -(0.7_f64.ln() + 0.02_f64.ln() + 0.2_f64.ln()) / 3.0;
        assert!((log_loss.unwrap() - by_hand).abs() < 1e-6);
        assert_eq!(tally.confused(5, 0), 1);
    }

    #[test]
    fn logits_have_no_log_loss() {
        let mut tally = Classification::new();
        tally.add([3.0, -1.0, 0.5].into_iter(), 0);
        let Metrics::Classes { log_loss, .. } = tally.metrics() else {
            panic!()
        };
        assert_eq!(log_loss, None);
    }

    #[test]
    fn the_area_under_the_curve_counts_pairs() {
        let mut tally = Classification::new();
        for (score, label) in [(0.1, 0), (0.4, 0), (0.35, 1), (0.8, 1)] {
            tally.add([1.0 - score, score].into_iter(), label);
        }
        let Metrics::Classes { auc, .. } = tally.metrics() else {
            panic!()
        };
        assert_eq!(auc, Some(0.75)); // the example of scikit-learn's roc_auc_score
    }

    #[test]
    fn regression_by_hand() {
        let mut tally = Regression::default();
        for (prediction, label) in [(2.5, 3.0), (0.0, -0.5), (2.0, 2.0), (8.0, 7.0)] {
            tally.add(prediction, label);
        }
        let Metrics::Regression { mae, mse, r2 } = tally.metrics() else {
            panic!()
        };
        assert_eq!((mae, mse), (0.5, 0.375));
        assert!((r2 - 0.948_608_137).abs() < 1e-9, "{r2}"); // the example of scikit-learn's r2_score
    }
}
