//! Progress and closing words.

use crate::cli::RunArgs;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use scalebench::progress::{Progress, Watch};
use scalebench::store::RunFile;
use scalebench::{table, units};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where progress is shown; boards that are measured at once share it.
pub(crate) struct Screen(Option<MultiProgress>);

impl Screen {
    pub(crate) fn new(quiet: bool) -> Self {
        Self((!quiet).then(|| {
            MultiProgress::with_draw_target(if std::io::stderr().is_terminal() {
                ProgressDrawTarget::stderr_with_hz(10)
            } else {
                ProgressDrawTarget::hidden()
            })
        }))
    }

    /// Lines for one board; its name stands before everything that is said of it.
    pub(crate) fn ui(&self, board: Option<&str>) -> Ui {
        let Some(bars) = self.0.clone() else {
            return Ui {
                watch: Watch::nobody(),
                thread: None,
            };
        };
        let board = board.map_or_else(String::new, |board| format!("{board}: "));
        let (sender, receiver) = sync_channel(256);
        Ui {
            watch: Watch::to(sender),
            thread: Some(std::thread::spawn(move || show(&receiver, &bars, &board))),
        }
    }
}

/// Shows progress in a thread of its own, so that drawing never holds up the line.
pub(crate) struct Ui {
    watch: Watch,
    thread: Option<JoinHandle<()>>,
}

impl Ui {
    pub(crate) fn new(quiet: bool) -> Self {
        Screen::new(quiet).ui(None)
    }

    pub(crate) fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// Waits until everything is shown. All other watches must be gone.
    pub(crate) fn finish(mut self) {
        self.watch = Watch::nobody();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show(receiver: &Receiver<Progress>, bars: &MultiProgress, board: &str) {
    let terminal = std::io::stderr().is_terminal();
    let style = |template: &str| {
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━━─")
    };
    let trials = bars.add(ProgressBar::new(0));
    trials.set_style(style("{bar:24.cyan/dim} {pos}/{len} {msg}"));
    let line = bars.add(ProgressBar::new_spinner());
    line.set_style(style("{spinner:.cyan} {msg:.dim}"));
    let say = |text: String| {
        if terminal {
            let _ = bars.println(text);
        } else {
            eprintln!("{text}");
        }
    };
    let mut label = String::new();
    let mut rate = Rate::new();
    for progress in receiver {
        match progress {
            Progress::Connected { machine } => {
                trials.set_message(format!("{board}connected to {machine}"))
            }
            Progress::Upload { done, total, file } => {
                trials.set_message(format!(
                    "{board}uploading {file}: {} of {}",
                    units::bytes(done),
                    units::bytes(total)
                ));
            }
            Progress::Trial {
                done,
                total,
                label: next,
            } => {
                trials.set_length(total as u64);
                trials.set_position(done as u64);
                label = format!("{board}{next}");
                trials.set_message(label.clone());
            }
            Progress::Phase(phase) => trials.set_message(format!("{label}: {phase}")),
            Progress::Ended {
                label,
                outcome,
                well,
            } => {
                trials.inc(1);
                say(format!(
                    "{} {board}{label}: {outcome}",
                    if well { "✓" } else { "✗" }
                ));
            }
            Progress::Note(text) => say(format!("note: {board}{text}")),
            Progress::Link {
                stats,
                bytes,
                readings,
            } => {
                let (bytes_rate, readings_rate) = rate.of(bytes, readings);
                line.set_message(format!(
                    "{}/s, {} readings/s, {} resent, {} damaged",
                    units::bytes(bytes_rate),
                    units::count(readings_rate),
                    stats.resent,
                    stats.rejected
                ));
                line.tick();
            }
        }
    }
    trials.finish_and_clear();
    line.finish_and_clear();
}

/// Bytes and readings a second, over about the last second.
struct Rate {
    since: Instant,
    from: (u64, u64),
    last: (u64, u64),
}

impl Rate {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            from: (0, 0),
            last: (0, 0),
        }
    }

    fn of(&mut self, bytes: u64, readings: u64) -> (u64, u64) {
        let passed = self.since.elapsed();
        if passed >= Duration::from_secs(1) {
            let a_second = |now: u64, then: u64| {
                (now.saturating_sub(then) as f64 / passed.as_secs_f64()) as u64
            };
            self.last = (
                a_second(bytes, self.from.0),
                a_second(readings, self.from.1),
            );
            self.from = (bytes, readings);
            self.since = Instant::now();
        }
        self.last
    }
}

/// What is said below the table of a run.
pub(crate) fn closing(
    file: &RunFile,
    refusals: &BTreeMap<u32, String>,
    dir: &Path,
    args: &RunArgs,
) -> String {
    let mut lines = table::remarks(file, refusals);
    lines.extend(table::caveat(file).map(str::to_owned));
    lines.push(format!("report: {}", dir.join("report.html").display()));
    if args.resume.is_none() && file.plan.plan == scalebench::plan::Thoroughness::Quick {
        lines.push(format!(
            "seed {}; to go further: --plan full measures longer, --port DEVICE on a board of yours",
            file.plan.seed
        ));
    }
    lines.join("\n")
}
