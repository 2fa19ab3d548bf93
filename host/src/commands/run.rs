//! `scalebench run`

use super::place::{Reached, board, board_name, reach};
use super::{out, show};
use crate::cli::{Place, RunArgs, Then};
use anyhow::{Context, Result};
use scalebench::aggregate::Aggregate;
use scalebench::capture::Writer;
use scalebench::collect::{Bench, Collector};
use scalebench::logs::{Sink, Strings};
use scalebench::plan::{self, Plan, Wishes};
use scalebench::progress::Watch;
use scalebench::receiver::Receiver;
use scalebench::session::{Patience, Session};
use scalebench::store::{
    Connection, Machine, RunFile, RunFolder, SCHEMA, StoreError, json, now_utc,
};
use scalebench::{report, table};
use scalebench_wire::message::Request;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A run that is about to begin, or to go on.
struct Begun {
    folder: RunFolder,
    file: RunFile,
    aggregate: Aggregate,
    receiver: Receiver,
    capture: Writer,
}

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    let families = plan::families(args.models.as_deref())?;
    let (mut reached, begun) = match &args.resume {
        Some(dir) => go_on(dir, &args.place)?,
        None => {
            // What can be refused without a board is refused before one is started.
            let plan = new_plan(args, &families)?;
            for artefact in plan.sources(&families).values() {
                artefact.read()?;
            }
            let reached = reach(&args.place)?;
            let begun = begin(args, plan, &reached)?;
            (reached, begun)
        }
    };
    let sources = begun.aggregate.plan().sources(&families);
    let ui = show::Ui::new(args.quiet);
    let watch = ui.watch();
    let Begun {
        folder,
        mut file,
        aggregate,
        receiver,
        capture,
    } = begun;
    file.connection.baud = reached.baud;
    folder.save(&file)?;
    let logs = log_sink(args, &reached, &folder, &watch);
    let (path, baud) = (reached.path.clone(), reached.baud);
    let session = Session::new(
        reached.port,
        baud,
        receiver,
        Some(capture),
        Patience::default(),
        Collector::new(aggregate, watch.clone(), logs),
    );
    let mut trouble = None;
    let mut refusals = BTreeMap::new();
    let outcome = {
        let mut save = |session: &Session<Collector>, refused: &BTreeMap<u32, String>| {
            update(&mut file, session);
            refusals.clone_from(refused);
            if let Err(error) = folder.save(&file) {
                trouble.get_or_insert(error);
            }
        };
        let mut bench = Bench {
            session,
            sources: &sources,
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
    drop(watch);
    ui.finish();
    let complaints = reached.virtual_board.take().map(|board| board.complaints());
    if let Some(error) = trouble {
        return Err(error.into());
    }
    finish(&folder, &mut file, outcome.is_ok())?;
    if args.json {
        out::bytes(&json(&file.results))?;
    } else {
        out::line(table::trials(&file, &refusals))?;
        if let Some(shares) = table::profiles(&file) {
            out::line(shares)?;
        }
        out::line(show::closing(&file, &refusals, folder.dir(), args))?;
    }
    if let Err(error) = outcome {
        let resume = format!(
            "`scalebench run --resume {}` goes on",
            folder.dir().display()
        );
        let said = complaints
            .filter(|complaints| !complaints.is_empty())
            .map_or(String::new(), |complaints| {
                format!("; the runner said: {complaints}")
            });
        eprintln!("{resume}{said}");
        return Err(error.into());
    }
    let failed = file
        .results
        .trials
        .iter()
        .any(|trial| trial.status.is_failure());
    Ok(ExitCode::from(u8::from(failed)))
}

fn new_plan(args: &RunArgs, families: &[scalebench_models::Family]) -> Result<Plan> {
    let seed = match args.seed {
        Some(seed) => seed,
        // Short enough to be typed again.
        None => u64::from(
            getrandom::u32().context("the system gives no random number: name one with --seed")?,
        ),
    };
    let wishes = Wishes {
        board: board_name(&args.place).to_owned(),
        thoroughness: args.plan,
        families: args.family.clone(),
        variants: args.variant.clone(),
        precisions: args.precision.clone(),
        seed,
        windows: args.windows,
        window_ms: args.window_ms,
        power: plan::PowerPlan {
            total: board(&args.place)?.total.into(),
            conversion_us: args.conversion_us,
            observer_cost: args.observer_cost,
        },
    };
    let plan = Plan::new(&wishes, families)?;
    let Some(profile_ms) = args.profile else {
        return Ok(plan);
    };
    let sources = plan.sources(families);
    Ok(plan.profiled(profile_ms, &sources)?)
}

fn begin(args: &RunArgs, plan: Plan, reached: &Reached) -> Result<Begun> {
    let file = new_file(&plan, reached);
    let dir = args
        .output
        .clone()
        .unwrap_or_else(|| default_dir(&file.started, &plan.board));
    let folder = RunFolder::create(&dir)?;
    let capture =
        Writer::create(&folder.capture(), &serde_json::to_vec(&plan)?).map_err(|source| {
            StoreError::Io {
                path: folder.capture(),
                source,
            }
        })?;
    Ok(Begun {
        folder,
        file,
        aggregate: Aggregate::new(plan),
        receiver: Receiver::new(),
        capture,
    })
}

/// A run that was cut short, and the board where it was, unless another place is named.
fn go_on(dir: &Path, place: &Place) -> Result<(Reached, Begun)> {
    let folder = RunFolder::open(dir)?;
    let replayed = folder.replay()?;
    let results = replayed.results();
    let before = folder.load().ok();
    let mut place = place.clone();
    if let Some(connection) = before.as_ref().map(|file| &file.connection) {
        place.baud = place.baud.or(Some(connection.baud));
        if !connection.is_virtual && place.board.is_none() && place.port.is_none() {
            place.port = Some(PathBuf::from(&connection.port));
        }
    }
    let reached = reach(&place)?;
    let mut file = before.unwrap_or_else(|| new_file(replayed.aggregate.plan(), &reached));
    file.results = results;
    file.complete = false;
    file.capture_sha256 = None;
    let capture =
        Writer::append(&folder.capture(), replayed.sound).map_err(|source| StoreError::Io {
            path: folder.capture(),
            source,
        })?;
    let begun = Begun {
        folder,
        file,
        aggregate: replayed.aggregate,
        receiver: replayed.receiver,
        capture,
    };
    Ok((reached, begun))
}

fn new_file(plan: &Plan, reached: &Reached) -> RunFile {
    RunFile {
        schema: SCHEMA,
        scalebench: env!("CARGO_PKG_VERSION").to_owned(),
        started: now_utc(),
        complete: false,
        host: Machine::here(),
        connection: connection(reached),
        results: Aggregate::new(plan.clone()).results(Default::default()),
        plan: plan.clone(),
        mlperf_tiny: None,
        capture_sha256: None,
    }
}

fn connection(reached: &Reached) -> Connection {
    Connection {
        port: if reached.virtual_board.is_some() {
            "virtual".to_owned()
        } else {
            scalebench::text::escaped(&reached.path.display().to_string())
        },
        baud: reached.baud,
        is_virtual: reached.virtual_board.is_some(),
        ..Connection::default()
    }
}

/// `runs/<time>-<board>`, and with a number behind it when there is one already.
pub(crate) fn default_dir(started: &str, board: &str) -> PathBuf {
    let time: String = started.chars().filter(|c| *c != ':').collect();
    let base = format!("{time}-{board}");
    (1..)
        .map(|n| match n {
            1 => base.clone(),
            n => format!("{base}-{n}"),
        })
        .map(|name| Path::new("runs").join(name))
        .find(|dir| !dir.exists())
        .unwrap_or_else(|| Path::new("runs").join(base))
}

/// Log strings are a help, not a condition: without them the log stays in the capture.
fn log_sink(args: &RunArgs, reached: &Reached, folder: &RunFolder, watch: &Watch) -> Option<Sink> {
    let elf = match (&args.elf, &reached.virtual_board) {
        (Some(elf), _) => elf.clone(),
        (None, Some(_)) => std::env::current_exe().ok()?,
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
            watch.tell(scalebench::progress::Progress::Note(format!(
                "no log: {error}"
            )));
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

fn finish(folder: &RunFolder, file: &mut RunFile, well: bool) -> Result<()> {
    if well {
        file.capture_sha256 = Some(folder.capture_sha256()?);
    }
    folder.save(file)?;
    folder.write(&folder.report(), report::page(file).as_bytes())?;
    Ok(())
}
