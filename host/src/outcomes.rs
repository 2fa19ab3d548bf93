//! How sure quality figures are that are no shares: by the bootstrap over the samples, from each sample's label and
//! what the board answered to it.
//!
//! Boards send an outcome a sample: the class they name, or the value they predict. Of detection that is a hash of the
//! boxes, by which boards are compared; what a mean average precision needs of the boxes they tell besides.

use crate::average_precision::Pictures;
use crate::stats::Interval;
use crate::stats::bootstrap::bca_sums;
use scalebench_models::Metric;
use scalebench_models::container::{Dataset, Label, LabelKind, boxes, value};
use scalebench_wire::message::Found;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most labels that a plan carries.
const MAX_LABELS: usize = 1 << 16;
/// Resamples of a bootstrap.
const RESAMPLES: usize = 1_000;
/// What resamples are drawn from: the same outcomes always give the same interval.
const SEED: u64 = 0x7363_616c_6562;
/// How far what is worked out here may be from what the board says, as a share of it.
const AGREES: f64 = 1e-5;

/// The labels of an evaluation set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// A class a sample.
    Classes(Vec<u16>),
    /// A value a sample, in natural units.
    Values(Vec<f32>),
    /// The class of each labelled box of a picture.
    Boxes(Vec<Vec<u16>>),
}

impl Labels {
    /// The labels of a dataset's file; `None` where they are several values a sample, or too many for a plan.
    #[must_use]
    pub fn of(file: &[u8]) -> Option<Self> {
        let dataset = Dataset::parse(file).ok()?;
        let samples = 0..dataset.samples();
        if samples.len() > MAX_LABELS {
            return None;
        }
        match dataset.label_kind() {
            LabelKind::Class { .. } => {
                let class = |sample| match dataset.label(sample)? {
                    Label::Class(class) => Some(class),
                    _ => None,
                };
                samples.map(class).collect::<Option<_>>().map(Self::Classes)
            }
            LabelKind::Values { count: 1, .. } => {
                let single = |sample| match dataset.label(sample)? {
                    Label::Values(values) => value(values, 0),
                    _ => None,
                };
                samples.map(single).collect::<Option<_>>().map(Self::Values)
            }
            LabelKind::Boxes { .. } => {
                let classes = |sample| match dataset.label(sample)? {
                    Label::Boxes(slots) => Some(boxes(slots).map(|label| label.class).collect()),
                    _ => None,
                };
                samples.map(classes).collect::<Option<_>>().map(Self::Boxes)
            }
            _ => None,
        }
    }

    /// The 95 % interval of `metric`, which the board says is `told`, from the `outcomes` of the first samples and what
    /// was `found` in them.
    ///
    /// `None` where labels and outcomes do not give that figure, so that there is none rather than a wrong one.
    #[must_use]
    pub fn interval(
        &self,
        metric: Metric,
        told: f64,
        outcomes: &[i64],
        found: &[Found],
    ) -> Option<Interval> {
        let (found, interval) = match (self, metric) {
            (Self::Classes(labels), Metric::MacroF1) => {
                macro_f1(labels.get(..outcomes.len())?, outcomes)?
            }
            (Self::Values(labels), Metric::R2 | Metric::Rmse | Metric::Mae | Metric::Mse) => {
                errors(metric, labels.get(..outcomes.len())?, outcomes)?
            }
            (Self::Boxes(labels), Metric::Map50 | Metric::Map50To95) => {
                let steps = if metric == Metric::Map50 { 0..1 } else { 0..10 };
                Pictures::new(labels.get(..outcomes.len())?, found)?
                    .interval(steps, RESAMPLES, SEED)
            }
            _ => return None,
        };
        let agrees = (found - told).abs() <= AGREES * told.abs().max(1e-3);
        interval.filter(|_| agrees)
    }
}

/// Mean of F1 over the classes that occur, as the board works it out.
fn macro_f1(labels: &[u16], outcomes: &[i64]) -> Option<(f64, Option<Interval>)> {
    let mut places = BTreeMap::new();
    let mut cells = Vec::with_capacity(labels.len());
    for (&label, &outcome) in labels.iter().zip(outcomes) {
        let predicted = u16::try_from(outcome).ok()?;
        let mut place = |class: u16| {
            let next = places.len();
            *places.entry(class).or_insert(next)
        };
        cells.push([place(label), place(predicted)]);
    }
    let classes = places.len();
    // Of each class: right ones, and labelled and predicted ones together.
    let mut sums = vec![0.0; 2 * classes];
    let count = |sums: &mut [f64], [label, predicted]: [usize; 2], weight: f64| {
        if label == predicted {
            sums[2 * label] += weight;
        }
        sums[2 * label + 1] += weight;
        sums[2 * predicted + 1] += weight;
    };
    let score = |sums: &[f64]| {
        let occurring = sums.chunks_exact(2).filter(|of| of[1] > 0.0);
        let (total, classes) = occurring.fold((0.0, 0.0), |(total, classes), of| {
            (total + 2.0 * of[0] / of[1], classes + 1.0)
        });
        total / classes
    };
    cells.iter().for_each(|&cell| count(&mut sums, cell, 1.0));
    let found = score(&sums);
    let interval = bca_sums(
        cells.len(),
        &sums,
        |sums, sample, weight| count(sums, cells[sample], weight),
        score,
        RESAMPLES,
        SEED,
    );
    Some((found, interval))
}

/// Figures of errors, as the board works them out.
fn errors(metric: Metric, labels: &[f32], outcomes: &[i64]) -> Option<(f64, Option<Interval>)> {
    let mut pairs = Vec::with_capacity(labels.len());
    for (&label, &outcome) in labels.iter().zip(outcomes) {
        let predicted = f32::from_bits(u32::try_from(outcome).ok()?);
        pairs.push([f64::from(label), f64::from(predicted)]);
    }
    let count = pairs.len() as f64;
    // Labels count from their mean, so that the sum of their squares loses no digits.
    let mean = pairs.iter().map(|[label, _]| label).sum::<f64>() / count;
    let add = |sums: &mut [f64], sample: usize, weight: f64| {
        let [label, predicted] = pairs[sample];
        let (error, from_mean) = (predicted - label, label - mean);
        let terms = [
            1.0,
            error.abs(),
            error * error,
            from_mean,
            from_mean * from_mean,
        ];
        for (sum, term) in sums.iter_mut().zip(terms) {
            *sum += weight * term;
        }
    };
    let figure = |sums: &[f64]| {
        let [samples, absolute, squared, first, second] = *sums else {
            return f64::NAN;
        };
        match metric {
            Metric::Mae => absolute / samples,
            Metric::Mse => squared / samples,
            Metric::Rmse => (squared / samples).sqrt(),
            _ => 1.0 - squared / (second - first * first / samples),
        }
    };
    let mut sums = [0.0; 5];
    (0..pairs.len()).for_each(|sample| add(&mut sums, sample, 1.0));
    let found = figure(&sums);
    let interval = bca_sums(pairs.len(), &sums, add, figure, RESAMPLES, SEED);
    Some((found, interval))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    fn bits(value: f32) -> i64 {
        value.to_bits().into()
    }

    /// A number of about the standard normal distribution.
    fn normal(dice: &mut ChaCha8Rng) -> f64 {
        let twelve = (0..12).map(|_| f64::from(dice.next_u32()) / f64::from(u32::MAX));
        twelve.sum::<f64>() - 6.0
    }

    #[test]
    fn the_interval_of_a_mean_square_is_about_the_normal_one() {
        let mut dice = ChaCha8Rng::seed_from_u64(5);
        let labels = vec![3.0_f32; 4_000];
        let outcomes: Vec<i64> = labels
            .iter()
            .map(|label| bits(label + normal(&mut dice) as f32))
            .collect();
        let squares = outcomes.iter().map(|&outcome| {
            let error = f64::from(f32::from_bits(outcome as u32)) - 3.0;
            error * error
        });
        let mse = squares.clone().sum::<f64>() / 4_000.0;
        let variance = squares.map(|square| (square - mse).powi(2)).sum::<f64>() / 3_999.0;
        let half = 1.96 * (variance / 4_000.0).sqrt();
        let labels = Labels::Values(labels);
        let found = labels.interval(Metric::Mse, mse, &outcomes, &[]).unwrap();
        assert!(
            (found.half() / half - 1.0).abs() < 0.08,
            "{found:?} ± {half}"
        );
        assert!(found.holds(mse));
        let root = labels
            .interval(Metric::Rmse, mse.sqrt(), &outcomes, &[])
            .unwrap();
        assert!((root.low - found.low.sqrt()).abs() < 1e-3, "{root:?}");
    }

    #[test]
    fn intervals_hold_the_true_figure_about_as_often_as_they_say() {
        let (mut dice, mut held) = (ChaCha8Rng::seed_from_u64(9), 0);
        // Labels have a variance of 4, errors of 1: R² is 1 - 1/4.
        for _ in 0..40 {
            let (mut labels, mut outcomes) = (Vec::new(), Vec::new());
            for _ in 0..150 {
                let label = 2.0 * normal(&mut dice);
                labels.push(label as f32);
                outcomes.push(bits((label + normal(&mut dice)) as f32));
            }
            let labels = Labels::Values(labels);
            let (found, _) = errors(Metric::R2, labels.values(), &outcomes).unwrap();
            let interval = labels.interval(Metric::R2, found, &outcomes, &[]).unwrap();
            held += u32::from(interval.holds(0.75));
        }
        // Of 40, fewer than 33 are a matter of one in a thousand where each holds with 95 %.
        assert!(held >= 33, "{held} of 40");
    }

    #[test]
    fn macro_f1_is_that_of_hand_and_has_an_interval_around_it() {
        let labels: Vec<u16> = (0..400).map(|sample| sample % 4).collect();
        let outcomes: Vec<i64> = (0..400)
            .map(|sample| if sample % 10 == 0 { 0 } else { sample % 4 })
            .collect();
        // Every tenth is called class 0: 20 each of classes 0 and 2 (0, 10, 20, 30, … alternate).
        let f1 = |right: f64, labelled: f64, predicted: f64| 2.0 * right / (labelled + predicted);
        let due =
            (f1(100.0, 100.0, 120.0) + f1(100.0, 100.0, 100.0) + f1(80.0, 100.0, 80.0) + 1.0) / 4.0;
        let labels = Labels::Classes(labels);
        let found = labels
            .interval(Metric::MacroF1, due, &outcomes, &[])
            .unwrap();
        assert!(
            found.holds(due) && found.low > due - 0.05 && found.high < due + 0.05,
            "{found:?}"
        );
        assert_eq!(
            found,
            labels
                .interval(Metric::MacroF1, due, &outcomes, &[])
                .unwrap()
        );
    }

    #[test]
    fn there_is_no_interval_where_outcomes_do_not_give_the_figure() {
        let labels = Labels::Values((0..50).map(|n| n as f32).collect());
        let outcomes: Vec<i64> = (0..50).map(|n| bits(n as f32 + (n % 3) as f32)).collect();
        let (mae, _) = errors(Metric::Mae, labels.values(), &outcomes).unwrap();
        assert!(labels.interval(Metric::Mae, mae, &outcomes, &[]).is_some());
        assert_eq!(
            labels.interval(Metric::Mae, mae * 1.01, &outcomes, &[]),
            None
        );
        assert_eq!(labels.interval(Metric::Top1, 1.0, &outcomes, &[]), None);
        let more: Vec<i64> = outcomes.iter().chain(&outcomes).copied().collect();
        assert_eq!(labels.interval(Metric::Mae, mae, &more, &[]), None);
        assert_eq!(labels.interval(Metric::Mae, mae, &[-1; 50], &[]), None);
        assert_eq!(labels.interval(Metric::Mae, mae, &[], &[]), None);
    }

    impl Labels {
        fn values(&self) -> &[f32] {
            match self {
                Self::Values(values) => values,
                Self::Classes(_) | Self::Boxes(_) => &[],
            }
        }
    }
}
