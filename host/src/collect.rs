//! A run on one board: opens sessions, provisions, asks for trials, survives restarts.

use crate::aggregate::Aggregate;
use crate::plan::{Plan, PlannedTrial};
use crate::port::{Port, PortError};
use crate::progress::{Progress, Watch};
use crate::provision::{ProvisionError, Sources, provide};
use crate::receiver::Delivery;
use crate::results::{Status, TrialResult};
use crate::session::{Observer, Session, SessionError, event};
use crate::units;
use scalebench_wire::frame::Kind;
use scalebench_wire::link::LinkStats;
use scalebench_wire::message::{Event, Golden, Request, Sampling, Schedule, Trial, When, clipped};
use scalebench_wire::{Digest, batch::MAX_ROWS};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// After so many restarts in a row without any trial ended, the board is given up.
const RESTARTS: u32 = 5;
/// An unplugged port is waited for this long.
const REPLUG: Duration = Duration::from_secs(30);
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Aggregates what arrives, keeps logs, tells the watcher.
#[derive(Debug)]
pub struct Collector {
    /// What is known.
    pub aggregate: Aggregate,
    watch: Watch,
    logs: Option<crate::logs::Sink>,
    readings: u64,
    told: Instant,
}

impl Collector {
    /// Goes on from `aggregate`.
    #[must_use]
    pub fn new(aggregate: Aggregate, watch: Watch, logs: Option<crate::logs::Sink>) -> Self {
        Self {
            aggregate,
            watch,
            logs,
            readings: 0,
            told: Instant::now(),
        }
    }

    fn phase(&self, event: &Event) {
        if let Event::Governor {
            refused: Some(reason),
            ..
        } = event
        {
            let reason = crate::text::escaped(reason);
            self.watch
                .tell(Progress::Note(format!("the governor is not set: {reason}")));
        }
        let windows = self.aggregate.plan().schedule.windows;
        let phase = match event {
            Event::Loaded(_) => "first inference".to_owned(),
            Event::Cold { .. } => "golden vectors".to_owned(),
            Event::Checked(_) => "warm-up".to_owned(),
            Event::Calibrated(_) => format!("window 1 of {windows}"),
            Event::WindowSent { window, .. } if window + 1 < windows => {
                format!("window {} of {windows}", window + 2)
            }
            Event::WindowSent { .. } => "accuracy pass".to_owned(),
            Event::Quality(_) if self.aggregate.plan().profile_ms > 0 => {
                "operators, one by one".to_owned()
            }
            Event::TrialBegun { .. } => "loading".to_owned(),
            _ => return,
        };
        self.watch.tell(Progress::Phase(phase));
    }
}

impl Observer for Collector {
    fn delivered(&mut self, delivery: &Delivery<'_>) {
        self.aggregate.deliver(delivery);
        match delivery {
            Delivery::Opened(welcome) => {
                if let Some(logs) = &mut self.logs {
                    logs.restart();
                }
                self.watch.tell(Progress::Connected {
                    machine: crate::text::escaped(&welcome.board.machine)
                        + if welcome.board.emulated {
                            " (emulated)"
                        } else {
                            ""
                        },
                });
            }
            Delivery::Printed(text) => self
                .watch
                .tell(Progress::Note(format!("the board printed: {text}"))),
            Delivery::Message(Kind::Log, body) => {
                if let Some(logs) = &mut self.logs {
                    logs.take(body);
                }
            }
            Delivery::Message(Kind::Timings, body) => {
                if let Some(&[a, b]) = body.get(4..6) {
                    self.readings += u64::from(u16::from_le_bytes([a, b])).min(MAX_ROWS as u64);
                }
            }
            Delivery::Message(kind, body) => {
                if let Some(event) = event(*kind, body) {
                    self.phase(&event);
                }
            }
            _ => {}
        }
    }

    fn turned(&mut self, stats: LinkStats, bytes: u64) {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            self.watch.tell(Progress::Link {
                stats,
                bytes,
                readings: self.readings,
            });
        }
    }
}

/// Keeps what is known, and why trials were refused, after every trial.
pub type Save<'a> = dyn FnMut(&Session<Collector>, &BTreeMap<u32, String>) + 'a;

/// A run under way.
pub struct Bench<'a> {
    /// The session with the board.
    pub session: Session<Collector>,
    /// Where the plan's files are.
    pub sources: &'a Sources,
    /// The port, to be opened again when it was unplugged.
    pub port: PathBuf,
    /// Its speed.
    pub baud: u32,
    /// Tells the watcher.
    pub watch: Watch,
    /// How often a trial is tried that a restart of the board cuts short; again at the end of the run.
    pub attempts: u32,
    /// Called after every trial.
    pub save: &'a mut Save<'a>,
    /// What is asked of the board at the end.
    pub farewell: Request,
    /// Trials that could not be begun, and why.
    pub refused: BTreeMap<u32, String>,
}

impl Bench<'_> {
    /// Measures everything that has not come to an end yet.
    ///
    /// # Errors
    /// When the board cannot be reached (any more); what was measured until then is kept.
    pub fn run(&mut self) -> Result<(), SessionError> {
        let plan = self.session.observer.aggregate.plan().clone();
        let mut queue: VecDeque<u32> = plan
            .trials
            .iter()
            .map(|planned| planned.trial)
            .filter(|&trial| !self.is_final(trial))
            .collect();
        let mut attempts = BTreeMap::new();
        let mut restarts = 0;
        while !queue.is_empty() {
            let before = queue.len();
            match self.round(&plan, &mut queue, &mut attempts) {
                Ok(()) => break,
                Err(
                    error
                    @ (SessionError::Restarted | SessionError::Left | SessionError::Silent(_)),
                ) => {
                    self.watch
                        .tell(Progress::Note(format!("{error} (trying again)")));
                    restarts = if queue.len() < before {
                        1
                    } else {
                        restarts + 1
                    };
                    if restarts > RESTARTS {
                        return Err(error);
                    }
                }
                Err(SessionError::Port(PortError::Gone { path })) => {
                    self.watch.tell(Progress::Note(format!(
                        "serial port {} is gone: plug it in again within {} s",
                        path.display(),
                        REPLUG.as_secs()
                    )));
                    let port = reopened(&self.port, self.baud)?;
                    self.session.replug(port);
                }
                Err(error) => return Err(error),
            }
            self.save();
        }
        self.session.leave(&self.farewell);
        self.save();
        Ok(())
    }

    fn is_final(&self, trial: u32) -> bool {
        let status = self.session.observer.aggregate.status(trial);
        status.is_some_and(Status::is_final)
    }

    fn save(&mut self) {
        (self.save)(&self.session, &self.refused);
    }

    /// One session: everything left in the queue, or until the session is lost.
    fn round(
        &mut self,
        plan: &Plan,
        queue: &mut VecDeque<u32>,
        attempts: &mut BTreeMap<u32, u32>,
    ) -> Result<(), SessionError> {
        let welcome = self.session.open()?;
        let is = crate::aggregate::board(&welcome.board).identity();
        let was = self
            .session
            .observer
            .aggregate
            .board()
            .map(crate::results::Board::identity);
        if let Some(was) = was.filter(|was| *was != is) {
            return Err(SessionError::OtherBoard { was, is });
        }
        if plan.profile_ms > 0 {
            self.session.request(&Request::Profile(plan.profile_ms))?;
        }
        if plan.time_decoding {
            self.session.request(&Request::TimeDecoding(true))?;
        }
        if let Some(governor) = &plan.governor {
            self.session
                .request(&Request::Governor(clipped(governor)))?;
        }
        self.provision(plan, queue)?;
        if let Some(sampling) = sampling(plan) {
            self.session.request(&Request::Sampling(sampling))?;
        }
        while let Some(&trial) = queue.front() {
            let Some(planned) = plan.trials.get(trial as usize) else {
                queue.pop_front();
                continue;
            };
            let tried = attempts.entry(trial).or_insert(0);
            *tried += 1;
            let again = *tried < self.attempts;
            self.watch.tell(Progress::Trial {
                done: plan.trials.len() - queue.len(),
                total: plan.trials.len(),
                label: planned.label(),
            });
            let measured = self.measure(plan, planned);
            queue.pop_front();
            if let Err(error) = measured {
                if again {
                    queue.push_back(trial);
                }
                return Err(error);
            }
            if let Some(result) = self.session.observer.aggregate.trial(trial) {
                let (outcome, well) = outcome(planned, result);
                self.watch.tell(Progress::Ended {
                    label: planned.label(),
                    outcome,
                    well,
                });
            }
            self.save();
        }
        Ok(())
    }

    fn provision(&mut self, plan: &Plan, queue: &mut VecDeque<u32>) -> Result<(), SessionError> {
        let mut told = Instant::now();
        let watch = self.watch.clone();
        let needed = plan.files().into_iter().filter(|file| {
            let needs = |trial: &&PlannedTrial| {
                queue.contains(&trial.trial) && trial.files().any(|f| f.sha256 == file.sha256)
            };
            plan.trials.iter().any(|trial| needs(&trial))
        });
        let needed: Vec<_> = needed.collect();
        for file in needed {
            let result = provide(&mut self.session, file, self.sources, &mut |_, progress| {
                let last =
                    matches!(progress, Progress::Upload { done, total, .. } if done == total);
                if last || told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    watch.tell(progress);
                }
            });
            match result {
                Ok(()) => {}
                Err(ProvisionError::Session(error)) => return Err(error),
                Err(error) => {
                    let error = error.to_string();
                    self.watch.tell(Progress::Note(error.clone()));
                    for trial in &plan.trials {
                        if trial.files().any(|f| f.sha256 == file.sha256) {
                            queue.retain(|&queued| queued != trial.trial);
                            self.refused.insert(trial.trial, error.clone());
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn measure(&mut self, plan: &Plan, planned: &PlannedTrial) -> Result<(), SessionError> {
        let Some(request) = request(plan, planned) else {
            self.refused.insert(
                planned.trial,
                "the plan names a file by something that is no SHA-256".to_owned(),
            );
            return Ok(());
        };
        self.session.request(&Request::Trial(request))?;
        self.session.wait(|delivery| match delivery {
            Delivery::Message(kind, body) => match event(*kind, body) {
                Some(Event::TrialEnded { trial, .. }) if trial == planned.trial => Some(()),
                _ => None,
            },
            _ => None,
        })
    }
}

/// How power is to be sampled, where the plan wants it otherwise than boards do by themselves.
fn sampling(plan: &Plan) -> Option<Sampling> {
    let power = &plan.power;
    let asked = power.observer_cost || power.conversion_us.is_some();
    asked.then_some(Sampling {
        when: if power.observer_cost {
            When::Alternate
        } else {
            When::Always
        },
        conversion_us: power.conversion_us.unwrap_or(1_100),
        averages: 1,
    })
}

fn request(plan: &Plan, planned: &PlannedTrial) -> Option<Trial> {
    let dataset = match &planned.dataset {
        Some(file) => Some(Digest::from_hex(&file.sha256)?),
        None => None,
    };
    Some(Trial {
        trial: planned.trial,
        model: Digest::from_hex(&planned.model.sha256)?,
        golden: Some(Golden {
            digest: Digest::from_hex(&planned.golden.sha256)?,
            steps: planned.tolerance.steps,
            absolute: planned.tolerance.absolute,
            relative: planned.tolerance.relative,
        }),
        dataset,
        samples: planned.samples,
        schedule: Schedule {
            warm_up_ms: plan.schedule.warm_up_ms,
            windows: plan.schedule.windows,
            window_ms: plan.schedule.window_ms,
            readings: plan.schedule.readings,
        },
        memory_bytes: 0,
    })
}

/// A trial's end in a few words, and whether it ended well.
#[must_use]
pub fn outcome(planned: &PlannedTrial, result: &TrialResult) -> (String, bool) {
    let well = !result.status.is_failure();
    let words = match &result.status {
        Status::Done => {
            let latency = match (&result.latency, &result.latency_withheld) {
                (Some(latency), _) => units::time(latency.median_ns),
                (None, Some(reason)) => format!("no latency: {reason}"),
                (None, None) => String::new(),
            };
            let quality = result.quality.as_ref().and_then(|quality| quality.value);
            match quality {
                Some(value) => format!(
                    "{latency}, {} {}",
                    units::metric_name(planned.metric),
                    units::quality(planned.metric, value)
                ),
                None => latency,
            }
        }
        Status::NotExecutable(_) => "not yet executable on this engine".to_owned(),
        Status::Unfaithful(reason) | Status::Failed(reason) => reason.clone(),
        Status::Lost => "lost".to_owned(),
        Status::Pending => "not begun".to_owned(),
    };
    (words, well)
}

fn reopened(path: &Path, baud: u32) -> Result<Port, SessionError> {
    let deadline = Instant::now() + REPLUG;
    loop {
        match Port::open(path, baud) {
            Ok(port) => return Ok(port),
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(250)),
            Err(_) => {
                return Err(SessionError::Port(PortError::Gone {
                    path: path.to_owned(),
                }));
            }
        }
    }
}
