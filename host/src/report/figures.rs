//! The table of a family.

use super::Row;
use super::choice::Choice;
use crate::plan::PlannedTrial;
use crate::results::{Status, TrialResult};
use crate::stats::Percentile;
use crate::table::{self, known};
use crate::units;
use maud::{Markup, html};

/// All figures of a family's variants.
pub(crate) fn figures(rows: &[Row<'_>], choice: &Choice) -> Markup {
    let counted = rows
        .iter()
        .any(|(_, result)| table::instructions(result).is_some());
    let metric = rows
        .first()
        .map_or("quality", |(planned, _)| units::metric_name(planned.metric));
    html! {
        div.scroll tabindex="0" role="region" aria-label="All figures of the family" {
            table {
                thead {
                    tr {
                        th { "variant" }
                        th { "precision" }
                        th.n title="product of the scaling dimensions, as a share of the family's largest (Trihinas et al., Future Internet 16(12):468)" { "complexity" }
                        th.n title="weights and biases" { "params" }
                        th.n { "MACs" }
                        th.n { "model" }
                        th.n { (metric) }
                        th.n { "load" }
                        th.n { "cold" }
                        th.n { "median" }
                        th.n { "p90" }
                        th.n { "p99" }
                        th.n title="peak memory above the runner's own" { "memory" }
                        th.n title="of that, beyond the model's bytes and the planned activations" { "unplanned" }
                        th.n title="of one inference, gross; ± two standard uncertainties" { "energy" }
                        @if counted {
                            th.n title="of one inference, as the processor counts them, with the harness's own" { "instructions" }
                        }
                        th { "validity" }
                    }
                }
                tbody {
                    @for (at, row) in rows.iter().enumerate() {
                        (line(row, complexity(row.0, rows), counted, choice.pareto.get(at) == Some(&true), choice.sensible == Some(at)))
                    }
                }
            }
        }
    }
}

fn line(
    row: &Row<'_>,
    complexity: Option<f64>,
    counted: bool,
    unbeaten: bool,
    sensible: bool,
) -> Markup {
    let (planned, result) = row;
    let time = |ns: Option<f64>| ns.map_or_else(none, units::time);
    html! {
        tr.unbeaten[unbeaten].sensible[sensible]
            data-trial=(planned.trial) data-family=(planned.family) data-precision=(planned.precision) {
            th scope="row" { (planned.variant) @if unbeaten { span.mark title="not beaten in latency and quality" { "◆" } } }
            td { (planned.precision) }
            td.n { (complexity.map_or_else(none, |share| format!("{share:.3}"))) }
            td.n { (known(planned.parameters, units::count)) }
            td.n { (planned.unstated.shown_operations(planned.macs)) }
            td.n { (known(planned.model.bytes, units::bytes)) }
            @if result.status == Status::Done {
                @if planned.weights.are_trained() {
                    td.n { (table::quality(planned, result).map_or_else(none, |text| without_name(&text))) }
                } @else {
                    td.n { span.muted { (table::UNMEASURED) } }
                }
                td.n { (time(result.load_ns)) }
                td.n { (time(result.cold_ns)) }
                @match &result.latency {
                    Some(latency) => {
                        td.n { strong { (table::median(planned, latency)) } }
                        td.n { (percentile(latency.p90)) }
                        td.n { (percentile(latency.p99)) }
                    }
                    None => { td.n.muted colspan="3" { "withheld" } }
                }
                td.n { (result.peak_bytes.map_or_else(none, units::bytes)) }
                td.n { (result.unplanned_bytes(planned.model.bytes).map_or_else(none, units::bytes)) }
                td.n title=(energy_tip(result)) { (table::energy(result)) }
                @if counted {
                    td.n title=(counts_tip(result)) { (table::instructions(result).unwrap_or_else(none)) }
                }
            } @else {
                td.muted colspan=(9 + usize::from(counted)) { (short(&result.status)) }
            }
            td { (validity(row)) }
        }
    }
}

/// The complexity coordinate of a variant; nothing where it has no coordinates.
fn complexity(planned: &PlannedTrial, rows: &[Row<'_>]) -> Option<f64> {
    let all = rows.iter().map(|(planned, _)| *planned);
    (!planned.coordinates.is_empty()).then(|| crate::scaling::complexity(planned, all))
}

fn counts_tip(result: &TrialResult) -> String {
    let Some(counts) = result.counts else {
        return String::new();
    };
    let said = [
        ("cycles", counts.cycles),
        ("cache misses", counts.cache_misses),
    ];
    let said = said.into_iter().filter_map(|(name, count)| {
        Some(format!("{} {name}", units::count(count?.round() as u64)))
    });
    said.collect::<Vec<_>>().join(", ")
}

fn none() -> String {
    "–".to_owned()
}

fn without_name(text: &str) -> String {
    text.split_once(' ')
        .map_or(text, |(_, value)| value)
        .to_owned()
}

fn percentile(percentile: Option<Percentile>) -> Markup {
    match percentile {
        Some(percentile) => {
            let tip = format!(
                "below {} with 99 % confidence",
                units::time(percentile.bound)
            );
            html! { span title=(tip) { (units::time(percentile.value)) } }
        }
        None => {
            html! { span.muted title="the early stopping rule asks for more readings" { "not enough samples" } }
        }
    }
}

fn short(status: &Status) -> &'static str {
    match status {
        Status::NotExecutable(_) => "not yet executable on this engine",
        Status::Unfaithful(_) => "outputs differ from the golden vectors: no figure is published",
        Status::Failed(_) => "failed",
        Status::Lost => "lost",
        Status::Pending => "not begun",
        Status::Done => "",
    }
}

fn validity((planned, result): &Row<'_>) -> Markup {
    let void = result
        .windows
        .iter()
        .filter(|window| window.void.is_some())
        .count();
    let outliers = result.latency.map_or(0, |latency| latency.outliers);
    let samples = result.latency.map_or(0, |latency| latency.samples);
    match (&result.status, &result.latency_withheld) {
        (Status::Done, None) => {
            let golden = result.golden.map_or(String::new(), |golden| {
                let worst = if planned.tolerance.steps > 0 {
                    format!("{} steps", golden.worst)
                } else {
                    format!("{:.1e}", golden.worst)
                };
                format!(
                    "{} golden vectors met, worst difference {worst}",
                    golden.vectors
                )
            });
            let readings = format!("{golden}; {samples} readings, {outliers} outliers");
            html! {
                @if result.golden.is_some() && !planned.answers.are_references() {
                    span.muted title={ "no reference: the engine's own answers on the machine that added the family; " (readings) } { "own answers met" }
                } @else if result.golden.is_some() {
                    span.good title=(readings) { "verified" }
                } @else {
                    span.muted { "no golden vectors" }
                }
                @if void > 0 { span.muted { ", " (crate::text::counted(void, "window")) " void" } }
            }
        }
        (Status::Done, Some(reason)) => html! { span.bad { (reason) } },
        (Status::NotExecutable(_) | Status::Pending, _) => html! { span.muted { "not measured" } },
        _ => html! { span.bad { "invalid" } },
    }
}

/// The other figures of energy, and why there are none.
fn energy_tip(result: &crate::results::TrialResult) -> String {
    let Some(energy) = &result.energy else {
        return result.energy_withheld.clone().unwrap_or_default();
    };
    let net = energy.net_j.map_or(String::new(), |net| {
        format!(
            "above idle {} ± {}; ",
            units::energy(net.value),
            units::energy(net.uncertainty)
        )
    });
    let idle = energy.idle_w.map_or(String::new(), |idle| {
        format!(", idle {}", units::power(idle))
    });
    format!(
        "{net}mean {}, peak {}{idle}; {} inferences per joule; energy-delay product {} nJ s; {} windows; {}",
        units::power(energy.mean_w),
        units::power(energy.peak_w),
        units::three(energy.inferences_per_joule),
        units::three(energy.energy_delay_js * 1e9),
        energy.windows,
        energy.tier
    )
}
