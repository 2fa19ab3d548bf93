//! What the kernel offers: hwmon (Documentation/hwmon/sysfs-interface) and powercap
//! (Documentation/power/powercap).

use super::{Described, Rhythm, Source};
use scalebench_boards::sensor::Conversion;
use scalebench_wire::message::{RailFault, Tier};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Both are read this often, in nanoseconds: their values change no faster.
const INTERVAL: u64 = 10_000_000;
/// Relative error assumed of a kernel driver's figure, whose shunt it does not tell.
const TOLERANCE: f32 = 0.02;

/// The folder below `class` whose `name` file says `name`.
fn named(class: &str, name: &str) -> Result<PathBuf, String> {
    let entries = fs::read_dir(class).map_err(|error| {
        format!("{class}: {error}: this kernel has none, take the rail out of the board file")
    })?;
    let found = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| fs::read_to_string(path.join("name")).is_ok_and(|text| text.trim() == name));
    found.ok_or_else(|| format!("{class} has nothing called `{name}`: load its driver"))
}

fn number<T: FromStr>(path: &Path) -> Result<T, RailFault> {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(RailFault::Unreadable)
}

/// A channel of a hwmon device: millivolts and milliamperes.
#[derive(Debug)]
pub struct Hwmon {
    name: String,
    volts: PathBuf,
    amperes: PathBuf,
}

impl Hwmon {
    /// Finds `in<channel>_input` and `curr<channel>_input` of the device.
    ///
    /// # Errors
    /// A sentence.
    pub fn find(name: &str, device: &str, channel: u32) -> Result<Self, String> {
        let folder = named("/sys/class/hwmon", device)?;
        Self::in_folder(name, &folder, channel)
    }

    fn in_folder(name: &str, folder: &Path, channel: u32) -> Result<Self, String> {
        let hwmon = Self {
            name: name.to_owned(),
            volts: folder.join(format!("in{channel}_input")),
            amperes: folder.join(format!("curr{channel}_input")),
        };
        for path in [&hwmon.volts, &hwmon.amperes] {
            number::<i32>(path)
                .map_err(|_| format!("{} holds no number: check the channel", path.display()))?;
        }
        Ok(hwmon)
    }
}

impl Source for Hwmon {
    fn tier(&self) -> Tier {
        Tier::BoardRail
    }

    fn rails(&self) -> Vec<Described> {
        vec![Described {
            name: self.name.clone(),
            volts_per_step: 1e-3,
            amperes_per_step: 1e-3,
            tolerance: TOLERANCE,
            volts_offset: 0.0,
            amperes_offset: 0.0,
            amperes_noise: f32::MAX,
        }]
    }

    fn configure(&mut self, _: Conversion) -> Result<Rhythm, RailFault> {
        Ok(Rhythm {
            interval: INTERVAL,
            age: 0,
            coverage: 0.0,
        })
    }

    fn is_ready(&mut self) -> Result<bool, RailFault> {
        Ok(true)
    }

    fn read(&mut self, _: usize) -> Result<(i32, i32), RailFault> {
        Ok((number(&self.volts)?, number(&self.amperes)?))
    }
}

/// An energy counter of powercap, as mean power between two looks at it. Its reading is one volt and as many
/// microamperes as there are microwatts.
#[derive(Debug)]
pub struct Powercap {
    name: String,
    counter: PathBuf,
    /// Where the counter wraps, in microjoules.
    range: u64,
    /// Nanoseconds and microjoules at the last look.
    last: Option<(u64, u64)>,
}

impl Powercap {
    /// Finds the zone.
    ///
    /// # Errors
    /// A sentence.
    pub fn find(name: &str, zone: &str) -> Result<Self, String> {
        let folder = named("/sys/class/powercap", zone)?;
        let counter = folder.join("energy_uj");
        number::<u64>(&counter).map_err(|_| {
            format!(
                "{} cannot be read: it is root's since 2020, run the runner as root",
                counter.display()
            )
        })?;
        let range = number(&folder.join("max_energy_range_uj"))
            .map_err(|_| "the zone does not tell where its counter wraps".to_owned())?;
        Ok(Self {
            name: name.to_owned(),
            counter,
            range,
            last: None,
        })
    }
}

/// What was counted from `before` to `after` by a counter that goes back to zero after `range`.
fn unwrapped(before: u64, after: u64, range: u64) -> u64 {
    if after >= before {
        after - before
    } else {
        (range - before.min(range)) + after + 1
    }
}

impl Source for Powercap {
    fn tier(&self) -> Tier {
        Tier::Estimated
    }

    fn rails(&self) -> Vec<Described> {
        vec![Described {
            name: self.name.clone(),
            volts_per_step: 1.0,
            amperes_per_step: 1e-6,
            tolerance: TOLERANCE,
            volts_offset: 0.0,
            amperes_offset: 0.0,
            amperes_noise: f32::MAX,
        }]
    }

    fn configure(&mut self, _: Conversion) -> Result<Rhythm, RailFault> {
        Ok(Rhythm {
            interval: INTERVAL,
            age: INTERVAL / 2,
            coverage: 1.0,
        })
    }

    fn is_ready(&mut self) -> Result<bool, RailFault> {
        let first = self.last.is_none();
        if first {
            self.last = Some((super::sampler::now(), number(&self.counter)?));
        }
        Ok(!first)
    }

    fn read(&mut self, _: usize) -> Result<(i32, i32), RailFault> {
        let (now, after) = (super::sampler::now(), number(&self.counter)?);
        let (then, before) = self.last.replace((now, after)).unwrap_or((now, after));
        let passed = (now - then).max(1);
        let microwatts =
            u128::from(unwrapped(before, after, self.range)) * 1_000_000_000 / u128::from(passed);
        Ok((
            1,
            i32::try_from(microwatts).map_err(|_| RailFault::Saturated)?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_wraps_is_unwrapped() {
        assert_eq!(unwrapped(10, 15, 99), 5);
        assert_eq!(unwrapped(98, 3, 99), 5);
        assert_eq!(unwrapped(200, 3, 99), 4);
    }

    #[test]
    fn a_channel_is_read_in_milli_units_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("in1_input"), "5012\n").unwrap();
        fs::write(folder.path().join("curr1_input"), "730\n").unwrap();
        let mut hwmon = Hwmon::in_folder("VDD_IN", folder.path(), 1).unwrap();
        assert_eq!(hwmon.read(0), Ok((5_012, 730)));
        let error = Hwmon::in_folder("VDD_IN", folder.path(), 2).unwrap_err();
        assert!(
            error.ends_with("in2_input holds no number: check the channel"),
            "{error}"
        );
        fs::remove_file(folder.path().join("in1_input")).unwrap();
        assert_eq!(hwmon.read(0), Err(RailFault::Unreadable));
    }
}
