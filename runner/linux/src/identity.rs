//! What this board is.

use nix::sys::sysinfo::sysinfo;
use nix::sys::utsname::uname;
use object::Object as _;
use scalebench_wire::message::{BoardInfo, Clock, clipped};
use std::fs;

/// Everything a board says of itself, but for the clock, which the session measures.
#[must_use]
pub fn board_info() -> BoardInfo {
    let (system, architecture) = uname().map_or_else(
        |_| (String::from("Linux"), String::new()),
        |name| {
            let word = |os: &std::ffi::OsStr| os.to_string_lossy().into_owned();
            (
                format!("{} {}", word(name.sysname()), word(name.release())),
                word(name.machine()),
            )
        },
    );
    let machine = machine().unwrap_or(architecture);
    BoardInfo {
        runner: clipped(env!("CARGO_PKG_VERSION")),
        target: clipped(&format!(
            "{}-{}",
            std::env::consts::ARCH,
            std::env::consts::OS
        )),
        emulated: is_emulated(&machine),
        machine: clipped(&machine),
        system: clipped(&system),
        engine: clipped(crate::engine::NAME),
        build_id: build_id().unwrap_or_default(),
        memory_bytes: sysinfo().map_or(0, |info| info.ram_total()),
        readings_capacity: 0,
        clock: Clock {
            ticks_per_second: 0,
            resolution_ticks: 0,
            read_ps: 0,
            harness_ps: 0,
        },
    }
}

/// The device tree's model, else the processor's name.
fn machine() -> Option<String> {
    let model = fs::read_to_string("/proc/device-tree/model").ok();
    let model = model.map(|text| text.trim_end_matches('\0').to_owned());
    model.filter(|text| !text.is_empty()).or_else(|| {
        let info = fs::read_to_string("/proc/cpuinfo").ok()?;
        let name = info.lines().find(|line| line.starts_with("model name"))?;
        Some(name.split_once(':')?.1.trim().to_owned())
    })
}

/// QEMU's machines name themselves; under user emulation the architecture is not that of the kernel's processor.
fn is_emulated(machine: &str) -> bool {
    let foreign = cfg!(any(target_arch = "aarch64", target_arch = "arm"))
        && fs::read_to_string("/proc/cpuinfo")
            .is_ok_and(|info| info.contains("GenuineIntel") || info.contains("AuthenticAMD"));
    foreign || machine.contains("linux,dummy-virt") || machine.to_lowercase().contains("qemu")
}

fn build_id() -> Option<heapless::Vec<u8, 20>> {
    let bytes = fs::read("/proc/self/exe").ok()?;
    let file = object::File::parse(&*bytes).ok()?;
    let id = file.build_id().ok()??;
    heapless::Vec::from_slice(id).ok()
}
