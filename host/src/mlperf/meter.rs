//! An external meter's recording: power over time, and the pin whose falling edges mark the windows.
//!
//! A CSV file with a line of names first, in any order, in SI units: `time`, `trigger` (0 or 1), and `power`, or
//! `voltage` and `current`. Other columns are overlooked. The benchmark's firmware pulls the pin low at the begin and
//! at the end of each window, so the last ten edges are those of the five windows; edges before them are those of the
//! start and of calibrations.

use crate::energy::COVERAGE_FACTOR;
use crate::power::tier_word;
use crate::results::{Energy, Value, WindowResult};
use crate::stats;
use scalebench_wire::message::Tier;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the meter's and this machine's clock may differ by: this share, and what a line and two programs take.
const CLOCK_SHARE: f64 = 0.1;
const CLOCK_SLACK: f64 = 0.25;
/// Readings within a window, at least.
const FEWEST: usize = 4;

/// Why a recording tells nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeterError {
    /// The file.
    #[error("{}: {source}: name with --meter what the meter's program has written", path.display())]
    Io {
        /// What was opened.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Its first line.
    #[error(
        "{}: there is no column `{column}`: the first line must name time, trigger, and power or voltage and current", path.display()
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// What is missing.
        column: &'static str,
    },
    /// Another line.
    #[error("{} line {line}: {what}: write the recording again, as numbers with commas between", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Not enough edges.
    #[error(
        "the recording has {found} falling edges, and {windows} windows two each: record from before the first window until after the last, and check the wire of the trigger"
    )]
    Edges {
        /// How many there are.
        found: usize,
        /// Windows of the run.
        windows: usize,
    },
    /// An edge is missing, or one too many.
    #[error(
        "window {window} lasts {meter:.3} s between its edges, and lasted {host:.3} s: the recording is of another run, or edges are missing"
    )]
    Duration {
        /// The window, from one.
        window: usize,
        /// By the meter.
        meter: f64,
        /// By this machine.
        host: f64,
    },
    /// Too few readings.
    #[error("window {window} has {readings} readings: record at a higher rate")]
    Sparse {
        /// The window, from one.
        window: usize,
        /// How many.
        readings: usize,
    },
}

/// The energy of a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowEnergy {
    /// Between its edges, on the meter's clock.
    pub seconds: f64,
    /// What was drawn between them, idle power included.
    pub joules: f64,
    /// The highest reading, in watts.
    pub peak_w: f64,
    /// Inferences.
    pub inferences: u32,
}

impl WindowEnergy {
    /// Microjoules of an inference.
    #[must_use]
    pub fn energy_uj(&self) -> f64 {
        self.joules * 1e6 / f64::from(self.inferences.max(1))
    }
}

/// The energy of an inference as any run has it: the median over the windows, as the benchmark's rules want it.
/// Behind ± stands twice the standard error of the windows' mean: what the meter itself is off is not in it. `None`
/// for fewer than two windows.
#[must_use]
pub fn energy(windows: &[WindowEnergy]) -> Option<Energy> {
    let sorted = |of: &dyn Fn(&WindowEnergy) -> f64| {
        let mut values: Vec<f64> = windows.iter().map(of).collect();
        stats::sort(&mut values);
        values
    };
    let joules = sorted(&|window| window.energy_uj() / 1e6);
    let seconds = sorted(&|window| window.seconds / f64::from(window.inferences.max(1)));
    let value = stats::median(&joules)?;
    let error = (stats::variance(&joules)? / joules.len() as f64).sqrt();
    let total = |of: &dyn Fn(&WindowEnergy) -> f64| windows.iter().map(of).sum::<f64>();
    Some(Energy {
        tier: tier_word(Tier::ExternalMeter).to_owned(),
        gross_j: Value {
            value,
            uncertainty: COVERAGE_FACTOR * error,
        },
        net_j: None,
        mean_w: total(&|window| window.joules) / total(&|window| window.seconds),
        peak_w: windows
            .iter()
            .map(|window| window.peak_w)
            .fold(0.0, f64::max),
        idle_w: None,
        energy_delay_js: value * stats::median(&seconds)?,
        inferences_per_joule: 1.0 / value.max(f64::MIN_POSITIVE),
        windows: windows.len() as u32,
    })
}

/// A reading: seconds, watts.
type Reading = (f64, f64);

/// A recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    readings: Vec<Reading>,
    /// Times of the falling edges.
    edges: Vec<f64>,
}

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    /// [`MeterError`].
    pub fn open(path: &Path) -> Result<Self, MeterError> {
        let text = fs::read_to_string(path).map_err(|source| MeterError::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut lines = text.lines().enumerate();
        let names = lines.next().map_or("", |(_, line)| line);
        let columns = Columns::of(names).map_err(|column| MeterError::Column {
            path: path.to_owned(),
            column,
        })?;
        let (mut readings, mut edges) = (Vec::<Reading>::new(), Vec::new());
        let mut was_high = false;
        for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |what| MeterError::Row {
                path: path.to_owned(),
                line: at + 1,
                what,
            };
            let (time, watts, is_high) = columns.row(line).map_err(wrong)?;
            if readings.last().is_some_and(|last| last.0 >= time) {
                return Err(wrong(format!("time {time} does not go on")));
            }
            if was_high && !is_high {
                edges.push(time);
            }
            was_high = is_high;
            readings.push((time, watts));
        }
        Ok(Self { readings, edges })
    }

    /// The energy of each window, between its two edges.
    ///
    /// # Errors
    /// [`MeterError`] when the recording is not of these windows.
    pub fn energies(&self, windows: &[WindowResult]) -> Result<Vec<WindowEnergy>, MeterError> {
        let edges = self.edges.len().checked_sub(2 * windows.len());
        let edges = edges
            .map(|before| &self.edges[before..])
            .ok_or(MeterError::Edges {
                found: self.edges.len(),
                windows: windows.len(),
            })?;
        let marked = edges.as_chunks::<2>().0.iter().zip(windows);
        (1..)
            .zip(marked)
            .map(|(number, (&[begin, end], window))| {
                let host = window.mean_ns * f64::from(window.inferences) / 1e9;
                let meter = end - begin;
                if (meter - host).abs() > CLOCK_SHARE * host + CLOCK_SLACK {
                    return Err(MeterError::Duration {
                        window: number,
                        meter,
                        host,
                    });
                }
                let inside = self.between(begin, end);
                if inside.len() < FEWEST {
                    return Err(MeterError::Sparse {
                        window: number,
                        readings: inside.len(),
                    });
                }
                Ok(WindowEnergy {
                    seconds: meter,
                    joules: joules(inside),
                    peak_w: inside.iter().map(|reading| reading.1).fold(0.0, f64::max),
                    inferences: window.inferences,
                })
            })
            .collect()
    }

    /// The readings from edge to edge, both of which are readings.
    fn between(&self, begin: f64, end: f64) -> &[Reading] {
        let first = self.readings.partition_point(|reading| reading.0 < begin);
        let last = self.readings.partition_point(|reading| reading.0 <= end);
        &self.readings[first..last]
    }
}

/// The trapezoid rule.
fn joules(readings: &[Reading]) -> f64 {
    let piece = |pair: &[Reading]| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0;
    readings.windows(2).map(piece).sum()
}

/// Where the columns are.
struct Columns {
    time: usize,
    trigger: usize,
    power: Power,
}

enum Power {
    Watts(usize),
    Product(usize, usize),
}

impl Columns {
    fn of(names: &str) -> Result<Self, &'static str> {
        let names: Vec<&str> = names
            .trim_start_matches('#')
            .split(',')
            .map(str::trim)
            .collect();
        let place = |wanted: &'static str| {
            let found = names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(wanted));
            found.ok_or(wanted)
        };
        let power = match (place("power"), place("voltage"), place("current")) {
            (Ok(power), ..) => Power::Watts(power),
            (_, Ok(voltage), Ok(current)) => Power::Product(voltage, current),
            _ => return Err("power"),
        };
        Ok(Self {
            time: place("time")?,
            trigger: place("trigger")?,
            power,
        })
    }

    /// Time, watts, whether the pin is high.
    fn row(&self, line: &str) -> Result<(f64, f64, bool), String> {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let number = |at: usize| -> Result<f64, String> {
            let field = fields.get(at).copied().unwrap_or_default();
            let number = field.parse().ok().filter(|number: &f64| number.is_finite());
            number.ok_or_else(|| format!("`{}` is no number", crate::text::escaped(field)))
        };
        let watts = match self.power {
            Power::Watts(power) => number(power)?,
            Power::Product(voltage, current) => number(voltage)? * number(current)?,
        };
        Ok((number(self.time)?, watts, number(self.trigger)? >= 0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(inferences: u32, seconds: f64) -> WindowResult {
        WindowResult {
            window: 0,
            begin: 0,
            end: 0,
            inferences,
            readings: 0,
            mean_ns: seconds * 1e9 / f64::from(inferences),
            median_ns: None,
            outliers: 0,
            output_crc: 0,
            clock_khz: [None; 2],
            millicelsius: [None; 2],
            void: None,
            rails: Vec::new(),
        }
    }

    /// A thousand readings a second: half a watt, and a ramp from one to three watts between the edges.
    fn recording(edges: &[f64]) -> String {
        let mut text = "time, voltage, current, note, trigger\n".to_owned();
        for at in 0..6_000 {
            let time = f64::from(at) / 1e3;
            let inside = edges
                .chunks(2)
                .find(|pair| pair[0] <= time && time <= pair[1]);
            let watts = inside.map_or(0.5, |pair| {
                1.0 + 2.0 * (time - pair[0]) / (pair[1] - pair[0])
            });
            let low = edges.contains(&time);
            text += &format!("{time},2.0,{},x,{}\n", watts / 2.0, i32::from(!low));
        }
        text
    }

    fn energies(text: &str, windows: &[WindowResult]) -> Result<Vec<WindowEnergy>, MeterError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meter.csv");
        fs::write(&path, text).unwrap();
        Recording::open(&path)?.energies(windows)
    }

    #[test]
    fn energy_is_the_integral_between_the_last_edges() {
        let text = recording(&[0.1, 0.3, 1.0, 2.0, 3.0, 5.0]);
        let found = energies(&text, &[window(10, 1.0), window(40, 2.0)]).unwrap();
        assert!((found[0].joules - 2.0).abs() < 1e-9, "{found:?}");
        assert!((found[1].joules - 4.0).abs() < 1e-9, "{found:?}");
        assert!((found[1].energy_uj() - 1e5).abs() < 1e-3);
        let energy = energy(&found).unwrap();
        assert_eq!(energy.tier, "external meter");
        // 0.2 J and 0.1 J an inference; their mean has a standard error of 0.05 J.
        assert!((energy.gross_j.value - 0.15).abs() < 1e-9, "{energy:?}");
        assert!(
            (energy.gross_j.uncertainty - 0.1).abs() < 1e-9,
            "{energy:?}"
        );
        assert!((energy.mean_w - 2.0).abs() < 1e-9 && (energy.peak_w - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_recording_of_something_else_is_refused() {
        let text = recording(&[1.0, 2.0]);
        let said =
            |text: &str, windows: &[WindowResult]| energies(text, windows).unwrap_err().to_string();
        let two = [window(10, 1.0), window(10, 1.0)];
        let refusal = said(&text, &two);
        assert!(
            refusal.contains("2 falling edges, and 2 windows two each"),
            "{refusal}"
        );
        let refusal = said(&text, &[window(10, 3.0)]);
        assert!(refusal.contains("lasts 1.000 s between its edges, and lasted 3.000 s"));
        let refusal = said("time,power\n0,1\n", &[]);
        assert!(refusal.contains("no column `trigger`"), "{refusal}");
        let refusal = said("time,power,trigger\n0,1,1\n0,1,1\n", &[]);
        assert!(
            refusal.contains("line 3: time 0 does not go on"),
            "{refusal}"
        );
        let refusal = said("time,power,trigger\n0,NaN,1\n", &[]);
        assert!(refusal.contains("line 2: `NaN` is no number"), "{refusal}");
    }
}
