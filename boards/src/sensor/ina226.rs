//! INA226: one rail, 16 bits; INA260: the same with the shunt inside.
//!
//! Datasheets SBOS547B (INA226): section 7.1 "Register Maps", limits from 5.5 "Electrical Characteristics";
//! SBOS656C (INA260): sections 8.6 and 7.5.

use super::register::{Chip, TEXAS_INSTRUMENTS, in_range};
use super::{Conversion, PowerSensor, Raw, Scale, SensorError, at, nearest};
use embedded_hal::i2c::I2c;

const CONFIGURATION: u8 = 0x00;
const CURRENT: u8 = 0x01;
const BUS: u8 = 0x02;
const MASK: u8 = 0x06;
const MANUFACTURER: u8 = 0xfe;
const DIE: u8 = 0xff;

/// Conversion ready flag; reading the mask register clears it.
const READY: u16 = 1 << 3;
/// Continuous shunt and bus.
const MODE: u16 = 0b111;

/// Times that the fields VBUSCT and VSHCT choose, typical; up to a tenth longer. INA260 and INA3221 have the same.
pub(super) const MICROS: [u32; 8] = [140, 204, 332, 588, 1_100, 2_116, 4_156, 8_244];
/// Averages that the field AVG chooses.
pub(super) const AVERAGES: [u32; 8] = [1, 4, 16, 64, 128, 256, 512, 1_024];

/// AVG, VBUSCT and VSHCT in their places, and microseconds of one shunt and bus pair.
pub(super) fn timing(conversion: Conversion) -> (u16, u32) {
    let average = nearest(&AVERAGES, conversion.averages);
    let time = nearest(&MICROS, conversion.micros);
    (
        average << 9 | time << 6 | time << 3,
        2 * at(&MICROS, time) * at(&AVERAGES, average),
    )
}

fn configure<B: I2c>(
    chip: &mut Chip<B>,
    die: u16,
    reserved: u16,
    conversion: Conversion,
) -> Result<u32, SensorError> {
    chip.expect(MANUFACTURER, TEXAS_INSTRUMENTS)?;
    chip.expect(DIE, die)?;
    let (bits, micros) = timing(conversion);
    chip.write(CONFIGURATION, reserved | bits | MODE)?;
    Ok(micros)
}

fn is_ready<B: I2c>(chip: &mut Chip<B>) -> Result<bool, SensorError> {
    Ok(chip.u16(MASK)? & READY != 0)
}

fn read<B: I2c>(chip: &mut Chip<B>) -> Result<Raw, SensorError> {
    let current = chip.i16(CURRENT)?.into();
    Ok(Raw {
        voltage: chip.u16(BUS)?.into(),
        current: in_range(current, i16::MIN.into(), i16::MAX.into(), CURRENT)?,
    })
}

/// Driver of an INA226.
#[derive(Debug)]
pub struct Ina226<B> {
    chip: Chip<B>,
}

impl<B: I2c> Ina226<B> {
    /// The sensor at `address`.
    pub fn new(bus: B, address: u8) -> Self {
        Self {
            chip: Chip { bus, address },
        }
    }
}

impl<B: I2c> PowerSensor for Ina226<B> {
    fn configure(&mut self, conversion: Conversion) -> Result<u32, SensorError> {
        configure(&mut self.chip, 0x2260, 0x4000, conversion)
    }

    fn is_ready(&mut self) -> Result<bool, SensorError> {
        is_ready(&mut self.chip)
    }

    fn read(&mut self, _: u8) -> Result<Raw, SensorError> {
        read(&mut self.chip)
    }

    fn scale(&self) -> Scale {
        Scale {
            volts_per_step: 1.25e-3,
            shunt_volts_per_step: 2.5e-6,
            shunt_inside: false,
            volts_offset: 7.5e-3,
            shunt_offset: 10e-6,
            gain_error: 0.002,
        }
    }
}

/// Driver of an INA260.
#[derive(Debug)]
pub struct Ina260<B> {
    chip: Chip<B>,
}

impl<B: I2c> Ina260<B> {
    /// The sensor at `address`.
    pub fn new(bus: B, address: u8) -> Self {
        Self {
            chip: Chip { bus, address },
        }
    }
}

impl<B: I2c> PowerSensor for Ina260<B> {
    fn configure(&mut self, conversion: Conversion) -> Result<u32, SensorError> {
        configure(&mut self.chip, 0x2270, 0x6000, conversion)
    }

    fn is_ready(&mut self) -> Result<bool, SensorError> {
        is_ready(&mut self.chip)
    }

    fn read(&mut self, _: u8) -> Result<Raw, SensorError> {
        read(&mut self.chip)
    }

    fn scale(&self) -> Scale {
        Scale {
            volts_per_step: 1.25e-3,
            shunt_volts_per_step: 1.25e-3,
            shunt_inside: true,
            volts_offset: 7.5e-3,
            shunt_offset: 5e-3,
            gain_error: 0.0025,
        }
    }
}
