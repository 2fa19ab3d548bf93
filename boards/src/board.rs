//! What a board file says. Every struct is one TOML table, every field one key.

use crate::simulated::{FaultKind, Model};
use serde::Deserialize;

/// A board.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// Version of this schema, 1.
    pub schema: u32,
    /// Name, the same as the file's: `a-z 0-9 -`.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// Real, emulated or virtual.
    pub kind: Kind,
    /// Target triple the runner is built for; the host's own if absent.
    #[serde(default)]
    pub target: Option<String>,
    /// CPU features the runner may use, in rustc's words.
    #[serde(default)]
    pub cpu_features: Vec<String>,
    /// Anything a reader should know.
    #[serde(default)]
    pub notes: String,
    /// Parts of which a fact stands in no document that was read; the notes say which.
    #[serde(default)]
    pub unconfirmed: Vec<Part>,
    /// The serial line.
    pub serial: Serial,
    /// How the runner gets there.
    #[serde(default)]
    pub deploy: Option<Deploy>,
    /// The CPU clock.
    #[serde(default)]
    pub clock: Clock,
    /// Temperature and throttling.
    #[serde(default)]
    pub thermal: Thermal,
    /// A pin that is high during windows, for an external meter.
    #[serde(default)]
    pub trigger: Option<Trigger>,
    /// How rails add up to what the board draws.
    #[serde(default)]
    pub total: Total,
    /// Power rails.
    #[serde(default, rename = "rail")]
    pub rails: Vec<Rail>,
    /// Where every fact here comes from.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

impl Board {
    /// A board of which nothing is known but that it has a serial port.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            schema: 1,
            name: "serial".to_owned(),
            title: "Board at a serial port".to_owned(),
            kind: Kind::Real,
            target: None,
            cpu_features: Vec::new(),
            notes: String::new(),
            unconfirmed: Vec::new(),
            serial: Serial {
                baud: 921_600,
                host: None,
                board: None,
            },
            deploy: None,
            clock: Clock::default(),
            thermal: Thermal::default(),
            trigger: None,
            total: Total::default(),
            rails: Vec::new(),
            sources: Vec::new(),
        }
    }
}

/// What a board's figures are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A board on a desk.
    Real,
    /// An emulator: its latencies are no board's latencies.
    Emulated,
    /// A process on the host: its latencies are the host's.
    Virtual,
}

impl Kind {
    /// The word in a board file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Real => "real",
            Self::Emulated => "emulated",
            Self::Virtual => "virtual",
        }
    }
}

/// The serial line, both ends.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    /// Bits per second.
    pub baud: u32,
    /// Device at the host; absent where it depends on the adapter.
    #[serde(default)]
    pub host: Option<String>,
    /// Device on the board.
    #[serde(default)]
    pub board: Option<String>,
}

/// How the runner gets onto the board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// Ways that work, the best first.
    pub methods: Vec<DeployMethod>,
    /// Files that its boot loader reads.
    #[serde(default)]
    pub boot: Vec<BootFile>,
    /// What the kernel command line says besides how to start the runner.
    #[serde(default)]
    pub command_line: String,
}

/// A file that tells the boot loader what to start, or a part to be added to one that is there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootFile {
    /// Its name, without a folder.
    pub name: String,
    /// Its lines; `{initramfs}` and `{command_line}` stand for those of the image.
    pub lines: Vec<String>,
}

/// A way to get the runner onto a board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeployMethod {
    /// Files for a card or flash, booted into the runner.
    Image,
    /// Copied to a running Linux.
    Ssh,
    /// Loaded by an emulator.
    Qemu,
}

/// Knobs of the CPU clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// Governor for measuring.
    #[serde(default)]
    pub governor: Option<String>,
    /// Highest clock in kHz.
    #[serde(default)]
    pub max_khz: Option<u32>,
    /// Core to measure on.
    #[serde(default)]
    pub core: Option<u32>,
}

/// Temperature and throttling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thermal {
    /// Names of thermal zones, as in `/sys/class/thermal/*/type`.
    #[serde(default)]
    pub zones: Vec<String>,
    /// File that tells about throttling.
    #[serde(default)]
    pub throttle: Option<String>,
}

/// A pin that is high during windows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// GPIO character device.
    pub chip: String,
    /// Line of it.
    pub line: u32,
    /// Where it is found on the board.
    #[serde(default)]
    pub pin: String,
}

/// How rails add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Total {
    /// No rail measures all of the board.
    #[default]
    None,
    /// The first rail is the board's input.
    Input,
    /// All rails together.
    Sum,
}

/// A power rail.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rail {
    /// Its name, as the schematic has it.
    pub name: String,
    /// What measures it.
    pub source: RailSource,
}

/// What measures a rail: a sensor on a bus, or what the kernel offers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum RailSource {
    /// A sensor that the runner reads itself.
    Bus(Bus),
    /// Names of a hwmon device and of its channels.
    Hwmon {
        /// Content of its `name` file.
        device: String,
        /// Number of its channel.
        channel: u32,
        /// Which of the channel's files are read.
        #[serde(default)]
        measure: Measure,
    },
    /// A zone of the powercap framework.
    Powercap {
        /// Content of its `name` file.
        zone: String,
    },
    /// A battery's gauge, while the battery is all that feeds the board.
    Battery {
        /// Its folder in `/sys/class/power_supply`.
        supply: String,
    },
    /// The power management chip of a Raspberry Pi 5, as its firmware tells it: the sum of all outputs with a current.
    /// What hangs on the 5 V input beside the chip is not in it.
    Pmic {
        /// The program that asks the firmware.
        #[serde(default = "vcgencmd")]
        program: String,
    },
    /// A sensor without hardware: its figures are marked `simulated` wherever they are shown.
    Simulated(Simulated),
}

fn vcgencmd() -> String {
    "vcgencmd".to_owned()
}

/// What of a hwmon channel is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// `in*_input` and `curr*_input`.
    #[default]
    VoltageCurrent,
    /// `power*_input`.
    Power,
    /// `energy*_input`, a counter.
    Energy,
}

/// A simulated sensor, over a load that follows the runner's own use of the processor:
/// `idle_watts + (busy_watts - idle_watts) × share`, where the share is processor time by wall time, at most 1.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// Which one.
    pub sensor: Model,
    /// Shunt in milliohms.
    pub shunt_milliohm: f64,
    /// Its relative tolerance.
    pub tolerance: f64,
    /// Volts of the rail.
    pub volts: f64,
    /// Watts without work.
    pub idle_watts: f64,
    /// Watts with one core at work.
    pub busy_watts: f64,
    /// Something to go wrong.
    #[serde(default)]
    pub fault: Option<FaultKind>,
    /// Milliseconds from the runner's start until it does.
    #[serde(default)]
    pub fault_after_ms: u64,
}

/// A sensor on an I²C bus.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bus {
    /// Type.
    pub sensor: Sensor,
    /// Bus device.
    pub bus: String,
    /// Seven-bit address.
    pub address: u8,
    /// Channel, with several.
    #[serde(default)]
    pub channel: u8,
    /// Shunt in milliohms.
    pub shunt_milliohm: f64,
    /// Its relative tolerance.
    pub tolerance: f64,
    /// Reads the sensor's own energy counter instead of voltage and current: INA228 only.
    #[serde(default)]
    pub accumulator: bool,
}

/// Power sensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensor {
    /// Texas Instruments INA219.
    Ina219,
    /// Texas Instruments INA226.
    Ina226,
    /// Texas Instruments INA228.
    Ina228,
    /// Texas Instruments INA238.
    Ina238,
    /// Texas Instruments INA260.
    Ina260,
    /// Texas Instruments INA3221.
    Ina3221,
}

/// Where facts come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Which parts of the board file it vouches for.
    pub what: Vec<Part>,
    /// Document, section.
    pub title: String,
    /// Where to find it.
    #[serde(default)]
    pub url: String,
}

/// A part of a board file that needs a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// [`Board::target`].
    Target,
    /// [`Board::cpu_features`].
    CpuFeatures,
    /// [`Board::serial`].
    Serial,
    /// [`Board::deploy`].
    Deploy,
    /// [`Board::clock`].
    Clock,
    /// [`Board::thermal`].
    Thermal,
    /// [`Board::trigger`].
    Trigger,
    /// [`Board::total`].
    Total,
    /// [`Board::rails`].
    Rail,
}

impl Part {
    /// The word in a board file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::CpuFeatures => "cpu_features",
            Self::Serial => "serial",
            Self::Deploy => "deploy",
            Self::Clock => "clock",
            Self::Thermal => "thermal",
            Self::Trigger => "trigger",
            Self::Total => "total",
            Self::Rail => "rail",
        }
    }
}

impl Board {
    /// The parts of this file that state something.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        [
            (self.target.is_some(), Part::Target),
            (!self.cpu_features.is_empty(), Part::CpuFeatures),
            (true, Part::Serial),
            (self.deploy.is_some(), Part::Deploy),
            (self.clock != Clock::default(), Part::Clock),
            (self.thermal != Thermal::default(), Part::Thermal),
            (self.trigger.is_some(), Part::Trigger),
            (self.total != Total::None, Part::Total),
            (!self.rails.is_empty(), Part::Rail),
        ]
        .into_iter()
        .filter_map(|(states, part)| states.then_some(part))
    }
}
