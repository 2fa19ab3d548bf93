//! INA3221: three rails, 13 bits. Datasheet SBOS576B: section 8.6 "Register Maps",
//! limits from section 7.5 "Electrical Characteristics".

use super::ina226::timing;
use super::register::{Chip, TEXAS_INSTRUMENTS, in_range};
use super::{Conversion, PowerSensor, Raw, Scale, SensorError};
use embedded_hal::i2c::I2c;

const CONFIGURATION: u8 = 0x00;
/// Shunt of channel 0; its bus register follows, then the next channel's.
const SHUNT: u8 = 0x01;
const MASK: u8 = 0x0f;
const MANUFACTURER: u8 = 0xfe;
const DIE: u8 = 0xff;

/// Conversion ready flag; reading the mask register clears it.
const READY: u16 = 1;
/// Continuous shunt and bus.
const MODE: u16 = 0b111;
/// Values stand in bits 15 to 3.
const UNUSED_BITS: u32 = 3;
const CHANNELS: u8 = 3;

/// Driver of an INA3221.
#[derive(Debug)]
pub struct Ina3221<B> {
    chip: Chip<B>,
    enabled: u8,
}

impl<B: I2c> Ina3221<B> {
    /// The sensor at `address`, converting the channels whose bits are set in `enabled`, bit 0 the first.
    pub fn new(bus: B, address: u8, enabled: u8) -> Self {
        Self {
            chip: Chip { bus, address },
            enabled,
        }
    }
}

impl<B: I2c> PowerSensor for Ina3221<B> {
    fn configure(&mut self, conversion: Conversion) -> Result<u32, SensorError> {
        self.chip.expect(MANUFACTURER, TEXAS_INSTRUMENTS)?;
        self.chip.expect(DIE, 0x3220)?;
        let (bits, micros) = timing(conversion);
        // Channel 1 is enabled by bit 14, channel 3 by bit 12.
        let channels = (0..CHANNELS)
            .filter(|channel| self.enabled >> channel & 1 != 0)
            .fold(0, |bits, channel| bits | 1 << (14 - channel));
        self.chip.write(CONFIGURATION, channels | bits | MODE)?;
        Ok(micros * channels.count_ones())
    }

    fn is_ready(&mut self) -> Result<bool, SensorError> {
        Ok(self.chip.u16(MASK)? & READY != 0)
    }

    fn read(&mut self, channel: u8) -> Result<Raw, SensorError> {
        let shunt = SHUNT + 2 * channel.min(CHANNELS - 1);
        let current = i32::from(self.chip.i16(shunt)?) >> UNUSED_BITS;
        let voltage = i32::from(self.chip.i16(shunt + 1)?) >> UNUSED_BITS;
        Ok(Raw {
            voltage,
            current: in_range(current, -(1 << 12), (1 << 12) - 1, shunt)?,
        })
    }

    fn scale(&self) -> Scale {
        Scale {
            volts_per_step: 8e-3,
            shunt_volts_per_step: 40e-6,
            shunt_inside: false,
            volts_offset: 16e-3,
            shunt_offset: 80e-6,
            gain_error: 0.005,
        }
    }
}
