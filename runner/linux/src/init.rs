//! The runner as the first process of a board that `scalebench image` made.
//!
//! Process 1 mounts what the runner needs, loads the drivers that came with the image, starts the runner as
//! its child, collects every process that ends, feeds the watchdog, and starts the runner again when it ends,
//! whatever the reason. A kernel that hangs no longer feeds the watchdog, and the board is reset. There is
//! no shell and no network.

use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use scalebench_core::session::Farewell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

/// Where an image keeps its board file.
pub const BOARD_FILE: &str = "/board.toml";
/// Where it keeps more arguments of the runner, one a line; absent for none.
pub const ARGUMENTS_FILE: &str = "/runner.args";
/// Where it keeps kernel modules; their names' order is that in which they are loaded. Absent for none.
pub const MODULES: &str = "/modules";
/// Exit code by which the runner asks process 1 to switch the board off.
pub const POWER_OFF: u8 = 64;
/// Exit code by which the runner asks process 1 to start the board anew.
pub const REBOOT: u8 = 65;
/// Between two starts of a runner that ended.
const PAUSE: Duration = Duration::from_millis(500);
/// Watchdogs commonly wait for tens of seconds.
const FEED_EVERY: Duration = Duration::from_secs(5);
/// Kind of file system, and where it belongs.
const MOUNTS: [(&str, &str); 3] = [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")];

/// Whether this is the first process of the system.
#[must_use]
pub fn is_first() -> bool {
    std::process::id() == 1
}

/// How the runner's process ends after the host said farewell.
#[must_use]
pub fn exit_code(farewell: Farewell) -> ExitCode {
    match farewell {
        Farewell::PowerOff => POWER_OFF.into(),
        Farewell::Reboot => REBOOT.into(),
    }
}

/// What process 1 does, for as long as the board is up.
pub fn run() -> ! {
    for (kind, place) in MOUNTS {
        let mounted = fs::create_dir_all(place).and_then(|()| {
            mount(
                Some(kind),
                place,
                Some(kind),
                MsFlags::empty(),
                None::<&str>,
            )
            .map_err(Into::into)
        });
        if let Err(error) = mounted {
            say(&format!("{place} cannot be mounted: {error}"));
        }
    }
    for module in modules(Path::new(MODULES)) {
        if let Err(error) = load(&module) {
            say(&format!(
                "{} cannot be loaded: {error}: is it this kernel's, and what it needs before it?",
                module.display()
            ));
        }
    }
    if let Ok(watchdog) = OpenOptions::new().write(true).open("/dev/watchdog") {
        thread::spawn(move || feed(watchdog));
    }
    loop {
        match runner().and_then(|child| ended(child).map_err(Into::into)) {
            Ok(WaitStatus::Exited(_, code)) if code == i32::from(POWER_OFF) => {
                down(RebootMode::RB_POWER_OFF);
            }
            Ok(WaitStatus::Exited(_, code)) if code == i32::from(REBOOT) => {
                down(RebootMode::RB_AUTOBOOT);
            }
            Ok(status) => say(&format!(
                "the runner ended ({status:?}) and is started again"
            )),
            Err(error) => say(&format!("the runner cannot be started: {error}")),
        }
        thread::sleep(PAUSE);
    }
}

/// The kernel modules of an image, in order.
fn modules(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut modules: Vec<_> = entries.map(|entry| entry.path()).collect();
    modules.sort();
    modules
}

fn load(module: &Path) -> io::Result<()> {
    Ok(finit_module(
        File::open(module)?,
        c"",
        ModuleInitFlags::empty(),
    )?)
}

/// Starts the runner; its complaints go to the kernel's log.
fn runner() -> io::Result<Pid> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--board").arg(BOARD_FILE);
    command.args(
        fs::read_to_string(ARGUMENTS_FILE)
            .unwrap_or_default()
            .lines(),
    );
    if let Ok(log) = OpenOptions::new().write(true).open("/dev/kmsg") {
        command.stderr(log);
    }
    let child = command.spawn()?;
    i32::try_from(child.id())
        .map(Pid::from_raw)
        .map_err(io::Error::other)
}

/// Collects processes until `child` is among them.
fn ended(child: Pid) -> nix::Result<WaitStatus> {
    loop {
        match waitpid(None, None) {
            Ok(status) if status.pid() == Some(child) => return Ok(status),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn feed(mut watchdog: File) {
    // A watchdog that takes no food resets the board, which is what it is for.
    while watchdog.write_all(b".").is_ok() {
        thread::sleep(FEED_EVERY);
    }
}

fn down(mode: RebootMode) {
    nix::unistd::sync();
    let Err(error) = reboot(mode);
    say(&format!("the board cannot be taken down: {error}"));
}

/// A line in the kernel's log.
fn say(text: &str) {
    let log = OpenOptions::new().write(true).open("/dev/kmsg");
    let _ = log.and_then(|mut log| log.write_all(format!("scalebench: {text}\n").as_bytes()));
}
