//! `scalebench link`

use super::out;
use super::place::reach;
use crate::cli::LinkArgs;
use anyhow::Result;
use comfy_table::Cell;
use scalebench::cable::{self, LineTest};
use scalebench::receiver::Receiver;
use scalebench::session::{Patience, Session};
use scalebench::store::json;
use scalebench::table::{plain, right};
use scalebench::units;
use std::process::ExitCode;

pub(crate) fn link(args: &LinkArgs) -> Result<ExitCode> {
    let reached = reach(&args.place)?;
    let baud = reached.baud;
    let mut session = Session::new(
        reached.port,
        baud,
        Receiver::new(),
        None,
        Patience::default(),
        (),
    );
    session.open()?;
    let mut tests = vec![cable::test(&mut session, baud, args.bytes)?];
    if args.best {
        tests.extend(cable::faster(&mut session, baud, args.bytes)?);
    }
    session.bye();
    if args.json {
        out::bytes(&json(&tests))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = plain(&[
        "baud",
        "goodput",
        "of the line",
        "damaged frames",
        "round trip",
        "verdict",
    ]);
    for test in &tests {
        table.add_row([
            right(test.baud),
            right(format!("{}/s", units::bytes(test.goodput as u64))),
            right(format!("{:.1} %", test.share * 100.0)),
            right(format!("{} of {}", test.rejected, test.frames)),
            right(
                test.round_trip_ms
                    .map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1} ms")),
            ),
            Cell::new(verdict(test)),
        ]);
    }
    out::line(&table)?;
    if args.best
        && let Some(best) = cable::best(&tests)
    {
        out::line(format!("best speed: --baud {}", best.baud))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verdict(test: &LineTest) -> &'static str {
    match test {
        test if !test.works => "does not work at this speed",
        test if test.rejected == 0 => "clean",
        test if test.share > 0.8 => "usable, with some damage",
        _ => "bad: shorten the cable, check ground, or go slower",
    }
}
