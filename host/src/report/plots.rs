//! A family's quality against what it costs, a plot a cost.

use super::Row;
use super::chart::{Axis, Chart, Point};
use super::choice::{self, Choice};
use scalebench_models::Direction;
use std::collections::BTreeSet;

/// The plots, each with a word for its cost.
pub(crate) fn plots<'a>(rows: &[Row<'a>], choice: &Choice) -> Vec<(&'static str, Chart<'a>)> {
    let Some((first, _)) = rows.first() else {
        return Vec::new();
    };
    let metric = crate::units::metric_name(first.metric);
    let latency = |row: &Row<'_>| {
        let latency = row.1.latency?;
        Some([latency.low_ns, latency.median_ns, latency.high_ns])
    };
    let macs = |row: &Row<'_>| {
        let known = row.1.latency.filter(|_| row.0.macs > 0);
        known.map(|_| [row.0.macs as f64; 3])
    };
    // Without an end above zero there is no place on a logarithmic axis.
    let energy = |row: &Row<'_>| {
        let known = row.1.energy.as_ref()?.gross_j;
        let low = (known.value - known.uncertainty).max(known.value / 10.0);
        (known.value > 0.0).then_some([low, known.value, known.value + known.uncertainty])
    };
    let tiers: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| Some(row.1.energy.as_ref()?.tier.as_str()))
        .collect();
    let plot = |title: String, axis, x: &Position<'_>| scatter(rows, choice, title, axis, x);
    let times = if first.unstated.time {
        Axis::UnstatedTime
    } else {
        Axis::Time
    };
    let (counts, operations) = if first.unstated.operations {
        (Axis::UnstatedCount, "FLOPs")
    } else {
        (Axis::Count, "multiply-accumulates")
    };
    let mut plots = vec![
        (
            "latency",
            plot(format!("{metric} against latency"), times, &latency),
        ),
        (
            "macs",
            plot(format!("{metric} against {operations}"), counts, &macs),
        ),
    ];
    if !tiers.is_empty() {
        let tiers: Vec<&str> = tiers.into_iter().collect();
        let title = format!("{metric} against energy ({})", tiers.join(", "));
        plots.push(("energy", plot(title, Axis::Energy, &energy)));
    }
    plots
}

/// A row's position on the x axis: low end, value, high end.
type Position<'a> = dyn Fn(&Row<'_>) -> Option<[f64; 3]> + 'a;

fn scatter<'a>(
    rows: &[Row<'a>],
    choice: &Choice,
    title: String,
    axis: Axis,
    x: &Position<'_>,
) -> Chart<'a> {
    let points = rows
        .iter()
        .enumerate()
        .filter_map(|(at, row)| {
            let quality = row.1.quality.as_ref()?;
            let value = quality.value?;
            Some(Point {
                trial: row.0.trial,
                label: row.0.variant.clone(),
                series: row.0.precision.word(),
                x: x(row)?,
                y: quality
                    .interval
                    .map_or([value; 3], |interval| [interval.low, value, interval.high]),
                tip: choice::tip(row),
                chosen: choice.sensible == Some(at),
            })
        })
        .collect();
    let first = rows.first().map(|(planned, _)| *planned);
    Chart {
        family: first.map_or("", |planned| &planned.family),
        title,
        axis,
        points,
        lower_is_better: first.is_some_and(|planned| planned.direction == Direction::Lower),
        metric: first.map(|planned| planned.metric),
    }
}
