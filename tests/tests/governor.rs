//! The governor of a board's clock: set for a run, recorded, and put back whatever becomes of the runner.

use scalebench::virtual_board::{Setup, VirtualBoard};
use scalebench_tests::lab::{kill, program, said, scalebench, until};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);

/// A clock domain as the kernel shows it.
fn domain(root: &Path) -> impl Fn() -> String {
    let folder = root.join("policy0");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("scaling_governor"), "ondemand\n").unwrap();
    fs::write(
        folder.join("scaling_available_governors"),
        "ondemand performance\n",
    )
    .unwrap();
    move || {
        let governor = fs::read_to_string(folder.join("scaling_governor")).unwrap();
        governor.trim().to_owned()
    }
}

fn board(dir: &Path, cpufreq: &Path) -> VirtualBoard {
    VirtualBoard::start(Setup {
        program: program().to_owned(),
        arguments: vec!["__runner".into(), "--cpufreq".into(), cpufreq.into()],
        baud: 3_000_000,
        store: dir.join("store"),
        board: None,
        tamper: None,
    })
    .expect("the virtual board starts")
}

fn run(board: &VirtualBoard, folder: &Path, governor: &str) -> Command {
    let mut command = scalebench(&["run", "--baud", "3000000", "--seed", "7"]);
    command
        .args(["--variant", "diamonds-mlp/d1-w2", "--precision", "int8"])
        .args(["--governor", governor, "--port"])
        .arg(board.port())
        .arg("--output")
        .arg(folder);
    command
}

fn file(folder: &Path) -> Value {
    let text = fs::read(folder.join("run.json")).expect("run.json is there");
    serde_json::from_slice(&text).expect("run.json is JSON")
}

#[test]
fn a_governor_is_set_for_a_run_and_put_back() {
    let dir = tempfile::tempdir().unwrap();
    let cpufreq = dir.path().join("cpufreq");
    let now = domain(&cpufreq);
    let board = board(dir.path(), &cpufreq);

    let folder = dir.path().join("refused");
    let told = said(&mut run(&board, &folder, "warp"));
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("governor warp was not set"), "{told:?}");
    assert_eq!(now(), "ondemand");

    let folder = dir.path().join("set");
    let mut command = run(&board, &folder, "performance");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut host = command.spawn().unwrap();
    until(PATIENCE, "the governor", || now() == "performance");
    assert!(host.wait().unwrap().success());
    until(PATIENCE, "the old governor", || now() == "ondemand");
    let file = file(&folder);
    assert_eq!(file["plan"]["governor"], "performance");
    assert_eq!(file["results"]["governor"]["before"], "ondemand");
    assert!(file["results"]["governor"]["refused"].is_null());
    let replayed = said(scalebench(&["replay"]).arg(&folder));
    assert!(replayed.out.contains("to the last bit"), "{replayed:?}");
}

#[test]
fn a_runner_that_is_killed_leaves_no_governor_behind() {
    let dir = tempfile::tempdir().unwrap();
    let cpufreq = dir.path().join("cpufreq");
    let now = domain(&cpufreq);
    let board = board(dir.path(), &cpufreq);
    let mut command = run(&board, &dir.path().join("run"), "performance");
    command
        .args(["--window-ms", "5000", "--attempts", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut host = command.spawn().unwrap();
    until(PATIENCE, "the governor", || now() == "performance");
    // No more than the runner: neither it nor its next start has a part in what follows.
    drop(host.kill());
    drop(host.wait());
    kill(board.pid());
    until(PATIENCE, "the old governor", || now() == "ondemand");
}
