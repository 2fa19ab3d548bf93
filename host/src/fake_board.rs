//! A scripted board for this crate's own tests: speaks the wire, measures nothing.

use crate::virtual_board::Pty;
use scalebench_wire::batch::{self, Predictor};
use scalebench_wire::frame::{Header, Kind, MAX_LINE, encode};
use scalebench_wire::link::{Incoming, Link, LinkStats};
use scalebench_wire::message::{
    BoardInfo, Calibrated, Checked, Clock, Condition, Counted, Event, Failure, Hello, Loaded,
    Metrics, Quality, Welcome, Window, clipped,
};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub(crate) fn board_info() -> BoardInfo {
    BoardInfo {
        runner: clipped("0.1.0"),
        target: clipped("x86_64-unknown-linux-gnu"),
        machine: clipped("fake"),
        system: clipped("none"),
        engine: clipped("none"),
        build_id: heapless::Vec::new(),
        memory_bytes: 1 << 30,
        readings_capacity: 65_536,
        emulated: false,
        clock: Clock {
            ticks_per_second: 1_000_000_000,
            resolution_ticks: 20,
            read_ps: 20_000,
            harness_ps: 50_000,
        },
    }
}

fn outside(kind: Kind, body: &[u8]) -> Vec<u8> {
    let header = Header {
        sequence: 0,
        acknowledgement: 0,
        kind,
    };
    encode(header, 0, body, &mut [0; MAX_LINE]).to_vec()
}

pub(crate) fn welcome_line(session: u32, boot: u32) -> Vec<u8> {
    let welcome = Welcome {
        session,
        boot,
        board: board_info(),
    };
    let mut body = [0; 512];
    outside(
        Kind::Welcome,
        postcard::to_slice(&welcome, &mut body).unwrap(),
    )
}

pub(crate) fn hello_line(session: u32) -> Vec<u8> {
    let hello = Hello {
        session,
        host: clipped("0.1.0"),
    };
    let mut body = [0; 128];
    outside(Kind::Hello, postcard::to_slice(&hello, &mut body).unwrap())
}

/// Both ends of a line without a line: gives the bytes a board sends, acknowledged by a host.
pub(crate) struct Script {
    board: Box<Link>,
    host: Box<Link>,
    now: u64,
    /// Everything the board sent.
    pub(crate) bytes: Vec<u8>,
    /// What the processor counts in every window.
    pub(crate) counts: Option<Counted>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            board: Box::new(Link::new()),
            host: Box::new(Link::new()),
            now: 0,
            bytes: Vec::new(),
            counts: None,
        }
    }

    pub(crate) fn open(&mut self, session: u32, boot: u32) {
        self.bytes.extend(welcome_line(session, boot));
        self.board.open(session);
        self.host.open(session);
    }

    pub(crate) fn event(&mut self, event: &Event) {
        let mut body = [0; 1014];
        let body = postcard::to_slice(event, &mut body).unwrap().to_vec();
        self.send(Kind::Event, &body);
    }

    pub(crate) fn rows(&mut self, kind: Kind, predictor: Predictor, values: &[i64]) {
        let mut first = 0;
        while first < values.len() {
            let mut body = [0; 256];
            let rows = values[first..].iter().map(|&value| [value]);
            let encoded = batch::encode(first as u32, rows, [predictor], &mut body);
            self.send(kind, &body[..encoded.bytes]);
            first += encoded.rows;
        }
    }

    pub(crate) fn send(&mut self, kind: Kind, body: &[u8]) {
        self.board.send(kind, body).unwrap();
        while !self.board.is_drained() {
            self.now += 5_000;
            let mut line = [0; MAX_LINE];
            loop {
                let sent = self.board.transmit(self.now, &mut line).to_vec();
                if sent.is_empty() {
                    break;
                }
                self.bytes.extend_from_slice(&sent);
                for byte in sent {
                    self.host.push(byte, self.now);
                    if self.host.receive().is_some() {
                        self.host.consume(self.now);
                    }
                }
            }
            self.now += 5_000;
            let acks = self.host.transmit(self.now, &mut line).to_vec();
            for byte in acks {
                self.board.push(byte, self.now);
            }
        }
    }

    /// A whole trial with five windows of 200 readings; `median` in nanoseconds, `beyond` values off
    /// the golden ones.
    pub(crate) fn trial(&mut self, trial: u32, median: i64, beyond: u32, metrics: Metrics) {
        self.long_trial(trial, median, beyond, metrics, 200);
    }

    /// The same with so many readings a window.
    pub(crate) fn long_trial(
        &mut self,
        trial: u32,
        median: i64,
        beyond: u32,
        metrics: Metrics,
        readings: u32,
    ) {
        self.event(&Event::TrialBegun { trial });
        self.event(&Event::Loaded(Loaded {
            ticks: 2_000_000,
            activation_bytes: 4096,
            input_bytes: 36,
            output_bytes: 4,
        }));
        self.event(&Event::Cold {
            ticks: 3 * median as u64,
        });
        self.event(&Event::Checked(Checked {
            vectors: 16,
            values: 160,
            beyond,
            worst: 1e-6,
        }));
        if beyond > 0 {
            return self.end(trial, Some(Failure::Fidelity));
        }
        self.event(&Event::Calibrated(Calibrated {
            inferences: readings,
            stride: 1,
            unit_log2: 1,
        }));
        for window in 0..5 {
            let begin = 1_000_000_000 * u64::from(window);
            self.event(&Event::Quiet { up_to_ms: 500 });
            self.event(&Event::Window(Window {
                window,
                begin,
                end: begin + u64::from(readings) * median as u64,
                inferences: readings,
                readings,
                sample: u32::from(window),
                output_crc: 7,
                before: Condition::default(),
                after: Condition::default(),
            }));
            if let Some(counts) = self.counts {
                self.event(&Event::Counted(Counted { window, ..counts }));
            }
            // In units of two ticks, as `unit_log2` says.
            let values: Vec<i64> = (0..i64::from(readings))
                .map(|i| (median + (i * 37 % 21 - 10) * median / 500 + i64::from(window)) / 2)
                .collect();
            self.rows(Kind::Timings, Predictor::Level, &values);
            self.event(&Event::WindowSent { window, readings });
        }
        self.rows(Kind::Outcomes, Predictor::Previous, &[1, 2, 3, 1, 2, 3]);
        self.event(&Event::Quality(Quality {
            samples: 1_000,
            outputs_match: true,
            metrics,
        }));
        self.end(trial, None);
    }

    pub(crate) fn end(&mut self, trial: u32, failure: Option<Failure>) {
        self.event(&Event::TrialEnded {
            trial,
            failure,
            peak_bytes: 3 << 20,
            before_bytes: 1 << 20,
            link: LinkStats::default(),
        });
    }
}

/// A board at the near side of a pseudo-terminal, until the test drops the sender of `stop`.
///
/// It opens sessions like a runner; everything else is `answer`'s.
pub(crate) fn serve(
    pty: Pty,
    boot: u32,
    stop: Receiver<()>,
    mut answer: impl FnMut(&mut Link, Kind, Vec<u8>) + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut link = Box::new(Link::new());
        let begun = Instant::now();
        let now = || begun.elapsed().as_micros() as u64;
        while !matches!(stop.try_recv(), Err(TryRecvError::Disconnected)) {
            let mut bytes = [0; 512];
            let length = pty.read(&mut bytes).unwrap_or(0);
            for &byte in &bytes[..length] {
                let session = match link.push(byte, now()) {
                    Some(Incoming::Outside(Kind::Hello, body)) => {
                        postcard::from_bytes::<Hello>(body)
                            .ok()
                            .map(|hello| hello.session)
                    }
                    _ => None,
                };
                if let Some(session) = session {
                    if link.session() != session {
                        link.open(session);
                    }
                    pty.write(&welcome_line(session, boot)).unwrap();
                }
                while let Some((kind, body)) = link.receive() {
                    let body = body.to_vec();
                    link.consume(now());
                    answer(&mut link, kind, body);
                }
            }
            let mut line = [0; MAX_LINE];
            let out = link.transmit(now(), &mut line);
            pty.write(out).unwrap();
            if out.is_empty() && length == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    })
}
