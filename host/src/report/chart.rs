//! Scatter charts as inline SVG, coloured by the page's style sheet so that light and dark both work.

use crate::stats::pareto;
use crate::units;
use maud::{Markup, html};
use scalebench_models::Metric;

// Narrow enough for its letters to be read on a telephone's screen, where it is shown smaller than drawn.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;
/// Height of the key of a drawing that stands alone.
const KEY: f64 = 22.0;
/// Height of a label and width of its widest characters, for keeping labels apart.
const LABEL: (f64, f64) = (13.0, 7.8);

/// What the logarithmic x axis shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Nanoseconds.
    Time,
    /// Operations.
    Count,
    /// Joules.
    Energy,
    /// Times of which nobody stated the unit.
    UnstatedTime,
    /// Operations of which nobody stated what they count.
    UnstatedCount,
}

impl Axis {
    fn tick(self, value: f64) -> String {
        match self {
            Self::Energy => units::energy(value)
                .replace(".00 ", " ")
                .replace(".0 ", " "),
            Self::Time => units::time(value).replace(".00 ", " ").replace(".0 ", " "),
            Self::UnstatedTime => trimmed(value),
            Self::Count | Self::UnstatedCount => units::count(value as u64)
                .replace(".00 ", " ")
                .replace(".0 ", " "),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Energy => "energy of an inference, logarithmic",
            Self::Time => "median latency, logarithmic",
            Self::Count => "multiply-accumulates of an inference, logarithmic",
            Self::UnstatedTime => "time, its unit not stated in the source, logarithmic",
            Self::UnstatedCount => "FLOPs as the source has them, logarithmic",
        }
    }
}

/// A variant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    /// Number of its trial.
    pub(crate) trial: u32,
    pub(crate) label: String,
    pub(crate) series: &'static str,
    /// Low end, value, high end.
    pub(crate) x: [f64; 3],
    /// Low end, value, high end.
    pub(crate) y: [f64; 3],
    pub(crate) tip: String,
    /// Whether it is the one to ship.
    pub(crate) chosen: bool,
}

pub(crate) struct Chart<'a> {
    pub(crate) family: &'a str,
    pub(crate) title: String,
    pub(crate) axis: Axis,
    pub(crate) points: Vec<Point>,
    pub(crate) lower_is_better: bool,
    pub(crate) metric: Option<Metric>,
}

/// A range of values and the pixels it covers.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) at: f64,
    pub(super) length: f64,
}

impl Scale {
    pub(super) fn place(self, value: f64) -> f64 {
        let share = (value - self.from) / (self.to - self.from);
        self.at + share.clamp(-0.02, 1.02) * self.length
    }
}

impl Chart<'_> {
    /// The plot with its title and its key.
    pub(crate) fn draw(&self) -> Markup {
        html! {
            figure {
                figcaption { (self.title) }
                @match self.svg(false) {
                    Some(svg) => {
                        (svg)
                        (self.legend())
                    }
                    None => p.muted { "Nothing to show: no variant has both figures." },
                }
            }
        }
    }

    /// The plot alone, with its key inside if it is to stand alone; `None` where there is nothing to show.
    pub(crate) fn svg(&self, key: bool) -> Option<Markup> {
        if self.points.is_empty() {
            return None;
        }
        let good = |point: &Point| {
            if self.lower_is_better {
                -point.y[1]
            } else {
                point.y[1]
            }
        };
        let costs: Vec<(f64, f64)> = self.points.iter().map(|p| (p.x[1], good(p))).collect();
        let unbeaten = pareto(&costs);
        let better = if self.lower_is_better {
            "lower"
        } else {
            "higher"
        };
        let height = HEIGHT + if key { KEY } else { 0.0 };
        Some(html! {
            svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" aria-label=(self.title) data-better=(better) {
                (self.inside(&unbeaten))
                @if key { (self.key()) }
            }
        })
    }

    /// The key as part of the drawing, below the axis.
    fn key(&self) -> Markup {
        let at = HEIGHT + KEY / 2.0;
        let series = self.series();
        let after = LEFT + 70.0 * series.len() as f64;
        html! {
            @for (place, name) in series.iter().enumerate() {
                @let x = LEFT + 70.0 * place as f64;
                g class=(format!("point {name}")) { circle cx=(px(x + 5.0)) cy=(px(at)) r="5" {} }
                text.tick x=(px(x + 14.0)) y=(px(at + 3.8)) { (name) }
            }
            path.front d=(format!("M{} {}h18", px(after), px(at))) {}
            text.tick x=(px(after + 23.0)) y=(px(at + 3.8)) { "not beaten" }
            @if self.points.iter().any(|point| point.chosen) {
                g.point { circle.chosen cx=(px(after + 112.0)) cy=(px(at)) r="7" {} }
                text.tick x=(px(after + 124.0)) y=(px(at + 3.8)) { "ship this" }
            }
        }
    }

    fn series(&self) -> Vec<&'static str> {
        let mut series: Vec<&str> = self.points.iter().map(|point| point.series).collect();
        series.sort_unstable();
        series.dedup();
        series
    }

    fn inside(&self, unbeaten: &[bool]) -> Markup {
        let (x_low, x_high) = range(self.points.iter().flat_map(|p| p.x).map(f64::log10), 0.06);
        let (y_low, y_high) = range(self.points.iter().flat_map(|p| p.y), 0.08);
        let x = Scale {
            from: x_low,
            to: x_high,
            at: LEFT,
            length: WIDTH - LEFT - RIGHT,
        };
        let y = Scale {
            from: y_low,
            to: y_high,
            at: HEIGHT - BOTTOM,
            length: TOP + BOTTOM - HEIGHT,
        };
        let place = |point: &Point| (x.place(point.x[1].log10()), y.place(point.y[1]));
        let mut front: Vec<(f64, f64)> = self
            .points
            .iter()
            .zip(unbeaten)
            .filter(|(_, kept)| **kept)
            .map(|(point, _)| place(point))
            .collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0));
        let labels = self.labels(unbeaten, &place);
        html! {
            @for value in y_ticks(y_low, y_high) {
                @let at = y.place(value);
                line.grid x1=(px(LEFT)) x2=(px(WIDTH - RIGHT)) y1=(px(at)) y2=(px(at)) {}
                text.tick x=(px(LEFT - 6.0)) y=(px(at + 3.8)) text-anchor="end" { (self.y_tick(value)) }
            }
            @for value in x_ticks(x_low, x_high) {
                @let at = x.place(value.log10());
                line.grid x1=(px(at)) x2=(px(at)) y1=(px(TOP)) y2=(px(HEIGHT - BOTTOM)) {}
                text.tick x=(px(at)) y=(px(HEIGHT - BOTTOM + 16.0)) text-anchor="middle" { (self.axis.tick(value)) }
            }
            text.tick x=(px(LEFT + x.length / 2.0)) y=(px(HEIGHT - 7.0)) text-anchor="middle" { (self.axis.title()) }
            path.front d=(steps(&front)) {}
            @for (point, kept) in self.points.iter().zip(unbeaten) {
                @let (cx, cy) = place(point);
                g class=(format!("point {}", point.series)) data-family=(self.family) data-precision=(point.series)
                    data-row=(point.trial) data-x=(point.x[1]) data-y=(point.y[1]) data-chosen=[point.chosen.then_some("")] {
                    title { (point.tip) }
                    line.error x1=(px(cx)) x2=(px(cx)) y1=(px(y.place(point.y[0]))) y2=(px(y.place(point.y[2]))) {}
                    line.error x1=(px(x.place(point.x[0].log10()))) x2=(px(x.place(point.x[2].log10()))) y1=(px(cy)) y2=(px(cy)) {}
                    @if point.chosen { circle.chosen cx=(px(cx)) cy=(px(cy)) r="9" {} }
                    circle.beaten[!kept] cx=(px(cx)) cy=(px(cy)) r="5" {}
                }
            }
            @for (point, at) in labels {
                text.label data-family=(self.family) data-precision=(point.series) x=(px(at.0)) y=(px(at.1)) { (point.label) }
            }
        }
    }

    /// Labels of the unbeaten points, where they cover neither a point nor each other.
    fn labels(
        &self,
        unbeaten: &[bool],
        place: &dyn Fn(&Point) -> (f64, f64),
    ) -> Vec<(&Point, (f64, f64))> {
        let mut taken: Vec<[f64; 4]> = self
            .points
            .iter()
            .map(|point| {
                let (x, y) = place(point);
                [x - 6.0, y - 6.0, x + 6.0, y + 6.0]
            })
            .collect();
        let mut labels = Vec::new();
        let front = self.points.iter().zip(unbeaten);
        let front = front.filter(|(point, kept)| **kept && !point.chosen);
        let chosen = self.points.iter().filter(|point| point.chosen);
        for point in chosen.chain(front.map(|(point, _)| point)) {
            let (x, y) = place(point);
            let width = LABEL.1 * point.label.chars().count() as f64;
            let spots = [
                (-width - 9.0, -7.0),
                (9.0, 17.0),
                (-width / 2.0, -11.0),
                (9.0, -7.0),
                (-width - 9.0, 17.0),
            ];
            for (dx, dy) in spots {
                let (left, base) = (x + dx, y + dy);
                let area = [left, base - LABEL.0 + 3.0, left + width, base + 3.0];
                let inside = area[0] > LEFT
                    && area[2] < WIDTH - 2.0
                    && area[1] > 0.0
                    && area[3] < HEIGHT - BOTTOM;
                let free = taken
                    .iter()
                    .all(|t| area[2] < t[0] || area[0] > t[2] || area[3] < t[1] || area[1] > t[3]);
                if inside && free {
                    taken.push(area);
                    labels.push((point, (left, base)));
                    break;
                }
            }
        }
        labels
    }

    fn y_tick(&self, value: f64) -> String {
        match self.metric {
            Some(metric) if units::is_share(metric) => format!("{} %", trimmed(value * 100.0)),
            _ => trimmed(value),
        }
    }

    fn legend(&self) -> Markup {
        html! {
            p.legend {
                @for name in self.series() {
                    span class=(format!("key {name}")) { (name) }
                }
                @if self.points.iter().any(|point| point.chosen) { span.key.ring { "ship this" } }
                span.key.pareto { "not beaten: nothing is both better and cheaper" }
            }
        }
    }
}

/// A number with no more digits than it needs.
pub(super) fn trimmed(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The range of values with a margin on both sides; never empty.
pub(super) fn range(values: impl Iterator<Item = f64>, margin: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
    if low > high {
        return (0.0, 1.0);
    }
    let width = high - low;
    let margin = if width > 0.0 {
        width * margin
    } else {
        (low.abs() * 0.05).max(0.05)
    };
    (low - margin, high + margin)
}

/// Four to eight round values in a range.
pub(super) fn y_ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let unit = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * unit)
        .find(|step| *step >= rough)
        .unwrap_or(unit);
    let first = (low / step).ceil() as i64;
    (0..12)
        .map(|i| (first + i) as f64 * step)
        .take_while(|value| *value <= high)
        .collect()
}

/// Powers of ten between two logarithms; with less than two decades 1, 2 and 5 of each.
fn x_ticks(low: f64, high: f64) -> Vec<f64> {
    let factors: &[f64] = match high - low {
        width if width > 3.0 => &[1.0],
        width if width > 0.8 => &[1.0, 2.0, 5.0],
        _ => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
    };
    let mut ticks = Vec::new();
    let (first, last) = (
        low.floor().clamp(-30.0, 30.0) as i32,
        high.ceil().clamp(-30.0, 30.0) as i32,
    );
    for power in first..=last {
        for factor in factors {
            let value = factor * 10_f64.powi(power);
            if (low..=high).contains(&value.log10()) {
                ticks.push(value);
            }
        }
    }
    // Six fit side by side.
    let skip = ticks.len().div_ceil(6).max(1);
    ticks.into_iter().step_by(skip).collect()
}

/// The Pareto front as steps.
fn steps(front: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (at, (x, y)) in front.iter().enumerate() {
        if at == 0 {
            path = format!("M{} {}", px(*x), px(*y));
        } else {
            path += &format!("H{}V{}", px(*x), px(*y));
        }
    }
    path
}

pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(
            y_ticks(0.77, 0.93)
                .iter()
                .map(|v| trimmed(*v))
                .collect::<Vec<_>>(),
            ["0.8", "0.85", "0.9"]
        );
        assert_eq!(x_ticks(3.0, 7.2), [1e3, 1e4, 1e5, 1e6, 1e7]);
        for (low, high) in [(0.0, 0.1), (2.9, 4.1), (5.0, 11.0)] {
            let count = x_ticks(low, high).len();
            assert!((1..=6).contains(&count), "{count}");
        }
    }

    #[test]
    fn a_single_point_has_a_range() {
        let (low, high) = range([0.5].into_iter(), 0.1);
        assert!(low < 0.5 && high > 0.5);
        assert_eq!(range(std::iter::empty(), 0.1), (0.0, 1.0));
    }
}
