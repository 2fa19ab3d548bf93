//! Marginal cost: what each step up along the front buys for what it costs.

use super::{Cost, Figure, Measured, front};
use crate::stats::Interval;
use serde::{Deserialize, Serialize};

/// From one variant of a front to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Name of the smaller.
    pub from: String,
    /// Name of the larger.
    pub to: String,
    /// Quality gained, more being better.
    pub gained: Figure,
    /// Cost added, in the cost's own unit.
    pub added: Figure,
    /// Quality per added unit of [`Cost::price_unit`]; of a latency whose unit nobody stated, per one of those.
    pub rate: Figure,
}

/// The steps along the front of quality and `cost`.
///
/// Intervals propagate to first order from those of the figures (ISO/IEC Guide 98-3, section 5.1), as
/// if the two variants were scored on samples of their own; on the same samples the truth is narrower.
#[must_use]
pub fn steps(variants: &[&Measured], cost: Cost) -> Vec<Step> {
    let front = front(variants, &[cost]);
    front
        .windows(2)
        .filter_map(|pair| {
            let (small, large) = (pair[0], pair[1]);
            let gained = difference(small.quality, large.quality, large.good() - small.good());
            let (from, to) = (*small.costs.get(&cost)?, *large.costs.get(&cost)?);
            let added = difference(from, to, to.value - from.value);
            let unit = match cost {
                Cost::Latency if small.unstated.time => 1.0,
                cost => cost.price_unit().1,
            };
            Some(Step {
                from: small.name(),
                to: large.name(),
                gained,
                added,
                rate: ratio(gained, added, unit),
            })
        })
        .collect()
}

pub(super) fn difference(a: Figure, b: Figure, value: f64) -> Figure {
    let error = a.error().zip(b.error()).map(|(a, b)| a.hypot(b));
    around(value, error)
}

/// `gained` per `unit` of `added`.
fn ratio(gained: Figure, added: Figure, unit: f64) -> Figure {
    let value = gained.value / added.value * unit;
    let error = gained.error().zip(added.error()).map(|(gain, add)| {
        let relative = add / added.value;
        (gain / added.value * unit).hypot(value * relative)
    });
    around(value, error)
}

fn around(value: f64, error: Option<f64>) -> Figure {
    let interval = error.map(|error| Interval {
        low: value - 1.96 * error,
        high: value + 1.96 * error,
    });
    Figure { value, interval }
}
