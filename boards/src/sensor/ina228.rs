//! INA228: one rail, 20 bits, with an energy accumulator; INA238: the same with 16 bits and without.
//!
//! Datasheets SLYS021A (INA228) and SLYS025 (INA238): section 7.6 "Register Maps", limits from section 6.5
//! "Electrical Characteristics". Steps and limits were compared with those of the same chips for cars, INA228-Q1
//! (SLYS022A) and INA238-Q1; the INA228's offset of the bus voltage was in none of what could be read.

use super::register::{Chip, TEXAS_INSTRUMENTS, in_range};
use super::{Conversion, PowerSensor, Raw, Scale, SensorError, at, nearest};
use embedded_hal::i2c::I2c;

const CONFIGURATION: u8 = 0x00;
const ADC: u8 = 0x01;
const SHUNT_CALIBRATION: u8 = 0x02;
const SHUNT: u8 = 0x04;
const BUS: u8 = 0x05;
const ENERGY: u8 = 0x09;
const DIAGNOSTICS: u8 = 0x0b;
const MANUFACTURER: u8 = 0x3e;
const DEVICE: u8 = 0x3f;

/// Conversion ready; reading the diagnostics register clears it.
const READY: u16 = 1 << 1;
/// ADC_CONFIG mode Bh: continuous bus and shunt.
const MODE: u16 = 0xb << 12;
/// CONFIG bit 14: clears the accumulators.
const RESET_ACCUMULATORS: u16 = 1 << 14;

const MICROS: [u32; 8] = [50, 84, 150, 280, 540, 1_052, 2_074, 4_120];
const AVERAGES: [u32; 8] = [1, 4, 16, 64, 128, 256, 512, 1_024];

/// SHUNT_CAL = 13107.2 × 10⁶ × CURRENT_LSB × R (section 8.1.2), with CURRENT_LSB = 312.5 nV / R.
const CALIBRATION: u16 = 4_096;
/// What a step of the energy accumulator is worth, times the shunt's ohms: 16 × 3.2 × 312.5 nV (section 8.1.2).
pub const JOULE_OHMS_PER_STEP: f64 = 16e-6;
/// The energy accumulator's largest value; after it comes zero.
pub const ENERGY_RANGE: u64 = (1 << 40) - 1;

fn configure<B: I2c>(
    chip: &mut Chip<B>,
    device: u16,
    conversion: Conversion,
) -> Result<u32, SensorError> {
    chip.expect(MANUFACTURER, TEXAS_INSTRUMENTS)?;
    // The low four bits are the revision.
    let found = chip.u16(DEVICE)?;
    if found >> 4 != device {
        chip.expect(DEVICE, device << 4)?;
    }
    let average = nearest(&AVERAGES, conversion.averages);
    let time = nearest(&MICROS, conversion.micros);
    // ±163.84 mV across the shunt.
    chip.write(CONFIGURATION, RESET_ACCUMULATORS)?;
    chip.write(ADC, MODE | time << 9 | time << 6 | time << 3 | average)?;
    Ok(2 * at(&MICROS, time) * at(&AVERAGES, average))
}

fn is_ready<B: I2c>(chip: &mut Chip<B>) -> Result<bool, SensorError> {
    Ok(chip.u16(DIAGNOSTICS)? & READY != 0)
}

/// Driver of an INA228.
#[derive(Debug)]
pub struct Ina228<B> {
    chip: Chip<B>,
}

impl<B: I2c> Ina228<B> {
    /// The sensor at `address`.
    pub fn new(bus: B, address: u8) -> Self {
        Self {
            chip: Chip { bus, address },
        }
    }

    /// Sets SHUNT_CAL, without which the energy accumulator stands still, so that a step of the current is one of the
    /// shunt's voltage. A step of the accumulator is then worth [`JOULE_OHMS_PER_STEP`] by the shunt (section 8.1.2).
    ///
    /// # Errors
    /// [`SensorError`].
    pub fn calibrate(&mut self) -> Result<(), SensorError> {
        self.chip.write(SHUNT_CALIBRATION, CALIBRATION)
    }

    /// The energy accumulator, 40 bits; counts from [`PowerSensor::configure`] on and wraps.
    ///
    /// # Errors
    /// [`SensorError`].
    pub fn energy(&mut self) -> Result<u64, SensorError> {
        let [a, b, c, d, e] = self.chip.bytes(ENERGY)?;
        Ok(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }

    /// A 20-bit register at the upper end of 24 bits.
    fn twenty(&mut self, register: u8) -> Result<i32, SensorError> {
        let [a, b, c] = self.chip.bytes(register)?;
        Ok(i32::from_be_bytes([a, b, c, 0]) >> 12)
    }
}

impl<B: I2c> PowerSensor for Ina228<B> {
    fn configure(&mut self, conversion: Conversion) -> Result<u32, SensorError> {
        configure(&mut self.chip, 0x228, conversion)
    }

    fn is_ready(&mut self) -> Result<bool, SensorError> {
        is_ready(&mut self.chip)
    }

    fn read(&mut self, _: u8) -> Result<Raw, SensorError> {
        let current = self.twenty(SHUNT)?;
        Ok(Raw {
            voltage: self.twenty(BUS)?,
            current: in_range(current, -(1 << 19), (1 << 19) - 1, SHUNT)?,
        })
    }

    fn scale(&self) -> Scale {
        Scale {
            volts_per_step: 195.312_5e-6,
            shunt_volts_per_step: 312.5e-9,
            shunt_inside: false,
            volts_offset: 2.5e-3,
            shunt_offset: 1e-6,
            gain_error: 0.001,
        }
    }
}

/// Driver of an INA238.
#[derive(Debug)]
pub struct Ina238<B> {
    chip: Chip<B>,
}

impl<B: I2c> Ina238<B> {
    /// The sensor at `address`.
    pub fn new(bus: B, address: u8) -> Self {
        Self {
            chip: Chip { bus, address },
        }
    }
}

impl<B: I2c> PowerSensor for Ina238<B> {
    fn configure(&mut self, conversion: Conversion) -> Result<u32, SensorError> {
        configure(&mut self.chip, 0x238, conversion)
    }

    fn is_ready(&mut self) -> Result<bool, SensorError> {
        is_ready(&mut self.chip)
    }

    fn read(&mut self, _: u8) -> Result<Raw, SensorError> {
        let current = self.chip.i16(SHUNT)?.into();
        Ok(Raw {
            voltage: self.chip.i16(BUS)?.into(),
            current: in_range(current, i16::MIN.into(), i16::MAX.into(), SHUNT)?,
        })
    }

    fn scale(&self) -> Scale {
        Scale {
            volts_per_step: 3.125e-3,
            shunt_volts_per_step: 5e-6,
            shunt_inside: false,
            volts_offset: 5e-3,
            shunt_offset: 5e-6,
            gain_error: 0.002,
        }
    }
}
