//! `scalebench run` on several boards at once, a thread and a run folder each.

use super::part::{self, Begun, Measured};
use super::place::{board, dealt, each, reach};
use super::run::{folder, seed};
use super::{out, show};
use crate::cli::{Place, RunArgs};
use crate::failure::{Wrong, code};
use anyhow::{Result, anyhow};
use scalebench::fleet::{FleetFile, FleetFolder, Member, Part, SCHEMA, crowd, names};
use scalebench::progress::Watch;
use scalebench::store::{Connection, json, now_utc};
use scalebench::table;
use scalebench_boards::Kind;
use scalebench_models::Family;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// One board that is to be measured.
struct Due {
    name: String,
    place: Place,
    elf: Option<PathBuf>,
    begun: Begun,
}

/// What came of it.
struct Done {
    name: String,
    outcome: Result<Measured>,
}

pub(super) fn run(args: &RunArgs, places: &[Place], families: &[Family]) -> Result<ExitCode> {
    let seed = seed(args)?;
    let boards = places.iter().map(board).collect::<Result<Vec<_>>>()?;
    let plain: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
    let names = names(&plain);
    let elfs = dealt("--elf", &args.elf, &plain, &|at| {
        boards[at].kind != Kind::Virtual
    })?;
    let mut plans = Vec::new();
    for place in places {
        plans.push(part::plan(args, place, seed, families)?);
    }
    let file = FleetFile {
        schema: SCHEMA,
        scalebench: env!("CARGO_PKG_VERSION").to_owned(),
        started: now_utc(),
        boards: names
            .iter()
            .map(|name| Member {
                name: name.clone(),
                trouble: None,
            })
            .collect(),
    };
    let fleet = FleetFolder::create(&folder(args, &names.join("+")), &file)?;
    let mut due = Vec::new();
    for ((((name, place), board), plan), elf) in
        names.iter().zip(places).zip(&boards).zip(plans).zip(elfs)
    {
        // All folders are there before a board is spoken to: one that cannot be reached now can be with --resume.
        let begun = part::begin(&fleet.member(name), plan, meant(place, board))?;
        due.push(Due {
            name: name.clone(),
            place: stored(place, name),
            elf,
            begun,
        });
    }
    measured(args, &fleet, due, families)
}

/// Goes on with all boards of a run that have something left to measure.
pub(super) fn resume(args: &RunArgs, fleet: &FleetFolder, families: &[Family]) -> Result<ExitCode> {
    if !args.places.board.is_empty() {
        return Err(Wrong(
            "--board names no other board for a run on several: leave it out, or resume one board's own folder"
                .to_owned(),
        )
        .into());
    }
    let members = fleet.load()?.boards;
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let ports = dealt("--port", &args.places.port, &names, &|_| true)?;
    let elfs = dealt("--elf", &args.elf, &names, &|_| true)?;
    let mut common = args.places.clone();
    common.port.clear();
    let mut due = Vec::new();
    for ((name, port), elf) in names.iter().zip(ports).zip(elfs) {
        let mut place = each(&common)?.remove(0);
        place.port = port;
        let begun = part::go_on(&fleet.member(name), &mut place)?;
        let left = |trial: &scalebench::results::TrialResult| !trial.status.is_final();
        if begun.file.results.trials.iter().any(left) {
            due.push(Due {
                name: (*name).to_owned(),
                place: stored(&place, name),
                elf,
                begun,
            });
        }
    }
    measured(args, fleet, due, families)
}

/// Where a board is meant to be, as long as nobody has been there.
fn meant(place: &Place, board: &scalebench_boards::Board) -> Connection {
    let device = place
        .port
        .as_ref()
        .map(|path| path.display().to_string())
        .or_else(|| board.serial.host.clone());
    Connection {
        is_virtual: device.is_none() && board.kind == Kind::Virtual,
        port: scalebench::text::escaped(&device.unwrap_or_default()),
        baud: place.baud.unwrap_or(board.serial.baud),
        ..Connection::default()
    }
}

/// Virtual boards do not share a store: two runners cannot take in the same file at once.
fn stored(place: &Place, name: &str) -> Place {
    let store = place.store.clone();
    let store = store.unwrap_or_else(scalebench::virtual_board::default_store);
    Place {
        store: Some(store.join(name)),
        ..place.clone()
    }
}

fn measured(
    args: &RunArgs,
    fleet: &FleetFolder,
    due: Vec<Due>,
    families: &[Family],
) -> Result<ExitCode> {
    let lanes = due
        .iter()
        .map(|due| show::Lane::new(Some(due.name.clone())));
    let ui = show::Ui::of(&args.showing, lanes.collect());
    let done: Vec<Done> = std::thread::scope(|scope| {
        let threads: Vec<_> = due
            .into_iter()
            .enumerate()
            .map(|(lane, due)| {
                let name = due.name.clone();
                let watch = ui.watch_of(lane);
                (name, scope.spawn(move || one(args, due, families, &watch)))
            })
            .collect();
        threads
            .into_iter()
            .map(|(name, thread)| {
                let fault = |_| Err(anyhow!("its thread ended: this is a fault of scalebench"));
                let outcome = thread.join().unwrap_or_else(fault);
                Done { name, outcome }
            })
            .collect()
    });
    ui.finish();
    let mut file = fleet.load()?;
    let mut refusals = BTreeMap::new();
    let (mut failed, mut first) = (false, None);
    for Done { name, outcome } in done {
        let error = match outcome {
            Ok(measured) => {
                failed |= measured.failed();
                refusals.insert(name.clone(), measured.refusals);
                let said = match measured.complaints {
                    said if said.is_empty() => said,
                    said => format!("; the runner said: {said}"),
                };
                measured
                    .trouble
                    .map(|error| (format!("{error}{said}"), error))
            }
            Err(error) => Some((error.to_string(), error)),
        };
        let member = file.boards.iter_mut().find(|member| member.name == name);
        if let Some(member) = member {
            member.trouble = error
                .as_ref()
                .map(|(text, _)| scalebench::text::escaped(text));
        }
        if let Some((_, error)) = error {
            first.get_or_insert(error);
        }
    }
    fleet.save(&file)?;
    fleet.write_report()?;
    tell(args, fleet, &refusals)?;
    let runs = fleet.runs()?;
    let reached = runs.iter().any(|(_, file)| file.results.board.is_some());
    Ok(match first {
        // Nothing was measured anywhere: what ended the first board ends the run.
        Some(error) if !reached => code(&error),
        first => ExitCode::from(u8::from(failed || first.is_some())),
    })
}

fn one(args: &RunArgs, due: Due, families: &[Family], watch: &Watch) -> Result<Measured> {
    let sources = due.begun.file.plan.sources(families);
    let reached = reach(&due.place)?;
    part::measure(
        due.begun,
        reached,
        &sources,
        args,
        due.elf.as_deref(),
        watch,
    )
}

/// Says what came out of all boards.
fn tell(
    args: &RunArgs,
    fleet: &FleetFolder,
    refusals: &BTreeMap<String, BTreeMap<u32, String>>,
) -> Result<()> {
    let runs = fleet.runs()?;
    let parts: Vec<Part<'_>> = runs
        .iter()
        .map(|run| {
            let part = scalebench::fleet::part(run);
            Part {
                refusals: refusals.get(part.name).unwrap_or(part.refusals),
                ..part
            }
        })
        .collect();
    for part in &parts {
        if let Some(trouble) = part.trouble {
            eprintln!("{}: {trouble}", part.name);
        }
    }
    if parts.iter().any(|part| part.trouble.is_some()) {
        eprintln!(
            "`scalebench run --resume {}` goes on with what is left",
            fleet.dir().display()
        );
    }
    if args.json {
        return results(&parts);
    }
    // Of boards that nobody reached there is no more to say than why.
    if parts.iter().any(|part| part.file.results.board.is_some()) {
        table_of(&parts)?;
    }
    out::line(format!("report: {}", fleet.report().display()))
}

/// The results of every board, by its name, as JSON.
pub(super) fn results(parts: &[Part<'_>]) -> Result<()> {
    let results: BTreeMap<&str, _> = parts
        .iter()
        .map(|part| (part.name, &part.file.results))
        .collect();
    out::bytes(&json(&results))
}

/// The table of all boards, and what is to be said of each.
pub(super) fn table_of(parts: &[Part<'_>]) -> Result<()> {
    out::line(table::fleet(parts))?;
    for part in parts {
        let remarks = table::remarks(part.file, part.refusals);
        let caveat = table::caveat(part.file).map(str::to_owned);
        for line in remarks.into_iter().chain(caveat) {
            out::line(format!("{}: {line}", part.name))?;
        }
    }
    if let Some(crowd) = crowd(parts) {
        out::line(crowd)?;
    }
    Ok(())
}
