//! `scalebench boards` and `scalebench models`

use super::{add, models, out, stock};
use crate::cli::{JsonArgs, ModelsAction, ModelsArgs};
use anyhow::Result;
use comfy_table::Cell;
use scalebench::store::json;
use scalebench::table::{plain, right};
use scalebench::{plan, port, units};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct BoardRow {
    name: String,
    title: String,
    kind: &'static str,
    target: Option<String>,
    baud: u32,
    rails: usize,
    /// Parts of which a fact stands in no document that was read.
    unconfirmed: Vec<&'static str>,
}

#[derive(Serialize)]
struct Boards {
    boards: Vec<BoardRow>,
    serial_ports: Vec<String>,
}

pub(crate) fn boards(args: &JsonArgs) -> Result<ExitCode> {
    let rows = scalebench_boards::load_all(&scalebench_boards::root())?;
    let list = Boards {
        boards: rows
            .into_iter()
            .map(|board| BoardRow {
                name: board.name,
                title: board.title,
                kind: board.kind.word(),
                target: board.target,
                baud: board.serial.baud,
                rails: board.rails.len(),
                unconfirmed: board.unconfirmed.iter().map(|part| part.word()).collect(),
            })
            .collect(),
        serial_ports: port::found()
            .iter()
            .map(|path| scalebench::text::escaped(&path.display().to_string()))
            .collect(),
    };
    if args.json {
        out::bytes(&json(&list))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = plain(&[
        "board",
        "what it is",
        "kind",
        "target",
        "baud",
        "rails",
        "unconfirmed",
    ]);
    for board in &list.boards {
        table.add_row([
            Cell::new(&board.name),
            Cell::new(&board.title),
            Cell::new(board.kind),
            Cell::new(board.target.as_deref().unwrap_or("this machine's")),
            right(board.baud),
            right(board.rails),
            Cell::new(board.unconfirmed.join(", ")),
        ]);
    }
    out::line(&table)?;
    if list.serial_ports.is_empty() {
        out::line("no serial ports found: plug in a USB serial cable to reach a board")?;
    } else {
        out::line(format!(
            "serial ports found: {}",
            list.serial_ports.join(", ")
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Serialize)]
struct VariantRow {
    family: String,
    variant: String,
    precisions: Vec<&'static str>,
    parameters: u64,
    macs: u64,
    bytes: u64,
    metric: &'static str,
    reference_quality: Option<f64>,
    #[serde(skip)]
    quality: String,
}

fn validated(families: &[scalebench_models::Family]) -> Result<ExitCode> {
    for family in families {
        family.validate()?;
        let variants = family.manifest.variants.iter();
        let own = variants
            .flat_map(|variant| variant.builds())
            .filter(|(_, build)| !build.answers.are_references())
            .count();
        let golden = if own > 0 {
            format!(
                "; the golden vectors of {} are the engine's own answers, no reference's",
                scalebench::text::counted(own, "model")
            )
        } else {
            String::new()
        };
        out::line(format!(
            "{}: every file is what the manifest says{golden}",
            family.manifest.name
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn models(args: &ModelsArgs) -> Result<ExitCode> {
    match &args.action {
        Some(ModelsAction::Inspect(inspect)) => return models::inspect(inspect, args.json),
        Some(ModelsAction::Check(check)) => {
            if let Some(file) = &check.file {
                return models::check_file(check, file, args.json);
            }
        }
        _ => {}
    }
    if let Some(ModelsAction::Stock(stock)) = &args.action {
        return stock::stock(stock, args.models.as_deref());
    }
    let root = scalebench_models::root(args.models.as_deref());
    if let Some(ModelsAction::New { name }) = &args.action {
        let path = scalebench_models::begin(&root, name)?;
        let written = scalebench::text::escaped(&path.display().to_string());
        out::line(format!(
            "{written}: fill it in, then `scalebench models validate {name}`"
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(ModelsAction::Add(args)) = &args.action {
        return add::add_family(args, &root);
    }
    if let Some(ModelsAction::Validate { name: Some(name) }) = &args.action {
        let family = scalebench_models::Family::load(&root.join(name))?;
        return validated(&[family]);
    }
    let families = plan::families(args.models.as_deref())?;
    if matches!(
        args.action,
        Some(ModelsAction::Validate { .. } | ModelsAction::Check(_))
    ) {
        return validated(&families);
    }
    let mut rows = Vec::new();
    for family in &families {
        let metric = family.manifest.quality.metric;
        for variant in &family.manifest.variants {
            let builds: Vec<_> = variant.builds().collect();
            let reference = builds
                .first()
                .and_then(|(_, build)| build.quality.get(&metric).copied());
            rows.push(VariantRow {
                family: family.manifest.name.clone(),
                variant: variant.name.clone(),
                precisions: builds
                    .iter()
                    .map(|(precision, _)| precision.word())
                    .collect(),
                parameters: variant.parameters,
                macs: variant.macs,
                bytes: builds.first().map_or(0, |(_, build)| build.model.bytes),
                metric: metric.word(),
                reference_quality: reference,
                quality: reference.map_or_else(
                    || "–".to_owned(),
                    |value| {
                        format!(
                            "{} {}",
                            units::metric_name(metric),
                            units::quality(metric, value)
                        )
                    },
                ),
            });
        }
    }
    if args.json {
        out::bytes(&json(&rows))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = plain(&[
        "family",
        "variant",
        "precisions",
        "parameters",
        "MACs",
        "model",
        "reference quality",
    ]);
    for row in &rows {
        table.add_row([
            Cell::new(&row.family),
            Cell::new(&row.variant),
            Cell::new(row.precisions.join(", ")),
            right(units::count(row.parameters)),
            right(units::count(row.macs)),
            right(units::bytes(row.bytes)),
            right(&row.quality),
        ]);
    }
    out::line(&table)?;
    Ok(ExitCode::SUCCESS)
}
