//! The meter's clock against the board's: which edges are which windows' marks, and how fast it runs.

use super::recording::{Edge, Recording};
use super::{Marks, MeterError};

/// By how much two clocks may differ: quartz is good for a tenth of it.
pub const MOST_SKEW: f64 = 1e-3;
/// How late an edge may be besides two of the meter's intervals, in seconds: the board drives the pin outside its
/// marks, and its system may be busy.
pub const EDGE_SLACK: f64 = 2e-3;
/// What the rates of two quartzes differ by, as a standard uncertainty: this is known before any edge is seen.
pub const QUARTZ: f64 = 1e-4;
/// What windows timed by this machine may last longer or shorter than the meter says: this share, and what a line and
/// two programs take.
const HOST_SHARE: f64 = 0.1;
const HOST_SLACK: f64 = 0.25;

/// A window of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// What it is called in a sentence.
    pub name: String,
    /// Its marks on the board's clock, in seconds.
    pub begin: f64,
    /// See `begin`.
    pub end: f64,
    /// What it lasted by this machine's clock, in seconds.
    pub host: f64,
}

/// Where a window lies in the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The first mark, on the meter's clock.
    pub zero: f64,
    /// Seconds of the meter for a second of the run.
    pub rate: f64,
    /// From mark to mark, in seconds of the run.
    pub seconds: f64,
}

/// The straight line through the edges: seconds of the meter over seconds of the board.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// A point on it: the board's seconds.
    pub board: f64,
    /// And the meter's.
    pub meter: f64,
    /// Seconds of the meter for a second of the board.
    pub rate: f64,
    /// Its standard uncertainty.
    pub rate_u: f64,
    /// Root mean square distance of the edges from the line, in seconds.
    pub jitter_s: f64,
}

impl Line {
    /// The rate to go by, and its standard uncertainty. A few edges close to each other say less about it than
    /// that both clocks have quartzes: each counts by what it is worth.
    #[must_use]
    pub fn believed(&self) -> (f64, f64) {
        let (seen, known) = (self.rate_u.powi(2), QUARTZ.powi(2));
        let rate = 1.0 + (self.rate - 1.0) * known / (known + seen);
        (rate, (known * seen / (known + seen)).sqrt())
    }
}

/// All windows, placed.
#[derive(Clone, Debug, PartialEq)]
pub struct Aligned {
    /// One for each window.
    pub spans: Vec<Span>,
    /// Standard uncertainty of where a mark lies, in seconds.
    pub marks_s: f64,
    /// Standard uncertainty of the meter's seconds, as a share.
    pub rate_u: f64,
    /// How the clocks fit; `None` where the board tells no times.
    pub line: Option<Line>,
    /// Edges before those of the windows.
    pub earlier_edges: usize,
}

/// Finds the windows in the recording. Its last edges are theirs; those before are of the board's start and of
/// calibrations.
///
/// # Errors
/// [`MeterError`] when edges and windows do not agree.
pub fn align(
    windows: &[Window],
    recording: &Recording,
    marks: Marks,
) -> Result<Aligned, MeterError> {
    if windows.is_empty() {
        return Err(MeterError::NoWindows);
    }
    let counts = |edge: &&Edge| marks == Marks::Board || edge.falls;
    let edges: Vec<f64> = recording
        .edges
        .iter()
        .filter(counts)
        .map(|edge| edge.at)
        .collect();
    let earlier_edges =
        edges
            .len()
            .checked_sub(2 * windows.len())
            .ok_or_else(|| MeterError::Edges {
                found: edges.len(),
                kind: match marks {
                    Marks::Board => "edges",
                    Marks::Host => "falling edges",
                },
                trigger: recording.trigger.clone(),
                windows: windows.len(),
            })?;
    let pairs = edges[earlier_edges..].as_chunks::<2>().0;
    let interval = recording.interval();
    for (window, [begin, end]) in windows.iter().zip(pairs) {
        let (run, allowed) = match marks {
            Marks::Board => {
                let lasted = window.end - window.begin;
                (lasted, MOST_SKEW * lasted + EDGE_SLACK + 2.0 * interval)
            }
            Marks::Host => (window.host, HOST_SHARE * window.host + HOST_SLACK),
        };
        let meter = end - begin;
        if (meter - run).abs() > allowed {
            return Err(MeterError::Duration {
                window: window.name.clone(),
                meter,
                run,
            });
        }
    }
    // An edge lies anywhere between two readings.
    let resolution = interval / 12_f64.sqrt();
    if marks == Marks::Host {
        let span = |&[begin, end]: &[f64; 2]| Span {
            zero: begin,
            rate: 1.0,
            seconds: end - begin,
        };
        return Ok(Aligned {
            spans: pairs.iter().map(span).collect(),
            marks_s: resolution,
            rate_u: QUARTZ,
            line: None,
            earlier_edges,
        });
    }
    let line = fitted(windows, pairs, interval)?;
    let (rate, rate_u) = line.believed();
    let span = |window: &Window| Span {
        zero: line.meter + rate * (window.begin - line.board),
        rate,
        seconds: window.end - window.begin,
    };
    Ok(Aligned {
        spans: windows.iter().map(span).collect(),
        marks_s: line.jitter_s.max(resolution),
        rate_u,
        line: Some(line),
        earlier_edges,
    })
}

/// The line of least squares through all edges.
fn fitted(windows: &[Window], pairs: &[[f64; 2]], interval: f64) -> Result<Line, MeterError> {
    let points: Vec<(f64, f64)> = windows
        .iter()
        .zip(pairs)
        .flat_map(|(window, [begin, end])| [(window.begin, *begin), (window.end, *end)])
        .collect();
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (board, meter) = (mean(|point| point.0), mean(|point| point.1));
    let (mut squares, mut products) = (0.0, 0.0);
    for (x, y) in &points {
        squares += (x - board).powi(2);
        products += (x - board) * (y - meter);
    }
    let allowed = EDGE_SLACK + 2.0 * interval;
    let rate = products / squares.max(f64::MIN_POSITIVE);
    let residual = |&(x, y): &(f64, f64)| (y - meter) - rate * (x - board);
    // One edge too many shows as a window in the wrong place, and as a wrong rate too: the place says more.
    let furthest = points
        .iter()
        .map(residual)
        .enumerate()
        .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
    if let Some((at, off)) = furthest.filter(|(_, off)| off.abs() > allowed) {
        return Err(MeterError::Misplaced {
            window: windows[at / 2].name.clone(),
            off_ms: off * 1e3,
        });
    }
    let reach = points.last().map_or(0.0, |last| last.0) - points[0].0;
    let most = MOST_SKEW + 2.0 * allowed / reach.max(f64::MIN_POSITIVE);
    if (rate - 1.0).abs() > most {
        return Err(MeterError::Skew {
            ppm: (rate - 1.0) * 1e6,
            most: most * 1e6,
        });
    }
    // Two points are always on a line; the square's mean is over what is free besides its two constants.
    let free = (count - 2.0).max(1.0);
    let squares_off: f64 = points.iter().map(|point| residual(point).powi(2)).sum();
    let jitter_s = (squares_off / free).sqrt();
    let resolution = interval / 12_f64.sqrt();
    Ok(Line {
        board,
        meter,
        rate,
        rate_u: jitter_s.max(resolution) / squares.max(f64::MIN_POSITIVE).sqrt(),
        jitter_s,
    })
}
