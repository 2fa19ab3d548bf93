//! What a family's figures say together: findings, and the price of each step up.

use crate::analysis::FamilyAnalysis;
use crate::scaling::Figure;
use crate::units;
use maud::{Markup, html};
use scalebench_models::Metric;

/// The analysis of a family; nothing where there is nothing to say.
pub(crate) fn scaling(family: &FamilyAnalysis) -> Markup {
    let sentences = family.sentences();
    let first = family.variants.first();
    let metric = first.map(|one| one.metric);
    let open = first.map(|one| one.unstated).unwrap_or_default();
    html! {
        @if !sentences.is_empty() {
            h3 { "What the figures say together" }
            ul.remarks { @for sentence in &sentences { li { (sentence) } } }
        }
        @if let (Some(metric), false) = (metric, family.steps.is_empty()) {
            details {
                summary { "What each step up along the front buys and costs" }
                div.scroll tabindex="0" role="region" aria-label="Steps along the front" {
                    table {
                        thead {
                            tr {
                                th { "from" }
                                th { "to" }
                                th.n { (units::metric_name(metric)) " gained" }
                                th.n { "latency added" }
                                th.n { @if open.time { "gained per unit of time" } @else { "gained per millisecond" } }
                            }
                        }
                        tbody {
                            @for step in &family.steps {
                                tr {
                                    th scope="row" { (step.from) }
                                    td { (step.to) }
                                    td.n { (gained(metric, step.gained)) }
                                    td.n { (open.shown_time(step.added.value)) }
                                    td.n { (gained(metric, step.rate)) }
                                }
                            }
                        }
                    }
                }
                p.muted { "± is half of a 95 % interval that takes the two variants as scored on samples of their own; a step whose interval reaches below zero may buy nothing." }
            }
        }
    }
}

/// A difference of qualities, shares in points.
pub(super) fn gained(metric: Metric, figure: Figure) -> String {
    let (value, half) = (
        figure.value,
        figure.interval.map(|interval| interval.half()),
    );
    let show = |value: f64| {
        if units::is_share(metric) {
            units::three(value * 100.0)
        } else {
            format!("{value:.4}")
        }
    };
    let unit = if units::is_share(metric) {
        " points"
    } else {
        ""
    };
    match half {
        Some(half) => format!("{} ±{}{unit}", show(value), show(half)),
        None => format!("{}{unit}", show(value)),
    }
}
