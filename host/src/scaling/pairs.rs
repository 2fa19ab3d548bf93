//! Two at a time: float against int8, one board against another.

use super::{Cost, Figure, Measured};
use crate::stats::bootstrap::bca;
use crate::stats::comparison::{mann_whitney, welch};
use crate::stats::{Interval, mean};
use scalebench_models::Precision;
use serde::{Deserialize, Serialize};

/// Resamples behind the interval of a mean of ratios.
const RESAMPLES: usize = 1_999;

/// One variant, twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// What both are.
    pub name: String,
    /// Latency of the second divided by that of the first.
    pub latency: Figure,
    /// Probability of so different windows, were the latencies equal (Mann-Whitney).
    pub p: Option<f64>,
    /// Quality of the second less that of the first, turned so that more is better.
    pub quality: f64,
    /// Bytes of the second model divided by those of the first.
    pub bytes: Option<f64>,
}

/// All pairs, and what they say together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pairs {
    /// The pairs.
    pub pairs: Vec<Pair>,
    /// Geometric mean of the latency ratios.
    pub latency: Option<Figure>,
}

impl Pairs {
    fn of(pairs: Vec<Pair>) -> Self {
        let logs: Vec<f64> = pairs.iter().map(|pair| pair.latency.value.ln()).collect();
        let average = |logs: &[f64]| mean(logs).unwrap_or_default();
        let interval = bca(&logs, average, RESAMPLES, 0).map(|interval| Interval {
            low: interval.low.exp(),
            high: interval.high.exp(),
        });
        let latency = mean(&logs).map(|log| Figure {
            value: log.exp(),
            interval,
        });
        Self { pairs, latency }
    }
}

/// Each variant in int8 (second) against float32 (first).
#[must_use]
pub fn precisions(variants: &[&Measured]) -> Pairs {
    let of = |precision| {
        variants
            .iter()
            .filter(move |one| one.precision == precision)
    };
    let pairs = of(Precision::Float32).filter_map(|float| {
        let int8 = of(Precision::Int8).find(|one| one.variant == float.variant)?;
        pair(float.variant.clone(), float, int8)
    });
    Pairs::of(pairs.collect())
}

/// Each variant of the second board against the same of the first.
#[must_use]
pub fn boards(first: &[Measured], second: &[Measured]) -> Pairs {
    let pairs = first.iter().filter_map(|one| {
        let other = same(one, second)?;
        pair(format!("{}/{}", one.family, one.name()), one, other)
    });
    Pairs::of(pairs.collect())
}

/// The same variant in the same precision among others.
#[must_use]
pub fn same<'a>(one: &Measured, others: &'a [Measured]) -> Option<&'a Measured> {
    others.iter().find(|other| {
        (&other.family, &other.variant, other.precision)
            == (&one.family, &one.variant, one.precision)
    })
}

fn pair(name: String, a: &Measured, b: &Measured) -> Option<Pair> {
    if a.unstated.time != b.unstated.time {
        return None; // not the same unit
    }
    let (first, second) = (a.cost(Cost::Latency)?, b.cost(Cost::Latency)?);
    let logs = |one: &Measured| -> Vec<f64> { one.window_medians.iter().map(|v| v.ln()).collect() };
    let interval = welch(&logs(a), &logs(b)).map(|difference| Interval {
        low: difference.interval.low.exp(),
        high: difference.interval.high.exp(),
    });
    Some(Pair {
        name,
        latency: Figure {
            value: second / first,
            interval,
        },
        p: mann_whitney(&a.window_medians, &b.window_medians),
        quality: b.good() - a.good(),
        bytes: a
            .cost(Cost::Bytes)
            .zip(b.cost(Cost::Bytes))
            .map(|(a, b)| b / a),
    })
}
