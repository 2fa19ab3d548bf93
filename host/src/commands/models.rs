//! `scalebench models inspect` and `scalebench models check` of a single file

use super::out;
use crate::cli::{CheckArgs, InspectArgs};
use anyhow::{Context, Result};
use comfy_table::Cell;
use scalebench::store::json;
use scalebench::table::{plain, right};
use scalebench::{text, units};
use scalebench_engine::check::{CheckReport, Difference, check};
use scalebench_engine::{Execution, Limits, Model, ModelReport, OperatorReport, TensorReport};
use std::path::Path;
use std::process::ExitCode;

/// The exit code when a model is sound but cannot be executed, or answers otherwise than its references.
const REFUSED: u8 = 1;

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

pub(crate) fn inspect(args: &InspectArgs, as_json: bool) -> Result<ExitCode> {
    let report = scalebench_engine::inspect(&read(&args.file)?, &Limits::default())?;
    if as_json {
        out::bytes(&json(&report))?;
    } else {
        print(&report)?;
    }
    let mut complete = true;
    for operator in report.unsupported() {
        complete = false;
        let output = operator.outputs.first().map_or("", |tensor| &tensor.name);
        if let Execution::Unsupported(reason) = &operator.execution {
            eprintln!(
                "operator {} {} version {}, output `{}`: not executable: {}",
                operator.index,
                text::escaped(&operator.operator),
                operator.version,
                text::escaped(output),
                text::escaped(reason)
            );
        }
    }
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(REFUSED)
    })
}

fn print(report: &ModelReport) -> Result<()> {
    let mut table = plain(&[
        "",
        "operator",
        "reads",
        "writes",
        "MACs",
        "weights",
        "executed by",
    ]);
    for operator in &report.operators {
        table.add_row([
            right(operator.index),
            Cell::new(format!(
                "{} v{}",
                text::escaped(&operator.operator),
                operator.version
            )),
            Cell::new(tensors(
                operator.inputs.iter().filter(|tensor| !tensor.constant),
            )),
            Cell::new(tensors(operator.outputs.iter())),
            right(units::count(operator.macs)),
            right(units::bytes(operator.weight_bytes)),
            Cell::new(execution(operator)),
        ]);
    }
    out::line(&table)?;
    let activations = report
        .activation_bytes
        .map_or_else(|| "unknown".to_owned(), units::bytes);
    out::line(format!(
        "{} parameters, {} MACs, activations {activations} at their peak, model {}",
        units::count(report.parameters),
        units::count(report.macs),
        units::bytes(report.model_bytes)
    ))?;
    Ok(())
}

fn execution(operator: &OperatorReport) -> String {
    match &operator.execution {
        Execution::Kernel(path) => path.clone(),
        Execution::Load => "once, at load".into(),
        Execution::Free => "nothing to do".into(),
        Execution::Fused => "another operator".into(),
        Execution::Unsupported(reason) => format!("nothing: {}", text::escaped(reason)),
        _ => "?".into(),
    }
}

fn tensors<'r>(list: impl Iterator<Item = &'r TensorReport>) -> String {
    let each = list.map(|tensor| {
        let shape: Vec<_> = tensor.shape.iter().map(usize::to_string).collect();
        let scale = match (&tensor.quantization, tensor.scales) {
            (Some(q), _) => format!(" ×{:.4e} at {}", q.scale, q.zero_point),
            (None, 0) => String::new(),
            (None, scales) => format!(" {scales} scales"),
        };
        format!("{} [{}]{scale}", tensor.dtype, shape.join(", "))
    });
    each.collect::<Vec<_>>().join("\n")
}

pub(crate) fn check_file(args: &CheckArgs, file: &Path, as_json: bool) -> Result<ExitCode> {
    let mut model = Model::load(&read(file)?, &Limits::default())?;
    let Some(folder) = &args.golden else {
        model.run()?;
        out::line(format!(
            "{}: loads and runs; give --golden DIR to compare its answers",
            file.display()
        ))?;
        return Ok(ExitCode::SUCCESS);
    };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let report = check(&mut model, folder, &stem, args.tolerance)?;
    if as_json {
        out::bytes(&json(&report))?;
    } else {
        verdict(file, &report)?;
    }
    Ok(if report.passes() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(REFUSED)
    })
}

fn verdict(file: &Path, report: &CheckReport) -> Result<()> {
    if report.outputs.is_empty() {
        out::line(format!(
            "{}: the same bytes as its {} golden vectors",
            file.display(),
            report.vectors
        ))?;
    }
    for difference in &report.outputs {
        out::line(line(difference))?;
    }
    if let Some(first) = &report.first {
        out::line(format!("the first operator that differs: {}", line(first)))?;
    }
    Ok(())
}

fn line(difference: &Difference) -> String {
    format!(
        "{} `{}`, vector {}: {} of {} elements differ, by at most {}{}",
        text::escaped(&difference.operator),
        text::escaped(&difference.tensor),
        difference.vector,
        difference.elements,
        difference.of,
        difference.largest,
        if difference.passes {
            " (within the tolerance)"
        } else {
            ""
        }
    )
}
