//! A board that sends timing readings as fast as the line takes them, and does nothing else.

use scalebench::port::{Port, PortError};
use scalebench_wire::batch::{self, Predictor};
use scalebench_wire::frame::{self, Header, Kind, MAX_BODY, MAX_LINE};
use scalebench_wire::link::{Incoming, Link};
use scalebench_wire::message::{BoardInfo, Clock, Hello, Welcome};
use std::time::{Duration, Instant};

/// How the readings are predicted.
pub const PREDICTORS: [Predictor; 1] = [Predictor::Level];

/// Reading number `index`: noise around a level, different at every index.
#[must_use]
pub fn reading(index: u32) -> i64 {
    let mixed = index.wrapping_mul(0x9e37_79b9) ^ (index >> 7).wrapping_mul(0x85eb_ca6b);
    4_000 + i64::from(mixed >> 25)
}

/// Waits for a host on `port`, sends it readings `0..count`, and returns when all are acknowledged.
///
/// # Errors
/// The port's.
///
/// # Panics
/// When not done after `patience`: a test shall end.
pub fn serve(port: &Port, count: u32, patience: Duration) -> Result<(), PortError> {
    let begun = Instant::now();
    let mut link = Box::new(Link::new());
    let mut sent = 0;
    let mut out: Vec<u8> = Vec::new();
    let mut welcome_due = false;
    loop {
        let now = begun.elapsed().as_micros() as u64;
        assert!(
            begun.elapsed() < patience,
            "stuck after {sent} of {count} readings"
        );
        while sent < count && link.room() > 0 {
            sent += queue(&mut link, sent, count);
        }
        if sent == count && link.is_drained() && out.is_empty() {
            return Ok(());
        }
        while out.is_empty() {
            let mut line = [0; MAX_LINE];
            let next = if std::mem::take(&mut welcome_due) {
                welcome(link.session(), &mut line)
            } else {
                link.transmit(now, &mut line)
            };
            if next.is_empty() {
                break;
            }
            let written = port.write(next)?;
            out.extend(&next[written..]);
        }
        let written = port.write(&out)?;
        out.drain(..written);
        port.wait(!out.is_empty(), Duration::from_millis(1))?;
        let mut bytes = [0; 4096];
        let length = port.read(&mut bytes)?;
        for &byte in &bytes[..length] {
            if let Some(Incoming::Outside(Kind::Hello, body)) = link.push(byte, now)
                && let Ok(hello) = postcard::from_bytes::<Hello>(body)
            {
                if hello.session != link.session() {
                    link.open(hello.session);
                    sent = 0;
                }
                welcome_due = true;
            }
        }
    }
}

fn queue(link: &mut Link, sent: u32, count: u32) -> u32 {
    let limit = link.body_limit();
    let mut rows = 0;
    let queued = link.send_with(Kind::Timings, |body| {
        let values = (sent..count).map(|index| [reading(index)]);
        let encoded = batch::encode(sent, values, PREDICTORS, body.get_mut(..limit)?);
        rows = encoded.rows as u32;
        Some(encoded.bytes)
    });
    if queued.is_ok() { rows } else { 0 }
}

fn welcome(session: u32, line: &mut [u8; MAX_LINE]) -> &[u8] {
    let welcome = Welcome {
        session,
        boot: 1,
        board: BoardInfo {
            runner: Default::default(),
            target: Default::default(),
            machine: Default::default(),
            system: Default::default(),
            engine: Default::default(),
            build_id: Default::default(),
            memory_bytes: 0,
            readings_capacity: 0,
            emulated: true,
            clock: Clock {
                ticks_per_second: 1_000_000_000,
                resolution_ticks: 1,
                read_ps: 0,
                harness_ps: 0,
            },
        },
    };
    let mut body = [0; MAX_BODY];
    let header = Header {
        sequence: 0,
        acknowledgement: 0,
        kind: Kind::Welcome,
    };
    match postcard::to_slice(&welcome, &mut body) {
        Ok(body) => frame::encode(header, 0, body, line),
        Err(_) => &[],
    }
}
