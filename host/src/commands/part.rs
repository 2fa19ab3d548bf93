//! One board's part of a run: begun or gone on with, measured, written down.

use super::place::{Reached, board, board_name};
use crate::cli::{Place, RunArgs, Then};
use anyhow::{Error, Result};
use scalebench::aggregate::Aggregate;
use scalebench::capture::Writer;
use scalebench::collect::{Bench, Collector};
use scalebench::logs::{Sink, Strings};
use scalebench::plan::{self, Plan, Wishes};
use scalebench::progress::{Progress, Watch};
use scalebench::provision::Sources;
use scalebench::receiver::Receiver;
use scalebench::report;
use scalebench::session::{Patience, Session};
use scalebench::store::{Connection, Machine, RunFile, RunFolder, SCHEMA, StoreError, now_utc};
use scalebench_models::Family;
use scalebench_wire::message::Request;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A run on one board that is about to begin, or to go on.
pub(super) struct Begun {
    pub(super) folder: RunFolder,
    pub(super) file: RunFile,
    aggregate: Aggregate,
    receiver: Receiver,
    capture: Writer,
}

/// A run on one board that came to an end.
pub(super) struct Measured {
    pub(super) folder: RunFolder,
    pub(super) file: RunFile,
    /// Trials that could not be begun, and why.
    pub(super) refusals: BTreeMap<u32, String>,
    /// What cut it short, if anything did.
    pub(super) trouble: Option<Error>,
    /// What a virtual board's runner wrote to its standard error.
    pub(super) complaints: String,
}

impl Measured {
    /// Whether a trial failed or was lost.
    pub(super) fn failed(&self) -> bool {
        let mut trials = self.file.results.trials.iter();
        trials.any(|trial| trial.status.is_failure())
    }
}

/// The plan for the board at a place.
pub(super) fn plan(args: &RunArgs, place: &Place, seed: u64, families: &[Family]) -> Result<Plan> {
    let wishes = Wishes {
        board: board_name(place).to_owned(),
        thoroughness: args.plan,
        choice: (&args.choice).into(),
        seed,
        windows: args.windows,
        window_ms: args.window_ms,
        time_decoding: args.time_decoding,
        power: plan::PowerPlan {
            total: board(place)?.total.into(),
            conversion_us: args.conversion_us,
            observer_cost: args.observer_cost,
        },
    };
    let plan = Plan::new(&wishes, families)?.governed(args.governor.clone());
    let sources = plan.sources(families);
    for artefact in sources.values() {
        artefact.read()?;
    }
    let plan = plan.labelled(&sources)?;
    let Some(profile_ms) = args.profile else {
        return Ok(plan);
    };
    Ok(plan.profiled(profile_ms, &sources)?)
}

/// A new run in the folder `dir`.
pub(super) fn begin(dir: &Path, plan: Plan, connection: Connection) -> Result<Begun> {
    let file = new_file(&plan, connection);
    let folder = RunFolder::create(dir)?;
    let capture =
        Writer::create(&folder.capture(), &serde_json::to_vec(&plan)?).map_err(|source| {
            StoreError::Io {
                path: folder.capture(),
                source,
            }
        })?;
    folder.save(&file)?;
    Ok(Begun {
        folder,
        file,
        aggregate: Aggregate::new(plan),
        receiver: Receiver::new(),
        capture,
    })
}

/// A run that was cut short, and the board where it was, unless another place is named.
pub(super) fn go_on(dir: &Path, place: &mut Place) -> Result<Begun> {
    let folder = RunFolder::open(dir)?;
    let replayed = folder.replay()?;
    let results = replayed.results();
    let plan = replayed.aggregate.plan();
    let before = folder.load().ok();
    if let Some(connection) = before.as_ref().map(|file| &file.connection) {
        place.baud = place.baud.or(Some(connection.baud));
        if place.board.is_none() && place.port.is_none() {
            if connection.is_virtual {
                place.board = Some(plan.board.clone());
            } else {
                place.port = Some(PathBuf::from(&connection.port));
            }
        }
    }
    let mut file = before.unwrap_or_else(|| new_file(plan, Connection::default()));
    file.results = results;
    file.complete = false;
    file.capture_sha256 = None;
    let capture =
        Writer::append(&folder.capture(), replayed.sound).map_err(|source| StoreError::Io {
            path: folder.capture(),
            source,
        })?;
    Ok(Begun {
        folder,
        file,
        aggregate: replayed.aggregate,
        receiver: replayed.receiver,
        capture,
    })
}

fn new_file(plan: &Plan, connection: Connection) -> RunFile {
    RunFile {
        schema: SCHEMA,
        scalebench: env!("CARGO_PKG_VERSION").to_owned(),
        started: now_utc(),
        complete: false,
        host: Machine::here(),
        connection,
        results: Aggregate::new(plan.clone()).results(Default::default()),
        plan: plan.clone(),
        mlperf_tiny: None,
        published: None,
        capture_sha256: None,
    }
}

/// How a board was reached.
pub(super) fn connection(reached: &Reached) -> Connection {
    let mut connection = Connection::default();
    note(&mut connection, reached);
    connection
}

fn note(connection: &mut Connection, reached: &Reached) {
    connection.is_virtual = reached.virtual_board.is_some();
    connection.baud = reached.baud;
    connection.port = if connection.is_virtual {
        "virtual".to_owned()
    } else {
        scalebench::text::escaped(&reached.path.display().to_string())
    };
}

/// Measures everything that is left, and writes results and report. `elf` has the runner's log strings.
///
/// # Errors
/// When this machine cannot keep what was measured; what the board does stands in [`Measured::trouble`].
pub(super) fn measure(
    begun: Begun,
    mut reached: Reached,
    sources: &Sources,
    args: &RunArgs,
    elf: Option<&Path>,
    watch: &Watch,
) -> Result<Measured> {
    let Begun {
        folder,
        mut file,
        aggregate,
        receiver,
        capture,
    } = begun;
    note(&mut file.connection, &reached);
    folder.save(&file)?;
    let logs = log_sink(elf, &reached, &folder, watch);
    let (path, baud) = (reached.path.clone(), reached.baud);
    let session = Session::new(
        reached.port,
        baud,
        receiver,
        Some(capture),
        Patience::default(),
        Collector::new(aggregate, watch.clone(), logs),
    );
    let mut unkept = None;
    let mut refusals = BTreeMap::new();
    let outcome = {
        let mut save = |session: &Session<Collector>, refused: &BTreeMap<u32, String>| {
            update(&mut file, session);
            refusals.clone_from(refused);
            if let Err(error) = folder.save(&file) {
                unkept.get_or_insert(error);
            }
        };
        let mut bench = Bench {
            session,
            sources,
            port: path,
            baud,
            attempts: args.attempts.into(),
            watch: watch.clone(),
            save: &mut save,
            farewell: match args.then {
                Then::Stay => Request::Bye,
                Then::PowerOff => Request::PowerOff,
                Then::Reboot => Request::Reboot,
            },
            refused: BTreeMap::new(),
        };
        let outcome = bench.run();
        (bench.save)(&bench.session, &bench.refused);
        outcome
    };
    let complaints = reached
        .virtual_board
        .take()
        .map_or_else(String::new, |board| board.complaints());
    if let Some(error) = unkept {
        return Err(error.into());
    }
    if outcome.is_ok() {
        file.capture_sha256 = Some(folder.capture_sha256()?);
    }
    folder.save(&file)?;
    folder.write(&folder.report(), report::page(&file).as_bytes())?;
    Ok(Measured {
        folder,
        file,
        refusals,
        trouble: outcome.err().map(Error::from),
        complaints,
    })
}

/// Log strings are a help, not a condition: without them the log stays in the capture.
fn log_sink(
    elf: Option<&Path>,
    reached: &Reached,
    folder: &RunFolder,
    watch: &Watch,
) -> Option<Sink> {
    let elf = match (elf, &reached.virtual_board) {
        (Some(elf), _) => elf.to_owned(),
        (None, Some(_)) => "/proc/self/exe".into(),
        (None, None) => return None,
    };
    let sink = Strings::load(&elf)
        .map_err(|error| error.to_string())
        .and_then(|strings| {
            Sink::append(strings, &folder.dir().join("log.txt")).map_err(|error| error.to_string())
        });
    match sink {
        Ok(sink) => Some(sink),
        Err(error) => {
            watch.tell(Progress::Note(format!("no log: {error}")));
            None
        }
    }
}

fn update(file: &mut RunFile, session: &Session<Collector>) {
    let counts = session.counts();
    file.results = session.observer.aggregate.results(counts);
    file.connection.link = counts;
    file.connection.bytes_received = session.bytes();
    file.complete = file
        .results
        .trials
        .iter()
        .all(|trial| trial.status.is_final());
}
