//! `scalebench compare`

use super::kept::Kept;
use super::out;
use crate::cli::CompareArgs;
use crate::failure::Wrong;
use anyhow::Result;
use comfy_table::{Cell, Color};
use scalebench::compare::{Comparison, Judged, Of, Unlike, Verdict, alike, compare as judge};
use scalebench::scaling::Figure;
use scalebench::store::{RunFile, json};
use scalebench::table::{plain, right};
use scalebench::{text, units};
use serde::Serialize;
use std::collections::BTreeMap;
use std::process::ExitCode;

pub(crate) fn compare(args: &CompareArgs) -> Result<ExitCode> {
    let before = Kept::named(&args.before, &args.runs.runs)?;
    let after = Kept::named(&args.after, &args.runs.runs)?;
    let several = |kept: &Kept| matches!(kept, Kept::Several(_));
    if several(&before) && several(&after) {
        return boards(args, &before, &after);
    }
    // With a run on several boards on one side only, this tells which boards there are to choose from.
    let (before, after) = (before.one()?.load()?, after.one()?.load()?);
    let comparison = judged(args, &before, &after)?;
    if args.json {
        out::bytes(&json(&comparison))?;
    } else if args.markdown {
        out::bytes(markdown("", &comparison).as_bytes())?;
    } else {
        print(&comparison)?;
    }
    Ok(ExitCode::from(u8::from(comparison.is_worse())))
}

fn judged(args: &CompareArgs, before: &RunFile, after: &RunFile) -> Result<Comparison, Unlike> {
    if !args.across_boards {
        alike(before, after)?;
    }
    Ok(judge(before, after, args.threshold))
}

/// Two runs on several boards, a comparison a board of the same name. What cannot be compared is an error only
/// where nothing can.
#[derive(Serialize)]
struct Boards {
    boards: BTreeMap<String, Comparison>,
    /// Why boards that both have were not compared.
    refused: BTreeMap<String, String>,
    /// Boards that only the first has.
    lost: Vec<String>,
    /// Boards that only the second has.
    added: Vec<String>,
}

fn boards(args: &CompareArgs, before: &Kept, after: &Kept) -> Result<ExitCode> {
    let runs = |kept: &Kept| -> Result<BTreeMap<String, RunFile>> {
        let files = kept.files()?.into_iter();
        Ok(files
            .filter_map(|(name, file)| Some((name?, file)))
            .collect())
    };
    let (before, after) = (runs(before)?, runs(after)?);
    let only = |these: &BTreeMap<String, RunFile>, those: &BTreeMap<String, RunFile>| {
        let names = these.keys().filter(|name| !those.contains_key(*name));
        names.cloned().collect::<Vec<String>>()
    };
    let mut all = Boards {
        boards: BTreeMap::new(),
        refused: BTreeMap::new(),
        lost: only(&before, &after),
        added: only(&after, &before),
    };
    let mut unlike = None;
    for (name, a) in &before {
        let Some(b) = after.get(name) else { continue };
        match judged(args, a, b) {
            Ok(comparison) => drop(all.boards.insert(name.clone(), comparison)),
            Err(why) => {
                all.refused.insert(name.clone(), why.to_string());
                unlike = Some(why);
            }
        }
    }
    if all.boards.is_empty() {
        return Err(match unlike {
            Some(why) => why.into(),
            None => Wrong(
                "the two runs have no board in common: name a board's own run of each".to_owned(),
            )
            .into(),
        });
    }
    if args.json {
        out::bytes(&json(&all))?;
    } else if args.markdown {
        for (name, comparison) in &all.boards {
            out::bytes(markdown(&format!("{name}: "), comparison).as_bytes())?;
            out::line("")?;
        }
        out::bytes(text::markdown(&all.remarks()).as_bytes())?;
    } else {
        for (name, comparison) in &all.boards {
            out::line(name)?;
            print(comparison)?;
        }
        out::bytes(all.remarks().as_bytes())?;
    }
    let worse = all.boards.values().any(Comparison::is_worse);
    let missing = !all.lost.is_empty() || !all.refused.is_empty();
    Ok(ExitCode::from(u8::from(worse || missing)))
}

impl Boards {
    /// What is to be said of boards that were not compared, a line each.
    fn remarks(&self) -> String {
        let mut said = String::new();
        for (name, why) in &self.refused {
            said += &format!("{name} is not compared: {why}\n");
        }
        for (names, when) in [(&self.lost, "before"), (&self.added, "after")] {
            if !names.is_empty() {
                said += &format!("boards only {when}: {}\n", names.join(", "));
            }
        }
        said
    }
}

fn print(comparison: &Comparison) -> Result<()> {
    let mut table = plain(&[
        "variant", "figure", "before", "after", "change", "beyond", "verdict",
    ]);
    for one in &comparison.judged {
        let color = match one.verdict {
            Verdict::Better => Color::Green,
            Verdict::Worse => Color::Red,
            Verdict::Same => Color::Reset,
            Verdict::CannotTell => Color::Yellow,
        };
        table.add_row([
            Cell::new(&one.name),
            Cell::new(of(one)),
            right(value(one, one.before)),
            right(value(one, one.after)),
            right(change(one)),
            right(threshold(one)),
            Cell::new(one.verdict.word()).fg(color),
        ]);
    }
    out::line(&table)?;
    out::line(summary(comparison))
}

/// A comment for a pull request: what changed first, everything else folded away.
fn markdown(of_what: &str, comparison: &Comparison) -> String {
    let row = |one: &Judged| {
        format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            text::markdown(&one.name),
            of(one),
            value(one, one.before),
            value(one, one.after),
            change(one),
            one.verdict.word()
        )
    };
    let table = |rows: Vec<&Judged>| -> String {
        let head = "| variant | figure | before | after | change | verdict |\n|---|---|---:|---:|---:|---|\n";
        head.to_owned() + &rows.into_iter().map(row).collect::<String>()
    };
    let changed = |one: &&Judged| matches!(one.verdict, Verdict::Better | Verdict::Worse);
    let (changed, rest): (Vec<_>, Vec<_>) = comparison.judged.iter().partition(changed);
    let mut page = format!(
        "### scalebench: {}{}\n\n{}\n",
        text::markdown(of_what),
        headline(comparison),
        text::markdown(&summary(comparison))
    );
    if !changed.is_empty() {
        page += &format!("\n{}", table(changed));
    }
    if !rest.is_empty() {
        page += &format!(
            "\n<details><summary>The other {}</summary>\n\n{}\n</details>\n",
            rest.len(),
            table(rest)
        );
    }
    page
}

fn headline(comparison: &Comparison) -> &'static str {
    match comparison {
        comparison if comparison.is_worse() => "something got worse",
        comparison if comparison.count(Verdict::Better) > 0 => "better, and nothing worse",
        comparison if comparison.count(Verdict::CannotTell) > 0 => "nothing worse that can be told",
        _ => "no change",
    }
}

fn summary(comparison: &Comparison) -> String {
    let count = |verdict| comparison.count(verdict);
    let mut lines = vec![format!(
        "{} worse, {} better, {} the same, {} that scatter too much to tell",
        count(Verdict::Worse),
        count(Verdict::Better),
        count(Verdict::Same),
        count(Verdict::CannotTell)
    )];
    if let Some(latency) = comparison.latency {
        lines.push(format!(
            "latency of all variants together: {}",
            relative(Figure {
                value: latency.value - 1.0,
                interval: latency
                    .interval
                    .map(|interval| scalebench::stats::Interval {
                        low: interval.low - 1.0,
                        high: interval.high - 1.0,
                    }),
            })
        ));
    }
    if !comparison.lost.is_empty() {
        lines.push(format!(
            "figures only before: {}",
            comparison.lost.join(", ")
        ));
    }
    if !comparison.added.is_empty() {
        lines.push(format!(
            "figures only after: {}",
            comparison.added.join(", ")
        ));
    }
    lines.join("\n")
}

fn of(one: &Judged) -> &'static str {
    match one.of {
        Of::Latency => "latency",
        Of::Quality => units::metric_name(one.metric),
        Of::Memory => "memory",
        Of::Energy => "energy",
        Of::Instructions => "instructions",
    }
}

fn value(one: &Judged, value: f64) -> String {
    match one.of {
        Of::Latency => units::time(value),
        Of::Quality => units::quality(one.metric, value),
        Of::Memory => units::bytes(value.round() as u64),
        Of::Energy => units::energy(value),
        Of::Instructions => units::count(value.round() as u64),
    }
}

fn threshold(one: &Judged) -> String {
    match one.of {
        Of::Quality => "its interval".to_owned(),
        Of::Latency | Of::Memory | Of::Energy | Of::Instructions => {
            format!("{:.1} %", one.threshold * 100.0)
        }
    }
}

fn change(one: &Judged) -> String {
    match one.of {
        Of::Latency | Of::Energy | Of::Instructions => relative(one.change),
        // Of next to nothing a share says nothing.
        Of::Memory => {
            let by = one.after - one.before;
            let sign = if by < 0.0 { '-' } else { '+' };
            format!("{sign}{}", units::bytes(by.abs().round() as u64))
        }
        Of::Quality if units::is_share(one.metric) => {
            let half = one
                .change
                .interval
                .map_or(0.0, |interval| interval.half() * 100.0);
            format!("{:+.1} ±{half:.1} points", one.change.value * 100.0)
        }
        Of::Quality => {
            let half = one.change.interval.map_or(0.0, |interval| interval.half());
            format!("{:+.4} ±{half:.4}", one.change.value)
        }
    }
}

fn relative(change: Figure) -> String {
    match change.interval {
        Some(interval) => format!(
            "{:+.1} ±{:.1} %",
            change.value * 100.0,
            interval.half() * 100.0
        ),
        None => format!("{:+.1} %", change.value * 100.0),
    }
}
