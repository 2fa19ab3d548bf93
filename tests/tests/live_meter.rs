//! An external meter that records while a run goes on, over a pseudo-terminal.

use scalebench::meter::live::{Meter, Place};
use scalebench::meter::recording::{Hints, Recording};
use scalebench_tests::fake_meter::{Asked, FakeMeter, Samples, calibration};
use scalebench_tests::lab::{Said, benched, pulses, root, said, scalebench};
use serde_json::Value;
use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// What a meter sends when it begins, before anything happens: a tenth of a second of rest.
const REST: u32 = 10_000;
/// Samples that are made up at a time.
const SLICE: u32 = 2_000;

/// A meter that sends what `sends` gives at the start and at the end, in pieces, and is done.
fn meter(start: Vec<u8>, end: Vec<u8>) -> FakeMeter {
    FakeMeter::plug_in(move |asked| {
        Some(match asked {
            Asked::Calibration => calibration(),
            Asked::Start => start.clone(),
            Asked::More => Vec::new(),
            Asked::Stop => end.clone(),
        })
    })
}

fn place(meter: &FakeMeter) -> Place {
    meter.argument().parse().unwrap()
}

/// What a recording from begin to end holds, and what was complained of.
fn recorded(meter: &FakeMeter, folder: &Path) -> (Recording, Option<String>) {
    let file = folder.join("meter.csv");
    let recorder = Meter::open(&place(meter), 5.0)
        .unwrap()
        .record(&file)
        .unwrap();
    let complaint = recorder.finish().err().map(|error| error.to_string());
    let hints = Hints {
        trigger: None,
        supply_volts: Some(5.0),
    };
    (Recording::open(&file, hints).unwrap(), complaint)
}

#[test]
fn samples_become_a_file_that_is_read_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = Samples::default();
    samples.push(REST, 0.1, false);
    let start = samples.take();
    samples.push(20_005, 0.5, true);
    samples.push(REST + 5, 0.1, false);
    let meter = meter(start, samples.take());
    let (recording, complaint) = recorded(&meter, folder.path());
    assert_eq!(complaint, None);
    assert_eq!(recording.readings(), 4_001);
    assert!((recording.interval() - 1e-4).abs() < 1e-9);
    let edges: Vec<f64> = recording.edges.iter().map(|edge| edge.at).collect();
    // A reading of both levels tells of none: the edge is halfway between its neighbours.
    assert!(
        (edges[0] - 0.1).abs() < 1e-9 && (edges[1] - 0.300_05).abs() < 1e-9,
        "{edges:?}"
    );
    let inside = recording.around(0.15, 0.25);
    for reading in inside {
        assert!(
            (reading.amperes - 0.5).abs() < 1e-4 && reading.volts == 5.0,
            "{reading:?}"
        );
    }
    // Stop whatever goes on; calibration; 5 V; an ampere meter; switch closed; begin; end.
    let heard = meter.heard();
    assert_eq!(
        heard,
        [0x07, 0x19, 0x0d, 0x13, 0x88, 0x11, 1, 0x0c, 1, 0x06, 0x07]
    );
}

#[test]
fn what_the_meter_loses_leaves_a_hole_and_garbage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = Samples::default();
    samples.push(REST, 0.1, false);
    samples.lose(40);
    samples.push(REST, 0.1, false);
    let mut end = samples.take();
    let (recording, complaint) = recorded(&meter(end.clone(), Vec::new()), folder.path());
    assert_eq!(complaint, None);
    let [(from, to)] = recording.holes[..] else {
        panic!("{:?}", recording.holes)
    };
    assert!(
        from < 0.1 && to > 0.1004 && to - from < 0.0007,
        "{from} {to}"
    );
    assert!(recording.has_hole(0.05, 0.15) && !recording.has_hole(0.11, 0.15));
    // Another program's words in the middle.
    end.splice(40_000..40_000, *b"some other program's words");
    let (recording, complaint) = recorded(&meter(end, Vec::new()), folder.path());
    let complaint = complaint.unwrap();
    assert!(
        complaint.contains("were no samples: check its cable"),
        "{complaint}"
    );
    assert!(recording.has_hole(0.05, 0.15));
    assert!(recording.readings() > 1_990);
}

#[test]
fn a_meter_that_is_none_is_refused_with_a_reason() {
    let refused = |meter: &FakeMeter, volts: f64| {
        let meter = Meter::open(&place(meter), volts).unwrap_err();
        meter.to_string()
    };
    let silent = FakeMeter::plug_in(|_| Some(Vec::new()));
    assert!(refused(&silent, 9.0).contains("works from 0.8 to 5.0 V, not with 9 V"));
    let refusal = refused(&silent, 5.0);
    assert!(
        refusal.contains("does not answer as a PPK2: it says nothing"),
        "{refusal}"
    );
    let modem = FakeMeter::plug_in(|_| Some(b"ERROR\r\nEND\n".to_vec()));
    let refusal = refused(&modem, 5.0);
    assert!(refusal.contains("its calibration has no R0"), "{refusal}");
    let nowhere: Place = "ppk2:/dev/ttyNOWHERE".parse().unwrap();
    let refusal = Meter::open(&nowhere, 5.0).unwrap_err().to_string();
    assert!(
        refusal.contains("name another one with --meter"),
        "{refusal}"
    );
    let folder = tempfile::tempdir().unwrap();
    let dumb = meter(Vec::new(), Vec::new());
    let meter = Meter::open(&place(&dumb), 5.0).unwrap();
    let refusal = meter.record(&folder.path().join("meter.csv")).unwrap_err();
    assert!(
        refusal
            .to_string()
            .contains("sends nothing that is a sample"),
        "{refusal}"
    );
}

/// A short run with a meter; its folder.
fn run(meter: &FakeMeter, folder: &Path, more: &[&str]) -> (Said, PathBuf, Value) {
    let argument = meter.argument();
    let own = [
        ["--variant", "d1-w2"],
        ["--windows", "3"],
        ["--window-ms", "200"],
        ["--meter", &argument],
        ["--supply-voltage", "5V"],
    ];
    let board = root().join("boards/local.toml");
    let (said, results) = benched(&board, folder, &[own.as_flattened(), more].concat());
    (said, folder.join("run"), results)
}

/// The windows of the run in `folder` as the pin would have marked them.
fn windows(folder: &Path) -> Vec<(u64, u64)> {
    let text = fs::read(folder.join("run.json")).unwrap();
    let run: Value = serde_json::from_slice(&text).unwrap();
    pulses(&run["results"])
}

/// What a meter sends.
#[derive(Clone, Copy)]
enum Piece {
    /// So many samples of so many amperes, and the pin.
    Samples(u32, f64, bool),
    /// So many are lost.
    Lost(u32),
}

/// What a meter would have recorded of these windows: 0.6 A and a high pin in them, 0.2 A
/// elsewhere. At the beginning of window `broken` samples are lost.
fn recorded_of(windows: &[(u64, u64)], broken: Option<usize>) -> VecDeque<Piece> {
    // Ticks are nanoseconds, a sample is ten microseconds.
    let begin = windows[0].0 - 500_000_000;
    let at = |tick: u64| ((tick - begin) / 10_000) as u32;
    let mut last = 0;
    let mut pieces = VecDeque::new();
    for (number, &(rise, fall)) in windows.iter().enumerate() {
        pieces.push_back(Piece::Samples(at(rise) - last, 0.2, false));
        let lost = if broken == Some(number) { 30 } else { 0 };
        pieces.push_back(Piece::Lost(lost));
        pieces.push_back(Piece::Samples(at(fall) - at(rise) - lost, 0.6, true));
        last = at(fall);
    }
    pieces.push_back(Piece::Samples(REST, 0.2, false));
    pieces
}

/// A meter that knows of a run's windows once they are over, and sends everything then.
fn patient(folder: PathBuf, broken: Option<usize>) -> FakeMeter {
    let mut samples = Samples::default();
    let mut coming = VecDeque::new();
    FakeMeter::plug_in(move |asked| {
        match asked {
            Asked::Calibration => return Some(calibration()),
            Asked::Start => samples.push(REST, 0.2, false),
            Asked::Stop => coming = recorded_of(&windows(&folder), broken),
            Asked::More => match coming.pop_front() {
                // In slices, lest it fall silent while it makes them up.
                Some(Piece::Samples(count, amperes, is_high)) => {
                    let now = count.min(SLICE);
                    samples.push(now, amperes, is_high);
                    if now < count {
                        coming.push_front(Piece::Samples(count - now, amperes, is_high));
                    }
                }
                Some(Piece::Lost(count)) => samples.lose(count),
                None => {}
            },
        }
        Some(samples.take())
    })
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn a_run_with_a_meter_has_its_energy_and_the_recording_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let meter = patient(folder.path().join("run"), None);
    let (told, output, results) = run(&meter, folder.path(), &["--meter-accuracy", "1%"]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.out.contains("external meter"), "{told:?}");
    for trial in results["trials"].as_array().unwrap() {
        let energy = &trial["energy"];
        assert_eq!(energy["tier"], "external meter", "{trial}");
        let windows = trial["windows"].as_array().unwrap();
        let mean: f64 = windows
            .iter()
            .map(|window| number(&window["mean_ns"]))
            .sum();
        let share = number(&energy["gross_j"]["value"]) / (mean / 3e9 * 3.0);
        assert!((share - 1.0).abs() < 2e-3, "{share}");
    }
    let replayed = said(scalebench(&["replay"]).arg(&output));
    assert!(replayed.out.contains("to the last bit"), "{replayed:?}");
    // The file is one that can be added again.
    let again = said(
        scalebench(&["energy", "--json", "--supply-voltage", "5V", "--meter"])
            .arg(output.join("meter.csv"))
            .arg(&output),
    );
    assert_eq!(again.code, Some(0), "{again:?}");
    let again: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(
        again["trials"][0]["energy"]["gross_j"]["value"],
        results["trials"][0]["energy"]["gross_j"]["value"]
    );
}

#[test]
fn a_window_in_which_samples_were_lost_has_no_energy() {
    let folder = tempfile::tempdir().unwrap();
    let meter = patient(folder.path().join("run"), Some(1));
    let (told, _, results) = run(&meter, folder.path(), &[]);
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(
        told.out.contains("it lost readings in 1 window"),
        "{told:?}"
    );
    let counted = |trial: &Value| trial["energy"]["windows"].as_u64().unwrap();
    let trials = results["trials"].as_array().unwrap();
    assert_eq!(trials.iter().map(counted).sum::<u64>(), 2, "{results}");
}

#[test]
fn a_meter_that_is_unplugged_costs_the_energy_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (tell, told_of) = mpsc::channel();
    let mut samples = Samples::default();
    let meter = FakeMeter::plug_in(move |asked| {
        match asked {
            Asked::Calibration => return Some(calibration()),
            Asked::Start => samples.push(REST, 0.2, false),
            _ if samples.count < 10 * REST => samples.push(500, 0.2, false),
            _ => {
                tell.send(()).unwrap();
                return None;
            }
        }
        Some(samples.take())
    });
    let (told, output, results) = run(&meter, folder.path(), &[]);
    told_of.recv().expect("it was unplugged during the run");
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(
        told.err.contains("was unplugged 1.0 s after it began"),
        "{told:?}"
    );
    assert!(
        told.err
            .contains("no energy by the meter: the recording has 0 edges"),
        "{told:?}"
    );
    assert_eq!(results["trials"][0]["status"]["state"], "done");
    assert_eq!(results["trials"][0]["energy"], Value::Null);
    assert!(fs::metadata(output.join("meter.csv")).unwrap().len() > 20_000);
    assert!(output.join("report.html").exists());
}
