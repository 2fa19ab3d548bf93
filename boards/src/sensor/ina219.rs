//! INA219: one rail, 12 bits. Datasheet SBOS448G: section 8.6 "Register Maps", limits of grade A from
//! section 7.5 "Electrical Characteristics", which gives the bus no offset of its own: one step is taken.

use super::register::{Chip, in_range};
use super::{Conversion, PowerSensor, Raw, Scale, SensorError, at, nearest};
use embedded_hal::i2c::I2c;

const CONFIGURATION: u8 = 0x00;
const SHUNT: u8 = 0x01;
const BUS: u8 = 0x02;
/// Reading it clears the conversion-ready bit (section 8.6.3.2).
const POWER: u8 = 0x03;

const READY: u16 = 1 << 1;
const OVERFLOW: u16 = 1;
/// 32 V range, gain /8 (±320 mV across the shunt), continuous shunt and bus.
const RANGE_AND_MODE: u16 = 1 << 13 | 0b11 << 11 | 0b111;
const FULL_SCALE: i32 = 32_000;

/// Times of 9, 10, 11 and 12 bits without averaging: fields BADC and SADC, section 8.6.2.1.
const MICROS: [u32; 4] = [84, 148, 276, 532];
/// The same fields from 8 on: averages of 12-bit conversions.
const AVERAGES: [u32; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// Driver of an INA219.
#[derive(Debug)]
pub struct Ina219<B> {
    chip: Chip<B>,
}

impl<B: I2c> Ina219<B> {
    /// The sensor at `address`.
    pub fn new(bus: B, address: u8) -> Self {
        Self {
            chip: Chip { bus, address },
        }
    }
}

impl<B: I2c> PowerSensor for Ina219<B> {
    fn configure(&mut self, conversion: Conversion) -> Result<u32, SensorError> {
        let averages = nearest(&AVERAGES, conversion.averages);
        let (code, micros) = if averages == 0 {
            let code = nearest(&MICROS, conversion.micros);
            (code, at(&MICROS, code))
        } else {
            (8 + averages, 532 * at(&AVERAGES, averages))
        };
        self.chip
            .write(CONFIGURATION, RANGE_AND_MODE | code << 7 | code << 3)?;
        Ok(2 * micros)
    }

    fn is_ready(&mut self) -> Result<bool, SensorError> {
        let ready = self.chip.u16(BUS)? & READY != 0;
        if ready {
            self.chip.u16(POWER)?;
        }
        Ok(ready)
    }

    fn read(&mut self, _: u8) -> Result<Raw, SensorError> {
        let current = self.chip.i16(SHUNT)?.into();
        let bus = self.chip.u16(BUS)?;
        let beyond = if bus & OVERFLOW != 0 { 0 } else { FULL_SCALE };
        Ok(Raw {
            voltage: (bus >> 3).into(),
            current: in_range(current, -beyond, beyond, SHUNT)?,
        })
    }

    fn scale(&self) -> Scale {
        Scale {
            volts_per_step: 4e-3,
            shunt_volts_per_step: 10e-6,
            shunt_inside: false,
            volts_offset: 4e-3,
            shunt_offset: 200e-6,
            gain_error: 0.01,
        }
    }
}
