//! Images of ours under `qemu-system`: booted by stock kernels, found at their UARTs, benched, switched off.

use scalebench::port::Port;
use scalebench::receiver::{Delivery, Receiver};
use scalebench_boards::Board;
use scalebench_tests::emulator::Machine;
use scalebench_tests::lab::{Guarded, heard, said, scalebench, until};
use scalebench_tests::mlperf::write_garments;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// Two variants, each as float32 and as int8.
const TRIALS: [&str; 6] = [
    "--variant",
    "diamonds-mlp/d1-w2",
    "--variant",
    "fashion-cnn/s0",
    "--seed",
    "7",
];
const PATIENCE: Duration = Duration::from_secs(60);
/// What a runner may weigh, with every kernel and operator.
const MOST_BYTES: u64 = 5_250_000;

/// An image with two families, made by the real program.
fn image(board: &Board, folder: &Path) -> PathBuf {
    let made = said(
        scalebench(&["image", "--board", &board.name])
            .args(["--family", "diamonds-mlp", "--family", "fashion-cnn", "-o"])
            .arg(folder),
    );
    assert_eq!(made.code, Some(0), "{made:?}");
    folder.join("scalebench.cpio")
}

fn boot(board: &Board, folder: &Path) -> Machine {
    let archive = image(board, &folder.join("image"));
    Machine::start(
        board,
        Some(&archive),
        &scalebench::image::command_line(board),
        folder,
    )
}

/// Listens until the runner is heard, and gives the time since the board was switched on.
fn first_frame(board: &Board, machine: &Machine) -> Duration {
    let port = Port::open(machine.port(), board.serial.baud).unwrap();
    let (mut receiver, mut heard) = (Receiver::new(), false);
    until(PATIENCE, "the first frame", || {
        let mut bytes = [0; 4096];
        port.wait(false, Duration::from_millis(5)).unwrap();
        let length = port.read(&mut bytes).unwrap();
        receiver.feed(&bytes[..length], 0, &mut |delivery| {
            heard |= matches!(delivery, Delivery::Waiting(_));
        });
        heard
    });
    machine.up()
}

fn run(board: &Board, machine: &Machine, folder: &Path) -> std::process::Command {
    let mut command = scalebench(&["run", "--board", &board.name, "--then", "power-off"]);
    command
        .args(TRIALS)
        .arg("--port")
        .arg(machine.port())
        .arg("--elf")
        .arg(folder.join("image/scalebench-runner.elf"))
        .arg("--output")
        .arg(folder.join("run"));
    command
}

fn run_file(folder: &Path) -> Value {
    let text = fs::read(folder.join("run.json")).expect("run.json is there");
    serde_json::from_slice(&text).expect("run.json is JSON")
}

/// The results of a run in which all trials came to a good end.
fn results(folder: &Path) -> Value {
    let results = run_file(&folder.join("run"))["results"].clone();
    let trials = results["trials"].as_array().expect("trials");
    assert_eq!(trials.len(), 4);
    for trial in trials {
        assert_eq!(trial["status"]["state"], "done", "{trial}");
        assert_eq!(trial["golden"]["beyond"], 0, "{trial}");
        assert_eq!(
            trial["windows"].as_array().map(Vec::len),
            Some(5),
            "{trial}"
        );
        for window in trial["windows"].as_array().expect("windows") {
            let void = window["void"].as_str().unwrap_or_default();
            assert!(!void.contains("lost"), "{window}");
        }
    }
    assert_eq!(results["board"]["emulated"], true);
    results
}

/// The hashes of what one precision's trials put out, timed and in the accuracy pass, by trial.
fn hashes(run: &Value, precision: &str) -> BTreeMap<u64, Vec<u64>> {
    let planned = run["plan"]["trials"].as_array().expect("planned trials");
    let of = |trial: &&Value| {
        let number = trial["trial"].as_u64().expect("a number");
        planned
            .iter()
            .any(|planned| planned["trial"] == number && planned["precision"] == precision)
    };
    let number = |value: &Value| value.as_u64().expect("a hash");
    let trials = run["results"]["trials"].as_array().expect("trials");
    trials
        .iter()
        .filter(of)
        .map(|trial| {
            let windows = trial["windows"].as_array().expect("windows");
            let mut all: Vec<u64> = windows.iter().map(|w| number(&w["output_crc"])).collect();
            all.push(number(&trial["quality"]["outcomes_crc"]));
            (number(&trial["trial"]), all)
        })
        .collect()
}

/// Runs the same trials on this machine's processor, into `folder/here`.
fn puts_out_on_this_machine(folder: &Path, store: &Path) {
    let said = said(
        scalebench(&["run", "--quiet", "--window-ms", "50", "--baud", "3000000"])
            .args(TRIALS)
            .arg("--store")
            .arg(store)
            .arg("--output")
            .arg(folder.join("here")),
    );
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// Compares the run with that one. Integers are equal to the bit; floats need not be, for their sums are added
/// in another order.
fn is_what_this_machine_puts_out(folder: &Path) {
    let (board, here) = (
        run_file(&folder.join("run")),
        run_file(&folder.join("here")),
    );
    let integers = hashes(&board, "int8");
    assert_eq!(integers.len(), 2);
    assert_eq!(integers, hashes(&here, "int8"));
    assert_eq!(hashes(&board, "float32").len(), 2);
    println!(
        "float32 outputs are {}those of this machine",
        if hashes(&board, "float32") == hashes(&here, "float32") {
            ""
        } else {
            "near, not "
        }
    );
}

fn benched_and_switched_off(name: &str) {
    let board = scalebench_boards::load(name).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let machine = boot(&board, dir.path());
    println!(
        "{name}: first frame {:.1} s after power-on",
        first_frame(&board, &machine).as_secs_f64()
    );
    let said = said(&mut run(&board, &machine, dir.path()));
    assert_eq!(said.code, Some(0), "{said:?}");
    results(dir.path());
    puts_out_on_this_machine(dir.path(), &dir.path().join("store"));
    is_what_this_machine_puts_out(dir.path());
    assert!(said.out.contains("this board was emulated"), "{said:?}");
    let report = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(report.contains("Emulated board."));
    assert!(machine.off(PATIENCE).success());
    // Log strings are those of the image's own runner.
    let log = fs::read_to_string(dir.path().join("run/log.txt")).unwrap();
    assert!(log.contains("session "), "{log}");
}

#[test]
#[ignore = "needs QEMU, stock kernels and a cross compiler: CI runs it"]
fn an_image_for_aarch64_boots_is_benched_and_switches_off() {
    benched_and_switched_off("qemu-virt-aarch64");
}

#[test]
#[ignore = "needs QEMU, stock kernels and a cross compiler: CI runs it"]
fn an_image_for_armv7_boots_is_benched_and_switches_off() {
    benched_and_switched_off("qemu-virt-armv7");
}

/// With `-icount` QEMU counts the guest's instructions, and its trace tells every edge of a pin.
#[test]
#[ignore = "needs QEMU, stock kernels and a cross compiler: CI runs it"]
fn the_processor_counts_the_same_in_every_window_and_the_trigger_marks_them() {
    let board = scalebench_boards::load("qemu-virt-aarch64").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let archive = image(&board, &dir.path().join("image"));
    let trace = dir.path().join("trace");
    let machine = Machine::start_with(
        &board,
        Some(&archive),
        &scalebench::image::command_line(&board),
        dir.path(),
        &[
            "-icount",
            "shift=0",
            "-trace",
            &format!("enable=pl061_set_output,file={}", trace.display()),
        ],
    );
    first_frame(&board, &machine);
    let told = said(run(&board, &machine, dir.path()).args(["--window-ms", "50"]));
    assert_eq!(told.code, Some(0), "{told:?}");
    let results = results(dir.path());
    for trial in results["trials"].as_array().expect("trials") {
        let counts: Vec<f64> = trial["windows"]
            .as_array()
            .expect("windows")
            .iter()
            .map(|window| {
                let count = window["counts"]["instructions"].as_f64();
                let inferences = window["inferences"].as_f64().expect("inferences");
                count.unwrap_or_else(|| panic!("{}: {window}", results["uncounted"])) / inferences
            })
            .collect();
        let (least, most) = counts
            .iter()
            .fold((f64::MAX, 0.0_f64), |(low, high), &count| {
                (low.min(count), high.max(count))
            });
        println!("instructions of an inference: {least} to {most}");
        assert!(least > 100.0 && most / least < 1.01, "{counts:?}");
    }
    assert!(machine.off(PATIENCE).success());
    // Four trials of five windows; one that was too short at first has one more.
    let trace = fs::read_to_string(&trace).expect("QEMU wrote its trace");
    let edges = |level: &str| {
        let of_line_1 = |line: &&str| line.contains("output 1") && line.trim_end().ends_with(level);
        trace.lines().filter(of_line_1).count()
    };
    let (up, down) = (edges("to 1"), edges("to 0"));
    println!("{up} rising and {down} falling edges");
    assert!((20..=80).contains(&up) && down >= up, "{trace}");
}

/// The runner for `name` as a program of this machine's kernel, under QEMU's user mode and behind a
/// pseudo-terminal. What it needs is in its store already: this machine's own runner took it in.
fn benched_under_user_emulation(name: &str, emulator: &str) {
    let board = scalebench_boards::load(name).unwrap();
    let runner = scalebench::cross::build(&board).expect("the runner builds");
    let size = fs::metadata(&runner.stripped).expect("it is there").len();
    println!("{name}: the runner is {size} bytes");
    assert!(size < MOST_BYTES, "{size} bytes are too many");
    let dir = tempfile::tempdir().unwrap();
    let command = format!(
        "{emulator} {} --emulator {emulator}",
        runner.stripped.display()
    );
    let store = dir.path().join("store");
    puts_out_on_this_machine(dir.path(), &store);
    // A speed that QEMU's user mode knows.
    let mut run = scalebench(&["run", "--quiet", "--baud", "115200", "--windows", "5"]);
    run.args(TRIALS)
        .args(["--window-ms", "50", "--runner", &command, "--store"])
        .arg(&store)
        .arg("--output")
        .arg(dir.path().join("run"));
    let told = said(&mut run);
    assert_eq!(told.code, Some(0), "{told:?}");
    results(dir.path());
    is_what_this_machine_puts_out(dir.path());
    // Marked on every surface.
    assert!(told.out.contains("this board was emulated"), "{told:?}");
    let report = fs::read_to_string(dir.path().join("run/report.html")).unwrap();
    assert!(report.contains("Emulated board.") && report.contains("(emulated)"));
    let runs = |command: &str| {
        let mut command = scalebench(&[command, "--runs"]);
        said(command.arg(dir.path())).out
    };
    let exported = runs("export");
    assert_eq!(exported.matches(",emulated,").count(), 4, "{exported}");
    assert!(runs("list").contains("emulated"));
    let run = dir.path().join("run");
    let compared = said(
        scalebench(&["compare"])
            .arg(&run)
            .arg(dir.path().join("here")),
    );
    assert_eq!(compared.code, Some(2), "{compared:?}");
}

#[test]
#[ignore = "needs QEMU and a cross compiler: CI runs it"]
fn the_runner_for_aarch64_puts_out_what_this_machine_does() {
    benched_under_user_emulation("qemu-virt-aarch64", "qemu-aarch64");
}

#[test]
#[ignore = "needs QEMU and a cross compiler: CI runs it"]
fn the_runner_for_armv7_puts_out_what_this_machine_does() {
    benched_under_user_emulation("qemu-virt-armv7", "qemu-arm");
}

#[test]
#[ignore = "needs QEMU, stock kernels and a cross compiler: CI runs it"]
fn an_image_can_be_mlperf_tiny_firmware() {
    let board = scalebench_boards::load("qemu-virt-aarch64").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let model = write_garments(dir.path(), 10);
    let task = |command: &mut std::process::Command| {
        command.args(["--model-id", "ic01"]);
        said(command)
    };
    let folder = dir.path().join("image");
    let mut image = scalebench(&["image", "--board", &board.name, "--mlperf-tiny"]);
    let made = task(image.arg(&model).arg("-o").arg(&folder));
    assert_eq!(made.code, Some(0), "{made:?}");
    let machine = Machine::start(
        &board,
        Some(&folder.join("scalebench.cpio")),
        &scalebench::image::command_line(&board),
        dir.path(),
    );
    let measure = || {
        let mut command = scalebench(&["mlperf-tiny", "--window", "200ms", "--json", "--data"]);
        command.arg(dir.path()).env("XDG_CACHE_HOME", dir.path());
        command
    };
    let on_board = dir.path().join("on-board");
    let mut command = measure();
    command
        .arg("--port")
        .arg(machine.port())
        .arg("--output")
        .arg(&on_board);
    let there = said(&mut command);
    let mut command = measure();
    command
        .arg("--model")
        .arg(&model)
        .arg("--output")
        .arg(dir.path().join("here"));
    let here = task(&mut command);
    let quality = [there, here].map(|said| {
        assert_eq!(said.code, Some(0), "{said:?}");
        serde_json::from_str::<Value>(&said.out).unwrap()["trials"][0]["quality"].clone()
    });
    assert_eq!(quality[0]["samples"], 10);
    assert_eq!(quality[0], quality[1], "the same scores to the last digit");
    let file = fs::read_to_string(on_board.join("run.json")).unwrap();
    assert!(file.contains("\"emulated\": true"), "{file}");
}

#[test]
#[ignore = "needs QEMU, stock kernels and a cross compiler: CI runs it"]
fn an_image_is_the_same_every_time() {
    let board = scalebench_boards::load("qemu-virt-aarch64").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let made =
        ["first", "second"].map(|name| fs::read(image(&board, &dir.path().join(name))).unwrap());
    assert!(made[0] == made[1], "two images of the same contents differ");
}

#[test]
#[ignore = "needs QEMU, stock kernels and a cross compiler: CI runs it"]
fn a_board_that_its_watchdog_resets_during_a_run_is_benched_all_the_same() {
    let board = scalebench_boards::load("qemu-virt-aarch64").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let machine = boot(&board, dir.path());
    first_frame(&board, &machine);
    let mut command = run(&board, &machine, dir.path());
    command
        .args(["--window-ms", "2000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().expect("the host starts");
    let mut child = Guarded(child);
    let capture = dir.path().join("run/capture.bin");
    heard(&capture, 4_000, PATIENCE);
    machine.reset();
    let mut status = None;
    until(PATIENCE * 4, "the run's end", || {
        status = child.0.try_wait().expect("the host can be waited for");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    let results = results(dir.path());
    assert_eq!(results["restarts"], 1, "{results}");
    assert!(machine.off(PATIENCE).success());
}

#[test]
#[ignore = "needs QEMU and stock kernels: CI runs it"]
fn a_panic_at_the_same_uart_is_shown_as_what_it_is() {
    let board = scalebench_boards::load("qemu-virt-aarch64").unwrap();
    let dir = tempfile::tempdir().unwrap();
    // No first file system: the kernel finds no root and says so.
    let machine = Machine::start(&board, None, "console=ttyAMA0 panic=0", dir.path());
    let said = said(
        scalebench(&["run", "--quiet", "--board", &board.name, "--port"])
            .arg(machine.port())
            .args(TRIALS)
            .arg("--output")
            .arg(dir.path().join("run")),
    );
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("(the board printed: "), "{said:?}");
    assert!(said.err.contains("Kernel panic - not syncing"), "{said:?}");
}
