//! The real programs: built, started, killed, listened to.

use scalebench::virtual_board::{Setup, Tamper, VirtualBoard};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The path of `scalebench`, built in the profile of the running test.
///
/// Cargo hands the path of a program only to tests of the program's own package, so it is asked to
/// build it: with the very set of packages and targets that `cargo test --workspace` builds, which makes it
/// a matter of linking. `SCALEBENCH_PROGRAM` names one that is built already.
///
/// # Panics
/// When it does not build.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(built) = std::env::var_os("SCALEBENCH_PROGRAM") {
            return built.into();
        }
        let test = std::env::current_exe().expect("a test knows its own path");
        // …/target/debug/deps/test-0123
        let profile = test
            .ancestors()
            .nth(2)
            .expect("a test is in a target folder");
        let target = profile.parent().expect("a profile is in a target folder");
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--quiet", "--workspace", "--bins", "--tests"])
            .arg("--target-dir")
            .arg(target)
            .current_dir(root());
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let built = build.status().expect("cargo starts");
        assert!(built.success(), "scalebench does not build");
        profile.join("scalebench")
    })
}

/// The workspace.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("/"))
}

/// `scalebench` with these arguments.
#[must_use]
pub fn scalebench(arguments: &[&str]) -> Command {
    scalebench_at(program(), arguments)
}

/// The same, of a copy elsewhere.
#[must_use]
pub fn scalebench_at(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env("SCALEBENCH_MODELS", root().join("models"))
        .env("SCALEBENCH_BOARDS", root().join("boards"));
    command
}

/// What a finished program said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Benches `board` with a seed of its own into `folder`; what was said, and the results of `run.json`.
///
/// # Panics
/// When there is no such file afterwards.
#[must_use]
pub fn benched(board: &Path, folder: &Path, more: &[&str]) -> (Said, Value) {
    let output = folder.join("run");
    let mut command = scalebench(&["run", "--quiet", "--seed", "7"]);
    command
        .args(["--family", "diamonds-mlp", "--precision", "float32"])
        .arg("--board")
        .arg(board)
        .arg("--output")
        .arg(&output)
        .arg("--store")
        .arg(folder.join("store"))
        .args(more);
    let said = said(&mut command);
    let text =
        std::fs::read(output.join("run.json")).unwrap_or_else(|_| panic!("no run: {said:?}"));
    let run: Value = serde_json::from_slice(&text).expect("run.json is JSON");
    (said, run["results"].clone())
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn said(command: &mut Command) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program starts");
    Said {
        code: status.code(),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        err: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Waits until `what` holds, looking every few milliseconds.
///
/// # Panics
/// When it does not within `patience`.
pub fn until(patience: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < patience, "waited {patience:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a run's capture holds so many bytes more than the plan that it begins with.
///
/// # Panics
/// When that takes longer than `patience`.
pub fn heard(capture: &Path, bytes: u64, patience: Duration) {
    let length = || std::fs::metadata(capture).map_or(0, |file| file.len());
    let mut plan = 0;
    until(patience, "the plan", || {
        plan = length();
        plan > 0
    });
    until(patience, "the first readings", || length() > plan + bytes);
}

/// The windows that the trigger pin would have marked in a run with these results, in order: their marks in ticks. Those
/// that were measured again are among them.
///
/// # Panics
/// When the results have no windows.
#[must_use]
pub fn pulses(results: &Value) -> Vec<(u64, u64)> {
    let mark = |marked: &Value, name: &str| marked[name].as_u64().expect("a mark");
    let trials = results["trials"].as_array().expect("trials").iter();
    let kept = trials.flat_map(|trial| trial["windows"].as_array().expect("windows"));
    let discarded = results["discarded"].as_array();
    let mut pulses: Vec<_> = kept
        .chain(discarded.into_iter().flatten())
        .map(|marked| (mark(marked, "begin"), mark(marked, "end")))
        .collect();
    pulses.sort_unstable();
    pulses
}

/// A virtual board of this process's own, with the real runner in a process of its own.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn board(store: &Path, baud: u32, tamper: Option<Box<dyn Tamper>>) -> VirtualBoard {
    VirtualBoard::start(Setup {
        program: program().to_owned(),
        arguments: vec!["__runner".into()],
        baud,
        store: store.to_owned(),
        board: None,
        tamper,
    })
    .expect("the virtual board starts")
}

/// Ends a process as a power cut would.
///
/// # Panics
/// When there is no such process.
pub fn kill(pid: u32) {
    let target = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a process number");
    rustix::process::kill_process(target, rustix::process::Signal::KILL)
        .expect("the process is there");
}

/// A child that does not outlive its test.
#[derive(Debug)]
pub struct Guarded(pub Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
