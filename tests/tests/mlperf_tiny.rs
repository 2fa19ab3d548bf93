//! MLPerf Tiny, both ways: our runner as the benchmark's firmware, measured by our host and by a runner like the
//! reference's; and our host against boards that behave badly.

use scalebench::port::Port;
use scalebench::virtual_board::{Pty, Setup, Tamper, VirtualBoard};
use scalebench_engine::{Limits, Model};
use scalebench_tests::lab::{Said, program, root, said, scalebench, until};
use scalebench_tests::mlperf::{model, reference_scores, write_garments, write_inputs};
use scalebench_tests::noise::Noise;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Sixty milliseconds, in an answer of scripted firmware.
const PAUSE: char = '\x07';
const BAUD: &str = "3000000";

/// `scalebench mlperf-tiny` on a virtual board with this model.
fn virtually(dir: &Path, task: &str, model: &Path, more: &[&str]) -> Said {
    let mut command = scalebench(&["mlperf-tiny", "--quiet", "--json", "--baud", BAUD]);
    command
        .args(["--model-id", task, "--model"])
        .arg(model)
        .arg("--data")
        .arg(dir)
        .args(more)
        .env("XDG_CACHE_HOME", dir);
    said(&mut command)
}

/// The one trial of a run that ended well.
fn trial(said: &Said) -> Value {
    assert_eq!(said.code, Some(0), "{said:?}");
    let results: Value = serde_json::from_str(&said.out).expect("JSON");
    results["trials"][0].clone()
}

/// Scores in the order in which the board gave them.
fn scores_of_log(dir: &Path) -> Vec<Vec<f64>> {
    let log = fs::read_to_string(dir.join("log.txt")).unwrap();
    let results = log.lines().filter_map(|line| {
        let scores = line.split_once("< m-results-[")?.1.strip_suffix(']')?;
        Some(
            scores
                .split(',')
                .map(|score| score.parse().unwrap())
                .collect(),
        )
    });
    results.collect()
}

/// Ours against ours: every answer is that of the reference kernels.
fn answers_as_the_reference_kernels_do(task: &str) {
    let Some(model) = model(task) else { return };
    let dir = tempfile::tempdir().unwrap();
    write_inputs(dir.path(), task);
    let run = dir.path().join("run");
    let more = ["--window", "100ms", "--output", run.to_str().unwrap()];
    let trial = trial(&virtually(dir.path(), task, &model, &more));
    let expected = reference_scores(task);
    assert_eq!(trial["status"]["state"], "done");
    assert_eq!(trial["quality"]["value"], 1.0, "{trial}");
    assert_eq!(trial["quality"]["samples"], expected.len());
    assert_eq!(trial["windows"].as_array().unwrap().len(), 5);
    for window in trial["windows"].as_array().unwrap() {
        let micros = window["end"].as_u64().unwrap() - window["begin"].as_u64().unwrap();
        assert!(micros >= 100_000, "{window}");
    }
    let told = scores_of_log(&run);
    let windows = if task == "ad01" { 4 } else { 1 };
    let told = &told[told.len() - windows * expected.len()..];
    for (told, expected) in told.chunks(windows).zip(&expected) {
        for (at, &expected) in expected.iter().enumerate() {
            let sum: f64 = told.iter().map(|scores| scores[at]).sum();
            let mean = sum / windows as f64;
            let off = (mean - expected).abs();
            assert!(
                off < 1e-9 || task == "ad01" && off < 2e-3,
                "{mean} {expected}"
            );
        }
    }
    let text = |mode: &str| fs::read_to_string(run.join(mode).join("results.txt")).unwrap();
    assert!(text("accuracy").contains(" ulp-mlperf: Top 1% = 100.0\n"));
    let short = text("performance");
    assert!(
        short.contains("ERROR 2") && !short.contains("Median"),
        "{short}"
    );
}

#[test]
fn anomaly_detection_answers_as_the_reference_kernels_do() {
    answers_as_the_reference_kernels_do("ad01");
}

#[test]
fn image_classification_answers_as_the_reference_kernels_do() {
    answers_as_the_reference_kernels_do("ic01");
}

#[test]
fn keyword_spotting_answers_as_the_reference_kernels_do() {
    answers_as_the_reference_kernels_do("kws01");
}

#[test]
fn visual_wake_words_answer_as_the_reference_kernels_do() {
    answers_as_the_reference_kernels_do("vww01");
}

/// What the engine itself says of the images of a folder: the share it gets right.
fn share_right(data: &Path, model: &Path) -> f64 {
    let bytes = fs::read(model).unwrap();
    let mut model = Model::load(&bytes, &Limits::default()).unwrap();
    let labels = fs::read_to_string(data.join("ic01/y_labels.csv")).unwrap();
    let right = labels.lines().filter(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let pixels = fs::read(data.join("ic01").join(fields[0])).unwrap();
        let shifted = pixels.iter().map(|&pixel| pixel ^ 0x80);
        model
            .input_mut(0)
            .iter_mut()
            .zip(shifted)
            .for_each(|(slot, byte)| *slot = byte);
        model.run().unwrap();
        let scores: Vec<i8> = model.output(0).iter().map(|&byte| byte as i8).collect();
        let best = *scores.iter().max().unwrap();
        let first = scores.iter().position(|&score| score == best).unwrap();
        fields[2].parse() == Ok(first)
    });
    right.count() as f64 / labels.lines().count() as f64
}

#[test]
fn a_model_that_ships_is_measured_kept_shown_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let model = write_garments(dir.path(), 50);
    let runs = dir.path().join("runs");
    for name in ["before", "after"] {
        let run = runs.join(name);
        let more = ["--window", "50ms", "--output", run.to_str().unwrap()];
        let trial = trial(&virtually(dir.path(), "ic01", &model, &more));
        let share = trial["quality"]["value"].as_f64().unwrap();
        assert_eq!(share, share_right(dir.path(), &model));
        assert!(share > 0.5, "{share}");
        assert!(trial["latency"]["median_ns"].as_f64().unwrap() > 0.0);
    }
    let about = |arguments: &[&str]| {
        let said = said(scalebench(arguments).arg("--runs").arg(&runs));
        assert!(matches!(said.code, Some(0 | 1)), "{said:?}");
        said.out
    };
    assert!(about(&["list"]).contains("1 of 1"));
    let shown = about(&["show", "before"]);
    assert!(
        shown.contains("mlperf-tiny-ic01") && shown.contains("s0.int8"),
        "{shown}"
    );
    assert!(
        shown.contains("not conforming, its windows last 0.05 s"),
        "{shown}"
    );
    let compared = about(&["compare", "before", "after"]);
    assert!(compared.contains("mlperf-tiny-ic01/s0.int8"), "{compared}");
    let exported = about(&["export", "before"]);
    assert!(exported.contains("mlperf-tiny-ic01"), "{exported}");
    let report = fs::read_to_string(runs.join("before/report.html")).unwrap();
    assert!(report.contains("MLPerf Tiny: image classification"));
    assert!(report.contains("not conforming") && report.contains("no golden vectors"));
    let replayed = said(scalebench(&["replay"]).arg(runs.join("before")));
    assert_eq!(replayed.code, Some(2), "{replayed:?}");
    assert!(
        replayed.err.contains("its results stand in run.json"),
        "{replayed:?}"
    );
}

/// Our runner as firmware with a shipped model, behind a line of its own.
fn garments(dir: &Path, baud: u32, tamper: Option<Box<dyn Tamper>>, count: u32) -> VirtualBoard {
    let model = write_garments(dir, count);
    let mut arguments: Vec<_> = [
        "__runner",
        "--protocol",
        "mlperf-tiny",
        "--model-id",
        "ic01",
        "--model",
    ]
    .map(Into::into)
    .to_vec();
    arguments.push(model.into());
    VirtualBoard::start(Setup {
        program: program().to_owned(),
        arguments,
        baud,
        store: dir.join("store"),
        board: None,
        tamper,
    })
    .expect("the virtual board starts")
}

/// Waits until the board has started: a runner like the reference's takes its greeting for an answer.
fn greeted(path: &Path, baud: u32) {
    let port = Port::open(path, baud).unwrap();
    let mut heard = Vec::new();
    until(Duration::from_secs(20), "the board's greeting", || {
        let mut bytes = [0; 256];
        let count = port.read(&mut bytes).unwrap();
        heard.extend_from_slice(&bytes[..count]);
        heard.ends_with(b"m-init-done\r\nm-ready\r\n")
    });
}

/// The accuracy pass of whatever is at `port`.
fn accuracy(dir: &Path, port: &Path, more: &[&str]) -> Said {
    let mut command = scalebench(&["mlperf-tiny", "--mode", "accuracy", "--json", "--port"]);
    let output = dir.join("run");
    command
        .arg(port)
        .arg("--data")
        .arg(dir)
        .arg("--output")
        .arg(output);
    said(command.args(more))
}

#[test]
fn lost_and_damaged_bytes_are_noticed_and_sent_again() {
    let dir = tempfile::tempdir().unwrap();
    let noise = Noise::new(11, 10_000);
    let did = noise.counts();
    let board = garments(dir.path(), 3_000_000, Some(Box::new(noise)), 20);
    let said = accuracy(dir.path(), board.port(), &["--baud", BAUD, "--verify"]);
    let trial = trial(&said);
    assert!(did.errors() > 0, "the line was too good: {did:?}");
    assert!(said.err.contains("(trying again)"), "{}", said.err);
    let model = root().join("models/fashion-cnn/weights/s0.int8.tflite");
    let right = share_right(dir.path(), &model);
    assert_eq!(trial["quality"]["value"], right, "{}", said.err);
    let run = fs::read_to_string(dir.path().join("run/run.json")).unwrap();
    let run: Value = serde_json::from_str(&run).unwrap();
    assert!(run["mlperf_tiny"]["repeats"].as_u64() > Some(0));
}

#[test]
fn a_board_at_another_speed_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let board = garments(dir.path(), 921_600, None, 3);
    let said = accuracy(dir.path(), board.port(), &["--baud", "9600"]);
    trial(&said);
    assert!(
        said.err
            .contains("the board speaks at 921600 baud, not at 9600"),
        "{}",
        said.err
    );
}

/// Firmware that behaves as told: `answer` gets each command; it pauses where the answer has a [`PAUSE`].
struct Scripted {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    path: std::path::PathBuf,
}

impl Scripted {
    fn start(mut answer: impl FnMut(&str) -> String + Send + 'static) -> Self {
        let pty = Pty::open().unwrap();
        let path = pty.path().to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut pending = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let mut bytes = [0; 256];
                let count = pty.read(&mut bytes).unwrap();
                pending.extend_from_slice(&bytes[..count]);
                while let Some(end) = pending.iter().position(|&byte| byte == b'%') {
                    let command: Vec<u8> = pending.drain(..=end).collect();
                    let command = String::from_utf8_lossy(&command[..end]);
                    let text = answer(command.trim());
                    for (at, piece) in text.split(PAUSE).enumerate() {
                        let pause = if at == 0 { 0 } else { 60 };
                        std::thread::sleep(Duration::from_millis(pause));
                        assert_eq!(pty.write(piece.as_bytes()).unwrap(), piece.len());
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self {
            stop,
            thread: Some(thread),
            path,
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking());
    }
}

/// What sound firmware of keyword spotting with two words answers: the second word for inputs that begin with a 1.
fn sound(input: &mut Vec<u8>, command: &str) -> String {
    let said = match command.split(' ').collect::<Vec<_>>()[..] {
        ["name"] => "m-name-dut-[scripted]\r\n".to_owned(),
        ["profile"] => "m-profile-[test]\r\nm-model-[kws01]\r\n".to_owned(),
        ["db", "load", bytes] => {
            input.clear();
            format!("m-[Expecting {bytes} bytes]\r\n")
        }
        ["db", digits] => {
            let pairs = (0..digits.len() / 2).map(|at| &digits[2 * at..][..2]);
            input.extend(pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()));
            if input.len() == 40 {
                "m-load-done\r\n"
            } else {
                ""
            }
            .to_owned()
        }
        ["infer", n, w] => {
            let yes = u8::from(input[0] == 1);
            format!(
                "m-warmup-start-{w}\r\nm-warmup-done\r\nm-infer-start-{n}\r\nm-lap-us-7\r\nm-lap-us-9\r\n\
                 m-infer-done\r\nm-results-[{}.0,{yes}.0]\r\n",
                1 - yes
            )
        }
        _ => format!("e-[Unknown command: {command}]\r\n"),
    };
    said + "m-ready\r\n"
}

fn two_words(dir: &Path) {
    let of_task = dir.join("kws01");
    fs::create_dir(&of_task).unwrap();
    fs::write(of_task.join("yes.bin"), [1; 40]).unwrap();
    fs::write(of_task.join("no.bin"), [0; 40]).unwrap();
    fs::write(of_task.join("y_labels.csv"), "yes.bin,2,1\nno.bin,2,0\n").unwrap();
}

#[test]
fn stray_prints_and_a_restart_are_put_up_with() {
    let dir = tempfile::tempdir().unwrap();
    two_words(dir.path());
    let (mut input, mut commands) = (Vec::new(), 0);
    let board = Scripted::start(move |command| {
        commands += 1;
        if command.starts_with("infer") && commands < 12 {
            // The supply dips.
            input.clear();
            return "m-timestamp-mode-performance\r\nm-init-done\r\nm-ready\r\n".to_owned();
        }
        let answer = sound(&mut input, command);
        format!("\x1b[31mdebug: {command}\r\n[info] {answer}")
    });
    let said = accuracy(dir.path(), &board.path, &[]);
    assert_eq!(trial(&said)["quality"]["value"], 1.0);
    let results: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(results["restarts"], 1, "{}", said.err);
    let printed = results["printed"][0].as_str().unwrap();
    assert!(printed.starts_with("\\u{1b}[31mdebug: "), "{printed}");
    assert!(
        said.err.contains("the board restarted (trying again)"),
        "{}",
        said.err
    );
}

/// A meter's recording of ten thousand readings a second: windows of so many seconds at two watts, a tenth of one at
/// half a watt between them.
fn recording(windows: &[f64]) -> String {
    let (mut text, mut count) = ("time,power,trigger\n".to_owned(), 0);
    let mut row = |watts: f64, high: u8| {
        text += &format!("{:.4},{watts},{high}\n", f64::from(count) / 1e4);
        count += 1;
    };
    for seconds in windows {
        (0..1_000).for_each(|_| row(0.5, 1));
        row(2.0, 0);
        (1..(seconds * 1e4).round() as usize).for_each(|_| row(2.0, 1));
        row(0.5, 0);
    }
    (0..1_000).for_each(|_| row(0.5, 1));
    text
}

#[test]
fn energy_comes_from_an_external_meter() {
    let dir = tempfile::tempdir().unwrap();
    two_words(dir.path());
    let mut input = Vec::new();
    let board = Scripted::start(move |command| {
        let answer = sound(&mut input, command);
        answer.replace("m-lap-us-7\r\nm-lap-us-9\r\n", "\x07")
    });
    let run = dir.path().join("run");
    let mut command = scalebench(&[
        "mlperf-tiny",
        "--mode",
        "energy",
        "--window",
        "50ms",
        "--json",
    ]);
    command
        .arg("--port")
        .arg(&board.path)
        .arg("--data")
        .arg(dir.path());
    let trial = trial(&said(command.arg("--output").arg(&run)));
    assert!(
        trial["latency"].is_null(),
        "no clock but the host's told a time"
    );
    let windows: Vec<f64> = trial["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["mean_ns"].as_f64().unwrap() * w["inferences"].as_f64().unwrap() / 1e9)
        .collect();
    assert!(windows.len() == 5 && windows.iter().all(|&seconds| seconds >= 0.05));
    let csv = dir.path().join("meter.csv");
    let add = || {
        let mut command = scalebench(&["energy"]);
        said(command.arg(&run).arg("--meter").arg(&csv))
    };
    fs::write(&csv, recording(&windows)).unwrap();
    let added = add();
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(
        added
            .out
            .contains("µJ an inference (external meter, idle power included)")
    );
    let text = fs::read_to_string(run.join("energy/results.txt")).unwrap();
    let total: Vec<f64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("  Total Energy  : ")?.strip_suffix(" uJ"))
        .map(|number| number.parse().unwrap())
        .collect();
    for (total, seconds) in total.iter().zip(&windows) {
        // Windows of 50 ms, whose edges are known to a tenth of a millisecond.
        assert!((total / (2e6 * seconds) - 1.0).abs() < 4e-3, "{text}");
    }
    assert!(
        total.len() == 5 && text.contains("Median energy cost is "),
        "{text}"
    );
    let shown = said(scalebench(&["show"]).arg(&run));
    assert!(shown.out.contains("external meter"), "{shown:?}");
    fs::write(&csv, recording(&windows[..4])).unwrap();
    let refused = add();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused
            .err
            .contains("8 falling edges of `trigger`, and 5 windows take two each"),
        "{refused:?}"
    );
}

#[test]
fn a_board_that_hangs_is_given_up_in_clear_words_and_the_run_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    two_words(dir.path());
    let mut input = Vec::new();
    let board = Scripted::start(move |command| match command {
        "db load 40" => String::new(),
        other => sound(&mut input, other),
    });
    // Built before the clock runs.
    program();
    let begun = Instant::now();
    let said = accuracy(dir.path(), &board.path, &[]);
    assert_eq!(said.code, Some(3), "{said:?}");
    let last = said.err.lines().last().unwrap();
    assert!(last.starts_with("error: "), "{last}");
    for piece in [
        "`m-ready` did not come within 5 s of `db load 40%`",
        "press the board's reset",
    ] {
        assert!(last.contains(piece), "{last}");
    }
    assert!(begun.elapsed() < Duration::from_secs(60));
    let run = fs::read_to_string(dir.path().join("run/run.json")).unwrap();
    assert!(run.contains("\"failed\"") && run.contains("m-ready"));
}

#[test]
fn nobody_at_the_port_is_said_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    two_words(dir.path());
    let board = Scripted::start(|_| String::new());
    let said = accuracy(dir.path(), &board.path, &["--quiet"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    for piece in ["no board answers `name%`", "press its reset", "--baud"] {
        assert!(said.err.contains(piece), "{said:?}");
    }
    assert!(!dir.path().join("run").exists());
}

#[test]
fn a_missing_dataset_and_a_foreign_task_are_said_with_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let mut input = Vec::new();
    let board = Scripted::start(move |command| sound(&mut input, command));
    let said = accuracy(dir.path(), &board.path, &["--quiet"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("kws01/y_labels.csv") && said.err.contains("--data"));
    let board = Scripted::start(|command| match command {
        "profile" => "m-profile-[x]\r\nm-model-[sww01]\r\nm-ready\r\n".to_owned(),
        other => sound(&mut Vec::new(), other),
    });
    let said = accuracy(dir.path(), &board.path, &["--quiet"]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.err.contains("its model is `sww01`"), "{said:?}");
}

#[test]
fn the_runner_refuses_a_model_for_another_task() {
    let model = root().join("models/fashion-cnn/weights/s0.float32.tflite");
    let pty = Pty::open().unwrap();
    let mut command = scalebench(&[
        "__runner",
        "--protocol",
        "mlperf-tiny",
        "--model-id",
        "kws01",
    ]);
    command
        .arg("--model")
        .arg(model)
        .arg("--serial")
        .arg(pty.path());
    let said = said(&mut command);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.err
            .contains("the model's input is F32, which inputs of kws01 cannot become"),
        "{said:?}"
    );
}

#[test]
#[ignore = "takes a minute: five windows of ten seconds; .ci/run runs it in release"]
fn windows_of_ten_seconds_conform() {
    let dir = tempfile::tempdir().unwrap();
    let model = write_garments(dir.path(), 5);
    let run = dir.path().join("run");
    let more = ["--mode", "performance", "--output", run.to_str().unwrap()];
    let trial = trial(&virtually(dir.path(), "ic01", &model, &more));
    let windows = trial["windows"].as_array().unwrap();
    for window in windows {
        let micros = window["end"].as_u64().unwrap() - window["begin"].as_u64().unwrap();
        assert!(micros >= 10_000_000, "{window}");
    }
    let text = fs::read_to_string(run.join("performance/results.txt")).unwrap();
    assert!(
        text.contains(" ulp-mlperf: Median throughput is "),
        "{text}"
    );
    let run = fs::read_to_string(run.join("run.json")).unwrap();
    assert!(run.contains("\"window_s\": 10.0"));
}

#[test]
#[ignore = "needs Python with pyserial in SCALEBENCH_PYTHON: .ci/run makes it"]
fn a_runner_like_the_reference_drives_our_runner() {
    let python = std::env::var("SCALEBENCH_PYTHON").expect("SCALEBENCH_PYTHON names a python");
    let dir = tempfile::tempdir().unwrap();
    let board = garments(dir.path(), 115_200, None, 10);
    greeted(board.port(), 115_200);
    let model = root().join("models/fashion-cnn/weights/s0.int8.tflite");
    for mode in ["performance", "accuracy"] {
        let mut command = Command::new(&python);
        command
            .arg(root().join("tests/mlperf_tiny/reference_like.py"))
            .arg("--port")
            .arg(board.port())
            .args(["--mode", mode, "--data"])
            .arg(dir.path());
        let said = said(&mut command);
        assert_eq!(said.code, Some(0), "{said:?}");
        println!("{}", said.out);
        if mode == "accuracy" {
            let percent = 100.0 * share_right(dir.path(), &model);
            assert!(
                said.out.contains(&format!("Top 1% = {percent:.1}")),
                "{said:?}"
            );
        } else {
            assert!(said.out.contains("Median throughput is"), "{said:?}");
        }
    }
}
