//! The registers of an INA226 (SBOS547B, section 7.1) and of an INA3221 (SBOS576B, section 8.6).

use super::dice::Dice;
use super::{Load, Specimen};

/// Which sensor is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// One rail, 16 bits.
    Ina226,
    /// Three rails, 13 bits.
    Ina3221,
}

const CONFIGURATION: u8 = 0x00;
const RESET: u16 = 1 << 15;
const MICROS: [u64; 8] = [140, 204, 332, 588, 1_100, 2_116, 4_156, 8_244];
const AVERAGES: [u64; 8] = [1, 4, 16, 64, 128, 256, 512, 1_024];

impl Model {
    fn power_up(self) -> u16 {
        match self {
            Self::Ina226 => 0x4127,
            Self::Ina3221 => 0x7127,
        }
    }

    /// Numbers of the mask register and, in it, of the conversion-ready bit.
    fn ready(self) -> (u8, u32) {
        match self {
            Self::Ina226 => (0x06, 3),
            Self::Ina3221 => (0x0f, 0),
        }
    }

    fn die(self) -> u16 {
        match self {
            Self::Ina226 => 0x2260,
            Self::Ina3221 => 0x3220,
        }
    }

    /// Channels that the configuration lets convert.
    fn channels(self, configuration: u16) -> impl Iterator<Item = u8> {
        (0..3).filter(move |&channel| match self {
            Self::Ina226 => channel == 0,
            Self::Ina3221 => configuration >> (14 - channel) & 1 != 0,
        })
    }

    /// Volts across the shunt and on the bus as register values.
    fn quantised(self, shunt: f64, bus: f64) -> (u16, u16) {
        let (shunt_step, bus_step, unused, most) = match self {
            Self::Ina226 => (2.5e-6, 1.25e-3, 0, 32_767.0),
            Self::Ina3221 => (40e-6, 8e-3, 3, 4_095.0),
        };
        let shunt = (shunt / shunt_step).round().clamp(-most - 1.0, most) as i16;
        let bus = (bus / bus_step).round().clamp(0.0, most) as i16;
        ((shunt << unused) as u16, (bus << unused) as u16)
    }
}

/// One sensor's registers and its conversions.
#[derive(Debug)]
pub(super) struct Chip {
    model: Model,
    pointer: u8,
    configuration: u16,
    begun: u64,
    /// Cycles of all channels since `begun`.
    cycles: u64,
    ready: bool,
    /// Shunt and bus register of each channel.
    readings: [(u16, u16); 3],
}

impl Chip {
    pub(super) fn new(model: Model, now: u64) -> Self {
        Self {
            model,
            pointer: 0,
            configuration: model.power_up(),
            begun: now,
            cycles: 0,
            ready: false,
            readings: [(0, 0); 3],
        }
    }

    /// Nanoseconds of one conversion, and conversions in an average.
    fn timing(&self) -> (u64, u64) {
        let field = |shift: u32| usize::from(self.configuration >> shift & 0b111);
        (MICROS[field(6)] * 1_000, AVERAGES[field(9)])
    }

    /// Converts until `now`; only the last finished cycle is kept, as in the chip.
    pub(super) fn advance(
        &mut self,
        now: u64,
        load: &mut impl Load,
        specimen: &Specimen,
        dice: &mut Dice,
    ) {
        let (conversion, averages) = self.timing();
        let channels = self.model.channels(self.configuration).count() as u64;
        let cycle = 2 * conversion * averages * channels;
        if cycle == 0 || self.configuration & 0b111 != 0b111 {
            return;
        }
        let cycles = now.saturating_sub(self.begun) / cycle;
        if cycles <= self.cycles {
            return;
        }
        self.cycles = cycles;
        self.ready = true;
        let mut at = self.begun + (cycles - 1) * cycle;
        let mut sums = [(0.0, 0.0); 3];
        for _ in 0..averages {
            for channel in self.model.channels(self.configuration) {
                let sum = &mut sums[usize::from(channel)];
                let (_, amperes) = load.mean(channel, at, at + conversion);
                sum.0 += amperes * specimen.shunt_ohms
                    + specimen.shunt_offset
                    + specimen.shunt_noise * dice.normal();
                at += conversion;
                let (volts, _) = load.mean(channel, at, at + conversion);
                sum.1 += volts + specimen.volts_offset + specimen.volts_noise * dice.normal();
                at += conversion;
            }
        }
        let averages = averages as f64;
        for (reading, (shunt, bus)) in self.readings.iter_mut().zip(sums) {
            *reading = self.model.quantised(shunt / averages, bus / averages);
        }
    }

    /// A pointer byte, and a value if there is one.
    pub(super) fn write(&mut self, bytes: &[u8], now: u64) {
        let Some((&pointer, value)) = bytes.split_first() else {
            return;
        };
        self.pointer = pointer;
        if let (CONFIGURATION, &[high, low]) = (pointer, value) {
            let value = u16::from_be_bytes([high, low]);
            self.configuration = if value & RESET != 0 {
                self.model.power_up()
            } else {
                value
            };
            // Writing the configuration stops the conversion under way and begins anew.
            (self.begun, self.cycles, self.ready) = (now, 0, false);
        }
    }

    pub(super) fn read(&mut self, into: &mut [u8], saturated: bool) {
        let value = self.register(saturated);
        for (byte, value) in into.iter_mut().zip(value.to_be_bytes()) {
            *byte = value;
        }
    }

    fn register(&mut self, saturated: bool) -> u16 {
        let (mask, bit) = self.model.ready();
        match self.pointer {
            CONFIGURATION => self.configuration,
            0xfe => 0x5449,
            0xff => self.model.die(),
            pointer if pointer == mask => u16::from(std::mem::take(&mut self.ready)) << bit,
            pointer @ 1..=6 => {
                let (shunt, bus) = self.readings[usize::from((pointer - 1) / 2)];
                match (pointer % 2 == 1, saturated) {
                    (true, true) => self.model.quantised(f64::MAX, 0.0).0,
                    (true, false) => shunt,
                    (false, _) => bus,
                }
            }
            _ => 0,
        }
    }
}
