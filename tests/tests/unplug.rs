//! A serial port that vanishes during a run and comes back.

use scalebench_tests::cable::Cable;
use scalebench_tests::lab::{Guarded, board, heard, scalebench};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

const BAUD: u32 = 3_000_000;

#[test]
fn an_unplugged_cable_is_waited_for_and_no_reading_is_lost_or_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let board = board(&dir.path().join("store"), BAUD, None);
    let port = dir.path().join("ttyUSB0");
    let cable = Cable::new(board.port(), BAUD, &port);
    let folder = dir.path().join("run");
    let mut command = scalebench(&["run", "--seed", "7", "--precision", "float32"]);
    command
        .args([
            "--variant",
            "diamonds-mlp/d1-w2",
            "--variant",
            "diamonds-mlp/d2-w4",
        ])
        .args([
            "--windows",
            "3",
            "--window-ms",
            "400",
            "--baud",
            &BAUD.to_string(),
        ])
        .arg("--port")
        .arg(&port)
        .arg("--output")
        .arg(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut host = Guarded(command.spawn().expect("the host starts"));
    let capture = folder.join("capture.bin");
    heard(&capture, 3_000, Duration::from_secs(60));
    cable.plug(false);
    std::thread::sleep(Duration::from_secs(1));
    cable.plug(true);
    let mut told = String::new();
    let mut err = host.0.stderr.take().expect("its words are piped");
    err.read_to_string(&mut told).expect("its words are text");
    let status = host.0.wait().expect("the host ends");
    assert_eq!(status.code(), Some(0), "{told}");
    assert!(
        told.contains("ttyUSB0 is gone: plug it in again within 30 s"),
        "{told}"
    );

    let run = fs::read(folder.join("run.json")).expect("run.json is there");
    let results = &serde_json::from_slice::<Value>(&run).expect("run.json is JSON")["results"];
    let trials = results["trials"].as_array().expect("trials");
    assert_eq!(trials.len(), 2);
    for trial in trials {
        assert_eq!(trial["status"]["state"], "done", "{trial}");
        let windows = trial["windows"].as_array().expect("windows");
        assert_eq!(windows.len(), 3);
        // A window that lacks a reading, or has one twice, is void.
        for window in windows {
            assert!(
                !window["void"].as_str().unwrap_or_default().contains("lost"),
                "{window}"
            );
            assert!(window["readings"].as_u64() > Some(0), "{window}");
        }
    }
}
