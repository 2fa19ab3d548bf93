//! Power rails of emulated boards, read by the runner through the kernel's own I²C: the driver of the sensor, i2c-dev,
//! the kernel's USB stack, and a sensor at the other end whose every register is that of the simulated rail.

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use scalebench_boards::Board;
use scalebench_boards::simulated::{self, Load, Model, Specimen};
use scalebench_tests::emulator::{self, Machine};
use scalebench_tests::lab::{Said, said, scalebench};
use scalebench_tests::usb_adapter::Adapter;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const VOLTS: f64 = 5.0;
const AMPERES: f64 = 0.4;

/// What the board draws: always the same.
#[derive(Debug)]
struct Steady;

impl Load for Steady {
    fn mean(&mut self, _: u8, _: u64, _: u64) -> (f64, f64) {
        (VOLTS, AMPERES)
    }
}

/// A shunt of 10 mΩ that is off by 0.3 %, where the board file promises 0.5 %, and offsets as a good sensor has.
const SPECIMEN: Specimen = Specimen {
    shunt_ohms: 0.01003,
    shunt_offset: 3e-6,
    volts_offset: 2e-3,
    shunt_noise: 5e-6,
    volts_noise: 0.0,
};

/// A bus whose sensor can be made deaf.
struct Deafened<B> {
    bus: B,
    deaf: Arc<AtomicBool>,
}

impl<B> ErrorType for Deafened<B> {
    type Error = ErrorKind;
}

impl<B: I2c<Error = ErrorKind>> I2c for Deafened<B> {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        if self.deaf.load(Ordering::Relaxed) {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        self.bus.transaction(address, operations)
    }
}

/// A board that is on, with an adapter in its USB port and a sensor behind that.
struct Bench {
    board: PathBuf,
    machine: Machine,
    adapter: Adapter,
    deaf: Arc<AtomicBool>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shipped = scalebench_boards::text(name).unwrap();
        let (facts, sources) = shipped
            .split_once("[serial]")
            .expect("a board file has a line");
        let file = folder.path().join(format!("{name}.toml"));
        let text = format!(
            r#"{facts}
total = "input"

[serial]{sources}
[[rail]]
name = "5V"
source.bus = {{ sensor = "ina226", bus = "/dev/i2c-0", address = 0x40, shunt_milliohm = 10.0, tolerance = 0.005 }}

[[source]]
what = ["total", "rail"]
title = "A test"
url = "https://example.org/"
"#
        );
        fs::write(&file, text).unwrap();
        let board = scalebench_boards::load(name).unwrap();
        let image = image(&board, &file, folder.path());
        let socket = folder.path().join("usb");
        let begun = Instant::now();
        let now = move || begun.elapsed().as_nanos() as u64;
        let deaf = Arc::new(AtomicBool::new(false));
        let bus = Deafened {
            bus: simulated::Bus::new(Model::Ina226, SPECIMEN, Steady, now, 1),
            deaf: Arc::clone(&deaf),
        };
        let adapter = Adapter::plug_in(&socket, bus);
        let mut more = Adapter::arguments(&socket).to_vec();
        // The bus of USB's controller lies above 4 GB otherwise, where a 32-bit kernel does not look.
        more.extend(["-machine", "highmem=off"].map(str::to_owned));
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let machine = Machine::start_with(
            &board,
            Some(&image),
            &scalebench::image::command_line(&board),
            folder.path(),
            &more,
        );
        Self {
            board: file,
            machine,
            adapter,
            deaf,
            folder,
        }
    }

    /// A run of one variant: what was said, and the trial.
    fn run(&self, name: &str, more: &[&str]) -> (Said, PathBuf, Value) {
        let output = self.folder.path().join(name);
        let mut command = self.command("run");
        command
            .args(["--quiet", "--variant", "diamonds-mlp/d1-w2"])
            .args(["--precision", "float32", "--seed", "7", "--windows", "3"])
            // Three transactions a reading, each of two milliseconds and more.
            .args(["--window-ms", "700", "--conversion-us", "8244"])
            .arg("--output")
            .arg(&output)
            .args(more);
        let said = said(&mut command);
        let text = fs::read(output.join("run.json")).unwrap_or_else(|_| panic!("{said:?}"));
        let run: Value = serde_json::from_slice(&text).unwrap();
        (said, output, run["results"].clone())
    }

    fn command(&self, name: &str) -> std::process::Command {
        let mut command = scalebench(&[name]);
        command
            .arg("--board")
            .arg(&self.board)
            .arg("--port")
            .arg(self.machine.port());
        command
    }
}

/// An image with one family and the drivers.
fn image(board: &Board, file: &Path, folder: &Path) -> PathBuf {
    let folder = folder.join("image");
    let mut command = scalebench(&["image", "--family", "diamonds-mlp"]);
    command.arg("--board").arg(file).arg("-o").arg(&folder);
    for module in emulator::modules(board) {
        command.arg("--module").arg(module);
    }
    let made = said(&mut command);
    assert_eq!(made.code, Some(0), "{made:?}");
    folder.join("scalebench.cpio")
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

/// A run whose energy is the model's, within what is stated, and marked on every surface.
fn read_through_the_kernel(bench: &Bench, more: &[&str]) {
    let (said, folder, results) = bench.run("sound", more);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(results["board"]["emulated"], true);
    assert_eq!(results["rails"][0]["tier"], "simulated", "{results}");
    let trial = &results["trials"][0];
    assert_eq!(trial["energy"]["tier"], "simulated", "{trial}");
    let windows = trial["windows"].as_array().expect("windows");
    let (sound, void): (Vec<&Value>, Vec<&Value>) =
        windows.iter().partition(|window| window["void"].is_null());
    // Whoever else has the host's processor leaves a gap of tenths of a second in the emulator's time now and then. That
    // such a window is void is right; nothing else may be the reason.
    assert!(sound.len() >= 2, "{trial}");
    for window in void {
        println!("{}", window["void"]);
        let reason = window["void"].as_str().unwrap_or_default();
        assert!(reason.contains("readings with a gap of"), "{window}");
    }
    let mut readings = 0;
    for window in sound {
        let rail = &window["rails"][0];
        let seconds = (number(&window["end"]) - number(&window["begin"])) / 1e9;
        let (energy, stated) = (
            number(&rail["gross_j"]["value"]),
            number(&rail["gross_j"]["uncertainty"]),
        );
        let error = energy - VOLTS * AMPERES * seconds;
        let ratio = stated / (VOLTS * AMPERES * seconds);
        println!(
            "{seconds:.3} s: {energy:.5} J ± {stated:.5} J, off by {error:.5} J, {} readings",
            rail["readings"]
        );
        assert!(error.abs() <= stated, "{window}");
        // Half a percent of the shunt and 0.2 % of the sensor, evenly spread: 0.8 %.
        assert!((0.005..0.02).contains(&ratio), "{window}");
        readings += rail["readings"].as_u64().expect("a count");
    }
    assert!(readings > 2 * 20, "{readings}");
    let report = fs::read_to_string(folder.join("report.html")).unwrap();
    for surface in [&said.out, &report] {
        let surface = surface.to_lowercase();
        assert!(surface.contains("simulated") && surface.contains("emulated"));
    }
    let mut command = scalebench(&["export", "--runs"]);
    let exported = scalebench_tests::lab::said(command.arg(bench.folder.path())).out;
    assert!(
        exported.contains(",emulated,") && exported.contains(",simulated,"),
        "{exported}"
    );
}

/// A run in which no reading comes, and what it says of that.
fn withheld(bench: &Bench, name: &str, words: &str) {
    let (said, _, results) = bench.run(name, &[]);
    let trial = &results["trials"][0];
    // Latency is measured all the same.
    assert_eq!(trial["status"]["state"], "done", "{said:?}");
    assert_eq!(trial["energy"], Value::Null, "{trial}");
    let reason = trial["energy_withheld"].as_str().unwrap_or_default();
    println!("{name}: {reason}");
    assert!(
        reason.contains("rail `5V`") && reason.contains(words),
        "{trial}"
    );
    for window in trial["windows"].as_array().expect("windows") {
        assert!(
            window["void"].as_str().unwrap_or_default().contains(words),
            "{window}"
        );
    }
}

#[test]
#[ignore = "needs QEMU, stock kernels and a cross compiler: CI runs it"]
fn a_sensor_is_read_through_the_kernel_of_aarch64_and_its_faults_are_told() {
    let bench = Bench::new("qemu-virt-aarch64");
    let shown = said(bench.command("rails").args(["--seconds", "2"]));
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(
        shown.out.contains("simulated") && shown.out.contains("sound"),
        "{shown:?}"
    );
    read_through_the_kernel(&bench, &[]);
    bench.deaf.store(true, Ordering::Relaxed);
    withheld(&bench, "deaf", "does not acknowledge");
    bench.deaf.store(false, Ordering::Relaxed);
    bench.adapter.unplug();
    withheld(&bench, "unplugged", "bus is stuck");
}

#[test]
#[ignore = "needs QEMU, stock kernels and a cross compiler: CI runs it"]
fn a_sensor_is_read_through_the_kernel_of_armv7() {
    let bench = Bench::new("qemu-virt-armv7");
    read_through_the_kernel(&bench, &["--then", "power-off"]);
    assert!(bench.machine.off(Duration::from_secs(60)).success());
}
