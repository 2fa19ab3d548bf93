//! Where the time of an inference goes, operator by operator.

use super::Row;
use crate::units;
use maud::{Markup, html};

/// A table for each row that was profiled; nothing if none was.
pub(crate) fn profile(rows: &[Row<'_>]) -> Markup {
    let profiled: Vec<_> = rows
        .iter()
        .filter_map(|(planned, result)| Some((planned, result.profile.as_ref()?)))
        .collect();
    html! {
        @if !profiled.is_empty() {
            h3 { "Where the time goes" }
            @for (planned, profile) in profiled {
                details.profile data-family=(planned.family) data-precision=(planned.precision) {
                    summary {
                        (planned.variant) " " (planned.precision) ": "
                        @for (place, (kind, share)) in profile.shares().into_iter().take(3).enumerate() {
                            @if place > 0 { ", " }
                            (kind) " " (units::share(share))
                        }
                    }
                    p.muted {
                        "Mean of " (profile.inferences) " inferences, the reading of the clock between operators included: "
                        "their sum, " (units::time(profile.total_ns())) ", is more than the latency above."
                    }
                    div.scroll tabindex="0" role="region" aria-label="Operators" { table {
                        thead { tr {
                            th scope="col" { "operator" }
                            th scope="col" { "writes" }
                            th.n scope="col" { "MACs" }
                            th.n scope="col" { "time" }
                            th scope="col" { "share" }
                        } }
                        tbody { @for one in &profile.operators {
                            @let share = one.mean_ns / profile.total_ns().max(f64::MIN_POSITIVE);
                            tr {
                                th scope="row" { (one.index) " " (one.operator.operator) }
                                td { (one.operator.output) }
                                td.n { @if one.operator.macs > 0 { (units::count(one.operator.macs)) } }
                                td.n { (units::time(one.mean_ns)) }
                                td { meter value=(format!("{share:.4}")) { (units::share(share)) } " " (units::share(share)) }
                            }
                        } }
                    } }
                }
            }
        }
    }
}
