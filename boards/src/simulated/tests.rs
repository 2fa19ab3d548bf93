//! The drivers against the simulated bus.

use super::*;
use crate::sensor::{Conversion, Ina226, Ina3221, PowerSensor, Problem, SensorError};
use std::cell::Cell;

/// 5 V; 1 A on the first channel, 2 A on the second, 3 A on the third.
#[derive(Debug)]
struct Steady;

impl Load for Steady {
    fn mean(&mut self, channel: u8, _: u64, _: u64) -> (f64, f64) {
        (5.0, f64::from(channel + 1))
    }
}

const PERFECT: Specimen = Specimen {
    shunt_ohms: 0.01,
    shunt_offset: 0.0,
    volts_offset: 0.0,
    shunt_noise: 0.0,
    volts_noise: 0.0,
};
const FAST: Conversion = Conversion {
    micros: 140,
    averages: 1,
};

fn bus(model: Model, now: &Cell<u64>) -> Bus<Steady, impl Fn() -> u64> {
    Bus::new(model, PERFECT, Steady, || now.get(), 1)
}

#[test]
fn a_reading_comes_when_both_conversions_have_ended_and_only_once() {
    let now = Cell::new(0);
    let mut sensor = Ina226::new(bus(Model::Ina226, &now), ADDRESS);
    assert_eq!(sensor.configure(FAST), Ok(280));
    now.set(279_999);
    assert_eq!(sensor.is_ready(), Ok(false));
    now.set(280_000);
    assert_eq!(sensor.is_ready(), Ok(true));
    assert_eq!(sensor.is_ready(), Ok(false));
    let raw = sensor.read(0).unwrap();
    assert_eq!((raw.voltage, raw.current), (4_000, 4_000));
    let scale = sensor.scale();
    let watts =
        raw.voltage as f32 * scale.volts_per_step * raw.current as f32 * scale.shunt_volts_per_step
            / 0.01;
    assert!((watts - 5.0).abs() < 1e-4, "{watts}");
}

#[test]
fn three_rails_are_converted_in_turn() {
    let now = Cell::new(0);
    let mut sensor = Ina3221::new(bus(Model::Ina3221, &now), ADDRESS, 0b101);
    let averaged = Conversion {
        micros: 1_000,
        averages: 5,
    };
    assert_eq!(sensor.configure(averaged), Ok(2 * 1_100 * 4 * 2));
    now.set(17_600_000);
    assert_eq!(sensor.is_ready(), Ok(true));
    let current = |channel| sensor.read(channel).map(|raw| raw.current);
    assert_eq!([0, 1, 2].map(current), [Ok(250), Ok(0), Ok(750)]);
}

#[test]
fn faults_are_told_apart() {
    let cases = [
        (FaultKind::Nack, "did not acknowledge its address"),
        (FaultKind::StuckBus, "bus error"),
        (FaultKind::SaturatedShunt, "use a smaller shunt"),
    ];
    for (kind, words) in cases {
        let now = Cell::new(0);
        let bus = bus(Model::Ina226, &now).with_fault(Fault { kind, from: 1 });
        let mut sensor = Ina226::new(bus, ADDRESS);
        sensor.configure(FAST).unwrap();
        now.set(280_000);
        let error = sensor.read(0).unwrap_err();
        let text = error.to_string();
        assert!(
            text.to_lowercase().contains(&words.to_lowercase()),
            "{text}"
        );
    }
    let now = Cell::new(0);
    let frozen = Fault {
        kind: FaultKind::FrozenConversion,
        from: 300_000,
    };
    let mut sensor = Ina226::new(bus(Model::Ina226, &now).with_fault(frozen), ADDRESS);
    sensor.configure(FAST).unwrap();
    now.set(290_000);
    assert_eq!(sensor.is_ready(), Ok(true));
    now.set(9_000_000);
    assert_eq!(sensor.is_ready(), Ok(false));
}

#[test]
fn another_chip_at_the_address_is_refused() {
    let now = Cell::new(0);
    let mut sensor = Ina3221::new(bus(Model::Ina226, &now), ADDRESS, 1);
    let refused = SensorError {
        register: 0xff,
        problem: Problem::Stranger(0x2260),
    };
    assert_eq!(sensor.configure(FAST), Err(refused));
}
