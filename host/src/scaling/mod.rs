//! What each step up in size buys and costs: the analysis of a family.
//!
//! | module | what it answers |
//! |---|---|
//! | here | the figures of each measured variant, with intervals |
//! | [`steps`] | what the next size up costs |
//! | [`ranks`] | whether the larger is the better, and how often that is more than noise |
//! | [`fits`] | how latency and quality grow with size, and where that stops |
//! | [`knee`] | where more cost stops paying |
//! | [`pairs`] | float against int8, one board against another |
//! | [`pick`] | which variant to ship |

pub mod fits;
pub mod knee;
pub mod pairs;
pub mod pick;
pub mod ranks;
pub mod steps;
#[cfg(test)]
pub(crate) mod tests;

use crate::plan::{PlannedTrial, Unstated};
use crate::results::{TrialResult, WindowResult};
use crate::stats::{Interval, mean, pareto_set, t95, variance};
use crate::store::RunFile;
use scalebench_models::{Direction, Metric, Precision};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A figure, with its 95 % interval where there is a rule for one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The figure.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<Interval>,
}

impl Figure {
    /// One that is known to the last digit.
    #[must_use]
    pub fn exact(value: f64) -> Self {
        let interval = Some(Interval {
            low: value,
            high: value,
        });
        Self { value, interval }
    }

    /// Standard error, taken from the interval as that of a normal distribution.
    #[must_use]
    pub fn error(self) -> Option<f64> {
        Some(self.interval?.half() / 1.96)
    }
}

/// What a variant costs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// Median latency, nanoseconds.
    Latency,
    /// Multiply-accumulates of an inference.
    Macs,
    /// Weights and biases.
    Parameters,
    /// Bytes of the model file.
    Bytes,
    /// Peak memory in bytes.
    Memory,
    /// Energy of an inference, what the board draws without work included, in joules. Only where it was
    /// measured: [`Measured::energy_tier`] says how.
    Energy,
}

impl Cost {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Latency,
        Self::Macs,
        Self::Parameters,
        Self::Bytes,
        Self::Memory,
        Self::Energy,
    ];

    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Macs => "MACs",
            Self::Parameters => "parameters",
            Self::Bytes => "model",
            Self::Memory => "memory",
            Self::Energy => "energy",
        }
    }

    /// A value of it, for people.
    #[must_use]
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Latency => crate::units::time(value),
            Self::Macs | Self::Parameters => crate::units::count(value.round() as u64),
            Self::Bytes | Self::Memory => crate::units::bytes(value.round() as u64),
            Self::Energy => crate::units::energy(value),
        }
    }

    /// The unit that steps are priced in, and how many of this cost's units it has.
    #[must_use]
    pub fn price_unit(self) -> (&'static str, f64) {
        match self {
            Self::Latency => ("ms", 1e6),
            Self::Macs => ("MMAC", 1e6),
            Self::Parameters => ("k parameters", 1e3),
            Self::Bytes | Self::Memory => ("KiB", 1024.0),
            Self::Energy => ("mJ", 1e-3),
        }
    }
}

/// A variant in one precision, as the analysis sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Number of its trial.
    pub trial: u32,
    /// Family.
    pub family: String,
    /// Variant.
    pub variant: String,
    /// Precision.
    pub precision: Precision,
    /// The product of its scaling dimensions, as a share of the family's largest product. That is the
    /// complexity coordinate of Trihinas et al., *Future Internet* 16(12):468, 2024.
    pub complexity: f64,
    /// What ranks the family.
    pub metric: Metric,
    /// Which way it improves.
    pub direction: Direction,
    /// The metric, measured on the board.
    pub quality: Figure,
    /// Samples behind it.
    pub samples: u32,
    /// The costs that are known.
    pub costs: BTreeMap<Cost, Figure>,
    /// What [`Cost::Energy`] is worth: `external meter`, `board rail`, `estimated` or `simulated`.
    #[serde(default)]
    pub energy_tier: Option<String>,
    /// Instructions of an inference, where the processor counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<f64>,
    /// Medians of the windows that count, nanoseconds.
    pub window_medians: Vec<f64>,
    /// A step of the clock that they were measured with, nanoseconds: medians move in such steps. Zero where unknown.
    #[serde(default)]
    pub clock_step_ns: f64,
    /// What the source of published figures leaves open.
    #[serde(default, skip_serializing_if = "Unstated::is_nothing")]
    pub unstated: Unstated,
}

impl Measured {
    /// What a person calls it, without the family.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.variant, self.precision)
    }

    /// Quality, turned so that more is better.
    #[must_use]
    pub fn good(&self) -> f64 {
        turned(self.direction, self.quality.value)
    }

    /// One of its costs.
    #[must_use]
    pub fn cost(&self, cost: Cost) -> Option<f64> {
        Some(self.costs.get(&cost)?.value)
    }

    /// One of its costs, for people; energy with what it is worth.
    #[must_use]
    pub fn shown(&self, cost: Cost) -> Option<String> {
        let word = match cost {
            Cost::Macs => self.unstated.operations(),
            cost => cost.word(),
        };
        let shown = format!("{} {word}", self.shown_value(cost, self.cost(cost)?));
        Some(match (cost, &self.energy_tier) {
            (Cost::Energy, Some(tier)) => format!("{shown} ({tier})"),
            _ => shown,
        })
    }

    /// A value of one of its costs, for people.
    #[must_use]
    pub fn shown_value(&self, cost: Cost, value: f64) -> String {
        match cost {
            Cost::Latency => self.unstated.shown_time(value),
            _ => cost.shown(value),
        }
    }

    /// What is left to improve: one less the quality, or the error itself.
    #[must_use]
    pub fn error(&self) -> f64 {
        match self.direction {
            Direction::Higher => 1.0 - self.quality.value,
            Direction::Lower => self.quality.value,
        }
    }
}

/// The worse end of an interval of quality, turned so that more is better: what is as good as that is as good within its
/// uncertainty.
#[must_use]
pub fn worse_end(direction: Direction, interval: Interval) -> f64 {
    turned(direction, interval.low).min(turned(direction, interval.high))
}

/// `value`, turned so that more is better.
#[must_use]
pub fn turned(direction: Direction, value: f64) -> f64 {
    match direction {
        Direction::Higher => value,
        Direction::Lower => -value,
    }
}

/// Everything of a run that has both a latency and a quality, by family, from small to large.
#[must_use]
pub fn measured(file: &RunFile) -> Vec<Measured> {
    crate::table::ordered(file)
        .into_iter()
        .filter_map(|(planned, result)| {
            let complexity = complexity(planned, file.plan.trials.iter());
            let mut one = one(planned, result, complexity)?;
            let board = file.results.board.as_ref();
            one.clock_step_ns = board.map_or(0.0, |board| board.resolution_ns);
            Some(one)
        })
        .collect()
}

/// The product of a variant's scaling dimensions, as a share of the largest of its family among `all`.
pub(crate) fn complexity<'a>(
    planned: &PlannedTrial,
    all: impl Iterator<Item = &'a PlannedTrial>,
) -> f64 {
    let family = all.filter(|other| other.family == planned.family);
    product(planned) / family.map(product).fold(0.0, f64::max)
}

fn product(planned: &PlannedTrial) -> f64 {
    planned.coordinates.values().product()
}

fn one(planned: &PlannedTrial, result: &TrialResult, complexity: f64) -> Option<Measured> {
    let latency = result.latency?;
    let quality = result.quality.as_ref()?;
    let counted = result.windows.iter().filter(|window| window.void.is_none());
    let window_medians: Vec<f64> = counted.map(WindowResult::typical_ns).collect();
    let figure = Figure {
        value: latency.median_ns,
        interval: latency_interval(&window_medians),
    };
    let mut costs = BTreeMap::from([(Cost::Latency, figure)]);
    let counted = [
        (Cost::Macs, planned.macs),
        (Cost::Parameters, planned.parameters),
        (Cost::Bytes, planned.model.bytes),
    ];
    // None is how a count is told that nobody stated.
    let known = counted.into_iter().filter(|(_, count)| *count > 0);
    costs.extend(known.map(|(cost, count)| (cost, Figure::exact(count as f64))));
    if let Some(bytes) = result.peak_bytes {
        // Counted once a trial: a single figure has no interval.
        let (value, interval) = (bytes as f64, None);
        costs.insert(Cost::Memory, Figure { value, interval });
    }
    if let Some(energy) = &result.energy {
        let gross = energy.gross_j;
        let figure = Figure {
            value: gross.value,
            interval: Some(Interval {
                low: gross.value - gross.uncertainty,
                high: gross.value + gross.uncertainty,
            }),
        };
        costs.insert(Cost::Energy, figure);
    }
    Some(Measured {
        trial: planned.trial,
        family: planned.family.clone(),
        variant: planned.variant.clone(),
        precision: planned.precision,
        complexity,
        metric: planned.metric,
        direction: planned.direction,
        quality: Figure {
            value: quality.value?,
            interval: quality.interval,
        },
        samples: quality.samples,
        costs,
        energy_tier: result.energy.as_ref().map(|energy| energy.tier.clone()),
        instructions: result.counts.and_then(|counts| counts.instructions),
        window_medians,
        clock_step_ns: 0.0,
        unstated: planned.unstated,
    })
}

/// Student's interval for the logarithm of a latency, from the medians of its windows.
#[must_use]
pub fn latency_interval(medians: &[f64]) -> Option<Interval> {
    let logs: Vec<f64> = medians.iter().map(|ns| ns.ln()).collect();
    let error = (variance(&logs)? / logs.len() as f64).sqrt();
    let half = t95((logs.len() - 1) as f64)? * error;
    let centre = mean(&logs)?;
    Some(Interval {
        low: (centre - half).exp(),
        high: (centre + half).exp(),
    })
}

/// Names of the families, in their order.
#[must_use]
pub fn families(measured: &[Measured]) -> Vec<&str> {
    let mut names: Vec<&str> = measured.iter().map(|one| one.family.as_str()).collect();
    names.dedup();
    names
}

/// Those of one family.
#[must_use]
pub fn family<'a>(measured: &'a [Measured], name: &str) -> Vec<&'a Measured> {
    measured.iter().filter(|one| one.family == name).collect()
}

/// The variants that nothing beats in quality and all of `costs` together, from cheap to dear by the
/// first of them. One that lacks a cost is left out.
#[must_use]
pub fn front<'a>(variants: &[&'a Measured], costs: &[Cost]) -> Vec<&'a Measured> {
    let known: Vec<(Vec<f64>, &Measured)> = variants
        .iter()
        .filter_map(|one| {
            let costs = costs.iter().map(|&cost| one.cost(cost));
            let values: Option<Vec<f64>> = costs.chain([Some(-one.good())]).collect();
            Some((values?, *one))
        })
        .collect();
    let points: Vec<&[f64]> = known.iter().map(|(values, _)| values.as_slice()).collect();
    let kept = pareto_set(&points);
    let mut front: Vec<_> = known
        .iter()
        .zip(kept)
        .filter(|(_, kept)| *kept)
        .map(|(one, _)| one)
        .collect();
    front.sort_by(|a, b| a.0[0].total_cmp(&b.0[0]));
    front.into_iter().map(|(_, one)| *one).collect()
}
