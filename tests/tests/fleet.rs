//! Runs on several boards at once: one folder, one report, and no board that holds up another.

use scalebench::virtual_board::Pty;
use scalebench_tests::lab::{Said, board, said, scalebench};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const TRIALS: [&str; 12] = [
    "--quiet",
    "--baud",
    "3000000",
    "--seed",
    "7",
    "--family",
    "diamonds-mlp",
    "--precision",
    "int8",
    "--variant",
    "d1-w2",
    "--variant=d2-w4",
];
const BOARDS: [&str; 4] = ["--board", "local", "--board", "local-simulated"];

fn run(dir: &Path) -> Command {
    let mut command = scalebench(&["run"]);
    command
        .args(TRIALS)
        .args(BOARDS)
        .arg("--store")
        .arg(dir.join("store"))
        .arg("--output")
        .arg(dir.join("run"));
    command
}

fn parsed(path: &Path) -> Value {
    let text = fs::read(path).expect("the file is there");
    serde_json::from_slice(&text).expect("it is JSON")
}

/// How many of a board's trials are done.
fn done(results: &Value) -> usize {
    let trials = results["trials"].as_array().expect("trials");
    let done = |trial: &&Value| trial["status"]["state"] == "done";
    trials.iter().filter(done).count()
}

fn export(dir: &Path, what: &str) -> Said {
    said(
        scalebench(&["export", "--format", "csv", "--runs"])
            .arg(dir)
            .arg(what),
    )
}

#[test]
fn two_boards_are_measured_at_once_and_told_in_one_report() {
    let dir = tempfile::tempdir().unwrap();
    let told = said(&mut run(dir.path()));
    assert_eq!(told.code, Some(0), "{told:?}");
    let folder = dir.path().join("run");
    for (board, rails) in [("local", 0), ("local-simulated", 1)] {
        let file = parsed(&folder.join(board).join("run.json"));
        assert_eq!(file["plan"]["board"], board);
        assert_eq!(done(&file["results"]), 2);
        assert_eq!(
            file["results"]["rails"].as_array().map(Vec::len),
            Some(rails)
        );
        assert_eq!(file["complete"], true);
        // The table has a line for each board.
        let lines = |word: &str| told.out.lines().filter(|line| line.contains(word)).count();
        assert!(lines(&format!(" {board} ")) >= 2, "{told:?}");
    }
    // Both are this machine, and slow each other down: that is said.
    assert!(told.out.contains("at the same time"), "{told:?}");
    let report = fs::read_to_string(folder.join("report.html")).unwrap();
    for words in ["id=\"local\"", "id=\"local-simulated\"", "board by board"] {
        assert!(report.contains(words), "{words}");
    }
    assert!(report.contains("Virtual board.") && report.contains("Simulated energy."));

    let replayed = said(scalebench(&["replay"]).arg(&folder));
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let again = "the capture gives the results of run.json, to the last bit";
    assert_eq!(replayed.out.matches(again).count(), 2, "{replayed:?}");
    assert_eq!(
        fs::read_to_string(folder.join("report.html")).unwrap(),
        report
    );
    let results = said(scalebench(&["replay", "--json"]).arg(&folder));
    let results: Value = serde_json::from_str(&results.out).unwrap();
    assert_eq!(
        results["local"],
        parsed(&folder.join("local/run.json"))["results"]
    );

    // The whole, or one of it, by name.
    let whole = export(dir.path(), "run");
    assert_eq!(whole.out.lines().count(), 5, "{whole:?}");
    assert!(whole.out.contains("run/local-simulated,"), "{whole:?}");
    assert_eq!(export(dir.path(), "run/local").out.lines().count(), 3);
    let listed = said(scalebench(&["list", "--runs"]).arg(dir.path()));
    assert!(listed.out.contains("run/local-simulated"), "{listed:?}");
    let refused = said(scalebench(&["compare", "run", "run/local", "--runs"]).arg(dir.path()));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("a run of 2 boards"), "{refused:?}");
    taken_whole(dir.path());
    let kept = said(scalebench(&["rm", "run/local", "--runs"]).arg(dir.path()));
    assert!(kept.err.contains("is one board of the run"), "{kept:?}");
    let gone = said(scalebench(&["rm", "run", "--runs"]).arg(dir.path()));
    assert_eq!(gone.code, Some(0), "{gone:?}");
    assert!(!folder.exists());
}

/// What else is done with the run as a whole.
fn taken_whole(dir: &Path) {
    let at_home = |arguments: &[&str]| said(scalebench(arguments).arg("--runs").arg(dir));
    let tagged = at_home(&["tag", "run", "night"]);
    assert_eq!(tagged.code, Some(0), "{tagged:?}");
    let hidden = at_home(&["tag", "run/local", "run"]);
    assert_eq!(hidden.code, Some(2), "{hidden:?}");

    // Board by board, and a board's figures are no worse than they are.
    let same = at_home(&["compare", "night", "run", "--json"]);
    assert_eq!(same.code, Some(0), "{same:?}");
    let compared: Value = serde_json::from_str(&same.out).unwrap();
    for board in ["local", "local-simulated"] {
        let judged = compared["boards"][board]["judged"].as_array().unwrap();
        assert!(judged.len() >= 4, "{compared}");
        assert!(judged.iter().all(|one| one["before"] == one["after"]));
    }
    let page = at_home(&["compare", "run", "night", "--markdown"]);
    for board in ["local", "local-simulated"] {
        let heading = format!("### scalebench: {board}: ");
        assert!(page.out.contains(&heading), "{page:?}");
    }

    let picked = at_home(&["pick", "night", "--max-latency=1s", "--json"]);
    assert_eq!(picked.code, Some(0), "{picked:?}");
    let answers: Value = serde_json::from_str(&picked.out).unwrap();
    for board in ["local", "local-simulated"] {
        assert_eq!(answers[board][0]["fits"], true, "{answers}");
    }

    // Another laptop's.
    let other = tempfile::tempdir().unwrap();
    let import = || {
        let mut command = scalebench(&["import", "--runs"]);
        said(command.arg(other.path()).arg(dir.join("run")))
    };
    let kept = import();
    assert_eq!(kept.code, Some(0), "{kept:?}");
    for board in ["local", "local-simulated"] {
        let file = |root: &Path| parsed(&root.join("run").join(board).join("run.json"));
        assert_eq!(file(other.path())["results"], file(dir)["results"]);
    }
    assert!(other.path().join("run/report.html").is_file());
    let listed = said(scalebench(&["list", "--runs"]).arg(other.path()));
    assert!(listed.out.contains("run/local-simulated"), "{listed:?}");
    let again = import();
    assert_eq!(again.code, Some(2), "{again:?}");

    // A board that only one of the runs has is lost, or added.
    let index = other.path().join("run/boards.json");
    let mut boards = parsed(&index);
    boards["boards"].as_array_mut().unwrap().pop();
    fs::write(&index, boards.to_string()).unwrap();
    let fewer = other.path().join("run").display().to_string();
    let lost = at_home(&["compare", "run", &fewer]);
    assert_eq!(lost.code, Some(1), "{lost:?}");
    assert!(
        lost.out.contains("boards only before: local-simulated"),
        "{lost:?}"
    );
    let added = at_home(&["compare", &fewer, "run"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    assert!(
        added.out.contains("boards only after: local-simulated"),
        "{added:?}"
    );
}

#[test]
fn a_board_that_does_not_answer_holds_up_no_other_and_can_be_had_later() {
    let dir = tempfile::tempdir().unwrap();
    let silent = Pty::open().unwrap();
    let at = |path: &Path| format!("local-simulated={}", path.display());
    let told = said(run(dir.path()).arg("--port").arg(at(silent.path())));
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.err.contains("local-simulated: no runner answers on"),
        "{told:?}"
    );
    let folder = dir.path().join("run");
    let results = |board: &str| parsed(&folder.join(board).join("run.json"))["results"].clone();
    assert_eq!(
        (done(&results("local")), done(&results("local-simulated"))),
        (2, 0)
    );
    let report = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(report.contains("Not measured to the end."));
    let boards = &parsed(&folder.join("boards.json"))["boards"];
    assert!(boards[0]["trouble"].is_null(), "{boards}");
    let trouble = boards[1]["trouble"].as_str().expect("a reason");
    assert!(trouble.contains("no runner answers"), "{trouble}");

    // The same board, now that it is on. What was measured stays as it is.
    let before = results("local");
    let on = board(&dir.path().join("later"), 3_000_000, None);
    let resumed = said(
        scalebench(&["run", "--quiet", "--baud", "3000000", "--resume"])
            .arg(&folder)
            .arg("--port")
            .arg(at(on.port())),
    );
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(done(&results("local-simulated")), 2);
    assert_eq!(results("local"), before);
    let boards = &parsed(&folder.join("boards.json"))["boards"];
    assert!(boards[1]["trouble"].is_null(), "{boards}");
}

#[test]
fn ports_that_do_not_add_up_are_refused_before_anything_is_begun() {
    let dir = tempfile::tempdir().unwrap();
    let told = said(run(dir.path()).args(["--port", "/dev/ttyUSB0"]));
    assert_eq!(told.code, Some(2), "{told:?}");
    assert!(
        told.err.contains("--port is given 1 time for 2 boards"),
        "{told:?}"
    );
    assert!(!dir.path().join("run").exists());
}
