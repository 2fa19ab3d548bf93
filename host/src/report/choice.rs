//! Which variant to ship, and what the next ones on each side cost.

use super::Row;
use super::scaling::gained;
use crate::analysis::FamilyAnalysis;
use crate::scaling::steps::Step;
use crate::scaling::worse_end;
use crate::stats::pareto;
use crate::units;
use maud::{Markup, html};
use scalebench_models::Direction;

/// What a family's figures say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Whether the row is not beaten in latency and quality.
    pub(crate) pareto: Vec<bool>,
    /// The row to ship unless there is a reason for another.
    pub(crate) sensible: Option<usize>,
    best: Option<usize>,
    fastest: Option<usize>,
}

/// A neighbour along the front of latency and quality.
struct Neighbour<'a> {
    row: &'a Row<'a>,
    step: &'a Step,
    up: bool,
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
            .max_by(|a, b| a.2.total_cmp(&b.2).then(b.1.total_cmp(&a.1)));
        let fastest = measured
            .iter()
            .min_by(|a, b| a.1.total_cmp(&b.1).then(b.2.total_cmp(&a.2)));
        let sensible = best.and_then(|best| {
            let enough = enough(&rows[best.0], best.2, &measured);
            measured
                .iter()
                .filter(|(_, _, good)| *good >= enough)
                .min_by(|a, b| a.1.total_cmp(&b.1))
        });
        Self {
            pareto: unbeaten,
            sensible: sensible.map(|one| one.0),
            best: best.map(|one| one.0),
            fastest: fastest.map(|one| one.0),
        }
    }

    /// The next variant up, or down, from the one to ship.
    fn neighbour<'a>(
        &self,
        rows: &'a [Row<'a>],
        analysis: Option<&'a FamilyAnalysis>,
        up: bool,
    ) -> Option<Neighbour<'a>> {
        let here = name(&rows[self.sensible?]);
        let step = analysis?
            .steps
            .iter()
            .find(|step| *(if up { &step.from } else { &step.to }) == here)?;
        let there = if up { &step.to } else { &step.from };
        let row = rows.iter().find(|row| name(row) == *there)?;
        Some(Neighbour { row, step, up })
    }

    /// The variant to ship, its neighbours, and the extremes of the family.
    pub(crate) fn cards(&self, rows: &[Row<'_>], analysis: Option<&FamilyAnalysis>) -> Markup {
        let (Some(sensible), Some(best), Some(fastest)) = (self.sensible, self.best, self.fastest)
        else {
            return html! { p.muted { "No variant of this family has both a latency and a quality." } };
        };
        let ship = &rows[sensible];
        html! {
            div.cards {
                div.card.first {
                    p.heading { "Ship this" }
                    p.name { (name(ship)) }
                    p.pair { @for figure in figures(ship) { span { (figure) } } }
                    p.why { (compared(&rows[best], ship, best == sensible)) }
                }
                @for up in [true, false] {
                    div.card {
                        p.heading { @if up { "The next size up costs" } @else { "The next size down saves" } }
                        @match self.neighbour(rows, analysis, up) {
                            Some(next) => (beside(ship, &next)),
                            None => {
                                p.name { "–" }
                                p.why { @if up { "No measured variant is better." } @else { "No measured variant is faster." } }
                            }
                        }
                    }
                }
            }
            p.extremes {
                span { "Best quality: " strong { (name(&rows[best])) } ", " (figures(&rows[best]).join(", ")) }
                span { "Fastest: " strong { (name(&rows[fastest])) } ", " (figures(&rows[fastest]).join(", ")) }
            }
        }
    }

    /// An entry of the overview: the family, what to ship of it, and what its neighbours cost.
    pub(crate) fn line(&self, rows: &[Row<'_>], analysis: Option<&FamilyAnalysis>) -> Markup {
        let family = rows.first().map_or("", |row| row.0.family.as_str());
        html! {
            li data-family=(family) {
                p.family { (family) }
                @match self.sensible.map(|at| &rows[at]) {
                    Some(ship) => {
                        p { "Ship " strong { (name(ship)) } br; span.muted { (figures(ship).join(", ")) } }
                        @for up in [true, false] {
                            @match self.neighbour(rows, analysis, up) {
                                Some(next) => p {
                                    (if up { "Next up " } else { "Next down " }) strong { (name(next.row)) } br;
                                    span.muted { (difference(ship, &next)) ", " (buys(&next)) }
                                },
                                None => p.muted { (if up { "No variant is better." } else { "No variant is faster." }) },
                            }
                        }
                    }
                    None => p.muted { "No variant has both a latency and a quality." },
                }
            }
        }
    }
}

fn name((planned, _): &Row<'_>) -> String {
    format!("{} {}", planned.variant, planned.precision)
}

fn latency(row: &Row<'_>) -> Option<f64> {
    Some(row.1.latency?.median_ns)
}

/// Latency, quality, size and, where measured, energy with what it is worth.
fn figures(row: &Row<'_>) -> Vec<String> {
    let (planned, result) = row;
    let energy = result.energy.as_ref();
    [
        latency(row).map(|latency| planned.unstated.shown_time(latency)),
        crate::table::quality(planned, result),
        (planned.model.bytes > 0).then(|| units::bytes(planned.model.bytes)),
        energy.map(|energy| format!("{} {}", units::energy(energy.gross_j.value), energy.tier)),
    ]
    .into_iter()
    .flatten()
    .collect()
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
    match interval {
        Some(interval) => worse_end(best.0.direction, interval),
        None => {
            let worst = measured.iter().map(|m| m.2).fold(value, f64::min);
            value - (value - worst) / 20.0
        }
    }
}

fn compared(best: &Row<'_>, row: &Row<'_>, same: bool) -> String {
    if same {
        return "Nothing smaller is as good: quality still rises with size.".to_owned();
    }
    let metric = row.0.metric;
    let lost = good(best).unwrap_or_default() - good(row).unwrap_or_default();
    let lost = if units::is_share(metric) {
        format!("{:.1} points", lost * 100.0)
    } else {
        units::quality(metric, lost)
    };
    let faster = latency(best).unwrap_or_default() / latency(row).unwrap_or(f64::INFINITY);
    let sure = match best.1.quality.as_ref().and_then(|quality| quality.interval) {
        Some(_) => "within the best one's uncertainty",
        None => "a twentieth of the family's range at most",
    };
    format!(
        "{}× faster than the best, {}, for {lost} of {}: {sure}.",
        units::three(faster),
        name(best),
        units::metric_name(metric)
    )
}

/// Latency and bytes that a neighbour has more or less.
fn difference(ship: &Row<'_>, next: &Neighbour<'_>) -> String {
    let sign = if next.up { "+" } else { "−" };
    let times = latency(next.row).unwrap_or_default() / latency(ship).unwrap_or(f64::INFINITY);
    format!(
        "{sign}{} ({}×)",
        ship.0.unstated.shown_time(next.step.added.value),
        units::three(times)
    )
}

/// Quality that a neighbour has more or less, with its uncertainty.
fn buys(next: &Neighbour<'_>) -> String {
    let sign = if next.up { "+" } else { "−" };
    let metric = next.row.0.metric;
    let gained = gained(metric, next.step.gained);
    format!("{sign}{gained} {}", units::metric_name(metric))
}

fn beside(ship: &Row<'_>, next: &Neighbour<'_>) -> Markup {
    let sure = next
        .step
        .gained
        .interval
        .is_some_and(|interval| interval.low > 0.0);
    let known = next.step.gained.interval.is_some();
    let why = match (known, sure, next.up) {
        (false, _, _) => "How sure that is cannot be told: this metric has no interval.",
        (_, true, true) => "Better: the gain's 95 % interval lies above zero.",
        (_, false, true) => "May buy nothing: the difference is within its uncertainty.",
        (_, true, false) => "Worse: the loss's 95 % interval lies above zero.",
        (_, false, false) => "May lose nothing: the difference is within its uncertainty.",
    };
    let (from, to) = (ship.0.model.bytes, next.row.0.model.bytes);
    let bytes = to as i64 - from as i64;
    let sign = if bytes < 0 { "−" } else { "+" };
    html! {
        p.name { (name(next.row)) }
        p.pair {
            span { (difference(ship, next)) }
            span { (buys(next)) }
            @if from > 0 && to > 0 { span { (sign) (units::bytes(bytes.unsigned_abs())) } }
        }
        p.why { (why) }
    }
}

/// A row's figures, one a line, for whoever points at it.
pub(crate) fn tip(row: &Row<'_>) -> String {
    let (planned, result) = row;
    let mut lines = vec![name(row)];
    lines.extend(crate::table::quality(planned, result));
    lines.extend(
        result
            .latency
            .map(|latency| format!("latency {}", crate::table::median(planned, &latency))),
    );
    let operations = planned.unstated.operations();
    lines.push(format!("{} {operations}", units::count(planned.macs)));
    if planned.model.bytes > 0 {
        lines.push(format!("model {}", units::bytes(planned.model.bytes)));
    }
    if result.energy.is_some() {
        lines.push(format!("energy {}", crate::table::energy(result)));
    }
    lines.join("\n")
}
