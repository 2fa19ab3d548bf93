//! Whole runs of the real programs over a virtual board: on bad lines, and with either end killed.

use scalebench::virtual_board::VirtualBoard;
use scalebench_tests::lab::{
    Guarded, Said, board, heard, kill, program, said, scalebench, scalebench_at, until,
};
use scalebench_tests::noise::Noise;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

const BAUD: &str = "3000000";
const PATIENCE: Duration = Duration::from_secs(180);
/// Four small trials.
const SMALL: [&str; 12] = [
    "--family",
    "diamonds-mlp",
    "--precision",
    "float32",
    "--variant",
    "d1-w2",
    "--variant",
    "d1-w4",
    "--variant",
    "d2-w4",
    "--variant",
    "d3-w4",
];

fn run_over(port: &Path, folder: &Path, more: &[&str]) -> Said {
    let mut command = scalebench(&["run", "--quiet", "--seed", "7", "--baud", BAUD]);
    command
        .arg("--port")
        .arg(port)
        .arg("--output")
        .arg(folder)
        .args(SMALL)
        .args(more);
    said(&mut command)
}

fn replayed(folder: &Path) -> String {
    let said = said(scalebench(&["replay", "--json"]).arg(folder));
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out
}

fn results(folder: &Path) -> Value {
    let text = fs::read(folder.join("run.json")).expect("run.json is there");
    serde_json::from_slice::<Value>(&text).expect("run.json is JSON")["results"].clone()
}

/// Every trial is done, with all of its windows and readings; gives the quality figures.
fn assert_whole(results: &Value, trials: usize) -> Vec<Value> {
    let list = results["trials"].as_array().expect("trials");
    assert_eq!(list.len(), trials);
    assert_eq!(results["odd_messages"], 0);
    for trial in list {
        assert_eq!(trial["status"]["state"], "done", "{trial}");
        assert_eq!(trial["golden"]["beyond"], 0, "{trial}");
        assert_eq!(trial["quality"]["outputs_match"], true, "{trial}");
        let windows = trial["windows"].as_array().expect("windows");
        assert_eq!(windows.len(), 5);
        for window in windows {
            let void = window["void"].as_str().unwrap_or_default();
            assert!(!void.contains("lost"), "{window}");
            assert!(window["readings"].as_u64() > Some(0), "{window}");
        }
    }
    let mut by_trial: Vec<&Value> = list.iter().collect();
    by_trial.sort_by_key(|trial| trial["trial"].as_u64());
    by_trial
        .iter()
        .map(|trial| trial["quality"].clone())
        .collect()
}

#[test]
fn a_run_over_a_bad_line_finds_what_a_clean_one_finds() {
    let dir = tempfile::tempdir().unwrap();
    let clean = board(&dir.path().join("clean-store"), 3_000_000, None);
    let folder = dir.path().join("clean");
    let told = run_over(clean.port(), &folder, &[]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let clean_quality = assert_whole(&results(&folder), 4);

    let noise = Noise::new(3, 1_000).with_cuts(10, 15_000, Duration::from_millis(200));
    let did = noise.counts();
    let bad = board(
        &dir.path().join("bad-store"),
        3_000_000,
        Some(Box::new(noise)),
    );
    let folder = dir.path().join("bad");
    let told = run_over(bad.port(), &folder, &[]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(did.errors() > 100, "{did:?}");
    assert_eq!(did.cuts.load(Ordering::SeqCst), 10, "{did:?}");
    assert_eq!(assert_whole(&results(&folder), 4), clean_quality);
    assert!(results(&folder)["link"]["rejected"].as_u64() > Some(0));
}

#[test]
fn peak_memory_is_the_models_own_whatever_ran_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let board = board(&dir.path().join("store"), 3_000_000, None);
    let peaks = |seed: &str| -> BTreeMap<String, u64> {
        let folder = dir.path().join(seed);
        let mut command = scalebench(&["run", "--quiet", "--window-ms", "20", "--seed", seed]);
        command.args(["--baud", BAUD, "--precision", "float32"]);
        for variant in ["d1-w2", "d1-w128", "d4-w64"] {
            command.args(["--variant", &format!("diamonds-mlp/{variant}")]);
        }
        command.arg("--port");
        let told = said(command.arg(board.port()).arg("--output").arg(&folder));
        assert_eq!(told.code, Some(0), "{told:?}");
        let text = fs::read(folder.join("run.json")).unwrap();
        let file: Value = serde_json::from_slice(&text).unwrap();
        let planned = file["plan"]["trials"].as_array().unwrap();
        let trials = file["results"]["trials"].as_array().unwrap();
        let peak = |trial: &Value| {
            let planned = planned
                .iter()
                .find(|planned| planned["trial"] == trial["trial"]);
            let planned = planned.expect("it was planned");
            let peak = trial["peak_bytes"].as_u64().expect("memory is known");
            let model = planned["model"]["bytes"].as_u64().expect("a length");
            // Half a file is weights at least; and not a megabyte for models a tenth as long.
            assert!((model / 2..1_000_000).contains(&peak), "{peak}: {planned}");
            (planned["variant"].to_string(), peak)
        };
        trials.iter().map(peak).collect()
    };
    let (one, other) = (peaks("1"), peaks("2"));
    assert_eq!(one.len(), 3);
    assert_eq!(one, other);
}

#[test]
fn replay_gives_the_same_results_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let board = board(&dir.path().join("store"), 3_000_000, None);
    let folder = dir.path().join("run");
    let told = run_over(board.port(), &folder, &["--json", "--profile", "20"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    for trial in results(&folder)["trials"].as_array().expect("trials") {
        let profile = &trial["profile"];
        assert!(profile["inferences"].as_u64() > Some(100), "{profile}");
        let operators = profile["operators"].as_array().expect("operators");
        assert!(!operators.is_empty());
        for operator in operators {
            assert_eq!(operator["operator"], "FULLY_CONNECTED", "{operator}");
            assert!(operator["mean_ns"].as_f64() > Some(0.0), "{operator}");
            assert!(operator["macs"].as_u64() > Some(0), "{operator}");
        }
    }
    assert_eq!(
        replayed(&folder),
        told.out,
        "live and replayed results differ"
    );
    assert_eq!(replayed(&folder), replayed(&folder));
    let table = said(scalebench(&["replay"]).arg(&folder));
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(
        table
            .out
            .contains("the capture gives the results of run.json, to the last bit"),
        "{table:?}"
    );
}

#[test]
fn a_run_goes_on_when_its_program_is_built_anew_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("scalebench");
    fs::copy(program(), &own).unwrap();
    let folder = dir.path().join("run");
    let mut command = scalebench_at(&own, &["run", "--quiet", "--seed", "7", "--baud", BAUD]);
    command
        .args(SMALL)
        .arg("--store")
        .arg(dir.path().join("store"));
    let child = command.arg("--output").arg(&folder).spawn().unwrap();
    let mut child = Guarded(child);
    heard(&folder.join("capture.bin"), 1_000, PATIENCE);
    // As a linker does: another file under the same name, and not a program yet.
    fs::remove_file(&own).unwrap();
    fs::write(&own, "").unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    assert_whole(&results(&folder), 4);
}

#[test]
fn a_runner_killed_within_a_trial_costs_that_trial_and_resume_completes_it() {
    let dir = tempfile::tempdir().unwrap();
    let board = board(&dir.path().join("store"), 3_000_000, None);
    let folder = dir.path().join("run");
    let code = run_with_a_kill(&board, &folder, "1");
    assert_eq!(code, Some(1), "a lost trial is told by exit code 1");
    let after = results(&folder);
    let counts = (in_state(&folder, "done"), in_state(&folder, "lost"));
    assert_eq!(counts, (3, 1), "{after}");
    assert_eq!(after["restarts"], 1);

    let resumed = said(
        scalebench(&["run", "--quiet", "--baud", BAUD, "--resume"])
            .arg(&folder)
            .arg("--port")
            .arg(board.port()),
    );
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_whole(&results(&folder), 4);
    // What was measured before is as it was.
    let before = after["trials"].as_array().unwrap();
    let now = results(&folder);
    for (was, is) in before.iter().zip(now["trials"].as_array().unwrap()) {
        if was["status"]["state"] == "done" {
            assert_eq!(was, is);
        }
    }
    replayed(&folder);
}

#[test]
fn a_trial_lost_with_its_runner_is_tried_again_at_the_end_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let board = board(&dir.path().join("store"), 3_000_000, None);
    let folder = dir.path().join("run");
    assert_eq!(run_with_a_kill(&board, &folder, "2"), Some(0));
    assert_whole(&results(&folder), 4);
    assert_eq!(results(&folder)["restarts"], 1);
}

/// How many trials of the run are in `state` by now.
fn in_state(folder: &Path, state: &str) -> usize {
    let trials = fs::read(folder.join("run.json"))
        .ok()
        .and_then(|text| serde_json::from_slice::<Value>(&text).ok())
        .and_then(|run| run["results"]["trials"].as_array().cloned())
        .unwrap_or_default();
    let wanted = |trial: &&Value| trial["status"]["state"] == state;
    trials.iter().filter(wanted).count()
}

/// A run during whose second trial the runner is killed; gives the host's exit code.
fn run_with_a_kill(board: &VirtualBoard, folder: &Path, attempts: &str) -> Option<i32> {
    let mut command = scalebench(&["run", "--quiet", "--seed", "7", "--baud", BAUD]);
    // Windows of a second: the trial is still being measured when the runner dies.
    command
        .args(["--window-ms", "1000", "--attempts", attempts, "--port"])
        .arg(board.port())
        .arg("--output")
        .arg(folder)
        .args(SMALL)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut host = Guarded(command.spawn().unwrap());
    // The first trial is in run.json: the second has begun.
    until(PATIENCE, "the first trial", || {
        in_state(folder, "done") == 1
    });
    std::thread::sleep(Duration::from_millis(1_500));
    let first = board.pid();
    kill(first);
    until(PATIENCE, "the watchdog", || board.pid() != first);
    host.0.wait().unwrap().code()
}

#[test]
fn a_host_killed_within_a_run_leaves_a_folder_to_replay_and_resume() {
    let dir = tempfile::tempdir().unwrap();
    let board = board(&dir.path().join("store"), 3_000_000, None);
    let folder = dir.path().join("run");
    let mut command = scalebench(&["run", "--quiet", "--seed", "7", "--baud", BAUD, "--port"]);
    command
        .arg(board.port())
        .arg("--output")
        .arg(&folder)
        .args(SMALL)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut host = Guarded(command.spawn().unwrap());
    let capture = folder.join("capture.bin");
    until(PATIENCE, "a trial", || in_state(&folder, "done") > 0);
    host.0.kill().unwrap();
    host.0.wait().unwrap();
    // As if the disk had taken only part of the last record.
    let bytes = fs::read(&capture).unwrap();
    fs::write(&capture, &bytes[..bytes.len() - 3]).unwrap();

    replayed(&folder);
    let table = said(scalebench(&["replay"]).arg(&folder));
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(
        table.err.contains("the end of the capture was torn"),
        "{table:?}"
    );

    let resumed = said(
        scalebench(&["run", "--quiet", "--baud", BAUD, "--resume"])
            .arg(&folder)
            .arg("--port")
            .arg(board.port()),
    );
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_whole(&results(&folder), 4);
    replayed(&folder);
}

#[test]
#[ignore = "measures a speed: run alone, in release, as `.ci/run` does"]
fn the_harness_costs_less_than_a_hundred_nanoseconds_and_two_clock_readings() {
    let dir = tempfile::tempdir().unwrap();
    let board = board(&dir.path().join("store"), 3_000_000, None);
    let folder = dir.path().join("run");
    let told = run_over(board.port(), &folder, &[]);
    assert_eq!(told.code, Some(0), "{told:?}");
    let results = results(&folder);
    let of = |figure: &str| results["board"][figure].as_f64().expect("a figure");
    let (harness, read) = (of("harness_ns"), of("clock_read_ns"));
    println!("harness {harness} ns, clock reading {read} ns");
    assert!(read > 0.0 && harness - 2.0 * read < 100.0);
}
