//! Power readings as they arrive, and the energy of windows and trials.

use crate::energy::{COVERAGE_FACTOR, Integral, Reading, Scale, integrate, root};
use crate::plan::Total;
use crate::results::{Energy, PowerTrace, RailEnergy, RailResult, Value, WindowResult};
use crate::text::escaped;
use scalebench_wire::batch::{Predictor, Rows};
use scalebench_wire::message::{Accuracy, Power, Rail, RailFault, Span, Tier};
use std::collections::BTreeMap;

/// No span of ours has more readings than this.
const MOST_READINGS: usize = 4 << 20;
/// Steps of a power trace at most: what a picture can show.
const TRACE_STEPS: usize = 120;
const POWER: [Predictor; 3] = [Predictor::Step, Predictor::Previous, Predictor::Previous];

/// Rows of one rail in one span, in the board's units.
#[derive(Clone, Debug, Default)]
struct Rowset {
    rows: Vec<[i64; 3]>,
    broken: bool,
}

/// The rails of a trial and what was read of them.
#[derive(Clone, Debug, Default)]
pub struct PowerLog {
    rails: BTreeMap<u8, (Rail, Option<Accuracy>)>,
    arriving: BTreeMap<u8, Rowset>,
    spans: Vec<(Power, Rowset)>,
}

impl PowerLog {
    /// A rail's description.
    pub fn rail(&mut self, rail: Rail) {
        self.rails.insert(rail.rail, (rail, None));
    }

    /// How well it is read. `None`: there is no such rail.
    pub fn accuracy(&mut self, accuracy: Accuracy) -> Option<()> {
        self.rails.get_mut(&accuracy.rail)?.1 = Some(accuracy);
        Some(())
    }

    /// A batch. `None`: it cannot be read.
    pub fn batch(&mut self, body: &[u8]) -> Option<()> {
        let (&rail, body) = body.split_first()?;
        let arriving = self.arriving.entry(rail).or_default();
        let rows = Rows::<3>::new(body, POWER).ok()?;
        if rows.first as usize != arriving.rows.len() {
            arriving.broken = true;
        }
        for row in rows {
            match row {
                Ok(row) if arriving.rows.len() < MOST_READINGS => arriving.rows.push(row),
                _ => arriving.broken = true,
            }
        }
        Some(())
    }

    /// The end of a span.
    pub fn end(&mut self, power: Power) {
        let mut rows = self.arriving.remove(&power.rail).unwrap_or_default();
        rows.broken |= rows.rows.len() != power.readings as usize;
        self.spans.push((power, rows));
    }

    /// The last reading of a rail that is arriving: volts and amperes, and how many there are.
    #[must_use]
    pub fn latest(&self, rail: u8) -> Option<(f64, f64, usize)> {
        let (description, _) = self.rails.get(&rail)?;
        let rows = &self.arriving.get(&rail)?.rows;
        let [_, voltage, current] = rows.last()?;
        Some((
            *voltage as f64 * f64::from(description.volts_per_step),
            *current as f64 * f64::from(description.amperes_per_step),
            rows.len(),
        ))
    }

    /// The rails, in order, made safe to show.
    #[must_use]
    pub fn described(&self, ns: f64) -> Vec<RailResult> {
        let described = |(rail, accuracy): &(Rail, Option<Accuracy>)| RailResult {
            name: escaped(&rail.name),
            tier: tier_word(rail.tier).to_owned(),
            interval_ns: accuracy.map_or(0.0, |a| a.interval_ticks as f64 * ns),
            tolerance: f64::from(rail.tolerance),
        };
        self.rails.values().map(described).collect()
    }

    /// The spans that ended, latest last.
    pub fn ended(&self) -> impl Iterator<Item = &Power> {
        self.spans.iter().map(|(power, _)| power)
    }

    /// The integral of `rail` from tick `begin` to tick `end`.
    fn integral(
        &self,
        rail: u8,
        span: &dyn Fn(Span) -> Option<(u64, u64)>,
        ns: f64,
    ) -> Option<Found> {
        let (power, rows, begin, end) = self.spans.iter().rev().find_map(|(power, rows)| {
            let (begin, end) = span(power.span).filter(|_| power.rail == rail)?;
            Some((power, rows, begin, end))
        })?;
        let (description, accuracy) = self.rails.get(&rail)?;
        let name = escaped(&description.name);
        let void = |reason: String| {
            Some(Found {
                power: *power,
                integral: Err(format!("rail `{name}`: {reason}")),
            })
        };
        if let Some(fault) = power.fault {
            return void(fault_words(fault).to_owned());
        }
        if rows.broken {
            return void("power readings were lost".to_owned());
        }
        let Some(accuracy) = accuracy else {
            return void("the board did not say how well it is read".to_owned());
        };
        let scale = scale(description, accuracy);
        let readings = readings(rows, &scale, accuracy, begin, ns);
        let seconds = end.saturating_sub(begin) as f64 * ns / 1e9;
        let integral = integrate(&readings, &scale, seconds)
            .map_err(|reason| format!("rail `{name}`: {reason}"));
        Some(Found {
            power: *power,
            integral,
        })
    }

    /// Energy of every rail in a window, and the first reason why one has none.
    pub(crate) fn window(
        &self,
        window: &WindowResult,
        ns: f64,
    ) -> (Vec<RailEnergy>, Option<String>) {
        let mut energies = Vec::new();
        let mut reason = None;
        for (&rail, (description, accuracy)) in &self.rails {
            let in_window = |span| match span {
                Span::Window(number) if number == window.window => Some((window.begin, window.end)),
                _ => None,
            };
            let idle = |span| match span {
                Span::Idle { begin, end } => Some((begin, end)),
                _ => None,
            };
            let Some(found) = self.integral(rail, &in_window, ns) else {
                continue;
            };
            let gross = match found.integral {
                Ok(integral) => integral,
                Err(void) => {
                    reason.get_or_insert(void);
                    continue;
                }
            };
            let idle = self.integral(rail, &idle, ns).and_then(|f| f.integral.ok());
            let scale = accuracy.map(|accuracy| scale(description, &accuracy));
            let net = idle
                .zip(scale)
                .map(|(idle, scale)| gross.above(&idle, &scale));
            energies.push(RailEnergy {
                rail,
                readings: found.power.readings,
                missed: found.power.missed,
                gross_j: value(&gross),
                net_j: net.as_ref().map(value),
                budget_j: gross.budget,
                net_budget_j: net.map(|net| net.budget),
                idle_w: idle.map(|idle| idle.watts()),
                mean_w: gross.watts(),
                peak_w: gross.peak,
            });
        }
        (energies, reason)
    }

    /// The rails whose sum is the board's power, by the board file's rule.
    fn counted(&self, total: Total) -> Result<Vec<u8>, String> {
        match total {
            _ if self.rails.is_empty() => Err("the board has no power rails".to_owned()),
            Total::Input => Ok(self.rails.keys().copied().take(1).collect()),
            Total::Sum => Ok(self.rails.keys().copied().collect()),
            Total::None => Err(
                "the board file does not say how its rails add up: write `total` in it".to_owned(),
            ),
        }
    }

    /// Power in the first window that counts and was sampled, rails added up; `None` where there is none.
    pub(crate) fn trace(
        &self,
        windows: &[WindowResult],
        total: Total,
        ns: f64,
    ) -> Option<PowerTrace> {
        let window = windows
            .iter()
            .find(|window| window.void.is_none() && !window.rails.is_empty())?;
        let watts = |rail: u8| {
            let (description, accuracy) = self.rails.get(&rail)?;
            let accuracy = accuracy.as_ref()?;
            let of_window = |(power, _): &&(Power, Rowset)| {
                power.rail == rail && power.span == Span::Window(window.window)
            };
            let (_, rows) = self.spans.iter().rev().find(of_window)?;
            let scale = scale(description, accuracy);
            let readings = readings(rows, &scale, accuracy, window.begin, ns).into_iter();
            Some(
                readings
                    .map(|one| (one.at, one.volts * one.amperes))
                    .collect(),
            )
        };
        let rails = self.counted(total).ok()?;
        let rails: Option<Vec<Vec<(f64, f64)>>> = rails.into_iter().map(watts).collect();
        let window_s = window.end.saturating_sub(window.begin) as f64 * ns / 1e9;
        stepped(&rails?, window.window, window_s)
    }

    /// Energy of a trial over all windows that count, by the board file's rule.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn trial(&self, windows: &[WindowResult], total: Total) -> Result<Energy, String> {
        let rails = self.counted(total)?;
        let tiers = rails
            .iter()
            .filter_map(|rail| self.rails.get(rail))
            .map(|(rail, _)| rail.tier);
        let tier = tiers.min_by_key(|tier| worth(*tier)).unwrap_or(Tier::None);
        of_windows(windows, &rails, tier)
    }
}

/// Energy of an inference on `rails` together, over all windows that count.
///
/// # Errors
/// Why there is none.
pub(crate) fn of_windows(
    windows: &[WindowResult],
    rails: &[u8],
    tier: Tier,
) -> Result<Energy, String> {
    let counted: Vec<(&WindowResult, Vec<&RailEnergy>)> = windows
        .iter()
        .filter(|window| window.void.is_none())
        .filter_map(|window| {
            let energies: Vec<&RailEnergy> = rails
                .iter()
                .filter_map(|rail| window.rails.iter().find(|energy| energy.rail == *rail))
                .collect();
            (energies.len() == rails.len()).then_some((window, energies))
        })
        .collect();
    if counted.is_empty() {
        let reason = windows.iter().find_map(|window| window.void.clone());
        return Err(reason.unwrap_or_else(|| "no window was sampled".to_owned()));
    }
    let gross = per_inference(&counted, &|energy| Some((energy.gross_j, energy.budget_j)));
    let net = per_inference(&counted, &|energy| {
        Some((energy.net_j?, energy.net_budget_j?))
    });
    let gross = gross.ok_or_else(|| "no window was sampled".to_owned())?;
    let mean = |of: &dyn Fn(&RailEnergy) -> f64| {
        let sums = counted
            .iter()
            .map(|(_, energies)| energies.iter().map(|e| of(e)).sum::<f64>());
        sums.sum::<f64>() / counted.len() as f64
    };
    let seconds = counted
        .iter()
        .map(|(window, _)| window.mean_ns / 1e9)
        .sum::<f64>()
        / counted.len() as f64;
    let peak =
        |(_, energies): &(_, Vec<&RailEnergy>)| energies.iter().map(|e| e.peak_w).sum::<f64>();
    Ok(Energy {
        tier: tier_word(tier).to_owned(),
        gross_j: gross,
        net_j: net,
        mean_w: mean(&|energy| energy.mean_w),
        peak_w: counted.iter().map(peak).fold(0.0, f64::max),
        idle_w: net
            .is_some()
            .then(|| mean(&|energy| energy.idle_w.unwrap_or(0.0))),
        energy_delay_js: gross.value * seconds,
        inferences_per_joule: 1.0 / gross.value.max(f64::MIN_POSITIVE),
        windows: counted.len() as u32,
    })
}

/// The rows of a rail as readings, in seconds after tick `begin`.
fn readings(
    rows: &Rowset,
    scale: &Scale,
    accuracy: &Accuracy,
    begin: u64,
    ns: f64,
) -> Vec<Reading> {
    let unit = accuracy.unit_log2.min(62);
    let reading = |&[at, voltage, current]: &[i64; 3]| {
        // The middle of the unit that the time was cut to.
        let ticks = at.wrapping_shl(unit.into()).wrapping_add((1 << unit) >> 1);
        let told = ticks.wrapping_sub(accuracy.age_ticks as i64);
        Reading {
            at: told.wrapping_sub(begin as i64) as f64 * ns / 1e9,
            volts: voltage as f64 * scale.volts_per_step,
            amperes: current as f64 * scale.amperes_per_step,
        }
    };
    rows.rows.iter().map(reading).collect()
}

/// Readings of several rails, each a moment in seconds and watts, in steps of equal length that hold about two
/// readings of each rail, or more. `None` of nothing.
fn stepped(rails: &[Vec<(f64, f64)>], window: u8, window_s: f64) -> Option<PowerTrace> {
    let times = || rails.iter().flatten().map(|reading| reading.0);
    let (from_s, to_s) = (times().reduce(f64::min)?, times().reduce(f64::max)?);
    let fewest = rails.iter().map(Vec::len).min()?;
    let steps = (fewest / 2).clamp(1, TRACE_STEPS);
    let step_s = (to_s - from_s).max(f64::MIN_POSITIVE) / steps as f64;
    let mut total = vec![Some(0.0); steps];
    for readings in rails {
        let mut sums = vec![(0.0, 0_u32); steps];
        for (at, watts) in readings {
            let step = (((at - from_s) / step_s) as usize).min(steps - 1);
            sums[step].0 += watts;
            sums[step].1 += 1;
        }
        for (total, (sum, count)) in total.iter_mut().zip(sums) {
            let mean = (count > 0).then(|| sum / f64::from(count));
            *total = total.zip(mean).map(|(total, mean)| total + mean);
        }
    }
    // No sensor knows more than a microwatt.
    let rounded = |watts: f64| (watts * 1e6).round() / 1e6;
    Some(PowerTrace {
        window,
        window_s,
        from_s,
        step_s,
        readings: rails.iter().map(Vec::len).sum::<usize>() as u32,
        watts: total.into_iter().map(|watts| watts.map(rounded)).collect(),
    })
}

struct Found {
    power: Power,
    integral: Result<Integral, String>,
}

pub(crate) fn value(integral: &Integral) -> Value {
    Value {
        value: integral.joules,
        uncertainty: COVERAGE_FACTOR * integral.budget.combined(),
    }
}

fn scale(rail: &Rail, accuracy: &Accuracy) -> Scale {
    Scale {
        volts_per_step: rail.volts_per_step.into(),
        amperes_per_step: rail.amperes_per_step.into(),
        tolerance: rail.tolerance.into(),
        volts_offset: accuracy.volts_offset.into(),
        amperes_offset: accuracy.amperes_offset.into(),
        amperes_noise: accuracy.amperes_noise.into(),
        coverage: f64::from(accuracy.coverage).clamp(0.0, 1.0),
        // On the board marks and readings have one clock.
        marks: 0.0,
    }
}

type Part = (Value, crate::energy::Budget);

/// Joules of one inference: the mean over windows, rails added up. What is the same in all windows does not
/// shrink with their number; what is not is taken from the budget or from the windows' own spread, whichever
/// is more.
fn per_inference(
    counted: &[(&WindowResult, Vec<&RailEnergy>)],
    part: &dyn Fn(&RailEnergy) -> Option<Part>,
) -> Option<Value> {
    let count = counted.len() as f64;
    let (mut values, mut systematic, mut random) = (Vec::new(), 0.0, 0.0);
    for (window, energies) in counted {
        let inferences = f64::from(window.inferences.max(1));
        let parts: Option<Vec<Part>> = energies.iter().map(|energy| part(energy)).collect();
        let parts = parts?;
        values.push(parts.iter().map(|(value, _)| value.value).sum::<f64>() / inferences);
        systematic +=
            root(parts.iter().map(|(_, budget)| budget.systematic())) / inferences / count;
        random += parts
            .iter()
            .map(|(_, budget)| budget.random().powi(2))
            .sum::<f64>()
            / (inferences * count).powi(2);
    }
    let mean = values.iter().sum::<f64>() / count;
    let spread = if values.len() > 1 {
        values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / (count - 1.0)
            / count
    } else {
        0.0
    };
    Some(Value {
        value: mean,
        uncertainty: COVERAGE_FACTOR * (systematic * systematic + random.max(spread)).sqrt(),
    })
}

/// The word for a tier on every surface.
#[must_use]
pub fn tier_word(tier: Tier) -> &'static str {
    match tier {
        Tier::ExternalMeter => "external meter",
        Tier::BoardRail => "board rail",
        Tier::Estimated => "estimated",
        Tier::Simulated => "simulated",
        _ => "none",
    }
}

fn worth(tier: Tier) -> u8 {
    match tier {
        Tier::ExternalMeter => 4,
        Tier::BoardRail => 3,
        Tier::Estimated => 2,
        Tier::Simulated => 1,
        _ => 0,
    }
}

/// A fault as a reason with its remedy.
#[must_use]
pub fn fault_words(fault: RailFault) -> &'static str {
    match fault {
        RailFault::NoAcknowledge => {
            "the sensor does not acknowledge: check its address and its wires"
        }
        RailFault::Bus => {
            "the bus is stuck: check for a short circuit, or turn the board off and on"
        }
        RailFault::Saturated => "the current is beyond the sensor's range: use a smaller shunt",
        RailFault::Frozen => "the sensor answers but converts no more: turn the board off and on",
        RailFault::Overrun => {
            "readings came faster than there was room for them: sample slower, or shorten the windows"
        }
        RailFault::Stranger => {
            "another chip answers at the sensor's address: correct the board file"
        }
        RailFault::Unreadable => "the system does not let it be read: run the runner as root",
        _ => "a fault this host does not know: update the host",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_adds_rails_up_and_keeps_its_place_before_the_mark() {
        // A second of readings a millisecond apart, the first ten before the mark; 2 W, then 4 W.
        let one = |level: f64| -> Vec<(f64, f64)> {
            (0..1_000)
                .map(|i| {
                    (
                        f64::from(i - 10) / 1e3,
                        if i < 500 { level } else { 2.0 * level },
                    )
                })
                .collect()
        };
        let trace = stepped(&[one(1.5), one(0.5)], 3, 0.98).unwrap();
        assert_eq!(
            (trace.window, trace.readings, trace.watts.len()),
            (3, 2_000, TRACE_STEPS)
        );
        assert!((trace.from_s + 0.01).abs() < 1e-9);
        assert_eq!(trace.watts[0], Some(2.0));
        assert_eq!(trace.watts[TRACE_STEPS - 1], Some(4.0));
        // Half of the steps lie before the change, but for the one that it falls into.
        let low = trace
            .watts
            .iter()
            .filter(|watts| **watts == Some(2.0))
            .count();
        assert!((59..=61).contains(&low), "{low}");
        assert_eq!(stepped(&[Vec::new()], 0, 1.0), None);
        let few = stepped(
            &[vec![(0.0, 1.0), (1.0, 1.0), (1.0, 3.0), (9.0, 1.0)]],
            0,
            9.0,
        )
        .unwrap();
        assert_eq!(
            few.watts,
            [
                Some(5.0 / 3.0).map(|w: f64| (w * 1e6).round() / 1e6),
                Some(1.0)
            ]
        );
    }
}
