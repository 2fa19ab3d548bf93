//! Progress and closing words.

use super::live;
use crate::cli::{RunArgs, Showing};
use ratatui::backend::CrosstermBackend;
use ratatui::text::Text;
use ratatui::widgets::{Paragraph, Widget};
use ratatui::{Terminal, TerminalOptions, Viewport};
use scalebench::progress::{Progress, Watch};
use scalebench::store::RunFile;
use scalebench::{table, units};
use std::collections::{BTreeMap, VecDeque};
use std::io::{IsTerminal, Stderr};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two drawings, at most.
const REDRAW: Duration = Duration::from_millis(250);
/// Seconds whose rate of readings is remembered.
const RATES: usize = 240;

/// Shows progress in a thread of its own, so that drawing never holds up the line.
pub(crate) struct Ui {
    channel: Option<SyncSender<(usize, Progress)>>,
    thread: Option<JoinHandle<()>>,
}

impl Ui {
    /// Of a run on one board.
    pub(crate) fn new(showing: &Showing) -> Self {
        Self::of(showing, vec![Lane::new(None)])
    }

    /// Of a run with a lane for each of its boards.
    pub(crate) fn of(showing: &Showing, lanes: Vec<Lane>) -> Self {
        if showing.quiet {
            return Self {
                channel: None,
                thread: None,
            };
        }
        let plain = showing.plain;
        let (sender, receiver) = sync_channel(256);
        let thread = std::thread::spawn(move || show(&receiver, lanes, plain));
        Self {
            channel: Some(sender),
            thread: Some(thread),
        }
    }

    /// Who watches the only board, or the first.
    pub(crate) fn watch(&self) -> Watch {
        self.watch_of(0)
    }

    /// Who watches the board of a lane.
    pub(crate) fn watch_of(&self, lane: usize) -> Watch {
        match &self.channel {
            Some(channel) => Watch::to(channel.clone(), lane),
            None => Watch::nobody(),
        }
    }

    /// Waits until everything is shown. All watches must be gone.
    pub(crate) fn finish(mut self) {
        self.channel = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is known of one board at this moment.
#[derive(Debug)]
pub(crate) struct Lane {
    /// What it is called where there are several.
    pub(crate) name: Option<String>,
    /// Trials that have ended, and all of them.
    pub(crate) done: usize,
    pub(crate) total: usize,
    /// What it does.
    pub(crate) doing: String,
    /// How the line is.
    pub(crate) link: String,
    /// Readings a second, of every second.
    pub(crate) rates: VecDeque<u64>,
    label: String,
    rate: Rate,
}

impl Lane {
    pub(crate) fn new(name: Option<String>) -> Self {
        Self {
            name,
            done: 0,
            total: 0,
            doing: "looking for the board".to_owned(),
            link: String::new(),
            rates: VecDeque::new(),
            label: String::new(),
            rate: Rate::new(),
        }
    }

    /// Takes in what happens; gives a line that is to stay, if it is worth one.
    pub(crate) fn take(&mut self, progress: Progress) -> Option<String> {
        match progress {
            Progress::Connected { machine } => self.doing = format!("connected to {machine}"),
            Progress::Upload { done, total, file } => {
                let (done, total) = (units::bytes(done), units::bytes(total));
                self.doing = format!("uploading {file}: {done} of {total}");
            }
            Progress::Trial { done, total, label } => {
                (self.done, self.total) = (done, total);
                self.doing.clone_from(&label);
                self.label = label;
            }
            Progress::Phase(phase) => self.doing = format!("{}: {phase}", self.label),
            Progress::Ended {
                label,
                outcome,
                well,
            } => {
                self.done += 1;
                let mark = if well { "✓" } else { "✗" };
                return Some(self.named(&format!("{mark} {label}: {outcome}")));
            }
            Progress::Note(text) => return Some(self.named(&format!("note: {text}"))),
            Progress::Link {
                stats,
                bytes,
                readings,
            } => {
                if self.rate.take(bytes, readings) {
                    self.rates.push_back(self.rate.readings);
                    if self.rates.len() > RATES {
                        self.rates.pop_front();
                    }
                }
                self.link = format!(
                    "{}/s, {} readings/s, {} resent, {} damaged",
                    units::bytes(self.rate.bytes),
                    units::count(self.rate.readings),
                    stats.resent,
                    stats.rejected
                );
            }
        }
        None
    }

    fn named(&self, text: &str) -> String {
        match &self.name {
            Some(name) => format!("{name}: {text}"),
            None => text.to_owned(),
        }
    }
}

fn show(receiver: &Receiver<(usize, Progress)>, mut lanes: Vec<Lane>, plain: bool) {
    let mut screen = if plain { None } else { screen(lanes.len()) };
    let begun = Instant::now();
    let mut drawn = begun;
    loop {
        match receiver.recv_timeout(REDRAW) {
            Ok((lane, progress)) => {
                let line = lanes.get_mut(lane).and_then(|lane| lane.take(progress));
                match (line, &mut screen) {
                    (Some(line), Some(screen)) => insert(screen, &line),
                    (Some(line), None) => eprintln!("{line}"),
                    (None, _) => {}
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if let Some(screen) = &mut screen
            && (drawn == begun || drawn.elapsed() >= REDRAW)
        {
            // What cannot be drawn now is drawn the next time.
            let _ = screen.draw(|frame| live::draw(frame, &lanes, begun.elapsed()));
            drawn = Instant::now();
        }
    }
    if let Some(screen) = &mut screen {
        let _ = screen.clear();
    }
}

type Screen = Terminal<CrosstermBackend<Stderr>>;

/// The lowest lines of the terminal. `None` where nobody would see them: where one of the three streams
/// is no terminal (the terminal is asked for its cursor on standard output), or one that cannot do it.
fn screen(lanes: usize) -> Option<Screen> {
    let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if dumb || !input.is_terminal() || !output.is_terminal() || !errors.is_terminal() {
        return None;
    }
    let height = live::HEIGHT.saturating_mul(u16::try_from(lanes).unwrap_or(u16::MAX));
    let options = TerminalOptions {
        viewport: Viewport::Inline(height),
    };
    Terminal::with_options(CrosstermBackend::new(errors), options).ok()
}

/// Writes a line above the live view, where it stays.
fn insert(screen: &mut Screen, line: &str) {
    let columns = screen.size().map_or(80, |size| size.width.max(1));
    let rows = wrapped(line, columns.into());
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX);
    let text = Text::from_iter(rows);
    let _ = screen.insert_before(height, |buffer| {
        Paragraph::new(text).render(buffer.area, buffer)
    });
}

/// Cut where the terminal ends, as it would do it.
fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    for letter in line.chars() {
        let last = rows.len() - 1;
        if Text::from(rows[last].as_str()).width() >= columns {
            rows.push(letter.to_string());
        } else {
            rows[last].push(letter);
        }
    }
    rows
}

/// Bytes and readings a second, over about the last second.
#[derive(Debug)]
struct Rate {
    since: Instant,
    from: (u64, u64),
    bytes: u64,
    readings: u64,
}

impl Rate {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            from: (0, 0),
            bytes: 0,
            readings: 0,
        }
    }

    /// Whether a second is over, and the rates are new.
    fn take(&mut self, bytes: u64, readings: u64) -> bool {
        let passed = self.since.elapsed();
        if passed < Duration::from_secs(1) {
            return false;
        }
        let a_second =
            |now: u64, then: u64| (now.saturating_sub(then) as f64 / passed.as_secs_f64()) as u64;
        self.bytes = a_second(bytes, self.from.0);
        self.readings = a_second(readings, self.from.1);
        self.from = (bytes, readings);
        self.since = Instant::now();
        true
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
