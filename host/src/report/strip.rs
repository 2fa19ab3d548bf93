//! What changes with time: power within a window, clock and temperature over the run.

use super::Row;
use super::chart::{Scale, px, range, trimmed, y_ticks};
use crate::results::{TrialResult, WindowResult};
use crate::store::RunFile;
use crate::units;
use maud::{Markup, html};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 26.0;
/// Points of a line at most: more cannot be told apart.
const POINTS: usize = 240;

/// A line over time.
struct Strip<'a> {
    title: &'a str,
    /// Seconds and values, in order.
    points: Vec<(f64, f64)>,
    /// Whether the value axis begins at zero.
    from_zero: bool,
    unit: &'static str,
    /// Moments to mark, in seconds, and a word for each.
    marks: Vec<(f64, &'a str)>,
}

impl Strip<'_> {
    /// `None`: there is nothing to draw.
    fn draw(&self) -> Option<Markup> {
        let times = || {
            self.points
                .iter()
                .map(|point| point.0)
                .chain(self.marks.iter().map(|mark| mark.0))
        };
        let (first, last) = (times().reduce(f64::min)?, times().reduce(f64::max)?);
        let zero = self.from_zero.then_some(0.0);
        let (low, high) = range(self.points.iter().map(|point| point.1).chain(zero), 0.1);
        let low = if self.from_zero { 0.0 } else { low };
        let x = Scale {
            from: first,
            to: last.max(first + 1e-9),
            at: LEFT,
            length: WIDTH - LEFT - RIGHT,
        };
        let y = Scale {
            from: low,
            to: high,
            at: HEIGHT - BOTTOM,
            length: TOP + BOTTOM - HEIGHT,
        };
        let mut ticks = y_ticks(low, high);
        if ticks.len() > 4 {
            ticks = ticks.into_iter().step_by(2).collect();
        }
        let foot = HEIGHT - BOTTOM;
        Some(html! {
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.title) {
                @for value in ticks {
                    line.grid x1=(px(LEFT)) x2=(px(WIDTH - RIGHT)) y1=(px(y.place(value))) y2=(px(y.place(value))) {}
                    text.tick x=(px(LEFT - 6.0)) y=(px(y.place(value) + 3.8)) text-anchor="end" { (trimmed(value)) " " (self.unit) }
                }
                text.tick x=(px(LEFT)) y=(px(foot + 17.0)) { (seconds(first)) }
                text.tick x=(px(WIDTH - RIGHT)) y=(px(foot + 17.0)) text-anchor="end" { (seconds(last)) }
                @for (at, word) in &self.marks {
                    line.moment x1=(px(x.place(*at))) x2=(px(x.place(*at))) y1=(px(TOP)) y2=(px(foot)) { title { (word) " at " (seconds(*at)) } }
                }
                path.trace d=(line(&self.points, x, y)) {}
            }
        })
    }
}

fn seconds(value: f64) -> String {
    if value < 0.0 {
        format!("−{}", units::time(-value * 1e9))
    } else if value > 0.0 {
        units::time(value * 1e9)
    } else {
        "0".to_owned()
    }
}

/// The line through the points or, of very many, through the means of neighbours.
fn line(points: &[(f64, f64)], x: Scale, y: Scale) -> String {
    let group = points.len().div_ceil(POINTS).max(1);
    let mut path = String::new();
    for group in points.chunks(group) {
        let count = group.len() as f64;
        let at = group.iter().map(|point| point.0).sum::<f64>() / count;
        let value = group.iter().map(|point| point.1).sum::<f64>() / count;
        let word = if path.is_empty() { 'M' } else { 'L' };
        path += &format!("{word}{} {}", px(x.place(at)), px(y.place(value)));
    }
    path
}

/// Power in one window of a variant, with the window's marks; nothing where none was measured.
pub(crate) fn power((planned, result): &Row<'_>) -> Option<Markup> {
    let trace = result.power_trace.as_ref()?;
    let label = format!("{} {}", planned.variant, planned.precision);
    let (title, svg) = power_drawing(&label, result)?;
    Some(html! {
        figure data-family=(planned.family) data-precision=(planned.precision) {
            figcaption { (title) }
            (svg)
            p.legend {
                span.key.moment { "the window's marks: energy is the integral between them" }
                @if trace.readings > trace.watts.len() as u32 {
                    span { "means of " (trace.readings) " readings" }
                }
            }
        }
    })
}

/// Its title, which says what the readings are worth, and the picture alone.
pub(crate) fn power_drawing(label: &str, result: &TrialResult) -> Option<(String, Markup)> {
    let trace = result.power_trace.as_ref()?;
    let tier = result
        .energy
        .as_ref()
        .map_or("not counted", |energy| &energy.tier);
    let title = format!("Power of {label}, window {} ({tier})", trace.window + 1);
    let middle = |at: usize| trace.from_s + (at as f64 + 0.5) * trace.step_s;
    let points = trace.watts.iter().enumerate();
    let strip = Strip {
        title: &title,
        points: points
            .filter_map(|(at, watts)| Some((middle(at), (*watts)?)))
            .collect(),
        from_zero: true,
        unit: "W",
        marks: vec![(0.0, "begin"), (trace.window_s, "end")],
    };
    let svg = strip.draw()?;
    Some((title, svg))
}

/// Clock and temperature over the run, as far as the board tells them; each with its name for a file.
pub(crate) fn over_the_run(file: &RunFile) -> Vec<(&'static str, String, Markup)> {
    let ticks = file
        .results
        .board
        .as_ref()
        .map_or(1, |board| board.ticks_per_second.max(1));
    let mut windows: Vec<&WindowResult> = file
        .results
        .trials
        .iter()
        .flat_map(|trial| &trial.windows)
        .collect();
    // After a restart the board's clock begins anew: then windows are counted instead.
    let restarted = file.results.restarts > 0;
    if !restarted {
        windows.sort_by_key(|window| window.begin);
    }
    let first = windows.first().map_or(0, |window| window.begin);
    let time = |at: usize, end: bool| {
        let window = windows[at];
        let tick = if end { window.end } else { window.begin };
        if restarted {
            at as f64 + if end { 0.9 } else { 0.1 }
        } else {
            tick.saturating_sub(first) as f64 / ticks as f64
        }
    };
    let of = |value: &dyn Fn(&WindowResult) -> [Option<f64>; 2]| {
        let mut points = Vec::new();
        for (at, window) in windows.iter().enumerate() {
            for (end, value) in value(window).into_iter().enumerate() {
                points.extend(value.map(|value| (time(at, end == 1), value)));
            }
        }
        points
    };
    let void: Vec<(f64, &str)> = windows
        .iter()
        .enumerate()
        .filter_map(|(at, window)| Some((time(at, false), window.void.as_deref()?)))
        .take(100)
        .collect();
    let strips = [
        (
            "clock",
            "CPU clock over the run",
            "MHz",
            of(&|w| w.clock_khz.map(|khz| Some(f64::from(khz?) / 1e3))),
        ),
        (
            "temperature",
            "Temperature over the run",
            "°C",
            of(&|w| w.millicelsius.map(|milli| Some(f64::from(milli?) / 1e3))),
        ),
    ];
    strips
        .into_iter()
        .filter(|(.., points)| !points.is_empty())
        .filter_map(|(name, title, unit, points)| {
            let strip = Strip {
                title,
                points,
                from_zero: false,
                unit,
                marks: void.clone(),
            };
            let counted = if restarted {
                ", a window a second: the board restarted"
            } else {
                ""
            };
            Some((name, format!("{title}{counted}"), strip.draw()?))
        })
        .collect()
}
