//! What a person is told when something is wrong: one clear sentence, and the exit code of the help.

use scalebench::port::Port;
use scalebench::virtual_board::Pty;
use scalebench_tests::lab::{Said, root, said, scalebench};
use scalebench_wire::PROTOCOL_VERSION;
use scalebench_wire::frame::crc32;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One line on standard error, with all of `pieces` in it; `code` as the help lists them.
fn assert_sentence(said: &Said, code: i32, pieces: &[&str]) {
    assert_eq!(said.code, Some(code), "{said:?}");
    let sentence = said.err.trim_end();
    assert!(sentence.starts_with("error: "), "{said:?}");
    assert_eq!(sentence.lines().count(), 1, "{sentence}");
    for piece in pieces {
        assert!(sentence.contains(piece), "`{piece}` is not in: {sentence}");
    }
    assert!(!sentence.contains("panicked"), "{sentence}");
}

/// A models folder with a copy of diamonds-mlp to break.
fn models(dir: &Path) -> PathBuf {
    let family = dir.join("models/diamonds-mlp");
    let from = root().join("models/diamonds-mlp");
    for sub in ["data", "golden", "weights"] {
        fs::create_dir_all(family.join(sub)).unwrap();
        for file in fs::read_dir(from.join(sub)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), family.join(sub).join(file.file_name())).unwrap();
        }
    }
    fs::copy(from.join("family.toml"), family.join("family.toml")).unwrap();
    family
}

fn run_one(dir: &Path) -> Said {
    let mut command = scalebench(&["run", "--quiet", "--baud", "3000000", "--variant", "d1-w2"]);
    command
        .args([
            "--precision",
            "float32",
            "--family",
            "diamonds-mlp",
            "--models",
        ])
        .arg(dir.join("models"))
        .arg("--output")
        .arg(dir.join("run"))
        .arg("--store")
        .arg(dir.join("store"));
    said(&mut command)
}

fn edit(family: &Path, from: &str, to: &str) {
    let path = family.join("family.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_broken_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let family = models(dir.path());
    edit(&family, "use_case = ", "usecase = ");
    assert_sentence(
        &run_one(dir.path()),
        2,
        &["family.toml", "line 5", "`usecase`", "use_case"],
    );
    // Nothing was begun.
    assert!(!dir.path().join("run").exists());
}

#[test]
fn a_model_file_that_was_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    let family = models(dir.path());
    let path = family.join("weights/d1-w2.float32.tflite");
    let model = fs::read(&path).unwrap();
    fs::write(&path, &model[..700]).unwrap();
    let said = run_one(dir.path());
    assert_sentence(
        &said,
        2,
        &[
            "d1-w2.float32.tflite",
            "700 bytes long, but the manifest says 1552",
            "recipe",
        ],
    );
}

#[test]
fn a_model_file_that_was_cut_short_with_a_manifest_that_agrees_ends_its_trial_only() {
    let dir = tempfile::tempdir().unwrap();
    let family = models(dir.path());
    let path = family.join("weights/d1-w2.float32.tflite");
    let whole = fs::read(&path).unwrap();
    let model = &whole[..700];
    fs::write(&path, model).unwrap();
    let hex = |bytes: &[u8]| -> String {
        Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    edit(&family, &hex(&whole), &hex(model));
    edit(&family, "bytes = 1552", "bytes = 700");
    let said = run_one(dir.path());
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(!said.err.contains("panicked"), "{said:?}");
    let run: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.path().join("run/run.json")).unwrap()).unwrap();
    let trial = &run["results"]["trials"][0];
    assert_ne!(trial["status"]["state"], "done", "{trial}");
    let reason = trial["status"]["reason"].as_str().unwrap_or_default();
    assert!(!reason.is_empty(), "{trial}");
    assert_eq!(run["results"]["restarts"], 0, "the runner lives on");
}

#[test]
fn a_file_with_another_hash() {
    let dir = tempfile::tempdir().unwrap();
    let family = models(dir.path());
    let path = family.join("weights/d1-w2.float32.tflite");
    let mut model = fs::read(&path).unwrap();
    model[900] ^= 1;
    fs::write(&path, model).unwrap();
    assert_sentence(
        &run_one(dir.path()),
        2,
        &[
            "d1-w2.float32.tflite",
            "SHA-256 is",
            "but the manifest says ",
            "recipe",
        ],
    );
}

#[test]
fn an_unknown_family() {
    let said = said(&mut scalebench(&["run", "--family", "diamond-mlp"]));
    assert_sentence(&said, 2, &["no family `diamond-mlp`", "diamonds-mlp"]);
}

#[test]
fn a_missing_port() {
    let said = said(&mut scalebench(&["link", "--port", "/dev/ttyNOWHERE7"]));
    assert_sentence(
        &said,
        3,
        &["no serial port /dev/ttyNOWHERE7", "plug", "--port"],
    );
}

#[test]
fn a_port_that_is_a_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let said = said(scalebench(&["link", "--port"]).arg(file.path()));
    assert_sentence(&said, 3, &["is no serial port", "--port"]);
}

#[test]
fn a_busy_port() {
    let pty = Pty::open().unwrap();
    let _held = Port::open(pty.path(), 115_200).unwrap();
    let said = said(scalebench(&["link", "--port"]).arg(pty.path()));
    assert_sentence(&said, 3, &["is in use by another program", "fuser"]);
}

#[test]
fn a_board_that_says_nothing() {
    let pty = Pty::open().unwrap();
    let said = said(scalebench(&["link", "--port"]).arg(pty.path()));
    assert_sentence(&said, 3, &["no runner answers on", "check"]);
}

#[test]
fn a_port_that_goes_while_it_is_used() {
    let pty = Pty::open().unwrap();
    let mut command = scalebench(&["link", "--port"]);
    command.arg(pty.path());
    let gone = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1_500));
        drop(pty);
    });
    let said = said(&mut command);
    gone.join().unwrap();
    assert_sentence(&said, 3, &["is gone", "plug"]);
}

/// A board that says hello in another version, again and again.
fn other_version(version: u8) -> Said {
    let pty = Pty::open().unwrap();
    let mut frame = vec![version, 0, 0, 0, 0, 1, 0x55];
    let crc = crc32(&frame);
    frame.extend(crc.to_le_bytes());
    let mut line = [0; 32];
    let length = cobs::encode(&frame, &mut line[1..]);
    let line = &line[..length + 2];
    let mut command = scalebench(&["link", "--port"]);
    command.arg(pty.path());
    let host = std::thread::spawn(move || said(&mut command));
    while !host.is_finished() {
        let mut heard = [0; 256];
        let _ = pty.read(&mut heard);
        let _ = pty.write(line);
        std::thread::sleep(Duration::from_millis(100));
    }
    host.join().unwrap()
}

#[test]
fn a_runner_of_a_later_version() {
    let said = other_version(PROTOCOL_VERSION + 1);
    assert_sentence(
        &said,
        4,
        &[
            &format!("runner speaks protocol {}", PROTOCOL_VERSION + 1),
            &format!("this host {PROTOCOL_VERSION}"),
            "update the host",
        ],
    );
}

#[test]
fn a_runner_of_an_earlier_version() {
    let said = other_version(PROTOCOL_VERSION - 1);
    assert_sentence(
        &said,
        4,
        &[
            &format!("runner speaks protocol {}", PROTOCOL_VERSION - 1),
            "`scalebench image`",
        ],
    );
}

#[test]
fn a_folder_that_holds_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let said = said(scalebench(&["replay"]).arg(dir.path()));
    assert_sentence(&said, 2, &["holds no run", "folder of a run"]);
}

#[test]
fn a_wrong_word_on_the_command_line() {
    let said = said(&mut scalebench(&["run", "--bauds", "9600"]));
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("--baud"), "{said:?}");
}

#[test]
fn published_tables_go_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let import = |name: &str| said(scalebench(&["import", name, "--runs"]).arg(dir.path()));
    assert_sentence(
        &import("nowhere"),
        2,
        &["no such folder", "`study`", "published"],
    );
    let study = import("study");
    assert_eq!(study.code, Some(0), "{study:?}");
    // The same bytes wherever it is done.
    let page = |path: &Path| fs::read(path).unwrap();
    let report = dir.path().join("published-study/report.html");
    assert!(page(&report) == page(&root().join("docs/study.html")));
    let mut pick = scalebench(&["pick", "published-study", "--max-latency=20ms", "--runs"]);
    let picked = said(pick.arg(dir.path()));
    assert_sentence(&picked, 2, &["--max-latency", "does not state the unit"]);
}
