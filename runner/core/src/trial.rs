//! The phases of one trial on the board.
//!
//! load → cold inference → golden vectors → idle, if there are power rails → warm up and calibrate →
//! windows, each followed by the sending of its readings → accuracy pass → profile, where it is wanted.
//! [`Trial::step`] does a bounded piece of that at a time,
//! so that the session can look after the line in between; only what is announced by
//! [`Event::Quiet`] takes longer.

#![expect(
    clippy::result_large_err,
    reason = "a failure carries its sentence: there is no heap to box it on"
)]

use crate::average_precision::AveragePrecision;
use crate::board::{Board, Clock, Counters, Engine, Parts, Rails, Store, Vitals};
use crate::detection::{Detection, Grid, MAX_BOXES};
use crate::log::{info, warn};
use crate::metric::{Classification, Regression, Tally};
use crate::power::{self, Delivery};
use crate::tensor::{self, Difference, Mismatch};
use crate::window::{self, Pace};
use core::fmt::{self, Display, Write};
use embedded_hal::digital::OutputPin;
use heapless::{Deque, Vec};
use scalebench_wire::batch::{self, Predictor};
use scalebench_wire::container::{Dataset, Golden, Label, LabelKind, boxes, value};
use scalebench_wire::frame::{Kind, crc32};
use scalebench_wire::link::Link;
use scalebench_wire::message::{
    self, Calibrated, Checked, Counter, Event, Failure, Found, Loaded, Metrics, Quality, Span,
    Text, When, Window,
};

/// The most windows of a trial.
pub const MAX_WINDOWS: usize = 16;
/// How timing readings are predicted.
pub const TIMINGS: [Predictor; 1] = [Predictor::Level];
/// How outcomes are predicted.
pub const OUTCOMES: [Predictor; 1] = [Predictor::Previous];
/// How power readings are predicted: time, voltage, current.
pub const POWER: [Predictor; 3] = [Predictor::Step, Predictor::Previous, Predictor::Previous];

/// The events of the processor that are told of.
const COUNTERS: [Counter; 3] = [Counter::Cycles, Counter::Instructions, Counter::CacheMisses];
/// Slots of the link left free for answers to the host.
const RESERVE: usize = 2;
/// The accuracy pass looks after the line this often.
const SLICE_MS: u64 = 20;
const LONGEST_LOAD_MS: u32 = 300_000;
const WINDOW_TRIES: u8 = 3;
/// Starting and stopping the rails takes no longer.
const LONGEST_RAILS_MS: u32 = 4_000;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again at once.
    More,
    /// Nothing to do until the line has moved.
    Blocked,
    /// The trial is over and its last event sent.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Load,
    Uncounted { counter: usize },
    Cold,
    Check { vector: u32 },
    Announce { rail: u8 },
    Idle { since: Option<u64> },
    SendIdle(Delivery),
    WarmUp,
    Measure { window: u8, tries: u8 },
    Send { window: u8, first: u32 },
    SendPower { window: u8, delivery: Delivery },
    Accuracy { sample: u32 },
    Quality,
    Profile,
    SendProfile { operator: usize },
    End,
}

/// A trial under way.
#[derive(Debug)]
pub struct Trial {
    spec: message::Trial,
    when: When,
    phase: Phase,
    /// The quiet phase was announced and waits for the line to be drained.
    settling: bool,
    failure: Option<Failure>,
    difference: Difference,
    typical_ticks: u64,
    pace: Pace,
    readings: usize,
    /// Sample and CRC-32 of the output of each window.
    outputs: Vec<(u32, u32), MAX_WINDOWS>,
    outputs_match: bool,
    tally: Tally,
    /// How outputs become boxes, where the dataset is labelled with boxes.
    grid: Option<Grid>,
    /// Whether windows hold that.
    time_decoding: bool,
    /// How long operators are timed one by one; zero for not at all.
    profile_ms: u32,
    outcomes: Deque<i64, 1024>,
    outcomes_sent: u32,
    before_bytes: u64,
}

/// What a step works with.
pub struct Surroundings<'a, B: Board> {
    /// The platform.
    pub parts: &'a mut Parts<B>,
    /// The session with the host.
    pub link: &'a mut Link,
    /// Room for the readings of a window.
    pub readings: &'a mut [u32],
    /// Resolution of the clock.
    pub resolution_ticks: u32,
}

impl Trial {
    /// A trial that has not begun. With `time_decoding` its windows hold the decoding of outputs into
    /// boxes, where the dataset is labelled with boxes. For `profile_ms`, unless zero, its operators are timed
    /// one by one in the end. Power is sampled in the windows that `when` says.
    #[must_use]
    pub fn new(spec: message::Trial, time_decoding: bool, profile_ms: u32, when: When) -> Self {
        Self {
            spec,
            when,
            phase: Phase::Load,
            settling: false,
            failure: None,
            difference: Difference::default(),
            typical_ticks: 1,
            pace: Pace {
                inferences: 1,
                stride: 1,
                unit_log2: 0,
            },
            readings: 0,
            outputs: Vec::new(),
            outputs_match: true,
            tally: Tally::None,
            grid: None,
            time_decoding,
            profile_ms,
            outcomes: Deque::new(),
            outcomes_sent: 0,
            before_bytes: 0,
        }
    }

    /// Ends the trial before its next phase.
    pub fn abort(&mut self) {
        self.fail(Failure::Aborted);
    }

    /// Whether readings are being sent, rather than taken.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.settling
            || matches!(
                self.phase,
                Phase::Send { .. } | Phase::SendPower { .. } | Phase::SendIdle(_)
            )
    }

    /// Does the next piece of work.
    pub fn step<B: Board>(&mut self, around: &mut Surroundings<'_, B>) -> Progress {
        if around.link.room() <= RESERVE {
            return Progress::Blocked;
        }
        if self.settling {
            if !around.link.is_drained() {
                return Progress::Blocked;
            }
            self.settling = false;
            return self.advance(around);
        }
        if let Some(up_to_ms) = self.quiet_ms(&around.parts.clock) {
            if self.phase == Phase::Load {
                around.event(&Event::TrialBegun {
                    trial: self.spec.trial,
                });
            }
            around.event(&Event::Quiet { up_to_ms });
            self.settling = true;
            return Progress::More;
        }
        self.advance(around)
    }

    /// How long the line may be left alone in this phase, if it is one of those that leave it.
    fn quiet_ms(&self, clock: &impl Clock) -> Option<u32> {
        let typical_ms = (clock.micros(self.typical_ticks) / 1_000) as u32;
        match self.phase {
            Phase::Load => Some(LONGEST_LOAD_MS),
            Phase::Idle { since: None } => Some(self.spec.schedule.window_ms + LONGEST_RAILS_MS),
            Phase::WarmUp => Some(4 * self.spec.schedule.warm_up_ms + 8 * typical_ms + 1_000),
            Phase::Measure { .. } => {
                Some(3 * self.spec.schedule.window_ms + 4 * typical_ms + 1_000 + LONGEST_RAILS_MS)
            }
            Phase::Profile => Some(self.profile_ms.saturating_add(4 * typical_ms + 1_000)),
            Phase::Check { vector: 0 } | Phase::Accuracy { sample: 0 } if typical_ms > 200 => {
                Some(8 * typical_ms)
            }
            _ => None,
        }
    }

    fn advance<B: Board>(&mut self, around: &mut Surroundings<'_, B>) -> Progress {
        let done = match self.phase {
            Phase::Load => self.load(around),
            Phase::Uncounted { counter } => {
                self.uncounted(around, counter);
                Ok(())
            }
            Phase::Cold => self.cold(around),
            Phase::Check { vector } => self.check(around, vector),
            Phase::Announce { rail } => {
                self.announce(around, rail);
                Ok(())
            }
            Phase::Idle { since } => {
                if !self.idle(around, since) {
                    return Progress::Blocked;
                }
                Ok(())
            }
            Phase::SendIdle(delivery) => {
                self.send_idle(around, delivery);
                Ok(())
            }
            Phase::WarmUp => self.warm_up(around),
            Phase::Measure { window, tries } => self.measure(around, window, tries),
            Phase::Send { window, first } => self.send(around, window, first),
            Phase::SendPower { window, delivery } => {
                self.send_power(around, window, delivery);
                Ok(())
            }
            Phase::Accuracy { sample } => self.accuracy(around, sample),
            Phase::Quality => self.quality(around),
            Phase::Profile => self.profile(around),
            Phase::SendProfile { operator } => {
                self.send_profile(around, operator);
                Ok(())
            }
            Phase::End => {
                self.end(around);
                return Progress::Done;
            }
        };
        if let Err(failure) = done {
            self.fail(failure);
        }
        Progress::More
    }

    fn fail(&mut self, failure: Failure) {
        if self.failure.is_none() {
            warn!("trial {} ends early", self.spec.trial);
            self.failure = Some(failure);
        }
        self.settling = false;
        self.phase = Phase::End;
    }

    fn load<B: Board>(&mut self, around: &mut Surroundings<'_, B>) -> Result<(), Failure> {
        let schedule = &self.spec.schedule;
        if schedule.windows == 0
            || usize::from(schedule.windows) > MAX_WINDOWS
            || schedule.window_ms > 600_000
            || schedule.warm_up_ms > 600_000
            || self.profile_ms > 600_000
        {
            return Err(Failure::Schedule);
        }
        info!("trial {}: load", self.spec.trial);
        let Parts {
            store,
            engine,
            vitals,
            clock,
            ..
        } = &mut *around.parts;
        let wanted = [
            Some(self.spec.model),
            self.spec.golden.map(|golden| golden.digest),
            self.spec.dataset,
        ];
        for digest in wanted.into_iter().flatten() {
            if !store.open(digest) {
                return Err(Failure::ArtefactMissing(digest));
            }
        }
        engine
            .vet(self.spec.model, self.spec.memory_bytes)
            .map_err(engine_failure)?;
        self.before_bytes = vitals.watch_memory();
        let model = store
            .bytes(self.spec.model)
            .ok_or(Failure::ArtefactMissing(self.spec.model))?;
        let begin = clock.now();
        engine
            .load(model, self.spec.memory_bytes)
            .map_err(engine_failure)?;
        let ticks = clock.now().wrapping_sub(begin);
        let bytes = |tensors: &dyn Fn(usize) -> Option<usize>| {
            (0..)
                .map_while(tensors)
                .fold(0_u32, |sum, bytes| sum.saturating_add(bytes as u32))
        };
        let loaded = Loaded {
            ticks,
            activation_bytes: engine.activation_bytes(),
            input_bytes: bytes(&|i| engine.input(i).map(|tensor| tensor.bytes)),
            output_bytes: bytes(&|i| engine.output(i).map(|tensor| tensor.bytes)),
        };
        self.tally = match self.dataset(store)?.map(|dataset| dataset.label_kind()) {
            None | Some(LabelKind::None) => Tally::None,
            Some(LabelKind::Class { .. }) => Tally::Classification(Classification::new()),
            Some(LabelKind::Values { .. }) => Tally::Regression(Regression::default()),
            Some(LabelKind::Boxes { classes, .. }) => {
                self.grid = Some(grid(engine, classes)?);
                Tally::Detection(AveragePrecision::new())
            }
        };
        around.event(&Event::Loaded(loaded));
        self.phase = Phase::Uncounted { counter: 0 };
        Ok(())
    }

    /// Tells of the next event of the processor, if it is not counted.
    fn uncounted<B: Board>(&mut self, around: &mut Surroundings<'_, B>, counter: usize) {
        let Some(&what) = COUNTERS.get(counter) else {
            self.phase = Phase::Cold;
            return;
        };
        if let Some(reason) = around.parts.counters.missing(what) {
            around.event(&Event::Uncounted { what, reason });
        }
        self.phase = Phase::Uncounted {
            counter: counter + 1,
        };
    }

    fn cold<B: Board>(&mut self, around: &mut Surroundings<'_, B>) -> Result<(), Failure> {
        self.prepare(around.parts, 0)?;
        let Parts { clock, engine, .. } = &mut *around.parts;
        let begin = clock.now();
        engine.infer().map_err(engine_failure)?;
        let ticks = clock.now().wrapping_sub(begin);
        self.typical_ticks = ticks.max(1);
        around.event(&Event::Cold { ticks });
        self.phase = if self.spec.golden.is_some() {
            Phase::Check { vector: 0 }
        } else {
            Phase::Announce { rail: 0 }
        };
        Ok(())
    }

    fn check<B: Board>(
        &mut self,
        around: &mut Surroundings<'_, B>,
        vector: u32,
    ) -> Result<(), Failure> {
        let Parts { store, engine, .. } = &mut *around.parts;
        let (Some(spec), Some(golden)) = (self.spec.golden, self.golden(store)?) else {
            self.phase = Phase::Announce { rail: 0 };
            return Ok(());
        };
        self.put_golden(engine, &golden, vector)?;
        engine.infer().map_err(engine_failure)?;
        for index in 0..golden.outputs() {
            let (Some(tensor), Some(reference)) =
                (engine.output(index), golden.output(vector, index))
            else {
                return Err(Failure::Data(words(
                    &"golden vectors have more outputs than the model",
                )));
            };
            if golden
                .output_spec(index)
                .is_some_and(|spec| spec.dtype != tensor.dtype)
            {
                return Err(Failure::Data(words(
                    &"golden outputs have another type than the model's",
                )));
            }
            let ours = engine.output_bytes(index);
            self.difference.add(
                tensor.dtype,
                ours,
                reference,
                spec.steps,
                spec.absolute,
                spec.relative,
            );
        }
        self.phase = Phase::Check { vector: vector + 1 };
        if vector + 1 == golden.vectors() {
            let Difference {
                values,
                beyond,
                worst,
            } = self.difference;
            around.event(&Event::Checked(Checked {
                vectors: vector + 1,
                values,
                beyond,
                worst,
            }));
            if beyond > 0 {
                return Err(Failure::Fidelity);
            }
            self.phase = Phase::Announce { rail: 0 };
        }
        Ok(())
    }

    /// Describes the next rail; after the last, what they draw without work is measured.
    fn announce<B: Board>(&mut self, around: &mut Surroundings<'_, B>, rail: u8) {
        let any = self.when != When::Never;
        self.phase = if any && power::announce(&around.parts.rails, rail, around.link) {
            Phase::Announce { rail: rail + 1 }
        } else if rail > 0 {
            Phase::Idle { since: None }
        } else {
            Phase::WarmUp
        };
    }

    /// Lets a window's time pass; `false` while it does.
    fn idle<B: Board>(&mut self, around: &mut Surroundings<'_, B>, since: Option<u64>) -> bool {
        let Parts { clock, rails, .. } = &mut *around.parts;
        let Some(begin) = since else {
            rails.start();
            self.phase = Phase::Idle {
                since: Some(clock.now()),
            };
            return true;
        };
        let end = clock.now();
        if end - begin < clock.ticks_of_millis(self.spec.schedule.window_ms.into()) {
            return false;
        }
        rails.stop();
        self.phase = Phase::SendIdle(Delivery::new(Span::Idle { begin, end }));
        true
    }

    fn send_idle<B: Board>(&mut self, around: &mut Surroundings<'_, B>, mut delivery: Delivery) {
        let more = delivery.step(&mut around.parts.rails, around.link);
        self.phase = if more {
            Phase::SendIdle(delivery)
        } else {
            Phase::WarmUp
        };
    }

    fn samples_power(&self, window: u8) -> bool {
        match self.when {
            When::Always => true,
            When::Alternate => window.is_multiple_of(2),
            _ => false,
        }
    }

    fn warm_up<B: Board>(&mut self, around: &mut Surroundings<'_, B>) -> Result<(), Failure> {
        self.prepare(around.parts, 0)?;
        let Parts { clock, engine, .. } = &mut *around.parts;
        let wanted = clock.ticks_of_millis(self.spec.schedule.warm_up_ms.into());
        let begin = clock.now();
        let mut pace = Pace {
            inferences: 1,
            stride: 1,
            unit_log2: 0,
        };
        let decoding = self.timed_decoding();
        loop {
            let marks = window::measure(clock, pace, &mut [], || infer(engine, decoding))
                .map_err(engine_failure)?;
            let lasted = marks.end.wrapping_sub(marks.begin);
            self.typical_ticks = (lasted / u64::from(pace.inferences)).max(1);
            if clock.now().wrapping_sub(begin) >= wanted {
                break;
            }
            pace.inferences = pace.inferences.saturating_mul(2);
            let left = wanted.saturating_sub(clock.now().wrapping_sub(begin)) / self.typical_ticks;
            pace.inferences = pace
                .inferences
                .min(u32::try_from(left).unwrap_or(u32::MAX))
                .max(1);
        }
        self.calibrate(around);
        self.phase = Phase::Measure {
            window: 0,
            tries: 0,
        };
        Ok(())
    }

    fn calibrate<B: Board>(&mut self, around: &mut Surroundings<'_, B>) {
        self.pace = Pace::calibrated(
            &around.parts.clock,
            around.resolution_ticks,
            self.typical_ticks,
            &self.spec.schedule,
            around.readings.len(),
        );
        let Pace {
            inferences,
            stride,
            unit_log2,
        } = self.pace;
        around.event(&Event::Calibrated(Calibrated {
            inferences,
            stride,
            unit_log2,
        }));
    }

    fn measure<B: Board>(
        &mut self,
        around: &mut Surroundings<'_, B>,
        window: u8,
        tries: u8,
    ) -> Result<(), Failure> {
        let sample = self.prepare(around.parts, window.into())?;
        let sampled = self.samples_power(window);
        let Parts {
            clock,
            engine,
            vitals,
            rails,
            trigger,
            counters,
            ..
        } = &mut *around.parts;
        let decoding = self.timed_decoding();
        if sampled {
            rails.start();
        }
        let before = vitals.condition();
        // Both edges lie outside the marks, as does all that starts and stops the counters: nothing of it is timed.
        counters.start();
        let raised = trigger.set_high();
        let marks = window::measure(clock, self.pace, around.readings, || {
            infer(engine, decoding)
        });
        let lowered = trigger.set_low();
        let counted = counters.stop(window);
        if raised.and(lowered).is_err() {
            warn!("the trigger pin does not follow in window {}", window);
        }
        let after = vitals.condition();
        if sampled {
            rails.stop();
        }
        let marks = marks.map_err(engine_failure)?;
        // Of a clock that has jumped the host tells by the order of the marks.
        let lasted = marks.end.wrapping_sub(marks.begin);
        if lasted < clock.ticks_of_millis(self.spec.schedule.window_ms.into())
            && tries < WINDOW_TRIES
        {
            // The board got faster than it was in the warm-up: measure this window anew, longer.
            around.event(&Event::Discarded {
                begin: marks.begin,
                end: marks.end,
            });
            self.typical_ticks = (lasted / u64::from(self.pace.inferences)).max(1) * 9 / 10;
            self.calibrate(around);
            self.phase = Phase::Measure {
                window,
                tries: tries + 1,
            };
            return Ok(());
        }
        let output_crc = output_crc(engine);
        let _ = self.outputs.push((sample, output_crc));
        self.readings = marks.readings;
        around.event(&Event::Window(Window {
            window,
            begin: marks.begin,
            end: marks.end,
            inferences: self.pace.inferences,
            readings: marks.readings as u32,
            sample,
            output_crc,
            before,
            after,
        }));
        if counted.cycles.is_some()
            || counted.instructions.is_some()
            || counted.cache_misses.is_some()
        {
            around.event(&Event::Counted(counted));
        }
        self.phase = Phase::Send { window, first: 0 };
        Ok(())
    }

    fn send<B: Board>(
        &mut self,
        around: &mut Surroundings<'_, B>,
        window: u8,
        first: u32,
    ) -> Result<(), Failure> {
        let rest = around
            .readings
            .get(first as usize..self.readings)
            .unwrap_or(&[]);
        if rest.is_empty() {
            self.phase = Phase::SendPower {
                window,
                delivery: Delivery::new(Span::Window(window)),
            };
            return Ok(());
        }
        let rows = rest.iter().map(|&reading| [i64::from(reading)]);
        let sent = send_rows(around.link, Kind::Timings, &[], first, rows, TIMINGS);
        self.phase = Phase::Send {
            window,
            first: first + sent as u32,
        };
        Ok(())
    }

    fn send_power<B: Board>(
        &mut self,
        around: &mut Surroundings<'_, B>,
        window: u8,
        mut delivery: Delivery,
    ) {
        if self.samples_power(window) && delivery.step(&mut around.parts.rails, around.link) {
            self.phase = Phase::SendPower { window, delivery };
            return;
        }
        around.event(&Event::WindowSent {
            window,
            readings: self.readings as u32,
        });
        self.phase = if window + 1 < self.spec.schedule.windows {
            Phase::Measure {
                window: window + 1,
                tries: 0,
            }
        } else {
            Phase::Accuracy { sample: 0 }
        };
    }

    fn accuracy<B: Board>(
        &mut self,
        around: &mut Surroundings<'_, B>,
        mut sample: u32,
    ) -> Result<(), Failure> {
        let Parts {
            clock,
            store,
            engine,
            ..
        } = &mut *around.parts;
        let Some(dataset) = self.dataset(store)? else {
            self.phase = Phase::Quality;
            return Ok(());
        };
        let samples = self.samples(&dataset);
        let slice = clock.ticks_of_millis(SLICE_MS);
        let begin = clock.now();
        while sample < samples
            && clock.now().wrapping_sub(begin) < slice
            && self.outcomes.len() < 512
            && (self.grid.is_none() || around.link.room() > RESERVE + 1)
        {
            self.put_sample(engine, &dataset, sample)?;
            engine.infer().map_err(engine_failure)?;
            let crc = output_crc(engine);
            self.outputs_match &= self
                .outputs
                .iter()
                .all(|&(s, timed)| s != sample || timed == crc);
            if let Some(found) = self.score(engine, &dataset, sample)? {
                send_event(around.link, &Event::Found(found));
            }
            sample += 1;
        }
        let over = sample == samples;
        if self.outcomes.len() >= 512 || (over && !self.outcomes.is_empty()) {
            let (front, back) = self.outcomes.as_slices();
            let rows = front.iter().chain(back).map(|&outcome| [outcome]);
            let sent = send_rows(
                around.link,
                Kind::Outcomes,
                &[],
                self.outcomes_sent,
                rows,
                OUTCOMES,
            );
            (0..sent).for_each(|_| {
                let _ = self.outcomes.pop_front();
            });
            self.outcomes_sent += sent as u32;
        }
        let finished = over && self.outcomes.is_empty();
        self.phase = if finished {
            Phase::Quality
        } else {
            Phase::Accuracy { sample }
        };
        Ok(())
    }

    /// Adds a sample to the tally and the outcomes. Of a picture with boxes, also says what was found in it.
    fn score(
        &mut self,
        engine: &impl Engine,
        dataset: &Dataset<'_>,
        sample: u32,
    ) -> Result<Option<Found>, Failure> {
        let Some(tensor) = engine.output(0) else {
            return Err(Failure::Data(words(&"the model has no output")));
        };
        let outputs = tensor::reals(&tensor, engine.output_bytes(0));
        match (&mut self.tally, dataset.label(sample), dataset.label_kind()) {
            (
                Tally::Classification(tally),
                Some(Label::Class(class)),
                LabelKind::Class { classes },
            ) => {
                if outputs.len() != usize::from(classes) {
                    return Err(Failure::Data(words(&format_args!(
                        "the model has {} scores, the dataset {classes} classes",
                        outputs.len()
                    ))));
                }
                let predicted = tally.add(outputs, class);
                let _ = self.outcomes.push_back(predicted.into());
            }
            (
                Tally::Regression(tally),
                Some(Label::Values(labels)),
                LabelKind::Values {
                    count,
                    scale,
                    offset,
                },
            ) => {
                if outputs.len() != count as usize || count > 256 {
                    return Err(Failure::Data(words(&format_args!(
                        "the model has {} outputs, the dataset {count} values a sample",
                        outputs.len()
                    ))));
                }
                for (index, output) in outputs.enumerate() {
                    let prediction = output * scale + offset;
                    tally.add(prediction, value(labels, index).unwrap_or(f32::NAN));
                    let _ = self.outcomes.push_back(prediction.to_bits().into());
                }
            }
            (Tally::Detection(tally), Some(Label::Boxes(slots)), _) => {
                let Some(grid) = self.grid else {
                    return Ok(None);
                };
                let found = grid.decode(outputs);
                tally
                    .add(&found, boxes(slots))
                    .map_err(|full| Failure::Data(words(&full)))?;
                let _ = self.outcomes.push_back(fingerprint(&found).into());
                return Ok(Some(Found {
                    sample,
                    boxes: tally.newest(found.len()).collect(),
                }));
            }
            _ => {}
        }
        Ok(None)
    }

    /// How outputs become boxes, if the windows hold that.
    fn timed_decoding(&self) -> Option<Grid> {
        self.grid.filter(|_| self.time_decoding)
    }

    fn quality<B: Board>(&mut self, around: &mut Surroundings<'_, B>) -> Result<(), Failure> {
        let samples = self
            .dataset(&around.parts.store)?
            .map_or(0, |dataset| self.samples(&dataset));
        let metrics: Metrics = self.tally.metrics();
        around.event(&Event::Quality(Quality {
            samples,
            outputs_match: self.outputs_match,
            metrics,
        }));
        self.phase = if self.profile_ms > 0 {
            Phase::Profile
        } else {
            Phase::End
        };
        Ok(())
    }

    fn profile<B: Board>(&mut self, around: &mut Surroundings<'_, B>) -> Result<(), Failure> {
        self.prepare(around.parts, 0)?;
        let Parts { clock, engine, .. } = &mut *around.parts;
        let wanted = clock.ticks_of_millis(self.profile_ms.into());
        let begin = clock.now();
        let mut inferences = 0;
        while inferences == 0 || clock.now().wrapping_sub(begin) < wanted {
            engine
                .profile(&mut || clock.now())
                .map_err(engine_failure)?;
            inferences += 1;
        }
        around.event(&Event::Profiled { inferences });
        self.phase = Phase::SendProfile { operator: 0 };
        Ok(())
    }

    fn send_profile<B: Board>(&mut self, around: &mut Surroundings<'_, B>, operator: usize) {
        self.phase = match around.parts.engine.profiled(operator) {
            Some((index, ticks)) => {
                around.event(&Event::Operator {
                    operator: index,
                    ticks,
                });
                Phase::SendProfile {
                    operator: operator + 1,
                }
            }
            None => Phase::End,
        };
    }

    fn end<B: Board>(&mut self, around: &mut Surroundings<'_, B>) {
        let peak_bytes = around.parts.vitals.peak_memory();
        around.parts.engine.unload();
        around.parts.store.close();
        around.event(&Event::TrialEnded {
            trial: self.spec.trial,
            failure: self.failure.take(),
            peak_bytes,
            before_bytes: self.before_bytes,
            link: around.link.stats(),
        });
        info!("trial {}: end", self.spec.trial);
    }

    fn dataset<'s>(&self, store: &'s impl Store) -> Result<Option<Dataset<'s>>, Failure> {
        let Some(digest) = self.spec.dataset else {
            return Ok(None);
        };
        let bytes = store
            .bytes(digest)
            .ok_or(Failure::ArtefactMissing(digest))?;
        Dataset::parse(bytes)
            .map(Some)
            .map_err(|error| Failure::Data(words(&error)))
    }

    fn golden<'s>(&self, store: &'s impl Store) -> Result<Option<Golden<'s>>, Failure> {
        let Some(digest) = self.spec.golden.map(|golden| golden.digest) else {
            return Ok(None);
        };
        let bytes = store
            .bytes(digest)
            .ok_or(Failure::ArtefactMissing(digest))?;
        Golden::parse(bytes)
            .map(Some)
            .map_err(|error| Failure::Data(words(&error)))
    }

    fn samples(&self, dataset: &Dataset<'_>) -> u32 {
        match self.spec.samples {
            0 => dataset.samples(),
            samples => samples.min(dataset.samples()),
        }
    }

    /// Puts something real into the inputs for window or cold inference number `index`: a sample of the
    /// dataset, else a golden vector. Returns the sample's number.
    fn prepare<B: Board>(&self, parts: &mut Parts<B>, index: u32) -> Result<u32, Failure> {
        let Parts { store, engine, .. } = parts;
        if let Some(dataset) = self.dataset(store)? {
            let sample = index % self.samples(&dataset);
            self.put_sample(engine, &dataset, sample)?;
            return Ok(sample);
        }
        if let Some(golden) = self.golden(store)? {
            self.put_golden(engine, &golden, index % golden.vectors())?;
        }
        Ok(u32::MAX)
    }

    fn put_sample(
        &self,
        engine: &mut impl Engine,
        dataset: &Dataset<'_>,
        sample: u32,
    ) -> Result<(), Failure> {
        for index in 0..dataset.inputs() {
            let (Some(tensor), Some(spec), Some(stored)) = (
                engine.input(index),
                dataset.input(index),
                dataset.sample(index, sample),
            ) else {
                return Err(Failure::Data(words(
                    &"the dataset has more inputs than the model",
                )));
            };
            tensor::fill(&tensor, &spec, stored, engine.input_mut(index)).map_err(|mismatch| {
                Failure::Data(match mismatch {
                    Mismatch::Elements { dataset, model } => words(&format_args!(
                        "the dataset has {dataset} elements for an input of {model}"
                    )),
                    Mismatch::Type => {
                        words(&"the dataset has floats for an input of plain integers")
                    }
                })
            })?;
        }
        Ok(())
    }

    fn put_golden(
        &self,
        engine: &mut impl Engine,
        golden: &Golden<'_>,
        vector: u32,
    ) -> Result<(), Failure> {
        for index in 0..golden.inputs() {
            let bytes = golden.input(vector, index).unwrap_or(&[]);
            let fits = engine
                .input(index)
                .is_some_and(|tensor| tensor.bytes == bytes.len());
            if !fits {
                return Err(Failure::Data(words(
                    &"golden vectors do not fit the model's inputs",
                )));
            }
            engine.input_mut(index).copy_from_slice(bytes);
        }
        Ok(())
    }
}

impl<B: Board> Surroundings<'_, B> {
    /// Sends an event; steps begin with room for a few.
    fn event(&mut self, event: &Event) {
        send_event(self.link, event);
    }
}

fn send_event(link: &mut Link, event: &Event) {
    let sent = link.send_message(Kind::Event, event);
    debug_assert!(
        sent.is_ok(),
        "a step sends no more events than there was room for"
    );
}

/// Sends one batch of as many `rows` as fit; returns how many.
pub(crate) fn send_rows<const C: usize>(
    link: &mut Link,
    kind: Kind,
    prefix: &[u8],
    first: u32,
    rows: impl Iterator<Item = [i64; C]> + Clone,
    predictors: [Predictor; C],
) -> usize {
    let limit = link.body_limit();
    let mut sent = 0;
    let result = link.send_with(kind, |body| {
        let (head, rest) = body.get_mut(..limit)?.split_at_mut_checked(prefix.len())?;
        head.copy_from_slice(prefix);
        let encoded = batch::encode(first, rows, predictors, rest);
        sent = encoded.rows;
        Some(prefix.len() + encoded.bytes)
    });
    if result.is_ok() { sent } else { 0 }
}

fn output_crc(engine: &impl Engine) -> u32 {
    (0..)
        .take_while(|&index| engine.output(index).is_some())
        .fold(0, |crc, index| {
            // Several outputs: fold their sums, order included.
            crc.rotate_left(1) ^ crc32(engine.output_bytes(index))
        })
}

/// One inference as a window times it.
fn infer<E: Engine>(engine: &mut E, decoding: Option<Grid>) -> Result<(), E::Error> {
    engine.infer()?;
    if let (Some(grid), Some(tensor)) = (decoding, engine.output(0)) {
        let outputs = tensor::reals(&tensor, engine.output_bytes(0));
        core::hint::black_box(grid.decode(outputs));
    }
    Ok(())
}

/// The grid that the model's first output is.
fn grid(engine: &impl Engine, classes: u16) -> Result<Grid, Failure> {
    let outputs = engine
        .output(0)
        .map_or(0, |tensor| tensor.bytes / tensor.dtype.size());
    Grid::new(outputs, classes).ok_or_else(|| {
        Failure::Data(words(&format_args!(
            "the first output's {outputs} values are no square grid of 5 + {classes} a cell"
        )))
    })
}

/// The outcome of a picture: CRC-32 over its boxes in order, so that boards that agree send the same.
fn fingerprint(found: &[Detection]) -> u32 {
    let mut bytes: Vec<u8, { MAX_BOXES * 22 }> = Vec::new();
    for Detection { class, score, area } in found {
        // There is room for MAX_BOXES boxes.
        let _ = bytes.extend_from_slice(&class.to_le_bytes());
        for value in [score].into_iter().chain(&area.0) {
            let _ = bytes.extend_from_slice(&value.to_le_bytes());
        }
    }
    crc32(&bytes)
}

fn engine_failure(error: impl Display) -> Failure {
    Failure::Engine(words(&error))
}

/// As much as fits of what `from` has to say.
#[must_use]
pub fn words(from: &dyn Display) -> Text {
    struct Clipped(Text);
    impl Write for Clipped {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            text.chars()
                .try_for_each(|char| self.0.push(char))
                .map_err(|_| fmt::Error)
        }
    }
    let mut clipped = Clipped(Text::new());
    let _ = write!(clipped, "{from}");
    clipped.0
}
