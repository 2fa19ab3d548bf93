//! `scalebench rails`

use super::out;
use super::place::reach;
use crate::cli::RailsArgs;
use anyhow::{Result, bail};
use comfy_table::Cell;
use scalebench::power::{PowerLog, fault_words, tier_word};
use scalebench::receiver::{Delivery, Receiver};
use scalebench::session::{Observer, Patience, Session, event};
use scalebench::table::{plain, right};
use scalebench::text::escaped;
use scalebench::units;
use scalebench_wire::frame::Kind;
use scalebench_wire::link::LinkStats;
use scalebench_wire::message::{Event, Power, Rail, Request, Sampling, Span, When};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Lines on the terminal are no more frequent.
const EVERY: Duration = Duration::from_secs(1);
/// A board without rails announces none within this time.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is heard of the rails.
struct Live {
    log: PowerLog,
    rails: Vec<Rail>,
    ended: Vec<Power>,
    begun: Instant,
    told: Instant,
}

impl Live {
    /// A line a rail: what it is now, and readings a second so far.
    fn tell(&self) {
        for rail in &self.rails {
            if let Some((volts, amperes, readings)) = self.log.latest(rail.rail) {
                let rate = readings as f64 / self.begun.elapsed().as_secs_f64();
                let _ = out::line(format!(
                    "{}: {volts:.3} V  {amperes:.4} A  {}  {rate:.0} readings/s  {}",
                    escaped(&rail.name),
                    units::power(volts * amperes),
                    tier_word(rail.tier)
                ));
            }
        }
    }
}

impl Observer for Live {
    fn delivered(&mut self, delivery: &Delivery<'_>) {
        let Delivery::Message(kind, body) = delivery else {
            return;
        };
        if *kind == Kind::Power {
            let _ = self.log.batch(body);
        }
        match event(*kind, body) {
            Some(Event::Rail(rail)) => {
                self.rails.push(rail.clone());
                self.log.rail(rail);
            }
            Some(Event::Power(power)) if power.span == Span::Watch => self.ended.push(power),
            _ => {}
        }
    }

    fn turned(&mut self, _: LinkStats, _: u64) {
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            self.tell();
        }
    }
}

pub(crate) fn rails(args: &RailsArgs) -> Result<ExitCode> {
    let reached = reach(&args.place)?;
    let live = Live {
        log: PowerLog::default(),
        rails: Vec::new(),
        ended: Vec::new(),
        begun: Instant::now(),
        told: Instant::now(),
    };
    let mut session = Session::new(
        reached.port,
        reached.baud,
        Receiver::new(),
        None,
        Patience::default(),
        live,
    );
    session.open()?;
    session.request(&Request::Sampling(Sampling {
        when: When::Always,
        conversion_us: args.conversion_us.unwrap_or(1_100),
        averages: 1,
    }))?;
    session.request(&Request::WatchRails {
        millis: args.seconds * 1_000,
    })?;
    session.observer.begun = Instant::now();
    let deadline = session.observer.begun + Duration::from_secs(args.seconds.into()) + PATIENCE;
    loop {
        session.turn(Duration::from_millis(50), &mut |_| {})?;
        let live = &session.observer;
        let none = live.rails.is_empty() && live.begun.elapsed() > PATIENCE;
        let all = !live.rails.is_empty() && live.ended.len() == live.rails.len();
        if none || all || Instant::now() > deadline {
            break;
        }
    }
    session.bye();
    let live = &session.observer;
    if live.rails.is_empty() {
        bail!(
            "the board has no power rails: name them in its board file as [[rail]], and start its runner with --board FILE"
        );
    }
    let mut table = plain(&["rail", "tier", "readings", "rate", "missed", "state"]);
    let mut well = live.ended.len() == live.rails.len();
    for power in &live.ended {
        let Some(rail) = live.rails.iter().find(|rail| rail.rail == power.rail) else {
            continue;
        };
        well &= power.fault.is_none();
        table.add_row([
            Cell::new(escaped(&rail.name)),
            Cell::new(tier_word(rail.tier)),
            right(power.readings),
            right(format!(
                "{:.0}/s",
                f64::from(power.readings) / f64::from(args.seconds)
            )),
            right(power.missed),
            Cell::new(power.fault.map_or("sound", fault_words)),
        ]);
    }
    out::line(&table)?;
    Ok(ExitCode::from(u8::from(!well)))
}
