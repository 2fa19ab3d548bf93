//! The kernel's I²C adapters, `/dev/i2c-*`, as embedded-hal's trait.

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use i2cdev::core::{I2CMessage as _, I2CTransfer as _};
use i2cdev::linux::{LinuxI2CBus, LinuxI2CError, LinuxI2CMessage};
use nix::errno::Errno;
use std::fmt;

/// An adapter, shared with whoever else has it open: each transaction is one `I2C_RDWR`.
pub struct Adapter(LinuxI2CBus);

impl Adapter {
    /// Opens the device file.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &str) -> Result<Self, AdapterError> {
        LinuxI2CBus::new(path).map(Self).map_err(AdapterError)
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Adapter")
    }
}

impl ErrorType for Adapter {
    type Error = AdapterError;
}

impl I2c for Adapter {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), AdapterError> {
        let mut messages: Vec<_> = operations
            .iter_mut()
            .map(|operation| match operation {
                Operation::Write(bytes) => LinuxI2CMessage::write(bytes),
                Operation::Read(bytes) => LinuxI2CMessage::read(bytes),
            })
            .map(|message| message.with_address(address.into()))
            .collect();
        self.0
            .transfer(&mut messages)
            .map(drop)
            .map_err(AdapterError)
    }
}

/// What the kernel said of a transaction.
#[derive(Debug)]
pub struct AdapterError(LinuxI2CError);

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for AdapterError {}

impl embedded_hal::i2c::Error for AdapterError {
    /// By Documentation/i2c/fault-codes.rst.
    fn kind(&self) -> ErrorKind {
        let errno = match &self.0 {
            LinuxI2CError::Errno(errno) => Errno::from_raw(*errno),
            LinuxI2CError::Io(error) => Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        };
        match errno {
            Errno::ENXIO | Errno::ENODEV | Errno::EREMOTEIO => {
                ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown)
            }
            Errno::EAGAIN => ErrorKind::ArbitrationLoss,
            Errno::EBUSY | Errno::EIO | Errno::ETIMEDOUT => ErrorKind::Bus,
            _ => ErrorKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal::i2c::Error as _;

    #[test]
    fn a_missing_adapter_is_an_error_and_the_kernel_s_codes_have_kinds() {
        let missing = Adapter::open("/dev/i2c-none").unwrap_err();
        assert!(missing.to_string().contains("No such file"), "{missing}");
        let kind = |errno: Errno| AdapterError(LinuxI2CError::Errno(errno as i32)).kind();
        let silent = ErrorKind::NoAcknowledge(NoAcknowledgeSource::Unknown);
        assert_eq!(kind(Errno::ENXIO), silent);
        assert_eq!(kind(Errno::EREMOTEIO), silent);
        assert_eq!(kind(Errno::ETIMEDOUT), ErrorKind::Bus);
    }
}
