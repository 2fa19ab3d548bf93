//! Which variant to ship under limits.

use super::{Cost, Figure, Measured, front, turned, worse_end};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};
use std::collections::BTreeMap;

/// What a variant must keep.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Most of a cost, in the cost's unit.
    pub most: BTreeMap<Cost, f64>,
    /// Least quality or, where less is better, most of it, in the metric's own unit.
    pub quality: Option<f64>,
}

/// A limit, and how a variant stands to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// `latency`, `quality` and so on.
    pub of: String,
    /// Whether it is kept.
    pub kept: bool,
    /// By how much: the room left as a share of the limit, negative beyond it.
    pub room: f64,
    /// Probability that the true figure keeps the limit; where the figure has an interval.
    pub confidence: Option<f64>,
}

/// A variant and how it stands to all limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice<'a> {
    /// The variant.
    pub variant: &'a Measured,
    /// How it stands to each limit.
    pub limits: Vec<Kept>,
}

impl Choice<'_> {
    /// Whether it keeps all.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.limits.iter().all(|limit| limit.kept)
    }

    /// Probability that it keeps all limits whose figures have intervals; none limited: 1.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        self.limits
            .iter()
            .filter_map(|limit| limit.confidence)
            .product()
    }
}

/// What is chosen, and what is beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Picked<'a> {
    /// The best quality that keeps every limit; of equal quality the fastest.
    pub chosen: Choice<'a>,
    /// The fastest that keeps every limit and is as good within the uncertainty of `chosen`, where that is another: what the
    /// report ships, where nothing is limited.
    pub as_good: Option<Choice<'a>>,
    /// The next cheaper on the front of latency.
    pub smaller: Option<Choice<'a>>,
    /// The next better on it.
    pub larger: Option<Choice<'a>>,
}

/// Picks among the variants of one family. `Err`: the one that comes nearest, by the limit it exceeds
/// most; `None` of no variants.
pub fn pick<'a>(
    variants: &[&'a Measured],
    limits: &Limits,
) -> Option<Result<Picked<'a>, Choice<'a>>> {
    let latency = |one: &Measured| one.cost(Cost::Latency).unwrap_or(f64::INFINITY);
    let best = variants
        .iter()
        .map(|one| judge(one, limits))
        .filter(Choice::fits)
        .max_by(|a, b| {
            let (a, b) = (a.variant, b.variant);
            a.good()
                .total_cmp(&b.good())
                .then(latency(b).total_cmp(&latency(a)))
        });
    let Some(chosen) = best else {
        let least_room = |choice: &Choice<'_>| {
            choice
                .limits
                .iter()
                .map(|limit| limit.room)
                .fold(f64::INFINITY, f64::min)
        };
        let all = variants.iter().map(|one| judge(one, limits));
        return all
            .max_by(|a, b| least_room(a).total_cmp(&least_room(b)))
            .map(Err);
    };
    let front = front(variants, &[Cost::Latency]);
    let at = latency(chosen.variant);
    let interval = chosen.variant.quality.interval;
    let enough = interval.map(|interval| worse_end(chosen.variant.direction, interval));
    let as_good = variants
        .iter()
        .filter(|one| enough.is_some_and(|enough| one.good() >= enough) && latency(one) < at)
        .map(|one| judge(one, limits))
        .filter(Choice::fits)
        .min_by(|a, b| latency(a.variant).total_cmp(&latency(b.variant)));
    let below = |one: &&&Measured| latency(one) < at && one.good() < chosen.variant.good();
    let above = |one: &&&Measured| one.good() > chosen.variant.good();
    let smaller = front.iter().rev().find(below).map(|one| judge(one, limits));
    let larger = front.iter().find(above).map(|one| judge(one, limits));
    Some(Ok(Picked {
        as_good,
        smaller,
        larger,
        chosen,
    }))
}

fn judge<'a>(variant: &'a Measured, limits: &Limits) -> Choice<'a> {
    let costs = limits.most.iter().map(|(&cost, &most)| {
        let of = cost.word().to_owned();
        match variant.costs.get(&cost) {
            Some(&figure) => kept(of, figure, most, -1.0),
            None => Kept {
                of,
                kept: false,
                room: f64::NEG_INFINITY,
                confidence: Some(0.0),
            },
        }
    });
    let quality = limits.quality.map(|least| {
        kept(
            "quality".to_owned(),
            variant.quality,
            least,
            turned(variant.direction, 1.0),
        )
    });
    Choice {
        variant,
        limits: costs.chain(quality).collect(),
    }
}

/// `sign`: 1 where the figure must not be below the limit, -1 where not above.
fn kept(of: String, figure: Figure, limit: f64, sign: f64) -> Kept {
    let margin = sign * (figure.value - limit);
    let confidence = figure.error().map(|error| match error {
        error if error > 0.0 => Normal::standard().cdf(margin / error),
        _ if margin >= 0.0 => 1.0,
        _ => 0.0,
    });
    Kept {
        of,
        kept: margin >= 0.0,
        room: margin / limit.abs().max(f64::MIN_POSITIVE),
        confidence,
    }
}
