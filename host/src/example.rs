//! An example run for this crate's own tests, told by a scripted board.

use crate::fake_board::Script;
use crate::plan::{File, Plan, PlannedTrial, SCHEMA, Schedule, Thoroughness, Tolerance};
use crate::store::{Connection, Machine, RunFile, RunFolder};
use scalebench_models::{Direction, Metric, Precision, UseCase};
use scalebench_wire::message::{Failure, Metrics, clipped};

fn file(fill: char, bytes: u64) -> File {
    File {
        sha256: fill.to_string().repeat(64),
        bytes,
    }
}

fn planned(trial: u32, variant: &str, precision: Precision, macs: u64) -> PlannedTrial {
    PlannedTrial {
        trial,
        family: "digits".to_owned(),
        title: "Handwritten digits".to_owned(),
        use_case: UseCase::Classification,
        variant: variant.to_owned(),
        precision,
        coordinates: [("width".to_owned(), macs as f64)].into(),
        parameters: macs / 2,
        macs,
        metric: Metric::Top1,
        direction: Direction::Higher,
        reference_quality: Some(0.9),
        model: file('a', 2 * macs),
        golden: file('b', 4_096),
        answers: Default::default(),
        weights: Default::default(),
        tolerance: Tolerance {
            steps: 0,
            absolute: 1e-5,
            relative: 1e-4,
        },
        dataset: Some(file('c', 65_536)),
        samples: 0,
        operators: Vec::new(),
        unstated: Default::default(),
    }
}

/// Five trials: two that end well, one unfaithful, one not executable, one lost.
pub(crate) fn plan() -> Plan {
    Plan {
        schema: SCHEMA,
        plan: Thoroughness::Quick,
        board: "local".to_owned(),
        seed: 42,
        schedule: Schedule {
            warm_up_ms: 50,
            windows: 5,
            window_ms: 100,
            readings: 1_000,
        },
        profile_ms: 0,
        time_decoding: false,
        power: Default::default(),
        labels: Default::default(),
        governor: None,
        trials: vec![
            planned(0, "w8", Precision::Float32, 10_000),
            planned(1, "w16", Precision::Float32, 40_000),
            planned(2, "w24", Precision::Float32, 90_000),
            planned(3, "w8", Precision::Int8, 10_000),
            planned(4, "w32", Precision::Float32, 160_000),
        ],
    }
}

fn top1(top1: f64) -> Metrics {
    Metrics::Classification {
        top1,
        top5: 0.99,
        log_loss: Some(0.3),
        auc: None,
    }
}

/// What the board sends for [`plan`] in session 7.
pub(crate) fn board_bytes() -> Vec<u8> {
    let mut script = Script::new();
    script.open(7, 1);
    script.trial(0, 12_000, 0, top1(0.8));
    script.trial(1, 48_000, 0, top1(0.9));
    script.trial(2, 777_000, 3, top1(0.95));
    script.event(&scalebench_wire::message::Event::TrialBegun { trial: 3 });
    let words = "operator 1 FULLY_CONNECTED: not yet executable on this engine (int8 weights)";
    script.end(3, Some(Failure::Engine(clipped(words))));
    script.event(&scalebench_wire::message::Event::TrialBegun { trial: 4 });
    script
        .bytes
        .extend(b"\0\r\nOops: kernel stack overflow\r\n");
    script.bytes.extend(crate::fake_board::welcome_line(0, 2));
    script.bytes
}

/// A folder with the capture of the example.
pub(crate) fn folder(dir: &std::path::Path) -> RunFolder {
    let folder = RunFolder::create(dir).unwrap();
    let json = serde_json::to_vec(&plan()).unwrap();
    let mut capture = crate::capture::Writer::create(&folder.capture(), &json).unwrap();
    capture.seek(7).unwrap();
    capture.bytes(&board_bytes()).unwrap();
    drop(capture);
    folder
}

/// A folder of a run over so many sizes of one family, five windows of so many readings each.
fn large_folder(dir: &std::path::Path, sizes: u32, readings: u32) -> RunFolder {
    let folder = RunFolder::create(dir).unwrap();
    let trials = (0..sizes)
        .map(|at| {
            let macs = 10_000 * u64::from(at + 1);
            planned(at, &format!("w{at}"), Precision::Float32, macs)
        })
        .collect();
    let plan = Plan { trials, ..plan() };
    let json = serde_json::to_vec(&plan).unwrap();
    let mut capture = crate::capture::Writer::create(&folder.capture(), &json).unwrap();
    capture.seek(7).unwrap();
    let mut script = Script::new();
    script.open(7, 1);
    for at in 0..sizes {
        let quality = 0.95 - 0.4 / f64::from(at + 1);
        script.long_trial(at, 10_000 * i64::from(at + 1), 0, top1(quality), readings);
        capture.bytes(&std::mem::take(&mut script.bytes)).unwrap();
    }
    drop(capture);
    let file = RunFile {
        plan,
        ..run_file_of(crate::results::RunResults::default())
    };
    folder.save(&file).unwrap();
    folder
}

/// Its `run.json`.
pub(crate) fn run_file() -> RunFile {
    let dir = tempfile::tempdir().unwrap();
    run_file_of(folder(dir.path()).replay().unwrap().results())
}

fn run_file_of(results: crate::results::RunResults) -> RunFile {
    RunFile {
        schema: crate::store::SCHEMA,
        scalebench: "0.1.0".to_owned(),
        started: "2026-01-31T10:15:00Z".to_owned(),
        complete: false,
        host: Machine::here(),
        connection: Connection {
            port: "virtual".to_owned(),
            baud: 921_600,
            is_virtual: true,
            ..Connection::default()
        },
        plan: plan(),
        results,
        mlperf_tiny: None,
        published: None,
        capture_sha256: None,
    }
}

mod tests {
    use super::*;
    use crate::aggregate::Aggregate;
    use crate::receiver::Receiver;
    use crate::results::{RunResults, Status};
    use crate::store::json;

    fn results_in_pieces(bytes: &[u8], piece: usize) -> RunResults {
        let mut receiver = Receiver::new();
        let mut aggregate = Aggregate::new(plan());
        receiver.seek(7);
        for (now, piece) in bytes.chunks(piece).enumerate() {
            receiver.feed(piece, now as u64, &mut |delivery| {
                aggregate.deliver(&delivery)
            });
        }
        aggregate.results(receiver.totals())
    }

    #[test]
    #[ignore = "measures time and memory: run alone, in release, as `.ci/run` does"]
    fn ten_million_readings_become_a_report_within_ten_seconds_and_a_gigabyte() {
        const SIZES: u32 = 100;
        const READINGS: u32 = 20_000;
        let dir = tempfile::tempdir().unwrap();
        let folder = large_folder(&dir.path().join("large"), SIZES, READINGS);
        // What the making of them took is not the reader's: the peak begins anew here.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let begun = std::time::Instant::now();
        let mut file = folder.load().unwrap();
        file.results = folder.replay().unwrap().results();
        folder.save(&file).unwrap();
        let page = crate::report::page(&file);
        folder.write(&folder.report(), page.as_bytes()).unwrap();
        let catalogue = crate::catalogue::Catalogue::open(dir.path()).unwrap();
        catalogue.enter("large", &file).unwrap();
        let took = begun.elapsed();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|kb| kb.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        let samples: u32 = file
            .results
            .trials
            .iter()
            .map(|trial| trial.latency.unwrap().samples)
            .sum();
        println!("{took:?}, {peak:?} kB, a page of {} bytes", page.len());
        assert_eq!(samples, 10_000_000);
        assert!(took.as_secs_f64() < 10.0, "{took:?}");
        assert!(peak.unwrap() < 1_000_000, "{peak:?} kB");
        assert!(page.len() < 2_000_000, "a page of {} bytes", page.len());
    }

    /// What the first trial's begin and end leave of windows that a meter has seen.
    #[test]
    fn windows_that_count_for_nothing_are_kept_in_mind_until_the_board_starts_anew() {
        use crate::receiver::Delivery;
        use scalebench_wire::frame::Kind;
        use scalebench_wire::message::Event;
        let mut aggregate = Aggregate::new(plan());
        let tell = |aggregate: &mut Aggregate, event: &Event| {
            let mut body = [0; 128];
            let body = postcard::to_slice(event, &mut body).unwrap();
            aggregate.deliver(&Delivery::Message(Kind::Event, body));
        };
        let discarded = |aggregate: &Aggregate| {
            let results = aggregate.results(Default::default());
            let marked = results.discarded.iter();
            marked.map(|marked| marked.begin).collect::<Vec<_>>()
        };
        let window = |begin| {
            Event::Window(scalebench_wire::message::Window {
                window: 0,
                begin,
                end: begin + 50,
                inferences: 1,
                readings: 0,
                sample: 0,
                output_crc: 0,
                before: Default::default(),
                after: Default::default(),
            })
        };
        tell(&mut aggregate, &Event::Discarded { begin: 1, end: 2 });
        assert_eq!(discarded(&aggregate), [0; 0], "no trial is under way");
        tell(&mut aggregate, &Event::TrialBegun { trial: 0 });
        tell(&mut aggregate, &Event::Discarded { begin: 1, end: 2 });
        tell(&mut aggregate, &window(100));
        aggregate.deliver(&Delivery::Left);
        assert_eq!(discarded(&aggregate), [1, 100]);
        tell(&mut aggregate, &Event::TrialBegun { trial: 0 });
        tell(&mut aggregate, &window(200));
        aggregate.deliver(&Delivery::Restarted);
        assert_eq!(discarded(&aggregate), [0; 0]);
    }

    #[test]
    fn a_trial_becomes_figures() {
        let results = run_file().results;
        let trial = &results.trials[1];
        assert_eq!(trial.status, Status::Done);
        assert_eq!(trial.load_ns, Some(2e6));
        assert_eq!(trial.cold_ns, Some(144_000.0));
        assert_eq!(trial.peak_bytes, Some(2 << 20));
        let latency = trial.latency.unwrap();
        assert_eq!((latency.samples, latency.windows), (1_000, 5));
        assert!((latency.median_ns - 48_000.0).abs() < 100.0, "{latency:?}");
        assert!(latency.low_ns <= latency.median_ns && latency.median_ns <= latency.high_ns);
        assert!(latency.p99.unwrap().value > latency.p90.unwrap().value);
        let quality = trial.quality.as_ref().unwrap();
        assert_eq!(quality.value, Some(0.9));
        assert!(quality.interval.unwrap().low < 0.9);
        assert_eq!(quality.outcomes, 6);
        assert!(
            trial
                .windows
                .iter()
                .all(|w| w.void.is_none() && w.mean_ns == 48_000.0)
        );
    }

    #[test]
    fn what_the_processor_counted_becomes_figures_of_an_inference() {
        use scalebench_wire::message::{Counted, Counter, Event};
        let mut script = Script::new();
        script.open(7, 1);
        script.event(&Event::Governor {
            before: Some(clipped("ondemand")),
            refused: None,
        });
        // Two hundred inferences a window.
        script.counts = Some(Counted {
            window: 0,
            cycles: None,
            instructions: Some(200_000_000),
            cache_misses: Some(500),
        });
        script.trial(0, 12_000, 0, top1(0.8));
        let mut results = results_in_pieces(&script.bytes, 64);
        let counts = results.trials[0].counts.unwrap();
        assert_eq!(counts.cycles, None);
        assert_eq!(counts.instructions, Some(1e6));
        assert_eq!(counts.cache_misses, Some(2.5));
        assert_eq!(results.odd_messages, 0);
        let governor = results.governor.take().unwrap();
        assert_eq!(governor.before.as_deref(), Some("ondemand"));
        // Counts of a window that was never told of belong nowhere.
        script.event(&Event::Counted(Counted::default()));
        script.event(&Event::Uncounted {
            what: Counter::Cycles,
            reason: clipped("no \u{1b}counter"),
        });
        let results = results_in_pieces(&script.bytes, 64);
        assert_eq!(results.odd_messages, 1);
        assert_eq!(results.uncounted["cycles"], "no \\u{1b}counter");
    }

    #[test]
    fn no_latency_without_faithful_outputs() {
        let results = run_file().results;
        let trial = &results.trials[2];
        assert!(matches!(&trial.status, Status::Unfaithful(reason) if reason.contains("3 of 160")));
        assert!(trial.latency.is_none());
        assert_eq!(
            trial.latency_withheld.as_deref(),
            Some("outputs differ from the golden vectors")
        );
    }

    #[test]
    fn what_the_engine_cannot_run_is_no_failure_and_a_restart_loses_one_trial() {
        let results = run_file().results;
        assert!(matches!(results.trials[3].status, Status::NotExecutable(_)));
        assert!(!results.trials[3].status.is_failure());
        assert_eq!(results.trials[4].status, Status::Lost);
        assert_eq!(results.restarts, 1);
        assert_eq!(results.printed, ["Oops: kernel stack overflow"]);
    }

    #[test]
    fn a_replay_gives_the_same_bytes_however_the_line_was_cut_into_reads() {
        let dir = tempfile::tempdir().unwrap();
        let replayed = json(&folder(dir.path()).replay().unwrap().results());
        let bytes = board_bytes();
        for piece in [1, 7, 300, 16_384] {
            assert_eq!(json(&results_in_pieces(&bytes, piece)), replayed, "{piece}");
        }
    }

    #[test]
    fn lost_readings_void_their_window() {
        let mut script = Script::new();
        script.open(7, 1);
        script.event(&scalebench_wire::message::Event::TrialBegun { trial: 0 });
        let mut one = Script::new();
        one.open(7, 1);
        one.trial(0, 1_000, 0, top1(0.5));
        let whole = results_in_pieces(&one.bytes, 100);
        assert!(whole.trials[0].latency.is_some());
        // The same trial, in which the board announces one reading more than it sends.
        let window = scalebench_wire::message::Window {
            window: 0,
            begin: 0,
            end: 10_000,
            inferences: 10,
            readings: 3,
            sample: 0,
            output_crc: 0,
            before: Default::default(),
            after: Default::default(),
        };
        use scalebench_wire::message::Event;
        script.event(&Event::Checked(scalebench_wire::message::Checked {
            vectors: 1,
            values: 1,
            beyond: 0,
            worst: 0.0,
        }));
        script.event(&Event::Window(window));
        script.rows(
            scalebench_wire::frame::Kind::Timings,
            scalebench_wire::batch::Predictor::Level,
            &[1_000, 1_001],
        );
        script.event(&Event::WindowSent {
            window: 0,
            readings: 2,
        });
        script.end(0, None);
        let results = results_in_pieces(&script.bytes, 100);
        let trial = &results.trials[0];
        assert_eq!(
            trial.windows[0].void.as_deref(),
            Some("readings were lost (2 of 3 arrived)")
        );
        assert_eq!(
            trial.latency_withheld.as_deref(),
            Some("every window is void: readings were lost (2 of 3 arrived)")
        );
    }

    #[test]
    fn nonsense_from_a_board_neither_panics_nor_counts() {
        let mut script = Script::new();
        script.open(7, 1);
        use scalebench_wire::frame::Kind;
        use scalebench_wire::message::Event;
        script.send(Kind::Timings, &[0xff; 40]);
        script.send(Kind::Event, &[0xff; 9]);
        script.event(&Event::TrialBegun { trial: 4_000_000 });
        script.event(&Event::Cold { ticks: u64::MAX });
        script.event(&Event::TrialBegun { trial: 1 });
        script.send(Kind::Outcomes, &[1]);
        script.end(2, None);
        let results = results_in_pieces(&script.bytes, 64);
        assert_eq!(results.odd_messages, 6);
        assert!(results.trials.iter().all(|trial| trial.latency.is_none()));
    }

    #[test]
    fn run_json_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(dir.path());
        let file = run_file();
        folder.save(&file).unwrap();
        assert_eq!(folder.load().unwrap(), file);
        let error = RunFolder::create(dir.path()).unwrap_err().to_string();
        assert!(error.contains("holds a run already"), "{error}");
        let error = RunFolder::open(&dir.path().join("none"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("holds no run"), "{error}");
    }
}
