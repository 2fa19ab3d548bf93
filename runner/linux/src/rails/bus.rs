//! Sensors on an I²C bus, real and simulated.

use super::adapter::Adapter;
use super::counter::{Count, Counter, Facts};
use super::{Described, Rhythm, Source};
use embedded_hal::i2c::{ErrorKind, I2c};
use nix::time::{ClockId, clock_gettime};
use scalebench_boards::sensor::{
    Conversion, ENERGY_RANGE, Ina219, Ina226, Ina228, Ina238, Ina260, Ina3221, JOULE_OHMS_PER_STEP,
    PowerSensor, Problem, SensorError,
};
use scalebench_boards::simulated::{self, Bus as SimulatedBus, Fault, Load, Model, Specimen};
use scalebench_boards::{Board, Bus, Kind, RailSource, Sensor, Simulated};
use scalebench_wire::message::{RailFault, Tier};
use std::path::Path;
use std::time::Duration;

/// Noise of a simulated conversion across the shunt, in volts.
const SHUNT_NOISE: f64 = 5e-6;

/// A sensor and the rails of the board file that it measures.
struct Chip {
    sensor: Box<dyn PowerSensor + Send>,
    tier: Tier,
    /// Name, shunt in ohms, tolerance, channel.
    rails: Vec<(String, f64, f64, u8)>,
}

/// Whoever looks for an adapter so soon after the system's start, in nanoseconds, may be too early: drivers are still
/// looking for their devices, those behind USB above all.
const SETTLED: u64 = 10_000_000_000;
/// From look to look.
const SETTLING: Duration = Duration::from_millis(50);

fn adapter(bus: &Bus) -> Result<Adapter, String> {
    while !Path::new(&bus.bus).exists() && time(ClockId::CLOCK_BOOTTIME) < SETTLED {
        std::thread::sleep(SETTLING);
    }
    Adapter::open(&bus.bus).map_err(|error| {
        format!(
            "{}: {error}: enable the bus in the device tree, and load the module i2c-dev",
            bus.bus
        )
    })
}

/// What a rail of this board is worth: there is no hardware behind an emulated board's sensors.
fn tier(board: &Board) -> Tier {
    match board.kind {
        Kind::Emulated => Tier::Simulated,
        _ => Tier::BoardRail,
    }
}

/// A real INA228 that counts energy itself.
pub(super) fn accumulator(board: &Board, name: &str, bus: &Bus) -> Result<Box<dyn Source>, String> {
    let sensor = Ina228::new(adapter(bus)?, bus.address);
    Ok(Box::new(counter(name, bus, sensor, tier(board))))
}

/// Relative error of the INA228's energy that its datasheet's first page promises at full scale.
const ENERGY_ERROR: f32 = 0.01;
/// From look to look at its counter, in nanoseconds.
const COUNTER_INTERVAL: u64 = 10_000_000;

fn counter<B: I2c + Send>(
    name: &str,
    bus: &Bus,
    sensor: Ina228<B>,
    tier: Tier,
) -> Counter<Accumulator<B>> {
    let facts = Facts {
        name: name.to_owned(),
        tier,
        microjoules: JOULE_OHMS_PER_STEP * 1e6 / (bus.shunt_milliohm / 1e3),
        range: ENERGY_RANGE,
        tolerance: bus.tolerance as f32 + ENERGY_ERROR,
    };
    Counter::new(facts, Accumulator(sensor))
}

/// The energy accumulator of an INA228.
struct Accumulator<B>(Ina228<B>);

impl<B: I2c + Send> Count for Accumulator<B> {
    fn begin(&mut self, conversion: Conversion) -> Result<u64, RailFault> {
        self.0.calibrate().map_err(fault)?;
        // Its averages do not enter the accumulator (section 7.3.2).
        let averages = 1;
        let conversion = Conversion {
            averages,
            ..conversion
        };
        let interval = u64::from(self.0.configure(conversion).map_err(fault)?) * 1_000;
        Ok(interval.max(COUNTER_INTERVAL))
    }

    fn count(&mut self) -> Result<u64, RailFault> {
        self.0.energy().map_err(fault)
    }
}

/// A real sensor, with all rails of the board file that are its channels.
pub(super) fn open(board: &Board, bus: &Bus) -> Result<Box<dyn Source>, String> {
    let device = adapter(bus)?;
    let mut rails = Vec::new();
    let mut channels = 0;
    for rail in &board.rails {
        if let RailSource::Bus(theirs) = &rail.source
            && (&theirs.bus, theirs.address) == (&bus.bus, bus.address)
        {
            channels |= 1 << theirs.channel;
            rails.push((
                rail.name.clone(),
                theirs.shunt_milliohm / 1e3,
                theirs.tolerance,
                theirs.channel,
            ));
        }
    }
    let sensor = driver(bus.sensor, device, bus.address, channels);
    Ok(Box::new(Chip {
        sensor,
        tier: tier(board),
        rails,
    }))
}

fn driver<B: I2c + Send + 'static>(
    sensor: Sensor,
    bus: B,
    address: u8,
    channels: u8,
) -> Box<dyn PowerSensor + Send> {
    match sensor {
        Sensor::Ina219 => Box::new(Ina219::new(bus, address)),
        Sensor::Ina226 => Box::new(Ina226::new(bus, address)),
        Sensor::Ina228 => Box::new(Ina228::new(bus, address)),
        Sensor::Ina238 => Box::new(Ina238::new(bus, address)),
        Sensor::Ina260 => Box::new(Ina260::new(bus, address)),
        Sensor::Ina3221 => Box::new(Ina3221::new(bus, address, channels)),
    }
}

/// A sensor without hardware; its specimen is a perfect one, but for noise.
pub(super) fn simulated(name: &str, simulated: &Simulated) -> Box<dyn Source> {
    let shunt_ohms = simulated.shunt_milliohm / 1e3;
    let specimen = Specimen {
        shunt_ohms,
        shunt_offset: 0.0,
        volts_offset: 0.0,
        shunt_noise: SHUNT_NOISE,
        volts_noise: 0.0,
    };
    let load = CpuLoad::new(simulated);
    let mut bus = SimulatedBus::new(simulated.sensor, specimen, load, super::sampler::now, 1);
    if let Some(kind) = simulated.fault {
        bus = bus.with_fault(Fault {
            kind,
            from: super::sampler::now() + simulated.fault_after_ms * 1_000_000,
        });
    }
    let sensor = match simulated.sensor {
        Model::Ina226 => Sensor::Ina226,
        Model::Ina3221 => Sensor::Ina3221,
    };
    Box::new(Chip {
        sensor: driver(sensor, bus, simulated::ADDRESS, 1),
        tier: Tier::Simulated,
        rails: vec![(name.to_owned(), shunt_ohms, simulated.tolerance, 0)],
    })
}

impl Source for Chip {
    fn tier(&self) -> Tier {
        self.tier
    }

    fn rails(&self) -> Vec<Described> {
        let scale = self.sensor.scale();
        let described = |(name, shunt, tolerance, _): &(String, f64, f64, u8)| {
            let shunt = if scale.shunt_inside {
                1.0
            } else {
                *shunt as f32
            };
            let amperes_per_step = scale.shunt_volts_per_step / shunt;
            Described {
                name: name.clone(),
                volts_per_step: scale.volts_per_step,
                amperes_per_step,
                tolerance: *tolerance as f32 + scale.gain_error,
                volts_offset: scale.volts_offset,
                amperes_offset: scale.shunt_offset / shunt,
                amperes_noise: 2.0 * amperes_per_step,
            }
        };
        self.rails.iter().map(described).collect()
    }

    fn configure(&mut self, conversion: Conversion) -> Result<Rhythm, RailFault> {
        let interval = u64::from(self.sensor.configure(conversion).map_err(fault)?) * 1_000;
        // These sensors convert the shunt, then the bus: the middle of the shunt's conversion is three
        // quarters of the interval before the end. The sampler comes a sixteenth late on average.
        let share = self.rails.len().max(1) as f32;
        Ok(Rhythm {
            interval,
            age: interval * 13 / 16,
            coverage: 0.5 / share,
        })
    }

    fn is_ready(&mut self) -> Result<bool, RailFault> {
        self.sensor.is_ready().map_err(fault)
    }

    fn read(&mut self, index: usize) -> Result<(i32, i32), RailFault> {
        let channel = self.rails.get(index).map_or(0, |rail| rail.3);
        let raw = self.sensor.read(channel).map_err(fault)?;
        Ok((raw.voltage, raw.current))
    }
}

fn fault(error: SensorError) -> RailFault {
    match error.problem {
        Problem::Saturated => RailFault::Saturated,
        Problem::Stranger(_) => RailFault::Stranger,
        Problem::Bus(ErrorKind::NoAcknowledge(_)) => RailFault::NoAcknowledge,
        _ => RailFault::Bus,
    }
}

/// A load that follows the processor time of this process: see [`Simulated`].
#[derive(Debug)]
struct CpuLoad {
    volts: f64,
    idle: f64,
    busy: f64,
    /// Wall and processor time at the last look, and the share between the last two.
    last: (u64, u64),
    share: f64,
}

/// Looks closer together than this, in nanoseconds, see the same share.
const LOOK: u64 = 100_000;

impl CpuLoad {
    fn new(simulated: &Simulated) -> Self {
        Self {
            volts: simulated.volts,
            idle: simulated.idle_watts,
            busy: simulated.busy_watts,
            last: (super::sampler::now(), processor_time()),
            share: 0.0,
        }
    }
}

impl Load for CpuLoad {
    fn mean(&mut self, _: u8, _: u64, _: u64) -> (f64, f64) {
        let (wall, processor) = (super::sampler::now(), processor_time());
        let passed = wall.saturating_sub(self.last.0);
        if passed >= LOOK {
            self.share = (processor.saturating_sub(self.last.1) as f64 / passed as f64).min(1.0);
            self.last = (wall, processor);
        }
        let watts = self.idle + (self.busy - self.idle) * self.share;
        (self.volts, watts / self.volts.max(f64::MIN_POSITIVE))
    }
}

/// Nanoseconds of processor time of this process.
fn processor_time() -> u64 {
    time(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// Nanoseconds of a clock.
fn time(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_hal::i2c::{ErrorType, Operation};
    use std::sync::{Arc, Mutex};

    /// The registers of an INA228 that tell who it is, and its energy accumulator.
    #[derive(Clone, Default)]
    struct Registers {
        energy: Arc<Mutex<u64>>,
        written: Arc<Mutex<Vec<Vec<u8>>>>,
        pointer: u8,
    }

    impl ErrorType for Registers {
        type Error = ErrorKind;
    }

    impl I2c for Registers {
        fn transaction(
            &mut self,
            _: u8,
            operations: &mut [Operation<'_>],
        ) -> Result<(), ErrorKind> {
            for operation in operations {
                match operation {
                    Operation::Write([pointer]) => self.pointer = *pointer,
                    Operation::Write(bytes) => self.written.lock().unwrap().push(bytes.to_vec()),
                    Operation::Read(into) => {
                        let value = match self.pointer {
                            0x3e => 0x5449,
                            0x3f => 0x2281,
                            0x09 => *self.energy.lock().unwrap(),
                            _ => 0,
                        };
                        let bytes = value.to_be_bytes();
                        into.copy_from_slice(&bytes[8 - into.len()..]);
                    }
                }
            }
            Ok(())
        }
    }

    #[test]
    fn an_ina228_s_own_energy_is_read_over_the_end_of_its_counter() {
        let bus = Bus {
            sensor: Sensor::Ina228,
            bus: String::new(),
            address: 0x40,
            channel: 0,
            shunt_milliohm: 10.0,
            tolerance: 0.005,
            accumulator: true,
        };
        let registers = Registers::default();
        let sensor = Ina228::new(registers.clone(), bus.address);
        let mut source = counter("5V", &bus, sensor, Tier::BoardRail);
        let conversion = Conversion {
            micros: 1_052,
            averages: 64,
        };
        let rhythm = source.configure(conversion).unwrap();
        assert_eq!(rhythm.interval, COUNTER_INTERVAL);
        let written = registers.written.lock().unwrap().clone();
        // SHUNT_CAL; accumulators cleared; continuous bus and shunt, 1,052 µs each, no averages.
        assert_eq!(written, [[2, 0x10, 0x00], [0, 0x40, 0x00], [1, 0xbb, 0x68]]);
        *registers.energy.lock().unwrap() = ENERGY_RANGE - 9;
        let begin = super::super::sampler::now();
        assert_eq!(source.is_ready(), Ok(false));
        std::thread::sleep(std::time::Duration::from_millis(20));
        // Nine steps to the end, one to zero, ninety beyond it: 1.6 mJ each with 10 mΩ.
        *registers.energy.lock().unwrap() = 90;
        let (_, microwatts) = source.read(0).unwrap();
        let seconds = (super::super::sampler::now() - begin) as f64 / 1e9;
        let least = 100.0 * 1_600.0 / seconds;
        let most = 100.0 * 1_600.0 / 0.02;
        assert!(
            (least * 0.99..=most).contains(&f64::from(microwatts)),
            "{microwatts}"
        );
    }
}
