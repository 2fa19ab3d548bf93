//! Whether the decoding of outputs into boxes counts in the latency is the plan's, and is told wherever that is shown.

use scalebench_tests::lab::{said, scalebench};
use std::fs;
use std::path::Path;

fn run(dir: &Path, name: &str, more: &[&str]) -> String {
    let mut command = scalebench(&[
        "run",
        "--quiet",
        "--baud",
        "3000000",
        "--family",
        "garment-detect",
    ]);
    command
        .args([
            "--variant",
            "w8-d2",
            "--precision",
            "int8",
            "--windows",
            "2",
            "--window-ms",
            "20",
        ])
        .args(["--store", "store", "--output", name])
        .args(more)
        .current_dir(dir);
    let ran = said(&mut command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.out
}

#[test]
fn decoding_is_timed_where_the_plan_says_so_and_every_surface_tells() {
    let dir = tempfile::tempdir().unwrap();
    let alone = run(dir.path(), "alone", &[]);
    let whole = run(dir.path(), "whole", &["--time-decoding"]);
    assert!(
        alone.contains("latencies of detection hold inference alone"),
        "{alone}"
    );
    let words = "inference, decoding and suppression";
    assert!(whole.contains(words), "{whole}");
    let read = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
    let plan = |folder: &str| -> serde_json::Value {
        serde_json::from_str(&read(&format!("{folder}/run.json"))).unwrap()
    };
    assert_eq!(plan("alone")["plan"]["time_decoding"], false);
    assert_eq!(plan("whole")["plan"]["time_decoding"], true);
    // The board itself took note, and only where it was asked to.
    let note = "windows of detection hold decoding: true";
    assert!(read("whole/log.txt").contains(note));
    assert!(!read("alone/log.txt").contains("hold decoding"));
    assert!(read("whole/report.html").contains(words));
    let quality = |folder: &str| plan(folder)["results"]["trials"][0]["quality"].clone();
    assert_eq!(
        quality("alone"),
        quality("whole"),
        "timing it does not change what is found"
    );
    // The host works the figure out again from what the board told of each picture: else there is no interval.
    let told = quality("alone");
    let number = |value: &serde_json::Value| value.as_f64().unwrap_or(f64::NAN);
    let [low, value, high] = [
        number(&told["interval"]["low"]),
        number(&told["value"]),
        number(&told["interval"]["high"]),
    ];
    assert!(
        0.0 < low && low < value && value < high && high < 1.0,
        "{told}"
    );
    let replayed = said(scalebench(&["replay", "--json", "whole"]).current_dir(dir.path()));
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let exported = said(scalebench(&["export", "whole"]).current_dir(dir.path()));
    assert!(exported.out.contains(words), "{exported:?}");
    let compared = said(scalebench(&["compare", "alone", "whole"]).current_dir(dir.path()));
    assert_eq!(compared.code, Some(2), "{compared:?}");
    assert!(
        compared
            .err
            .contains("measure both with --time-decoding, or neither"),
        "{compared:?}"
    );
}
