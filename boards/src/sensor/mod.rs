//! Power sensors on an I²C bus. Runs on the board. No heap.
//!
//! One file a register map, all behind [`PowerSensor`]: raw registers come out, and whether a new
//! conversion is there. What a step is worth stands in [`Scale`], so that raw values can travel.
//!
//! Register addresses, steps and limits are those of Texas Instruments' datasheets, named in each file.

mod ina219;
mod ina226;
mod ina228;
mod ina3221;
mod register;

pub use ina219::Ina219;
pub use ina226::{Ina226, Ina260};
pub use ina228::{ENERGY_RANGE, Ina228, Ina238, JOULE_OHMS_PER_STEP};
pub use ina3221::Ina3221;

use core::fmt;
use embedded_hal::i2c::ErrorKind;

/// How long to convert, and how many conversions to average: the nearest a sensor has is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// Microseconds of one conversion of voltage, and as many again of current.
    pub micros: u32,
    /// Conversions averaged into one reading.
    pub averages: u32,
}

/// A reading as it stands in the registers, shifted to the right end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// Steps of [`Scale::volts_per_step`].
    pub voltage: i32,
    /// Steps of [`Scale::shunt_volts_per_step`], or of amperes where the shunt is inside.
    pub current: i32,
}

/// What raw steps are worth, and the limits of error that the datasheet gives at 25 °C.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Volts of a step of the voltage.
    pub volts_per_step: f32,
    /// Volts across the shunt of a step of the current; amperes where [`Scale::shunt_inside`].
    pub shunt_volts_per_step: f32,
    /// The shunt is part of the sensor: its current register counts amperes.
    pub shunt_inside: bool,
    /// Largest offset of the voltage.
    pub volts_offset: f32,
    /// Largest offset across the shunt, in the unit of [`Scale::shunt_volts_per_step`].
    pub shunt_offset: f32,
    /// Largest relative error of the product of both.
    pub gain_error: f32,
}

/// A sensor of one or more rails.
pub trait PowerSensor {
    /// Checks that the sensor is there and lets it convert continuously. Returns the microseconds from
    /// one reading to the next.
    ///
    /// # Errors
    /// [`SensorError`].
    fn configure(&mut self, conversion: Conversion) -> Result<u32, SensorError>;

    /// Whether a conversion ended since the last call. Clears the sensor's flag.
    ///
    /// # Errors
    /// [`SensorError`].
    fn is_ready(&mut self) -> Result<bool, SensorError>;

    /// The last reading of rail `channel`, from zero.
    ///
    /// # Errors
    /// [`SensorError`]; [`Problem::Saturated`] when the shunt's voltage is beyond the sensor's range.
    fn read(&mut self, channel: u8) -> Result<Raw, SensorError>;

    /// What its steps are worth.
    fn scale(&self) -> Scale;
}

/// What went wrong, at which register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SensorError {
    /// The register that was to be read or written.
    pub register: u8,
    /// What went wrong.
    pub problem: Problem,
}

/// What can go wrong with a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The bus.
    Bus(ErrorKind),
    /// Another chip answers at this address, with this identification.
    Stranger(u16),
    /// The current is beyond the range.
    Saturated,
}

impl fmt::Display for SensorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let register = self.register;
        match self.problem {
            Problem::Bus(kind) => write!(
                f,
                "register {register:#04x}: {kind}: check address and wiring"
            ),
            Problem::Stranger(id) => write!(
                f,
                "register {register:#04x} holds {id:#06x}: another chip answers at this address"
            ),
            Problem::Saturated => write!(
                f,
                "register {register:#04x} is at its limit: use a smaller shunt"
            ),
        }
    }
}

impl core::error::Error for SensorError {}

/// The place of the nearest of `choices` to `wanted`.
fn nearest(choices: &[u32], wanted: u32) -> u16 {
    choices
        .iter()
        .zip(0..)
        .min_by_key(|&(choice, _)| choice.abs_diff(wanted))
        .map_or(0, |(_, at)| at)
}

/// What is at place `at`.
fn at(choices: &[u32], at: u16) -> u32 {
    choices.get(usize::from(at)).copied().unwrap_or(1)
}
