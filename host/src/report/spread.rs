//! How the latencies of a variant are spread, window by window.

use super::Row;
use super::chart::{Scale, px};
use crate::results::{TrialResult, WindowResult};
use crate::stats::grid;
use crate::units;
use maud::{Markup, html};
use std::collections::BTreeMap;

const WIDTH: f64 = 400.0;
const LEFT: f64 = 34.0;
const RIGHT: f64 = 14.0;
const ROW: f64 = 24.0;
const BOTTOM: f64 = 24.0;
/// Columns of the histogram at most.
const COLUMNS: i32 = 64;

/// A row of bars a window, on one logarithmic axis; nothing where no reading was kept.
pub(crate) fn spread(row: &Row<'_>) -> Option<Markup> {
    let (planned, result) = row;
    let title = format!("Latencies of {} {}", planned.variant, planned.precision);
    let svg = drawing(result, &title)?;
    Some(html! {
        figure data-family=(planned.family) data-precision=(planned.precision) {
            figcaption { (title) }
            (svg)
            p.legend { (told(result)) }
        }
    })
}

fn told(result: &TrialResult) -> String {
    let all = all(result);
    let readings: u64 = all.values().sum();
    let beyond: u64 =
        axis(result).map_or(0, |(_, high)| all.range(high..).map(|cell| cell.1).sum());
    let longest = all
        .keys()
        .last()
        .map_or(0.0, |cell| grid::edge_ns(f64::from(*cell) + 1.0));
    let beyond = match beyond {
        0 => String::new(),
        beyond => format!(
            ", {beyond} of them beyond the right edge, up to {}",
            units::time(longest)
        ),
    };
    format!(
        "{} readings{beyond}; a row a window, heights are square roots of shares",
        units::count(readings)
    )
}

/// Readings of all windows, by cell.
fn all(result: &TrialResult) -> BTreeMap<i32, u64> {
    let mut all = BTreeMap::new();
    for (cell, count) in result
        .windows
        .iter()
        .flat_map(|window| &window.distribution)
    {
        *all.entry(*cell).or_insert(0) += u64::from(*count);
    }
    all
}

/// Cells from the shortest reading to beyond the one that 99 % do not exceed: a few long ones would leave no room
/// for the others. `None` of nothing.
fn axis(result: &TrialResult) -> Option<(i32, i32)> {
    let all = all(result);
    let enough = all.values().sum::<u64>() as f64 * 0.99;
    let mut seen = 0;
    let most = all.iter().find(|cell| {
        seen += cell.1;
        seen as f64 >= enough
    })?;
    let low = *all.keys().next()?;
    Some((low, low + (most.0 - low + 4).max(8)))
}

/// The picture alone.
pub(crate) fn drawing(result: &TrialResult, title: &str) -> Option<Markup> {
    let windows: Vec<&WindowResult> = result
        .windows
        .iter()
        .filter(|window| !window.distribution.is_empty())
        .collect();
    let (low, high) = axis(result)?;
    let cells = high - low;
    let merged = (cells + COLUMNS - 1) / COLUMNS;
    let x = Scale {
        from: f64::from(low),
        to: f64::from(low + cells),
        at: LEFT,
        length: WIDTH - LEFT - RIGHT,
    };
    let foot = ROW * windows.len() as f64 + 4.0;
    let height = foot + BOTTOM;
    Some(html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(title) {
            @for at in ticks(low, high) {
                @let place = x.place(at);
                line.grid x1=(px(place)) x2=(px(place)) y1="2" y2=(px(foot)) {}
                text.tick x=(px(place)) y=(px(foot + 15.0)) text-anchor="middle" { (units::time(grid::edge_ns(at))) }
            }
            @for (row, window) in windows.iter().enumerate() {
                @let base = ROW * (row + 1) as f64;
                text.tick x=(px(LEFT - 8.0)) y=(px(base - 4.0)) text-anchor="end" { (window.window + 1) }
                path.bars.void[window.void.is_some()] d=(bars(window, (low, high), merged, base, x)) {
                    title {
                        "window " (window.window + 1) ": median " (units::time(window.typical_ns()))
                        @if let Some(reason) = &window.void { ", void: " (reason) }
                    }
                }
            }
        }
    })
}

/// Three places on the axis: near both ends and between them.
fn ticks(low: i32, high: i32) -> [f64; 3] {
    let width = f64::from(high - low);
    [0.08, 0.5, 0.92].map(|share| f64::from(low) + width * share)
}

/// The outline of a window's bars.
fn bars(
    window: &WindowResult,
    (low, high): (i32, i32),
    merged: i32,
    base: f64,
    x: Scale,
) -> String {
    let mut columns = BTreeMap::new();
    for (cell, count) in window.distribution.range(..high) {
        *columns.entry((cell - low) / merged).or_insert(0_u64) += u64::from(*count);
    }
    let most = columns.values().copied().max().unwrap_or(1) as f64;
    let mut path = String::new();
    for (column, count) in columns {
        let from = x.place(f64::from(low + column * merged));
        let to = x.place(f64::from((low + (column + 1) * merged).min(high)));
        let height = (count as f64 / most).sqrt() * (ROW - 5.0);
        path += &format!(
            "M{} {}V{}H{}V{}",
            px(from),
            px(base),
            px(base - height),
            px(to),
            px(base)
        );
    }
    path
}
