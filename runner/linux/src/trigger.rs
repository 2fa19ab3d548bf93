//! The pin for an external meter: a line of a GPIO character device.

use embedded_hal::digital::{Error, ErrorKind, ErrorType, OutputPin};
use gpiocdev::Request;
use gpiocdev::line::Value;
use scalebench_boards::Trigger;
use std::fmt;

/// The level at which the pin rests while nothing is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Windows are high.
    Low,
    /// Marks are falling edges, as in MLPerf Tiny's energy mode.
    High,
}

/// An output, requested for as long as this lives.
#[derive(Debug)]
pub struct Pin {
    request: Request,
    line: u32,
}

impl Pin {
    /// Requests the line of `trigger` as an output that rests at `idle`.
    ///
    /// # Errors
    /// When there is no such chip or line, when somebody else has it, or when the user may not.
    pub fn open(trigger: &Trigger, idle: Idle) -> Result<Self, PinError> {
        let request = Request::builder()
            .on_chip(&trigger.chip)
            .with_consumer("scalebench")
            .with_line(trigger.line)
            .as_output(match idle {
                Idle::Low => Value::Inactive,
                Idle::High => Value::Active,
            })
            .request()
            .map_err(PinError)?;
        Ok(Self {
            request,
            line: trigger.line,
        })
    }

    fn set(&self, value: Value) -> Result<(), PinError> {
        let set = self.request.set_value(self.line, value);
        set.map(|_| ()).map_err(PinError)
    }
}

impl ErrorType for Pin {
    type Error = PinError;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.set(Value::Inactive)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        self.set(Value::Active)
    }
}

/// The pin of a board that may have none.
#[derive(Debug, Default)]
pub struct Meter(Option<Pin>);

impl From<Pin> for Meter {
    fn from(pin: Pin) -> Self {
        Self(Some(pin))
    }
}

impl ErrorType for Meter {
    type Error = PinError;
}

impl OutputPin for Meter {
    fn set_low(&mut self) -> Result<(), PinError> {
        self.0.as_mut().map_or(Ok(()), Pin::set_low)
    }

    fn set_high(&mut self) -> Result<(), PinError> {
        self.0.as_mut().map_or(Ok(()), Pin::set_high)
    }
}

/// The kernel's answer.
#[derive(Debug)]
pub struct PinError(gpiocdev::Error);

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for PinError {}

impl Error for PinError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chip_that_is_not_there_is_no_pin() {
        let trigger = Trigger {
            chip: "/dev/gpiochip-nowhere".to_owned(),
            line: 1,
            pin: String::new(),
        };
        let error = Pin::open(&trigger, Idle::Low).unwrap_err();
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
