//! Which variant to ship: the three that matter of a family.

use super::Row;
use crate::stats::pareto;
use crate::units;
use maud::{Markup, html};
use scalebench_models::Direction;

/// The three, by their place in the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Card {
    heading: &'static str,
    title: String,
    quality: String,
    latency: String,
    size: String,
    why: String,
}

/// What a family's figures say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    cards: Vec<Card>,
    /// Whether the row is not beaten in latency and quality.
    pub(crate) pareto: Vec<bool>,
    /// The row to ship unless there is a reason for another.
    pub(crate) sensible: Option<usize>,
}

impl Choice {
    pub(crate) fn of(rows: &[Row<'_>]) -> Self {
        let measured: Vec<(usize, f64, f64)> = rows
            .iter()
            .enumerate()
            .filter_map(|(at, row)| Some((at, row.1.latency?.median_ns, good(row)?)))
            .collect();
        let points: Vec<(f64, f64)> = measured.iter().map(|&(_, ns, good)| (ns, good)).collect();
        let mut unbeaten = vec![false; rows.len()];
        for ((at, ..), kept) in measured.iter().zip(pareto(&points)) {
            unbeaten[*at] = kept;
        }
        let best = measured
            .iter()
            .max_by(|a, b| a.2.total_cmp(&b.2).then(b.1.total_cmp(&a.1)))
            .copied();
        let fastest = measured
            .iter()
            .min_by(|a, b| a.1.total_cmp(&b.1).then(b.2.total_cmp(&a.2)))
            .copied();
        let (Some(best), Some(fastest)) = (best, fastest) else {
            return Self {
                pareto: unbeaten,
                ..Self::default()
            };
        };
        let enough = enough(&rows[best.0], best.2, &measured);
        let sensible = measured
            .iter()
            .filter(|(_, _, good)| *good >= enough)
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .copied()
            .unwrap_or(best);
        let cards = vec![
            card(
                "Ship this",
                &rows[sensible.0],
                compared(&rows[best.0], best, &rows[sensible.0], sensible),
            ),
            card(
                "Best quality",
                &rows[best.0],
                "the highest of the family".to_owned(),
            ),
            card(
                "Fastest",
                &rows[fastest.0],
                "the lowest latency of the family".to_owned(),
            ),
        ];
        Self {
            cards,
            pareto: unbeaten,
            sensible: Some(sensible.0),
        }
    }

    pub(crate) fn cards(&self) -> Markup {
        html! {
            @if self.cards.is_empty() {
                p.muted { "No variant of this family has both a latency and a quality." }
            } @else {
                div.cards {
                    @for (at, card) in self.cards.iter().enumerate() {
                        div.card.first[at == 0] {
                            p.heading { (card.heading) }
                            p.name { (card.title) }
                            p.pair { span { (card.latency) } span { (card.quality) } span { (card.size) } }
                            p.why { (card.why) }
                        }
                    }
                }
            }
        }
    }
}

/// Quality with more being better.
fn good(row: &Row<'_>) -> Option<f64> {
    let value = row.1.quality.as_ref()?.value?;
    Some(if row.0.direction == Direction::Lower {
        -value
    } else {
        value
    })
}

/// From which quality on a variant is as good as the best: the lower end of the best one's 95 %
/// interval or, without one, a twentieth of the family's range below it.
fn enough(best: &Row<'_>, value: f64, measured: &[(usize, f64, f64)]) -> f64 {
    let interval = best.1.quality.as_ref().and_then(|quality| quality.interval);
    match (interval, best.0.direction) {
        (Some(interval), Direction::Higher) => interval.low,
        (Some(interval), Direction::Lower) => -interval.high,
        (None, _) => {
            let worst = measured.iter().map(|m| m.2).fold(value, f64::min);
            value - (value - worst) / 20.0
        }
    }
}

fn card(heading: &'static str, row: &Row<'_>, why: String) -> Card {
    let (planned, result) = row;
    Card {
        heading,
        title: format!("{} {}", planned.variant, planned.precision),
        quality: crate::table::quality(planned, result).unwrap_or_default(),
        latency: result
            .latency
            .map_or(String::new(), |l| units::time(l.median_ns)),
        size: units::bytes(planned.model.bytes),
        why,
    }
}

fn compared(
    best: &Row<'_>,
    (best_at, best_ns, _): (usize, f64, f64),
    row: &Row<'_>,
    (at, ns, _): (usize, f64, f64),
) -> String {
    if best_at == at {
        return "nothing smaller is as good: quality still rises with size".to_owned();
    }
    let metric = row.0.metric;
    let value = |row: &Row<'_>| {
        row.1
            .quality
            .as_ref()
            .and_then(|q| q.value)
            .unwrap_or_default()
    };
    let difference = (value(best) - value(row)).abs();
    let difference = if units::is_share(metric) {
        format!("{:.1} points", difference * 100.0)
    } else {
        units::quality(metric, difference)
    };
    format!(
        "{}× faster than {}, for {difference} of {}, within its uncertainty",
        units::three(best_ns / ns),
        best.0.variant,
        units::metric_name(metric)
    )
}

/// A row in one line, for a point's tooltip.
pub(crate) fn tip((planned, result): &Row<'_>) -> String {
    let latency = result
        .latency
        .map_or(String::new(), |latency| crate::table::median(&latency));
    let quality = crate::table::quality(planned, result).unwrap_or_default();
    format!(
        "{} {}: {quality}, {latency}, {} MACs, {}",
        planned.variant,
        planned.precision,
        units::count(planned.macs),
        units::bytes(planned.model.bytes)
    )
}
