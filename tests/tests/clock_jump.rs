//! A board whose clock jumps during a run.

use scalebench::virtual_board::{Setup, VirtualBoard};
use scalebench_tests::lab::{Guarded, heard, program, said, scalebench, until};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const BAUD: u32 = 3_000_000;
const PATIENCE: Duration = Duration::from_secs(120);

/// A virtual board whose runner is started by `script`, which ends with it.
fn board_by(script: &str, store: &Path) -> VirtualBoard {
    let script = format!("{script} {} __runner \"$@\"", program().display());
    VirtualBoard::start(Setup {
        program: "/bin/sh".into(),
        arguments: vec!["-c".into(), script.into(), "sh".into()],
        baud: BAUD,
        store: store.to_owned(),
        board: None,
        tamper: None,
    })
    .expect("the virtual board starts")
}

fn run(port: &Path, folder: &Path) -> Command {
    let mut command = scalebench(&["run", "--seed", "7", "--baud", &BAUD.to_string()]);
    command
        .args(["--variant", "diamonds-mlp/d1-w2", "--precision", "float32"])
        .arg("--port")
        .arg(port)
        .arg("--output")
        .arg(folder);
    command
}

/// A library that puts the clock back by five seconds once a file is there.
const JUMPING: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int answer = real(id, t);
    if (id == CLOCK_MONOTONIC && access(getenv("JUMP"), F_OK) == 0) t->tv_sec -= 5;
    return answer;
}
"#;

#[test]
fn a_window_in_which_the_clock_jumps_is_void_and_the_others_count() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("jump.c"), JUMPING).unwrap();
    let built = said(
        Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([at("jump.so"), at("jump.c")])
            .arg("-ldl"),
    );
    assert_eq!(built.code, Some(0), "{built:?}");
    let script = format!(
        "export JUMP={}; exec env LD_PRELOAD={}",
        at("jump").display(),
        at("jump.so").display()
    );
    let board = board_by(&script, &at("store"));
    let folder = at("run");
    let host = run(board.port(), &folder)
        .args(["--windows", "9", "--window-ms", "800"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the host starts");
    let mut host = Guarded(host);
    let capture = folder.join("capture.bin");
    heard(&capture, 4_000, PATIENCE);
    fs::write(at("jump"), "").unwrap();
    let mut status = None;
    until(PATIENCE, "the run's end", || {
        status = host.0.try_wait().expect("the host can be waited for");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));

    let run = fs::read(folder.join("run.json")).expect("run.json is there");
    let run: Value = serde_json::from_slice(&run).expect("run.json is JSON");
    let trial = &run["results"]["trials"][0];
    assert_eq!(trial["status"]["state"], "done", "{trial}");
    assert_eq!(trial["attempts"], 1, "{trial}");
    let windows = trial["windows"].as_array().expect("windows");
    assert_eq!(windows.len(), 9);
    let jumped = |window: &&Value| {
        let void = window["void"].as_str().unwrap_or_default();
        void.ends_with("the board's clock jumped")
    };
    assert_eq!(windows.iter().filter(jumped).count(), 1, "{trial}");
    assert_eq!(trial["latency"]["windows"], 8, "{trial}");
}
