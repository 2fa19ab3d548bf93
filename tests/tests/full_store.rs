//! A board whose store has no room for an artefact.

use scalebench::virtual_board::{Setup, VirtualBoard};
use scalebench_tests::lab::{board, program, said, scalebench};
use std::fs;
use std::path::Path;
use std::process::Command;

const BAUD: u32 = 3_000_000;

/// A virtual board whose files can have two kilobytes (POSIX: blocks of 512 bytes); writing more is an error.
fn full_board(store: &Path) -> VirtualBoard {
    let runner = program().display();
    let script = format!("trap '' XFSZ; ulimit -f 4; exec {runner} __runner \"$@\"");
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
    let mut command = scalebench(&["run", "--quiet", "--seed", "7", "--window-ms", "20"]);
    command
        .args(["--baud", &BAUD.to_string(), "--precision", "float32"])
        .args(["--variant", "diamonds-mlp/d1-w2", "--port"])
        .arg(port)
        .arg("--output")
        .arg(folder);
    command
}

#[test]
fn a_store_without_room_is_said_and_left_clean() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let full = full_board(&store);
    let refused = said(&mut run(full.port(), &dir.path().join("refused")));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.out.contains("make room in its store"),
        "{refused:?}"
    );
    drop(full);
    let parts = fs::read_dir(&store).unwrap().flatten();
    let parts = parts.filter(|entry| entry.file_name().to_string_lossy().ends_with(".part"));
    assert_eq!(parts.count(), 0);

    let roomy = board(&store, BAUD, None);
    let done = said(&mut run(roomy.port(), &dir.path().join("done")));
    assert_eq!(done.code, Some(0), "{done:?}");
}
