//! Known waveforms through the simulated sensor, its driver, the coding of the wire and the host.

use super::*;
use crate::power::PowerLog;
use crate::results::{Value, WindowResult};
use scalebench_boards::sensor::{Conversion, Ina226, PowerSensor};
use scalebench_boards::simulated::{ADDRESS, Bus, Load, Model, Specimen};
use scalebench_wire::batch::{self, Predictor};
use scalebench_wire::message::{Accuracy, Power, Rail, Span, Tier, clipped};
use std::cell::Cell;

const POWER: [Predictor; 3] = [Predictor::Step, Predictor::Previous, Predictor::Previous];
pub(crate) const VOLTS: f64 = 5.0;
const SHUNT: f64 = 0.01;
const INTERVAL: u64 = 280_000;
pub(crate) const BEGIN: u64 = 20_000_000;
pub(crate) const END: u64 = 220_000_000;
pub(crate) const TRIALS: u64 = 100;

/// Amperes over time, as pieces of constant slope: end of the piece, amperes at its begin and its end.
#[derive(Clone)]
pub(crate) struct Wave(pub(crate) Vec<(u64, f64, f64)>);

impl Wave {
    pub(crate) fn push(&mut self, until: u64, amperes: f64) {
        self.0.push((until, amperes, amperes));
    }

    /// Ampere nanoseconds.
    pub(crate) fn charge(&self, from: u64, to: u64) -> f64 {
        let mut begin = 0;
        let mut sum = 0.0;
        let first = self.0.partition_point(|piece| piece.0 <= from);
        if first > 0 {
            begin = self.0[first - 1].0;
        }
        for &(end, a, b) in &self.0[first..] {
            let (from, to) = (from.max(begin), to.min(end));
            if to <= from {
                break;
            }
            let middle = ((from - begin) as f64 + (to - begin) as f64) / 2.0;
            let amperes = a + (b - a) * middle / (end - begin) as f64;
            sum += amperes * (to - from) as f64;
            begin = end;
        }
        sum
    }
}

impl Load for Wave {
    fn mean(&mut self, _: u8, from: u64, to: u64) -> (f64, f64) {
        (VOLTS, self.charge(from, to) / (to - from) as f64)
    }
}

/// SplitMix64, from 0 to 1.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn within(&mut self, limit: f64) -> f64 {
        (2.0 * self.uniform() - 1.0) * limit
    }
}

pub(crate) const LAST: u64 = 300_000_000;

fn constant(dice: &mut Dice) -> Wave {
    let amperes = 0.5 + dice.uniform();
    Wave(vec![(LAST, amperes, amperes)])
}

/// High exactly in the window, low before and after.
fn in_phase(dice: &mut Dice) -> Wave {
    let high = 0.8 + dice.uniform() / 2.0;
    let mut wave = Wave(Vec::new());
    wave.push(BEGIN, 0.3);
    wave.push(END, high);
    wave.push(LAST, 0.3);
    wave
}

/// Periods of about 9 ms at any phase.
fn out_of_phase(dice: &mut Dice) -> Wave {
    let half = 4_000_000 + (dice.uniform() * 1e6) as u64;
    let mut until = (dice.uniform() * 2.0 * half as f64) as u64 + 1;
    let mut wave = Wave(Vec::new());
    let mut high = false;
    while until < LAST {
        wave.push(until, if high { 1.0 } else { 0.3 });
        high = !high;
        until += half;
    }
    wave.push(LAST, 0.3);
    wave
}

fn ramp(dice: &mut Dice) -> Wave {
    let (a, b) = (0.3 + dice.uniform() / 4.0, 1.0 + dice.uniform());
    Wave(vec![(LAST, a, b)])
}

/// Bursts of 100 µs, shorter than the 280 µs from reading to reading, about one every millisecond.
fn bursts(dice: &mut Dice) -> Wave {
    let mut wave = Wave(Vec::new());
    let mut at = 0;
    while at < LAST {
        at += 100_000 + (-(1.0 - dice.uniform()).ln() * 900_000.0) as u64;
        wave.push(at, 0.4);
        wave.push(at + 100_000, 1.4);
        at += 100_000;
    }
    wave.push(at + LAST, 0.4);
    wave
}

/// What the datasheet and the shunt's print promise.
#[derive(Clone, Copy)]
struct Limits {
    tolerance: f64,
    volts_offset: f64,
    shunt_offset: f64,
}

/// The energy that the host works out, and the true one.
fn trial(wave: &Wave, limits: Limits, dice: &mut Dice) -> (Value, f64) {
    let specimen = Specimen {
        shunt_ohms: SHUNT * (1.0 + dice.within(limits.tolerance)),
        shunt_offset: dice.within(limits.shunt_offset),
        volts_offset: dice.within(limits.volts_offset),
        shunt_noise: 5e-6,
        volts_noise: 0.5e-3,
    };
    let now = Cell::new((dice.uniform() * 1e6) as u64);
    let seed = (dice.uniform() * 1e15) as u64;
    let bus = Bus::new(Model::Ina226, specimen, wave.clone(), || now.get(), seed);
    let mut sensor = Ina226::new(bus, ADDRESS);
    let fast = Conversion {
        micros: 140,
        averages: 1,
    };
    sensor.configure(fast).unwrap();
    let scale = sensor.scale();
    let unit_log2 = (INTERVAL / 128).ilog2();
    let mut rows = Vec::new();
    while now.get() < END + 2_000_000 {
        if sensor.is_ready().unwrap() {
            let begin = now.get();
            now.set(begin + 20_000 + (dice.uniform() * 20_000.0) as u64);
            let raw = sensor.read(0).unwrap();
            let middle = (begin + now.get()) / 2;
            rows.push([
                (middle >> unit_log2) as i64,
                raw.voltage.into(),
                raw.current.into(),
            ]);
            now.set(begin + INTERVAL * 7 / 8);
        } else {
            now.set(now.get() + INTERVAL / 8);
        }
    }
    let mut log = PowerLog::default();
    log.rail(Rail {
        rail: 0,
        name: clipped("5V"),
        tier: Tier::Simulated,
        volts_per_step: scale.volts_per_step,
        amperes_per_step: scale.shunt_volts_per_step / SHUNT as f32,
        tolerance: limits.tolerance as f32,
    });
    log.accuracy(Accuracy {
        rail: 0,
        volts_offset: limits.volts_offset as f32,
        amperes_offset: (limits.shunt_offset / SHUNT) as f32,
        amperes_noise: 2.0 * scale.shunt_volts_per_step / SHUNT as f32,
        coverage: 0.5,
        interval_ticks: INTERVAL,
        age_ticks: INTERVAL * 13 / 16,
        unit_log2: unit_log2 as u8,
    })
    .unwrap();
    let mut sent = 0;
    while sent < rows.len() {
        let mut body = [0; 400];
        let encoded = batch::encode(
            sent as u32,
            rows[sent..].iter().copied(),
            POWER,
            &mut body[1..],
        );
        log.batch(&body[..=encoded.bytes]).unwrap();
        sent += encoded.rows;
    }
    log.end(Power {
        rail: 0,
        span: Span::Window(0),
        readings: rows.len() as u32,
        missed: 0,
        fault: None,
    });
    let window = WindowResult {
        window: 0,
        begin: BEGIN,
        end: END,
        inferences: 1,
        ..WindowResult::default()
    };
    let (rails, reason) = log.window(&window, 1.0);
    assert_eq!(reason, None);
    (rails[0].gross_j, wave.charge(BEGIN, END) * VOLTS / 1e9)
}

/// How many of a hundred errors are within ±, and ± over the root mean square error.
fn judged(make: Make, limits: Limits) -> (usize, f64) {
    let (mut within, mut squares, mut stated) = (0, 0.0, 0.0);
    for seed in 0..TRIALS {
        let mut dice = Dice(seed);
        let wave = make(&mut dice);
        let (energy, truth) = trial(&wave, limits, &mut dice);
        let error = (energy.value - truth) / truth;
        let uncertainty = energy.uncertainty / truth;
        within += usize::from(error.abs() <= uncertainty);
        squares += error * error / TRIALS as f64;
        stated += uncertainty / TRIALS as f64;
    }
    (within, stated / squares.sqrt())
}

pub(crate) type Make = fn(&mut Dice) -> Wave;

pub(crate) const WAVES: [(&str, Make); 5] = [
    ("constant", constant),
    ("square in phase", in_phase),
    ("square out of phase", out_of_phase),
    ("ramp", ramp),
    ("bursts", bursts),
];

fn judge(limits: Limits) {
    let mut wrong = Vec::new();
    for (name, make) in WAVES {
        let (within, width) = judged(make, limits);
        println!("{name}: {within} of {TRIALS} within ±, which is {width:.2} of the true spread");
        if within < 95 || width > 3.0 {
            wrong.push((name, within, width));
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn a_sensor_as_good_as_its_datasheet_is_believed_neither_too_much_nor_too_little() {
    judge(Limits {
        tolerance: 0.002,
        volts_offset: 7.5e-3,
        shunt_offset: 10e-6,
    });
}

#[test]
fn readings_that_miss_a_mark_or_leave_a_hole_give_no_energy() {
    let scale = Scale {
        volts_per_step: 1.0,
        amperes_per_step: 1.0,
        tolerance: 0.0,
        volts_offset: 0.0,
        amperes_offset: 0.0,
        amperes_noise: 0.0,
        coverage: 0.0,
        marks: 0.0,
    };
    let at = |times: &[f64]| -> Vec<Reading> {
        let reading = |&at: &f64| Reading {
            at,
            volts: 1.0,
            amperes: 2.0,
        };
        times.iter().map(reading).collect()
    };
    let full = [-0.1, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1];
    let energy = integrate(&at(&full), &scale, 1.0).unwrap();
    assert!((energy.joules - 2.0).abs() < 1e-12);
    assert_eq!(energy.budget.sampling, 0.0);
    // Two marks that may lie a millisecond elsewhere, where two watts are drawn.
    let moved = integrate(
        &at(&full),
        &Scale {
            marks: 1e-3,
            ..scale
        },
        1.0,
    )
    .unwrap();
    assert!((moved.budget.edges - 2e-3 * 2_f64.sqrt()).abs() < 1e-12);
    let refused = |times: &[f64]| integrate(&at(times), &scale, 1.0).unwrap_err();
    assert_eq!(refused(&full[1..]), "its readings do not reach both marks");
    assert_eq!(refused(&full[..6]), "its readings do not reach both marks");
    assert!(refused(&[-0.1, 0.1, 0.2, 0.3, 0.9, 1.1]).contains("sample faster"));
    assert_eq!(refused(&[0.1, -0.1]), "its readings are out of order");
}
