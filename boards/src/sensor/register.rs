//! Registers behind a pointer byte, most significant byte first: what all these sensors have in common.

use super::{Problem, SensorError};
use embedded_hal::i2c::{Error as _, I2c};

/// `5449h` is "TI" in the manufacturer's register of every sensor that has one.
pub(super) const TEXAS_INSTRUMENTS: u16 = 0x5449;

/// A chip at an address.
#[derive(Debug)]
pub(super) struct Chip<B> {
    pub(super) bus: B,
    pub(super) address: u8,
}

impl<B: I2c> Chip<B> {
    /// The bytes of a register.
    pub(super) fn bytes<const N: usize>(&mut self, register: u8) -> Result<[u8; N], SensorError> {
        let mut bytes = [0; N];
        self.bus
            .write_read(self.address, &[register], &mut bytes)
            .map_err(|error| SensorError {
                register,
                problem: Problem::Bus(error.kind()),
            })?;
        Ok(bytes)
    }

    pub(super) fn u16(&mut self, register: u8) -> Result<u16, SensorError> {
        self.bytes(register).map(u16::from_be_bytes)
    }

    pub(super) fn i16(&mut self, register: u8) -> Result<i16, SensorError> {
        self.bytes(register).map(i16::from_be_bytes)
    }

    pub(super) fn write(&mut self, register: u8, value: u16) -> Result<(), SensorError> {
        let [high, low] = value.to_be_bytes();
        self.bus
            .write(self.address, &[register, high, low])
            .map_err(|error| SensorError {
                register,
                problem: Problem::Bus(error.kind()),
            })
    }

    /// Refuses a chip whose `register` does not hold `id`.
    pub(super) fn expect(&mut self, register: u8, id: u16) -> Result<(), SensorError> {
        match self.u16(register)? {
            found if found == id => Ok(()),
            found => Err(SensorError {
                register,
                problem: Problem::Stranger(found),
            }),
        }
    }
}

/// Refuses a value at either end of its range.
pub(super) fn in_range(value: i32, low: i32, high: i32, register: u8) -> Result<i32, SensorError> {
    if value > low && value < high {
        Ok(value)
    } else {
        Err(SensorError {
            register,
            problem: Problem::Saturated,
        })
    }
}
