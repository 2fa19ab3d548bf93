//! Boards under `qemu-system`: a stock kernel, an image of ours, and a UART that is a pseudo-terminal here.

use scalebench_boards::Board;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A machine that is on.
#[derive(Debug)]
pub struct Machine {
    child: Child,
    port: PathBuf,
    monitor: PathBuf,
    started: Instant,
}

impl Machine {
    /// Starts `board` with its stock kernel. `archive` is its first file system, `command_line` the kernel's.
    ///
    /// # Panics
    /// When QEMU does not start, or the kernel is not there.
    #[must_use]
    pub fn start(board: &Board, archive: Option<&Path>, command_line: &str, folder: &Path) -> Self {
        Self::start_with(board, archive, command_line, folder, &[])
    }

    /// The same, with `more` arguments for QEMU.
    ///
    /// # Panics
    /// As [`Machine::start`].
    #[must_use]
    pub fn start_with(
        board: &Board,
        archive: Option<&Path>,
        command_line: &str,
        folder: &Path,
        more: &[&str],
    ) -> Self {
        let (program, cpu) = match board.name.as_str() {
            "qemu-virt-aarch64" => ("qemu-system-aarch64", "cortex-a53"),
            "qemu-virt-armv7" => ("qemu-system-arm", "cortex-a15"),
            other => panic!("{other} is no emulated board"),
        };
        let monitor = folder.join("monitor");
        let started = Instant::now();
        let mut command = Command::new(program);
        command
            .args([
                "-M",
                "virt",
                "-cpu",
                cpu,
                "-m",
                "512",
                "-nodefaults",
                "-display",
                "none",
            ])
            .args(["-chardev", "pty,id=data", "-serial", "chardev:data"])
            .arg("-monitor")
            .arg(format!("unix:{},server=on,wait=off", monitor.display()))
            .arg("-kernel")
            .arg(kernel(board))
            .args(["-append", command_line])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(archive) = archive {
            command.arg("-initrd").arg(archive);
        }
        let mut child = command
            .spawn()
            .expect("QEMU starts: install qemu-system-arm");
        let said = child.stdout.take().expect("its output is piped");
        // "char device redirected to /dev/pts/3 (label data)"
        let port = BufReader::new(said)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let path = line
                    .split_whitespace()
                    .find(|word| word.starts_with("/dev/pts/"))?;
                Some(PathBuf::from(path))
            })
            .expect("QEMU names the terminal of its UART");
        Self {
            child,
            port,
            monitor,
            started,
        }
    }

    /// Where the host finds the board.
    #[must_use]
    pub fn port(&self) -> &Path {
        &self.port
    }

    /// Time since the machine was switched on.
    #[must_use]
    pub fn up(&self) -> Duration {
        self.started.elapsed()
    }

    /// What a watchdog does to a board that hangs.
    ///
    /// # Panics
    /// When QEMU's monitor does not listen.
    pub fn reset(&self) {
        let mut monitor = UnixStream::connect(&self.monitor).expect("QEMU's monitor listens");
        monitor
            .write_all(b"system_reset\n")
            .expect("QEMU takes the command");
        // It reads commands only as long as somebody is there to hear the answer.
        std::thread::sleep(Duration::from_millis(500));
    }

    /// How QEMU ended, if it does within `patience`: it does when the board switches itself off.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn off(mut self, patience: Duration) -> ExitStatus {
        let mut status = None;
        crate::lab::until(patience, "the board to switch itself off", || {
            status = self.child.try_wait().expect("QEMU can be waited for");
            status.is_some()
        });
        status.expect("it was waited for")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Drivers of an I²C adapter behind USB, those that others need first.
const MODULES: [&str; 6] = [
    "usb-common",
    "usbcore",
    "xhci-hcd",
    "xhci-pci",
    "i2c-dev",
    "i2c-tiny-usb",
];

/// The drivers of an I²C adapter behind USB that the stock kernel of an emulated board does not have built in, in order.
///
/// # Panics
/// When they are not there.
#[must_use]
pub fn modules(board: &Board) -> Vec<PathBuf> {
    let folder = kernels().join(format!("{}.modules", board.name));
    let files = MODULES.map(|name| folder.join(format!("{name}.ko")));
    let found: Vec<_> = files.into_iter().filter(|file| file.exists()).collect();
    assert!(
        found.len() > 1,
        "{} is empty: run .ci/stock-kernels",
        folder.display()
    );
    found
}

/// The stock kernel of an emulated board.
fn kernel(board: &Board) -> PathBuf {
    kernels().join(format!("{}.vmlinuz", board.name))
}

fn kernels() -> PathBuf {
    std::env::var_os("SCALEBENCH_KERNELS")
        .expect("$SCALEBENCH_KERNELS names the folder that .ci/stock-kernels has filled")
        .into()
}
