//! Made-up recordings of known loads on a clock of their own, through files, alignment and integration.

use super::recording::Hints;
use super::*;
use crate::energy::tests::{BEGIN, Dice, END, TRIALS, VOLTS, WAVES, Wave};
use std::fmt::Write as _;

fn window(number: u8, begin: u64, end: u64) -> WindowResult {
    WindowResult {
        window: number,
        begin,
        end,
        inferences: 10,
        mean_ns: (end - begin) as f64 / 10.0,
        ..WindowResult::default()
    }
}

/// A run of one trial with these windows, in ticks of a nanosecond.
fn run(windows: &[(u64, u64)]) -> RunResults {
    let numbered = (0..).zip(windows);
    let windows = numbered.map(|(number, &(begin, end))| window(number, begin, end));
    RunResults {
        trials: vec![TrialResult {
            status: Status::Done,
            windows: windows.collect(),
            ..TrialResult::default()
        }],
        ..RunResults::default()
    }
}

/// A meter: nanoseconds between readings, its clock's offset and rate, gain and offset in amperes.
#[derive(Clone, Copy)]
struct Specimen {
    interval: u64,
    clock: (f64, f64),
    gain: f64,
    amperes: f64,
}

const PERFECT: Specimen = Specimen {
    interval: 100_000,
    clock: (0.0, 1.0),
    gain: 1.0,
    amperes: 0.0,
};

/// What it records of `wave` until `last`, with a pin that is `resting` but in `windows`, which it shows late.
fn recording(
    specimen: Specimen,
    wave: &Wave,
    last: u64,
    windows: &[(u64, u64)],
    resting: bool,
    late: u64,
) -> String {
    let mut text = "Time(ms), Voltage, Current(mA), Trigger\n".to_owned();
    let mut at = 1_000;
    while at < last {
        let amperes = wave.charge(at - 1_000, at) / 1e3 * specimen.gain + specimen.amperes;
        let marked = windows
            .iter()
            .any(|(begin, end)| begin.saturating_sub(late) <= at && at < end + late);
        let time = specimen.clock.0 + specimen.clock.1 * at as f64 / 1e6;
        let level = u8::from(marked != resting);
        writeln!(text, "{time:.6}, {VOLTS}, {:.6}, {level}", amperes * 1e3).unwrap();
        at += specimen.interval;
    }
    text
}

fn read(text: &str) -> Recording {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("meter.csv");
    std::fs::write(&path, text).unwrap();
    Recording::open(&path, Hints::default()).unwrap()
}

fn said(text: &str, windows: &[(u64, u64)]) -> String {
    let mut results = run(windows);
    let before = results.clone();
    let error = add(&mut results, &read(text), Marks::Board, None).unwrap_err();
    assert_eq!(results, before);
    error.to_string()
}

#[test]
fn a_meter_as_good_as_its_maker_says_is_believed_neither_too_much_nor_too_little() {
    let promised: Accuracy = "0.2%+1mA".parse().unwrap();
    let span = [(BEGIN, END)];
    let mut wrong = Vec::new();
    for (name, make) in WAVES {
        let (mut within, mut squares, mut stated) = (0, 0.0, 0.0);
        for seed in 0..TRIALS {
            let mut dice = Dice(seed);
            let wave = make(&mut dice);
            let specimen = Specimen {
                interval: 200_000,
                clock: (dice.within(5e3), 1.0 + dice.within(1e-4)),
                gain: 1.0 + dice.within(promised.share),
                amperes: dice.within(1e-3),
            };
            let text = recording(specimen, &wave, END + 20_000_000, &span, false, 20_000);
            let mut results = run(&span);
            add(&mut results, &read(&text), Marks::Board, Some(promised)).unwrap();
            let energy = results.trials[0].energy.as_ref().unwrap();
            assert_eq!(energy.tier, "external meter");
            let truth = wave.charge(BEGIN, END) * VOLTS / 1e9 / 10.0;
            let error = energy.gross_j.value / truth - 1.0;
            let uncertainty = energy.gross_j.uncertainty / truth;
            within += usize::from(error.abs() <= uncertainty);
            squares += error * error / TRIALS as f64;
            stated += uncertainty / TRIALS as f64;
        }
        let width = stated / squares.sqrt();
        println!("{name}: {within} of {TRIALS} within ±, which is {width:.2} of the true spread");
        if within < 95 || width > 3.0 {
            wrong.push((name, within, width));
        }
    }
    assert_eq!(wrong, []);
}

/// Three windows, not equally far from each other, and the current in them.
fn three() -> (Vec<(u64, u64)>, Wave) {
    let windows = vec![
        (1_000_000_000, 1_400_000_000),
        (1_500_000_000, 1_900_000_000),
        (2_100_000_000, 2_500_000_000),
    ];
    let mut wave = Wave(Vec::new());
    for (number, &(begin, end)) in windows.iter().enumerate() {
        wave.push(begin, 0.2);
        wave.push(end, 1.0 + number as f64 / 10.0);
    }
    wave.push(4_000_000_000, 0.2);
    (windows, wave)
}

#[test]
fn windows_are_found_by_either_level_and_the_meter_s_clock_is_told() {
    let (windows, wave) = three();
    for resting in [false, true] {
        // Fast by 40 parts in a million, and begun at another time.
        let specimen = Specimen {
            clock: (77.0, 1.000_04),
            ..PERFECT
        };
        let text = recording(specimen, &wave, 2_800_000_000, &windows, resting, 0);
        let mut results = run(&windows);
        add(&mut results, &read(&text), Marks::Board, None).unwrap();
        let meter = results.meter.clone().unwrap();
        let clock = meter.clock.unwrap();
        let skew = clock.skew_ppm;
        assert!(
            (skew.value - 40.0).abs() < skew.uncertainty && skew.uncertainty < 100.0,
            "{clock:?}"
        );
        assert!(clock.jitter_ns < 100_000.0, "{clock:?}");
        assert!(meter.remark().contains("the meter's own error is not in ±"));
        let trial = &results.trials[0];
        for (window, amperes) in trial.windows.iter().zip([1.0, 1.1, 1.2]) {
            let joules = window.rails[0].gross_j;
            let off = joules.value - VOLTS * amperes * 0.4;
            assert!(off.abs() <= joules.uncertainty, "{off} {joules:?}");
            assert!(joules.uncertainty < 0.002 * joules.value, "{joules:?}");
        }
        // A second recording takes the place of the first; the capture's results take the meter's over.
        add(&mut results, &read(&text), Marks::Board, None).unwrap();
        assert_eq!(
            (
                results.rails.len(),
                results.trials[0].windows[0].rails.len()
            ),
            (1, 1)
        );
        let mut told = run(&windows);
        carry(&results, &mut told);
        assert_eq!(told, results);
    }
}

#[test]
fn a_window_that_was_discarded_has_pulsed_too() {
    let (windows, wave) = three();
    let mut pulsed = windows.clone();
    let short = (2_000_000_000, 2_050_000_000);
    pulsed.insert(2, short);
    let text = recording(PERFECT, &wave, 2_800_000_000, &pulsed, false, 0);
    let refusal = said(&text, &windows);
    assert!(refusal.contains("edges are missing"), "{refusal}");
    let mut results = run(&windows);
    results.discarded.push(Marked {
        begin: short.0,
        end: short.1,
    });
    add(&mut results, &read(&text), Marks::Board, None).unwrap();
    let measured = &results.trials[0].windows;
    for (window, amperes) in measured.iter().zip([1.0, 1.1, 1.2]) {
        let joules = window.rails[0].gross_j;
        let off = joules.value - VOLTS * amperes * 0.4;
        assert!(off.abs() <= joules.uncertainty, "{off} {joules:?}");
    }
    // Nothing is left of a run whose every window was discarded.
    let mut none = run(&[]);
    none.discarded = results.discarded;
    let error = add(&mut none, &read(&text), Marks::Board, None).unwrap_err();
    assert!(error.to_string().starts_with("the run has no windows"));
}

#[test]
fn a_latency_that_may_not_be_published_has_no_energy_either() {
    let (windows, wave) = three();
    let text = recording(PERFECT, &wave, 2_800_000_000, &windows, false, 0);
    let mut results = run(&windows);
    results.trials[0].latency_withheld = Some("outputs differ".to_owned());
    add(&mut results, &read(&text), Marks::Board, None).unwrap();
    assert_eq!(results.trials[0].energy, None);
    let withheld = results.trials[0].energy_withheld.as_deref();
    assert_eq!(withheld, Some("outputs differ"));
}

#[test]
fn a_recording_of_something_else_is_refused() {
    let (windows, wave) = three();
    let of = |marked: &[(u64, u64)]| recording(PERFECT, &wave, 2_800_000_000, marked, false, 0);
    let refusal = said(&of(&windows[..2]), &windows);
    assert!(
        refusal.starts_with("the recording has 4 edges of `trigger`, and 3 windows take two each"),
        "{refusal}"
    );
    // One window more, of the same length, and the last one missing.
    let other = [(200_000_000, 600_000_000), windows[0], windows[1]];
    let refusal = said(&of(&other), &windows);
    assert!(
        refusal.contains("ms from where the board's clock puts it"),
        "{refusal}"
    );
    let refusal = said(
        &of(&windows),
        &[windows[0], windows[1], (2_100_000_000, 2_400_000_000)],
    );
    assert!(
        refusal.starts_with(
            "window 2 of trial 0 lasts 0.4000 s between its edges, and lasted 0.3000 s"
        ),
        "{refusal}"
    );
    assert!(said(&of(&windows), &[]).starts_with("the run has no windows"));
    let slow = Specimen {
        clock: (0.0, 1.05),
        ..PERFECT
    };
    let long = [
        (1_000_000_000, 1_020_000_000),
        (2_000_000_000, 2_020_000_000),
    ];
    let refusal = said(
        &recording(slow, &wave, 2_800_000_000, &long, false, 0),
        &long,
    );
    assert!(refusal.contains("ppm from the board's"), "{refusal}");
    let sparse = Specimen {
        interval: 150_000_000,
        ..PERFECT
    };
    let refusal = said(
        &recording(sparse, &wave, 2_800_000_000, &windows[..1], false, 0),
        &windows[..1],
    );
    assert!(refusal.contains("sample faster"), "{refusal}");
}

#[test]
fn a_file_that_is_none_is_refused_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("meter.csv");
    let open = || {
        Recording::open(&path, Hints::default())
            .unwrap_err()
            .to_string()
    };
    assert!(open().contains("name with --meter"), "{}", open());
    let with = |text: &str| {
        std::fs::write(&path, text).unwrap();
        open()
    };
    assert!(with("time,power\n0,1\n").contains("there is no column `trigger`"));
    let said = with("time,power,trigger\n0,1,1\n0,1,1\n");
    assert!(said.contains("line 3: time 0 does not go on"), "{said}");
    let said = with("time,power,trigger\n0,NaN,1\n");
    assert!(said.contains("line 2: `NaN` is no number"), "{said}");
    std::fs::write(&path, "time,power,trigger\n0,1,1\n1,1,1\n").unwrap();
    let recording = Recording::open(&path, Hints::default()).unwrap();
    let offset: Accuracy = "1%+1mA".parse().unwrap();
    let refused = recording.scale(Some(&offset), 0.0, 0.0).unwrap_err();
    assert!(refused.to_string().contains("in watts"), "{refused}");
}
