//! Frequency, temperature and throttling from `/sys`, memory from the heap that is counted.

use crate::governor::Governor;
use crate::heap::Heap;
use nix::sched::{CpuSet, sched_getcpu};
use scalebench_boards::Thermal;
use scalebench_core::board::Vitals;
use scalebench_wire::message::{Condition, Name, Text, clipped};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where thermal zones are.
const ZONES: &str = "/sys/class/thermal";
/// Raspberry Pi's firmware, on every board where it is.
const THROTTLE: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";

/// The machine this process runs on.
#[derive(Debug)]
pub struct Linux {
    governor: Governor,
    zones: Vec<PathBuf>,
    throttle: PathBuf,
}

impl Linux {
    /// The zones and the throttle file that the board file names; without names, the first zone.
    #[must_use]
    pub fn new(thermal: &Thermal, governor: Governor) -> Self {
        let throttle = thermal.throttle.as_deref().unwrap_or(THROTTLE);
        Self {
            governor,
            zones: zones(Path::new(ZONES), &thermal.zones),
            throttle: throttle.into(),
        }
    }
}

/// The files to read temperatures from.
fn zones(root: &Path, types: &[String]) -> Vec<PathBuf> {
    if types.is_empty() {
        return vec![root.join("thermal_zone0/temp")];
    }
    let named = |zone: &PathBuf| {
        fs::read_to_string(zone.join("type"))
            .is_ok_and(|kind| types.iter().any(|name| name == kind.trim()))
    };
    let all = fs::read_dir(root).into_iter().flatten().flatten();
    let mut zones: Vec<PathBuf> = all.map(|zone| zone.path()).filter(named).collect();
    zones.sort();
    zones.into_iter().map(|zone| zone.join("temp")).collect()
}

impl Vitals for Linux {
    fn condition(&mut self) -> Condition {
        let frequency = sched_getcpu()
            .ok()
            .filter(|&cpu| cpu < CpuSet::count())
            .and_then(|cpu| {
                number(format!(
                    "/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"
                ))
            });
        Condition {
            clock_khz: frequency,
            // The hottest of those that matter.
            millicelsius: self.zones.iter().filter_map(number).max(),
            // Raspberry Pi's firmware: bits 0 to 3 are under-voltage, capped, throttled, soft limit, now.
            throttled: fs::read_to_string(&self.throttle)
                .ok()
                .and_then(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok())
                .map(|bits| bits & 0xf != 0),
        }
    }

    fn watch_memory(&mut self) -> u64 {
        Heap.watch();
        Heap.held() as u64
    }

    fn peak_memory(&mut self) -> u64 {
        Heap.most() as u64
    }

    fn set_governor(&mut self, name: &str) -> (Option<Name>, Option<Text>) {
        match self.governor.set(name) {
            Ok(before) => (Some(clipped(&before)), None),
            Err(error) => (None, Some(clipped(&error.to_string()))),
        }
    }

    fn restore_governor(&mut self) {
        self.governor.unset();
    }
}

fn number<T: FromStr>(path: impl AsRef<Path>) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_found_by_their_type() {
        let root = tempfile::tempdir().unwrap();
        for (zone, kind) in [("thermal_zone0", "gpu"), ("thermal_zone1", "cpu-thermal")] {
            fs::create_dir(root.path().join(zone)).unwrap();
            fs::write(root.path().join(zone).join("type"), format!("{kind}\n")).unwrap();
        }
        let found = |types: &[String]| zones(root.path(), types);
        assert_eq!(
            found(&["cpu-thermal".to_owned()]),
            [root.path().join("thermal_zone1/temp")]
        );
        assert_eq!(found(&["absent".to_owned()]), [] as [PathBuf; 0]);
        assert_eq!(found(&[]), [root.path().join("thermal_zone0/temp")]);
    }
}
