//! `scalebench models stock`: what a run needs is in the board's store before the board is there.

use scalebench_tests::lab::{board, said, scalebench};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const BAUD: u32 = 3_000_000;
const CHOICE: [&str; 4] = ["--variant", "diamonds-mlp/d1-w2", "--precision", "int8"];

/// When each file of the store was written; the virtual board's log lies beside them.
fn written(store: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let files = fs::read_dir(store).expect("the store is there").flatten();
    files
        .filter(|file| file.path().extension().is_none_or(|ext| ext != "log"))
        .map(|file| (file.path(), file.metadata().unwrap().modified().unwrap()))
        .collect()
}

#[test]
fn nothing_of_a_stocked_store_goes_over_the_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let stock = || {
        let mut command = scalebench(&["models", "stock", "--store"]);
        said(command.arg(&store).args(CHOICE))
    };
    let told = stock();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("3 files put in"), "{told:?}");
    let before = written(&store);
    // Model, dataset and golden vectors, each under its hash, and nothing else.
    assert_eq!(before.len(), 3);
    for path in before.keys() {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert_eq!(name.len(), 64, "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    }
    let again = stock();
    assert!(again.out.contains("0 files put in"), "{again:?}");
    assert_eq!(written(&store), before);
    // A card that forgets.
    let first = before.keys().next().unwrap();
    fs::write(first, "x").unwrap();
    let again = stock();
    assert!(again.out.contains("1 file put in"), "{again:?}");
    let before = written(&store);

    let virtual_board = board(&store, BAUD, None);
    let mut command = scalebench(&["run", "--quiet", "--seed", "7", "--window-ms", "20"]);
    command
        .args(["--baud", &BAUD.to_string(), "--port"])
        .arg(virtual_board.port())
        .arg("--output")
        .arg(dir.path().join("run"))
        .args(CHOICE);
    let told = said(&mut command);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(written(&store), before);
}

#[test]
fn a_store_that_cannot_be_written_is_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let mut command = scalebench(&["models", "stock", "--store"]);
    let told = said(command.arg(file.join("store")).args(CHOICE));
    assert_eq!(told.code, Some(5), "{told:?}");
    assert!(
        told.err.contains("Not a directory") && told.err.contains("another folder with --store"),
        "{told:?}"
    );
}
