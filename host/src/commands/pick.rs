//! `scalebench pick`

use super::kept::Kept;
use super::out;
use crate::cli::PickArgs;
use crate::failure::Wrong;
use anyhow::Result;
use scalebench::scaling::pick::{Choice, Limits, Picked, pick as choose};
use scalebench::scaling::{Cost, Measured, families, family, measured};
use scalebench::store::{RunFile, json};
use scalebench::units;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

/// The JSON of one family's answer.
#[derive(Serialize)]
struct Answer<'a> {
    family: &'a str,
    fits: bool,
    confidence: f64,
    variant: &'a Measured,
    limits: &'a [scalebench::scaling::pick::Kept],
    as_good: Option<&'a Measured>,
    smaller: Option<&'a Measured>,
    larger: Option<&'a Measured>,
}

pub(crate) fn pick(args: &PickArgs) -> Result<ExitCode> {
    let kept = Kept::named_or_newest(args.run.as_deref(), &args.runs.runs)?;
    let boards = kept.files()?;
    if let [(None, file)] = boards.as_slice() {
        let (answers, fit) = answered(args, kept.dir(), file)?;
        if args.json {
            out::bytes(&json(&answers))?;
        }
        return Ok(ExitCode::from(u8::from(!fit)));
    }
    // Each board for itself; one that was not measured holds up no other.
    let (mut all, mut fit, mut first) = (BTreeMap::new(), true, None);
    for (name, file) in &boards {
        let name = name.clone().unwrap_or_default();
        if !args.json {
            out::line(&name)?;
        }
        match answered(args, &kept.dir().join(&name), file) {
            Ok((answers, fits)) => {
                fit &= fits;
                all.insert(name, answers);
            }
            Err(error) => {
                eprintln!("{name}: {error}");
                fit = false;
                first.get_or_insert(error);
            }
        }
    }
    if let (true, Some(error)) = (all.is_empty(), first) {
        return Err(error);
    }
    if args.json {
        out::bytes(&json(&all))?;
    }
    Ok(ExitCode::from(u8::from(!fit)))
}

/// The answers for one board: said, or for JSON; and whether a variant of every family keeps the limits.
fn answered(args: &PickArgs, dir: &Path, file: &RunFile) -> Result<(Vec<serde_json::Value>, bool)> {
    let all = measured(file);
    let wanted: Vec<&str> = families(&all)
        .into_iter()
        .filter(|name| args.family.is_empty() || args.family.iter().any(|family| family == name))
        .collect();
    if wanted.is_empty() {
        return Err(Wrong(format!(
            "{} has no variant of these families with both a latency and a quality: see `scalebench show {}`",
            dir.display(),
            dir.display()
        ))
        .into());
    }
    if args.min_quality.is_some() && wanted.len() > 1 {
        return Err(Wrong(format!(
            "--min-quality is in one family's metric, and this run has {}: name one with --family",
            wanted.join(", ")
        ))
        .into());
    }
    let nameless = |one: &Measured| one.unstated.time && wanted.contains(&one.family.as_str());
    if args.max_latency.is_some() && all.iter().any(nameless) {
        return Err(Wrong(
            "--max-latency is a time, and the source of these figures does not state the unit of its own: leave it out"
                .to_owned(),
        )
        .into());
    }
    let costs = [
        (Cost::Latency, args.max_latency),
        (Cost::Memory, args.max_memory),
        (Cost::Energy, args.max_energy),
        (Cost::Bytes, args.max_bytes),
        (Cost::Macs, args.max_macs),
    ];
    let limits = Limits {
        most: costs
            .into_iter()
            .filter_map(|(cost, most)| Some((cost, most?)))
            .collect(),
        quality: args.min_quality,
    };
    let mut all_fit = true;
    let mut answers = Vec::new();
    for name in wanted {
        let variants = family(&all, name);
        let Some(picked) = choose(&variants, &limits) else {
            continue;
        };
        all_fit &= picked.is_ok();
        if args.json {
            let (chosen, as_good, smaller, larger) = match &picked {
                Ok(picked) => (
                    &picked.chosen,
                    picked.as_good.as_ref(),
                    picked.smaller.as_ref(),
                    picked.larger.as_ref(),
                ),
                Err(nearest) => (nearest, None, None, None),
            };
            answers.push(serde_json::to_value(Answer {
                family: name,
                fits: picked.is_ok(),
                confidence: chosen.confidence(),
                variant: chosen.variant,
                limits: &chosen.limits,
                as_good: as_good.map(|choice| choice.variant),
                smaller: smaller.map(|choice| choice.variant),
                larger: larger.map(|choice| choice.variant),
            })?);
        } else {
            match &picked {
                Ok(picked) => say(name, picked)?,
                Err(nearest) => out::line(none(name, nearest))?,
            }
        }
    }
    Ok((answers, all_fit))
}

fn say(name: &str, picked: &Picked<'_>) -> Result<()> {
    let chosen = picked.chosen.variant;
    out::line(format!(
        "{name}: ship {}: {}",
        chosen.name(),
        figures(chosen)
    ))?;
    let sure = picked.chosen.confidence();
    let words = if picked.chosen.limits.is_empty() {
        "  no limit was named, so this is the best quality".to_owned()
    } else {
        format!(
            "  keeps every limit, {:.1} % sure",
            (sure * 100.0).min(99.9)
        )
    };
    out::line(words)?;
    if let Some(choice) = &picked.as_good {
        out::line(format!(
            "  as good within its uncertainty, and faster: {}, {}",
            choice.variant.name(),
            change(chosen, choice.variant)
        ))?;
    }
    match &picked.larger {
        Some(choice) => out::line(format!(
            "  next better:  {}, {}{}",
            choice.variant.name(),
            change(chosen, choice.variant),
            exceeds(choice)
        ))?,
        None => out::line("  next better:  none, it is the best of the family")?,
    }
    match &picked.smaller {
        Some(choice) => out::line(format!(
            "  next cheaper: {}, {}{}",
            choice.variant.name(),
            change(chosen, choice.variant),
            exceeds(choice)
        ))?,
        None => out::line("  next cheaper: none, nothing faster is worth its quality")?,
    }
    Ok(())
}

fn none(name: &str, nearest: &Choice<'_>) -> String {
    format!(
        "{name}: no variant keeps every limit; the nearest is {} ({}){}",
        nearest.variant.name(),
        figures(nearest.variant),
        exceeds(nearest)
    )
}

fn figures(one: &Measured) -> String {
    let costs: Vec<String> = [Cost::Latency, Cost::Bytes, Cost::Memory, Cost::Energy]
        .into_iter()
        .filter_map(|cost| one.shown(cost))
        .collect();
    format!("{}, {}", quality(one), costs.join(", "))
}

fn quality(one: &Measured) -> String {
    format!(
        "{} {}",
        units::metric_name(one.metric),
        units::quality(one.metric, one.quality.value)
    )
}

fn change(from: &Measured, to: &Measured) -> String {
    let by = to.quality.value - from.quality.value;
    let sign = if by < 0.0 { '−' } else { '+' };
    let by = if units::is_share(from.metric) {
        format!("{sign}{:.1} points", by.abs() * 100.0)
    } else {
        format!("{sign}{}", units::quality(from.metric, by.abs()))
    };
    let times = from
        .cost(Cost::Latency)
        .zip(to.cost(Cost::Latency))
        .map(|(at, beyond)| {
            let time = to.shown_value(Cost::Latency, beyond);
            format!(", {time} ({}×)", units::three(beyond / at))
        });
    format!(
        "{by} {}{}",
        units::metric_name(from.metric),
        times.unwrap_or_default()
    )
}

fn exceeds(choice: &Choice<'_>) -> String {
    let beyond: Vec<String> = choice
        .limits
        .iter()
        .filter(|limit| !limit.kept)
        .map(|limit| match limit.room {
            room if room.is_finite() => {
                format!("{} misses its limit by {:.1} %", limit.of, -room * 100.0)
            }
            _ => format!("{} was not measured", limit.of),
        })
        .collect();
    if beyond.is_empty() {
        String::new()
    } else {
        format!("; {}", beyond.join(", "))
    }
}
