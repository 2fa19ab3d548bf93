//! Frequency, temperature and throttling from `/sys`, memory from `/proc`.

use nix::sched::{CpuSet, sched_getcpu};
use scalebench_core::board::Vitals;
use scalebench_wire::message::Condition;
use std::fs;
use std::path::Path;
use std::str::FromStr;

/// The machine this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linux;

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
            millicelsius: number("/sys/class/thermal/thermal_zone0/temp"),
            // Raspberry Pi's firmware: bits 0 to 3 are under-voltage, capped, throttled, soft limit, now.
            throttled: fs::read_to_string("/sys/devices/platform/soc/soc:firmware/get_throttled")
                .ok()
                .and_then(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok())
                .map(|bits| bits & 0xf != 0),
        }
    }

    fn watch_memory(&mut self) -> u64 {
        // proc_pid_clear_refs(5): "5" resets the peak resident set size to the current one.
        let reset = fs::write("/proc/self/clear_refs", "5");
        if reset.is_ok() { status("VmRSS:") } else { 0 }
    }

    fn peak_memory(&mut self) -> u64 {
        status("VmHWM:")
    }
}

fn number<T: FromStr>(path: impl AsRef<Path>) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A field of `/proc/self/status`, in bytes; zero where there is none.
fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
