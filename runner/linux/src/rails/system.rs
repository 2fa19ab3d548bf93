//! What the kernel offers in sysfs: hwmon (Documentation/hwmon/sysfs-interface), powercap (Documentation/power/powercap)
//! and batteries (Documentation/power/power_supply_class). All of it lies below a root, which tests make up.

use super::counter::{Count, Counter, Facts};
use super::{Described, Rhythm, Source};
use scalebench_boards::Measure;
use scalebench_boards::sensor::Conversion;
use scalebench_wire::message::{RailFault, Tier};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Hwmon and powercap are read this often, in nanoseconds: their values change no faster.
const INTERVAL: u64 = 10_000_000;
/// And a battery's gauge, which averages.
const GAUGE_INTERVAL: u64 = 1_000_000_000;
/// Relative error assumed of a kernel driver's figure, whose shunt it does not tell.
const TOLERANCE: f32 = 0.02;

/// The folder below `class` whose `name` file says `name`.
fn named(root: &Path, class: &str, name: &str) -> Result<PathBuf, String> {
    let class = root.join(class);
    let entries = fs::read_dir(&class).map_err(|error| {
        format!(
            "{}: {error}: this kernel has none, take the rail out of the board file",
            class.display()
        )
    })?;
    let found = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| fs::read_to_string(path.join("name")).is_ok_and(|text| text.trim() == name));
    found.ok_or_else(|| {
        format!(
            "{} has nothing called `{name}`: load its driver",
            class.display()
        )
    })
}

fn number<T: FromStr>(path: &Path) -> Result<T, RailFault> {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .ok_or(RailFault::Unreadable)
}

/// A channel of a hwmon device.
///
/// # Errors
/// A sentence.
pub fn hwmon(
    root: &Path,
    name: &str,
    device: &str,
    channel: u32,
    measure: Measure,
) -> Result<Box<dyn Source>, String> {
    let folder = named(root, "sys/class/hwmon", device)?;
    let file = |kind: &str| folder.join(format!("{kind}{channel}_input"));
    let wrong = |path: PathBuf| format!("{} holds no number: check the channel", path.display());
    Ok(match measure {
        Measure::VoltageCurrent => Box::new(
            Files::pair(name, (file("in"), 1e-3), (file("curr"), 1e-3), INTERVAL).map_err(wrong)?,
        ),
        Measure::Power => Box::new(Files::power(name, file("power"), INTERVAL).map_err(wrong)?),
        // How wide the counter is, nobody says: one that goes back has begun anew.
        Measure::Energy => Box::new(counter(name, file("energy"), u64::MAX).map_err(wrong)?),
    })
}

/// A zone of powercap.
///
/// # Errors
/// A sentence.
pub fn powercap(root: &Path, name: &str, zone: &str) -> Result<Box<dyn Source>, String> {
    let folder = named(root, "sys/class/powercap", zone)?;
    let range = number(&folder.join("max_energy_range_uj"))
        .map_err(|_| "the zone does not tell where its counter wraps".to_owned())?;
    let counter = counter(name, folder.join("energy_uj"), range).map_err(|path| {
        format!(
            "{} cannot be read: it is root's since 2020, run the runner as root",
            path.display()
        )
    })?;
    Ok(Box::new(counter))
}

/// A battery's gauge.
///
/// # Errors
/// A sentence.
pub fn battery(root: &Path, name: &str, supply: &str) -> Result<Box<dyn Source>, String> {
    let folder = root.join("sys/class/power_supply").join(supply);
    let status = fs::read_to_string(folder.join("status")).map_err(|error| {
        format!(
            "{}: {error}: name a battery that is there",
            folder.join("status").display()
        )
    })?;
    if status.trim() != "Discharging" {
        return Err(format!(
            "the battery `{supply}` is not what feeds the board (its status is {}): unplug the charger",
            status.trim()
        ));
    }
    let file = |kind: &str| folder.join(format!("{kind}_now"));
    let pair = Files::pair(
        name,
        (file("voltage"), 1e-6),
        (file("current"), 1e-6),
        GAUGE_INTERVAL,
    );
    let found = pair.or_else(|_| Files::power(name, file("power"), GAUGE_INTERVAL));
    let found = found.map_err(|_| {
        format!(
            "{} tells neither voltage_now and current_now nor power_now: take the rail out of the board file",
            folder.display()
        )
    })?;
    Ok(Box::new(found))
}

/// Files that hold a voltage and a current, or a power alone.
#[derive(Debug)]
struct Files {
    name: String,
    /// The file and its unit in volts.
    volts: Option<(PathBuf, f32)>,
    /// The file and its unit in amperes, or in watts.
    amperes: (PathBuf, f32),
    interval: u64,
}

impl Files {
    /// The file that holds no number is the error.
    fn pair(
        name: &str,
        volts: (PathBuf, f32),
        amperes: (PathBuf, f32),
        interval: u64,
    ) -> Result<Self, PathBuf> {
        Self {
            name: name.to_owned(),
            volts: Some(volts),
            amperes,
            interval,
        }
        .tried()
    }

    fn power(name: &str, file: PathBuf, interval: u64) -> Result<Self, PathBuf> {
        Self {
            name: name.to_owned(),
            volts: None,
            amperes: (file, 1e-6),
            interval,
        }
        .tried()
    }

    fn tried(self) -> Result<Self, PathBuf> {
        let volts = self.volts.as_ref().map(|(path, _)| path);
        let unread = [volts, Some(&self.amperes.0)]
            .into_iter()
            .flatten()
            .find(|path| number::<i32>(path).is_err())
            .cloned();
        unread.map_or(Ok(self), Err)
    }
}

impl Source for Files {
    fn tier(&self) -> Tier {
        Tier::BoardRail
    }

    fn rails(&self) -> Vec<Described> {
        vec![Described {
            volts_per_step: self.volts.as_ref().map_or(1.0, |(_, unit)| *unit),
            amperes_per_step: self.amperes.1,
            ..Described::power(&self.name, TOLERANCE)
        }]
    }

    fn configure(&mut self, _: Conversion) -> Result<Rhythm, RailFault> {
        Ok(Rhythm {
            interval: self.interval,
            age: 0,
            coverage: 0.0,
        })
    }

    fn is_ready(&mut self) -> Result<bool, RailFault> {
        Ok(true)
    }

    fn read(&mut self, _: usize) -> Result<(i32, i32), RailFault> {
        let volts = self.volts.as_ref();
        let volts = volts.map_or(Ok(1), |(path, _)| number(path))?;
        // Which sign a discharging battery's current has depends on the driver.
        let amperes: i32 = number(&self.amperes.0)?;
        Ok((volts, amperes.saturating_abs()))
    }
}

/// A file that counts microjoules.
struct File(PathBuf);

/// The file that holds no number is the error.
fn counter(name: &str, file: PathBuf, range: u64) -> Result<Counter<File>, PathBuf> {
    if number::<u64>(&file).is_err() {
        return Err(file);
    }
    let facts = Facts {
        name: name.to_owned(),
        // A model of the processor's stands behind most of these counters.
        tier: Tier::Estimated,
        microjoules: 1.0,
        range,
        tolerance: TOLERANCE,
    };
    Ok(Counter::new(facts, File(file)))
}

impl Count for File {
    fn begin(&mut self, _: Conversion) -> Result<u64, RailFault> {
        Ok(INTERVAL)
    }

    fn count(&mut self) -> Result<u64, RailFault> {
        number(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up sysfs.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            let tree = Self(tempfile::tempdir().unwrap());
            files.iter().for_each(|(path, text)| tree.write(path, text));
            tree
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.path().join("sys/class").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }

        fn root(&self) -> &Path {
            self.0.path()
        }
    }

    fn refused(source: Result<Box<dyn Source>, String>) -> String {
        source.err().expect("it is refused")
    }

    #[test]
    fn a_hwmon_channel_is_read_as_what_the_board_file_says() {
        let tree = Tree::new(&[
            ("hwmon/hwmon0/name", "other"),
            ("hwmon/hwmon1/name", "ina3221"),
            ("hwmon/hwmon1/in1_input", "5012"),
            ("hwmon/hwmon1/curr1_input", "730"),
            ("hwmon/hwmon1/power2_input", "3650000"),
            ("hwmon/hwmon1/energy3_input", "1000"),
        ]);
        let find = |channel, measure| hwmon(tree.root(), "VDD_IN", "ina3221", channel, measure);
        let mut pair = find(1, Measure::VoltageCurrent).unwrap();
        assert_eq!(pair.read(0), Ok((5_012, 730)));
        let rail = &pair.rails()[0];
        assert_eq!((rail.volts_per_step, rail.amperes_per_step), (1e-3, 1e-3));
        let mut power = find(2, Measure::Power).unwrap();
        assert_eq!(power.read(0), Ok((1, 3_650_000)));
        let rail = &power.rails()[0];
        assert_eq!((rail.volts_per_step, rail.amperes_per_step), (1.0, 1e-6));
        let mut energy = find(3, Measure::Energy).unwrap();
        assert_eq!(energy.is_ready(), Ok(false));
        tree.write("hwmon/hwmon1/energy3_input", "1001");
        assert_eq!(energy.is_ready(), Ok(true));
        assert!(
            energy
                .read(0)
                .is_ok_and(|(volts, watts)| volts == 1 && watts > 0)
        );
        let error = refused(find(2, Measure::VoltageCurrent));
        assert!(
            error.ends_with("in2_input holds no number: check the channel"),
            "{error}"
        );
        let error = refused(hwmon(tree.root(), "x", "ina219", 1, Measure::Power));
        assert!(error.ends_with("nothing called `ina219`: load its driver"));
        tree.write("hwmon/hwmon1/in1_input", "");
        assert_eq!(pair.read(0), Err(RailFault::Unreadable));
    }

    #[test]
    fn a_powercap_zone_needs_its_range_and_the_right_to_read() {
        let zone = "powercap/intel-rapl:0";
        let tree = Tree::new(&[(&format!("{zone}/name"), "package-0")]);
        let find = || powercap(tree.root(), "package", "package-0");
        assert!(refused(find()).contains("where its counter wraps"));
        tree.write(&format!("{zone}/max_energy_range_uj"), "262143328850");
        assert!(refused(find()).contains("run the runner as root"));
        tree.write(&format!("{zone}/energy_uj"), "5");
        assert_eq!(find().unwrap().tier(), Tier::Estimated);
        assert!(refused(powercap(Path::new("/nowhere"), "x", "y")).contains("take the rail out"));
    }

    #[test]
    fn a_battery_counts_only_while_it_feeds_the_board() {
        let tree = Tree::new(&[
            ("power_supply/BAT0/status", "Charging"),
            ("power_supply/BAT0/power_now", "8400000"),
        ]);
        let find = || battery(tree.root(), "battery", "BAT0");
        let error = refused(find());
        assert!(error.contains("its status is Charging): unplug"), "{error}");
        tree.write("power_supply/BAT0/status", "Discharging");
        assert_eq!(find().unwrap().read(0), Ok((1, 8_400_000)));
        tree.write("power_supply/BAT0/voltage_now", "12000000");
        tree.write("power_supply/BAT0/current_now", "-700000");
        assert_eq!(find().unwrap().read(0), Ok((12_000_000, 700_000)));
        let error = refused(battery(tree.root(), "battery", "BAT1"));
        assert!(error.contains("name a battery that is there"), "{error}");
        let empty = Tree::new(&[("power_supply/BAT0/status", "Discharging")]);
        let error = refused(battery(empty.root(), "battery", "BAT0"));
        assert!(error.contains("nor power_now"), "{error}");
    }
}
