//! Energy: the integral of a rail's power between two marks, and how sure that is.
//!
//! The integral is the trapezoid rule over the readings, with interpolation at both marks. Its uncertainty
//! is a budget of standard uncertainties, combined as the *Guide to the expression of uncertainty in
//! measurement* (JCGM 100:2008, 5.1.2) says for independent contributions; what is shown behind ± is twice
//! that (6.2). Limits from a datasheet count as rectangular distributions (4.3.7): limit / √3; a step of a
//! register as ± half a step: step / √12.

use serde::{Deserialize, Serialize};

/// Behind ± stands this many standard uncertainties: about 95 %.
pub const COVERAGE_FACTOR: f64 = 2.0;
/// A gap between two readings of more than this share of the window leaves too much to guess.
const LARGEST_GAP: f64 = 0.25;

/// What a rail's readings are worth, in SI units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Volts of a step; zero where it is not known or does not matter.
    pub volts_per_step: f64,
    /// Amperes of a step; likewise.
    pub amperes_per_step: f64,
    /// Limit of the relative error.
    pub tolerance: f64,
    /// Limit of the voltage's offset.
    pub volts_offset: f64,
    /// Limit of the current's offset.
    pub amperes_offset: f64,
    /// Standard deviation of a current reading's own noise.
    pub amperes_noise: f64,
    /// Share of the time that the sensor looks at.
    pub coverage: f64,
    /// Standard uncertainty of where a mark lies among the readings, in seconds.
    pub marks: f64,
}

/// One reading, in SI units. A meter that tells power alone tells it as amperes at one volt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Seconds since the first mark; before it, negative.
    pub at: f64,
    /// Volts.
    pub volts: f64,
    /// Amperes.
    pub amperes: f64,
}

impl Reading {
    fn watts(&self) -> f64 {
        self.volts * self.amperes
    }
}

/// Standard uncertainties in joules, by where they come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Shunt and gain: the same share of every window.
    pub tolerance: f64,
    /// Offsets of voltage and current: the same power in every window.
    pub offset: f64,
    /// Steps of the registers.
    pub quantisation: f64,
    /// What happened between the readings, and their noise.
    pub sampling: f64,
    /// Interpolation at the marks, and where they lie.
    pub edges: f64,
    /// What is known of the idle power; only where it was subtracted.
    pub idle: f64,
}

impl Budget {
    /// The part that is the same in all windows of a trial.
    #[must_use]
    pub fn systematic(&self) -> f64 {
        root([self.tolerance, self.offset, self.quantisation, self.idle])
    }

    /// The part that differs from window to window.
    #[must_use]
    pub fn random(&self) -> f64 {
        root([self.sampling, self.edges])
    }

    /// Both together.
    #[must_use]
    pub fn combined(&self) -> f64 {
        self.systematic().hypot(self.random())
    }
}

/// Root of the sum of squares.
pub(crate) fn root(terms: impl IntoIterator<Item = f64>) -> f64 {
    terms
        .into_iter()
        .map(|term| term * term)
        .sum::<f64>()
        .sqrt()
}

/// Energy of a rail between two marks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Integral {
    /// Joules.
    pub joules: f64,
    /// Seconds between the marks.
    pub seconds: f64,
    /// The highest reading, in watts.
    pub peak: f64,
    /// Mean volts.
    pub volts: f64,
    /// Mean amperes.
    pub amperes: f64,
    /// Mean power of the second half less that of the first, in watts.
    pub drift: f64,
    /// Uncertainty.
    pub budget: Budget,
}

impl Integral {
    /// Mean power in watts.
    #[must_use]
    pub fn watts(&self) -> f64 {
        self.joules / self.seconds
    }

    /// Less what the rail draws without work.
    #[must_use]
    pub fn above(&self, idle: &Self, scale: &Scale) -> Self {
        let joules = self.joules - idle.watts() * self.seconds;
        // Offsets of the current are in both and cancel; that of the voltage acts on the difference.
        let amperes = self.amperes - idle.amperes;
        let of_mean = idle.budget.random() / idle.seconds;
        let of_drift = idle.drift / 12_f64.sqrt();
        Self {
            joules,
            budget: Budget {
                tolerance: joules.abs() * scale.tolerance / 3_f64.sqrt(),
                offset: (scale.volts_offset * amperes).abs() * self.seconds / 3_f64.sqrt(),
                idle: of_mean.hypot(of_drift) * self.seconds,
                ..self.budget
            },
            ..*self
        }
    }
}

/// Integrates `readings`, oldest first, over `seconds` from the first mark.
///
/// # Errors
/// A reason, when they do not tell what happened between the marks.
pub fn integrate(readings: &[Reading], scale: &Scale, seconds: f64) -> Result<Integral, String> {
    let watts = Reading::watts;
    if readings.windows(2).any(|pair| pair[1].at <= pair[0].at) {
        return Err("its readings are out of order".to_owned());
    }
    let first = readings.partition_point(|reading| reading.at <= 0.0);
    let last = readings.partition_point(|reading| reading.at < seconds);
    if first == 0 || last == readings.len() {
        return Err("its readings do not reach both marks".to_owned());
    }
    let spanning = &readings[first - 1..=last];
    let inside = &readings[first..last];
    let gap = spanning
        .windows(2)
        .map(|pair| pair[1].at - pair[0].at)
        .fold(0.0, f64::max);
    if inside.len() < 4 || gap > LARGEST_GAP * seconds {
        return Err(format!(
            "{} readings with a gap of {:.1} ms are too few for {:.1} ms: sample faster, or measure longer",
            inside.len(),
            gap * 1e3,
            seconds * 1e3
        ));
    }
    let half = seconds / 2.0;
    let joules_between = |from: f64, to: f64| -> f64 {
        let pieces = spanning.windows(2).map(|pair| {
            let (a, b) = (pair[0].at.max(from), pair[1].at.min(to));
            if b <= a {
                return 0.0;
            }
            let slope = (watts(&pair[1]) - watts(&pair[0])) / (pair[1].at - pair[0].at);
            let middle = watts(&pair[0]) + slope * ((a + b) / 2.0 - pair[0].at);
            middle * (b - a)
        });
        pieces.sum()
    };
    let joules = joules_between(0.0, seconds);
    let count = inside.len() as f64;
    let mean = |value: &dyn Fn(&Reading) -> f64| inside.iter().map(value).sum::<f64>() / count;
    let volts = mean(&|reading| reading.volts);
    let amperes = mean(&|reading| reading.amperes);
    let power: Vec<f64> = spanning.iter().map(watts).collect();
    // A mark that lies elsewhere adds or takes what is drawn there.
    let edge = |pair: &[Reading]| {
        let step = (watts(&pair[1]) - watts(&pair[0])) * (pair[1].at - pair[0].at) / 12_f64.sqrt();
        step.hypot(scale.marks * watts(&pair[0]).max(watts(&pair[1])))
    };
    // A column that never moves hides the same part of a step in every reading.
    let step = |value: &dyn Fn(&Reading) -> f64, mean: f64, step: f64, watts: f64| {
        let spread = inside
            .iter()
            .map(|reading| (value(reading) - mean).powi(2))
            .sum::<f64>()
            / count;
        let dithered = if spread > 0.25 * step * step {
            count.sqrt()
        } else {
            1.0
        };
        watts * seconds / 12_f64.sqrt() / dithered
    };
    let budget = Budget {
        tolerance: joules * scale.tolerance / 3_f64.sqrt(),
        offset: root([scale.volts_offset * amperes, scale.amperes_offset * volts]) * seconds
            / 3_f64.sqrt(),
        quantisation: root([
            step(
                &|reading| reading.volts,
                volts,
                scale.volts_per_step,
                scale.volts_per_step * amperes,
            ),
            step(
                &|reading| reading.amperes,
                amperes,
                scale.amperes_per_step,
                scale.amperes_per_step * volts,
            ),
        ]),
        sampling: between(&power[1..power.len() - 1], seconds, volts, scale),
        edges: root([edge(&spanning[..2]), edge(&spanning[spanning.len() - 2..])]),
        idle: 0.0,
    };
    Ok(Integral {
        joules,
        seconds,
        peak: power.iter().copied().fold(f64::MIN, f64::max),
        volts,
        amperes,
        drift: (joules_between(half, seconds) - joules_between(0.0, half)) / half,
        budget,
    })
}

/// What may have happened between readings of `power`, in joules.
///
/// The differences of neighbouring readings tell two kinds of change apart: what is gone with the next
/// reading (bursts, noise) makes neighbouring differences cancel, what stays (steps) leaves them
/// uncorrelated. With `γ₀` their variance and `γ₁` their lag-one covariance, `-γ₁` is the variance of the
/// first kind and `γ₀ + 2γ₁` that of the second, per interval. A burst is seen in full or not at all:
/// a sensor that looks at the share `c` of the time leaves `1 - c` of its variance. A step falls anywhere
/// in the part that is not looked at: `(1 - c)² / 12`. The sensor's own noise is none of the signal's, and
/// counts in full.
fn between(power: &[f64], seconds: f64, volts: f64, scale: &Scale) -> f64 {
    let differences: Vec<f64> = power.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let count = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / count;
    let centred: Vec<f64> = differences.iter().map(|d| d - mean).collect();
    let variance = centred.iter().map(|d| d * d).sum::<f64>() / count;
    let covariance = centred
        .windows(2)
        .map(|pair| pair[0] * pair[1])
        .sum::<f64>()
        / count;
    let passing = (-covariance).max(0.0);
    let staying = (variance + 2.0 * covariance).max(0.0);
    let noise = passing.min((scale.amperes_noise * volts).powi(2));
    let blind = 1.0 - scale.coverage;
    let per_interval = noise + (passing - noise) * blind + staying * blind * blind / 12.0;
    (per_interval / power.len() as f64).sqrt() * seconds
}

#[cfg(test)]
pub(crate) mod tests;
