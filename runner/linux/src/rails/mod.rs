//! Power rails: a thread for each sensor, fixed rings, and the sources of readings.
//!
//! | module | what it reads |
//! |---|---|
//! | [`adapter`] | the kernel's I²C adapters, as embedded-hal's trait |
//! | [`bus`] | sensors on I²C, real and simulated, through the drivers of `scalebench-boards` |
//! | [`system`] | what the kernel offers: hwmon, powercap, batteries |
//! | [`counter`] | counters of energy: powercap's, hwmon's, an INA228's |
//! | [`pmic`] | the power management chip of a Raspberry Pi 5 |
//! | [`sampler`] | the thread and the rings |
//! | [`phase`] | when a source has finished its conversions |

pub mod adapter;
pub mod bus;
pub mod counter;
pub mod phase;
pub mod pmic;
pub mod sampler;
pub mod system;

use sampler::Sampler;
use scalebench_boards::{Board, RailSource, sensor::Conversion};
use scalebench_core::board::{PowerReading, Rails, Tally};
use scalebench_wire::message::{Accuracy, Rail, RailFault, Sampling, Tier, clipped};
use std::path::Path;

/// What is known of one rail of a source.
#[derive(Clone, Debug)]
pub struct Described {
    /// Its name in the board file.
    pub name: String,
    /// Volts of a step of the voltage.
    pub volts_per_step: f32,
    /// Amperes of a step of the current.
    pub amperes_per_step: f32,
    /// Relative tolerance of the power.
    pub tolerance: f32,
    /// Largest offset of the voltage, in volts.
    pub volts_offset: f32,
    /// Largest offset of the current, in amperes.
    pub amperes_offset: f32,
    /// Noise of one reading of the current, in amperes.
    pub amperes_noise: f32,
}

impl Described {
    /// A rail whose power alone is known: one volt, and as many microamperes as there are microwatts. How much of what
    /// differs from reading to reading is the source's own doing is not known, so that all of it counts in full.
    #[must_use]
    pub fn power(name: &str, tolerance: f32) -> Self {
        Self {
            name: name.to_owned(),
            volts_per_step: 1.0,
            amperes_per_step: 1e-6,
            tolerance,
            volts_offset: 0.0,
            amperes_offset: 0.0,
            amperes_noise: f32::MAX,
        }
    }
}

/// How a source goes from reading to reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// Nanoseconds from one reading to the next.
    pub interval: u64,
    /// A reading tells about so many nanoseconds before it can be fetched.
    pub age: u64,
    /// Share of the time that the source looks at.
    pub coverage: f32,
}

/// Something that measures one or more rails.
pub trait Source: Send {
    /// What its figures are worth.
    fn tier(&self) -> Tier;

    /// Its rails, in the order of [`Source::read`].
    fn rails(&self) -> Vec<Described>;

    /// Begins to convert.
    ///
    /// # Errors
    /// [`RailFault`], as all that follow.
    fn configure(&mut self, conversion: Conversion) -> Result<Rhythm, RailFault>;

    /// Whether there is a reading that was not there before.
    ///
    /// # Errors
    /// [`RailFault`].
    fn is_ready(&mut self) -> Result<bool, RailFault>;

    /// Steps of voltage and current of rail `index`.
    ///
    /// # Errors
    /// [`RailFault`].
    fn read(&mut self, index: usize) -> Result<(i32, i32), RailFault>;
}

/// All rails of this board.
#[derive(Debug, Default)]
pub struct LinuxRails {
    samplers: Vec<Sampler>,
}

impl LinuxRails {
    /// The rails that a board file names, read on core `spare`, where there is one.
    ///
    /// # Errors
    /// A sentence that names the rail.
    pub fn of(board: &Board, spare: Option<usize>) -> Result<Self, String> {
        let root = Path::new("/");
        let mut sources: Vec<Box<dyn Source>> = Vec::new();
        let mut chips: Vec<(&str, u8)> = Vec::new();
        for rail in &board.rails {
            let named = |error: String| format!("rail `{}`: {error}", rail.name);
            match &rail.source {
                // Channels of one chip are read together.
                RailSource::Bus(bus) if bus.accumulator => {
                    sources.push(bus::accumulator(board, &rail.name, bus).map_err(named)?);
                }
                RailSource::Bus(bus) => {
                    if chips.contains(&(&*bus.bus, bus.address)) {
                        continue;
                    }
                    chips.push((&bus.bus, bus.address));
                    sources.push(bus::open(board, bus).map_err(named)?);
                }
                RailSource::Simulated(simulated) => {
                    sources.push(bus::simulated(&rail.name, simulated));
                }
                RailSource::Hwmon {
                    device,
                    channel,
                    measure,
                } => {
                    let hwmon = system::hwmon(root, &rail.name, device, *channel, *measure);
                    sources.push(hwmon.map_err(named)?);
                }
                RailSource::Powercap { zone } => {
                    sources.push(system::powercap(root, &rail.name, zone).map_err(named)?);
                }
                RailSource::Battery { supply } => {
                    sources.push(system::battery(root, &rail.name, supply).map_err(named)?);
                }
                RailSource::Pmic { program } => {
                    let pmic = pmic::Pmic::find(&rail.name, program).map_err(named)?;
                    sources.push(Box::new(pmic));
                }
            }
        }
        let mut rails = Self {
            samplers: sources
                .into_iter()
                .map(|source| Sampler::start(source, spare))
                .collect(),
        };
        rails.set(&scalebench_core::power::DEFAULT);
        Ok(rails)
    }

    /// The sampler of rail `index`, and the rail's place in it.
    fn place(&self, index: u8) -> Option<(&Sampler, usize)> {
        let mut at = usize::from(index);
        for sampler in &self.samplers {
            if at < sampler.rails().len() {
                return Some((sampler, at));
            }
            at -= sampler.rails().len();
        }
        None
    }
}

impl Rails for LinuxRails {
    fn rail(&self, index: u8) -> Option<(Rail, Accuracy)> {
        let (sampler, at) = self.place(index)?;
        let described = sampler.rails().get(at)?;
        let rhythm = sampler.rhythm();
        let rail = Rail {
            rail: index,
            name: clipped(&described.name),
            tier: sampler.tier(),
            volts_per_step: described.volts_per_step,
            amperes_per_step: described.amperes_per_step,
            tolerance: described.tolerance,
        };
        let accuracy = Accuracy {
            rail: index,
            volts_offset: described.volts_offset,
            amperes_offset: described.amperes_offset,
            amperes_noise: described.amperes_noise,
            coverage: rhythm.coverage,
            interval_ticks: rhythm.interval,
            age_ticks: rhythm.age,
            // Finer than a 128th of the interval is no gain to the integral, only to the line's load.
            unit_log2: (rhythm.interval / 128).max(1).ilog2() as u8,
        };
        Some((rail, accuracy))
    }

    fn set(&mut self, sampling: &Sampling) {
        let conversion = Conversion {
            micros: sampling.conversion_us,
            averages: sampling.averages,
        };
        for sampler in &mut self.samplers {
            sampler.set(conversion);
        }
    }

    fn start(&mut self) {
        self.samplers.iter().for_each(Sampler::run);
        self.samplers.iter().for_each(Sampler::wait_for_first);
    }

    fn stop(&mut self) {
        let now = sampler::now();
        self.samplers
            .iter()
            .for_each(|sampler| sampler.wait_beyond(now));
        self.samplers.iter().for_each(Sampler::pause);
    }

    fn waiting(&self, index: u8) -> usize {
        self.place(index)
            .map_or(0, |(sampler, at)| sampler.waiting(at))
    }

    fn peek(&self, index: u8, at: usize) -> Option<PowerReading> {
        let (sampler, rail) = self.place(index)?;
        sampler.peek(rail, at)
    }

    fn consume(&mut self, index: u8, count: usize) {
        if let Some((sampler, rail)) = self.place(index) {
            sampler.consume(rail, count);
        }
    }

    fn tally(&self, index: u8) -> Tally {
        self.place(index)
            .map_or_else(Tally::default, |(sampler, _)| sampler.tally())
    }
}
