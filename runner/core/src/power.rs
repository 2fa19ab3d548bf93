//! Power readings on their way to the host: descriptions first, readings in batches, then what became of
//! each rail.

use crate::board::{Clock, Rails};
use crate::trial::{POWER, send_rows};
use scalebench_wire::frame::Kind;
use scalebench_wire::link::Link;
use scalebench_wire::message::{Event, Power, Sampling, Span, When};

/// How power is sampled until the host says otherwise: one reading in 2.2 ms, what most boards can bear.
pub const DEFAULT: Sampling = Sampling {
    when: When::Always,
    conversion_us: 1_100,
    averages: 1,
};

/// While they are watched, readings are sent in batches of at least so many.
const BATCH: usize = 16;

/// Describes rail `index` to the host; `false` when there is none.
pub(crate) fn announce(rails: &impl Rails, index: u8, link: &mut Link) -> bool {
    let Some((rail, accuracy)) = rails.rail(index) else {
        return false;
    };
    let _ = link.send_message(Kind::Event, &Event::Rail(rail));
    let _ = link.send_message(Kind::Event, &Event::Accuracy(accuracy));
    true
}

/// Sending what was sampled in a span, rail after rail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    span: Span,
    rail: u8,
    sent: u32,
}

impl Delivery {
    pub(crate) fn new(span: Span) -> Self {
        Self {
            span,
            rail: 0,
            sent: 0,
        }
    }

    /// Sends one batch, or the end of one rail. `false` when all rails are done.
    pub(crate) fn step(&mut self, rails: &mut impl Rails, link: &mut Link) -> bool {
        if rails.rail(self.rail).is_none() {
            return false;
        }
        if rails.waiting(self.rail) > 0 {
            self.sent += send_batch(rails, self.rail, self.sent, link);
            return true;
        }
        let tally = rails.tally(self.rail);
        let power = Power {
            rail: self.rail,
            span: self.span,
            readings: self.sent,
            missed: tally.missed,
            fault: tally.fault,
        };
        let _ = link.send_message(Kind::Event, &Event::Power(power));
        *self = Self {
            rail: self.rail + 1,
            sent: 0,
            ..*self
        };
        true
    }
}

/// Sends as many readings of a rail as fit into one message; returns how many.
fn send_batch(rails: &mut impl Rails, rail: u8, first: u32, link: &mut Link) -> u32 {
    let unit = rails
        .rail(rail)
        .map_or(0, |(_, accuracy)| accuracy.unit_log2.min(62));
    let rows = (0..rails.waiting(rail))
        .map_while(|at| rails.peek(rail, at))
        .map(|reading| {
            [
                (reading.ticks >> unit) as i64,
                reading.voltage.into(),
                reading.current.into(),
            ]
        });
    let sent = send_rows(link, Kind::Power, &[rail], first, rows, POWER);
    rails.consume(rail, sent);
    sent as u32
}

/// Rails shown as they are, for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    millis: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Announce {
        rail: u8,
    },
    Run {
        until: u64,
        rail: u8,
        sent: [u32; MAX_RAILS],
    },
    End {
        rail: u8,
        sent: [u32; MAX_RAILS],
    },
}

/// The most rails of a board.
pub const MAX_RAILS: usize = 16;

impl Watch {
    pub(crate) fn new(millis: u32) -> Self {
        Self {
            millis,
            stage: Stage::Announce { rail: 0 },
        }
    }

    /// Sends what there is. `None` when the time is up and everything sent, else whether something was done.
    pub(crate) fn step(
        &mut self,
        rails: &mut impl Rails,
        clock: &impl Clock,
        link: &mut Link,
    ) -> Option<bool> {
        match &mut self.stage {
            Stage::Announce { rail } => {
                if announce(rails, *rail, link) {
                    *rail += 1;
                } else {
                    rails.start();
                    self.stage = Stage::Run {
                        until: clock.now() + clock.ticks_of_millis(self.millis.into()),
                        rail: 0,
                        sent: [0; MAX_RAILS],
                    };
                }
            }
            Stage::Run { until, rail, sent } => {
                if clock.now() >= *until {
                    rails.stop();
                    self.stage = Stage::End {
                        rail: 0,
                        sent: *sent,
                    };
                    return Some(true);
                }
                let now = *rail;
                *rail += 1;
                if rails.rail(now).is_none() {
                    *rail = 0;
                    return Some(false);
                }
                if let Some(sent) = sent.get_mut(usize::from(now))
                    && rails.waiting(now) >= BATCH
                {
                    *sent += send_batch(rails, now, *sent, link);
                }
            }
            Stage::End { rail, sent } => {
                let mut delivery = Delivery {
                    span: Span::Watch,
                    rail: *rail,
                    sent: sent.get(usize::from(*rail)).copied().unwrap_or(0),
                };
                if !delivery.step(rails, link) {
                    return None;
                }
                if let Some(sent) = sent.get_mut(usize::from(*rail)) {
                    *sent = delivery.sent;
                }
                *rail = delivery.rail;
            }
        }
        Some(true)
    }
}
