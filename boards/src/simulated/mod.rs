//! A simulated I²C bus with a sensor on it, register by register, for the local board and for tests.
//!
//! The drivers of [`crate::sensor`] talk to it as to a real one. What it measures is a [`Load`]; what it
//! makes of it follows the datasheets: conversions one after the other, quantised, with noise, with an
//! offset and with a shunt that is not quite what is printed on it. Every fault a person meets at a bench
//! can be programmed.

mod chip;
mod dice;

pub use chip::Model;

use chip::Chip;
use dice::Dice;
use embedded_hal::i2c::{
    ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation, SevenBitAddress,
};

/// What draws the power.
pub trait Load {
    /// Mean volts and amperes of rail `channel` between two moments, in nanoseconds.
    fn mean(&mut self, channel: u8, from: u64, to: u64) -> (f64, f64);
}

/// What goes wrong, and from when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// Nanoseconds of the bus's clock.
    pub from: u64,
}

/// What can be made to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The sensor does not acknowledge its address.
    Nack,
    /// Another chip holds the data line down.
    StuckBus,
    /// The current is beyond what the shunt register can hold.
    SaturatedShunt,
    /// The sensor answers, but converts no more.
    FrozenConversion,
}

/// How a specimen differs from its datasheet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Specimen {
    /// The shunt as it is, in ohms.
    pub shunt_ohms: f64,
    /// Offset across the shunt, in volts.
    pub shunt_offset: f64,
    /// Offset of the bus voltage, in volts.
    pub volts_offset: f64,
    /// Standard deviation of a conversion's noise across the shunt, in volts.
    pub shunt_noise: f64,
    /// Standard deviation of a conversion's noise of the bus voltage, in volts.
    pub volts_noise: f64,
}

/// The bus, with one sensor at [`ADDRESS`].
#[derive(Debug)]
pub struct Bus<L, T> {
    chip: Chip,
    load: L,
    now: T,
    specimen: Specimen,
    dice: Dice,
    fault: Option<Fault>,
}

/// Where the sensor answers.
pub const ADDRESS: SevenBitAddress = 0x40;

impl<L: Load, T: Fn() -> u64> Bus<L, T> {
    /// A bus whose time is what `now` says, in nanoseconds. Noise is drawn from `seed`.
    pub fn new(model: Model, specimen: Specimen, load: L, now: T, seed: u64) -> Self {
        Self {
            chip: Chip::new(model, now()),
            load,
            now,
            specimen,
            dice: Dice::new(seed),
            fault: None,
        }
    }

    /// The same bus with something wrong.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// The fault in force at `now`.
    fn fault(&self, now: u64) -> Option<FaultKind> {
        self.fault
            .filter(|fault| now >= fault.from)
            .map(|fault| fault.kind)
    }
}

impl<L, T> ErrorType for Bus<L, T> {
    type Error = ErrorKind;
}

impl<L: Load, T: Fn() -> u64> I2c for Bus<L, T> {
    fn transaction(
        &mut self,
        address: SevenBitAddress,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        let now = (self.now)();
        let fault = self.fault(now);
        match fault {
            Some(FaultKind::StuckBus) => return Err(ErrorKind::Bus),
            Some(FaultKind::Nack) => {
                return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
            }
            _ if address != ADDRESS => {
                return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
            }
            _ => {}
        }
        let stopped = self
            .fault
            .filter(|fault| fault.kind == FaultKind::FrozenConversion)
            .map_or(u64::MAX, |fault| fault.from);
        self.chip.advance(
            now.min(stopped),
            &mut self.load,
            &self.specimen,
            &mut self.dice,
        );
        for operation in operations {
            match operation {
                Operation::Write(bytes) => self.chip.write(bytes, now),
                Operation::Read(into) => {
                    self.chip
                        .read(into, fault == Some(FaultKind::SaturatedShunt));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
