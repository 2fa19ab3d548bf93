//! Sessions against a scripted host: a clock that moves when told, a line in memory, an engine of two lines.

mod silence;

use embedded_hal::digital::{ErrorType, OutputPin};
use scalebench_core::board::{
    Board, Clock, Counters, Engine, Line, NoLog, NoRails, Parts, Store, Tensor, Vitals,
};
use scalebench_core::session::{Session, State};
use scalebench_core::trial::{OUTCOMES, TIMINGS};
use scalebench_wire::Digest;
use scalebench_wire::batch::Rows;
use scalebench_wire::container::Dtype;
use scalebench_wire::frame::{self, Header, Kind, MAX_BODY, MAX_LINE};
use scalebench_wire::link::{Incoming, Link};
use scalebench_wire::message::{
    ArtefactState, BoardInfo, Condition, Counted, Counter, Event, Failure, Found, Golden, Hello,
    Metrics, Name, Request, Schedule, Text, Trial, Welcome,
};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::rc::Rc;

type Bytes = Rc<RefCell<VecDeque<u8>>>;

/// Nanoseconds; one per reading, and what the engine takes.
#[derive(Clone, Default)]
struct Scripted(Rc<Cell<u64>>);

impl Clock for Scripted {
    fn now(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
    fn ticks_per_second(&self) -> u64 {
        1_000_000_000
    }
}

struct Wire {
    incoming: Bytes,
    outgoing: Bytes,
    clock: Scripted,
}

impl embedded_io::ErrorType for Wire {
    type Error = Infallible;
}
impl embedded_io::Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
        let mut incoming = self.incoming.borrow_mut();
        let count = into.len().min(incoming.len());
        into.iter_mut()
            .zip(incoming.drain(..count))
            .for_each(|(slot, byte)| *slot = byte);
        Ok(count)
    }
}
impl embedded_io::ReadReady for Wire {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.incoming.borrow().is_empty())
    }
}
impl embedded_io::Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.outgoing.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
impl embedded_io::WriteReady for Wire {
    fn write_ready(&mut self) -> Result<bool, Infallible> {
        Ok(true)
    }
}
impl Line for Wire {
    fn set_baud(&mut self, baud: u32) -> bool {
        baud <= 1_000_000
    }
    fn wait(&mut self, micros: u64) {
        self.clock.0.set(self.clock.0.get() + micros * 1_000);
    }
}

/// Doubles its one float, or, as the model `boxes`, reports a centred box of that size. Takes a tenth of a
/// millisecond, and half of that after the inference that `slow` counts down to.
struct Doubling {
    slow: Rc<Cell<u32>>,
    clock: Scripted,
    value: [u8; 4],
    answer: Vec<u8>,
    boxes: bool,
    profiled: u64,
}

impl Engine for Doubling {
    type Error = &'static str;

    fn load(&mut self, model: &[u8], _: u64) -> Result<(), &'static str> {
        self.boxes = model == b"boxes";
        self.answer.resize(if self.boxes { 24 } else { 4 }, 0);
        if self.boxes || model == b"double" {
            Ok(())
        } else {
            Err("this is no model of mine")
        }
    }
    fn unload(&mut self) {}
    fn activation_bytes(&self) -> u64 {
        8
    }
    fn input(&self, index: usize) -> Option<Tensor> {
        (index == 0).then_some(Tensor {
            dtype: Dtype::F32,
            quantisation: None,
            bytes: 4,
        })
    }
    fn output(&self, index: usize) -> Option<Tensor> {
        let bytes = self.answer.len();
        self.input(index).map(|input| Tensor { bytes, ..input })
    }
    fn input_mut(&mut self, _: usize) -> &mut [u8] {
        &mut self.value
    }
    fn infer(&mut self) -> Result<(), &'static str> {
        let slow = self.slow.get();
        let nanos = if slow > 0 { 100_000 } else { 50_000 };
        self.slow.set(slow.saturating_sub(1));
        self.clock.0.set(self.clock.0.get() + nanos);
        let value = f32::from_le_bytes(self.value);
        let answer = if self.boxes {
            vec![0.9, 0.5, 0.5, value, value, 1.0] // presence, centre, size, score of the only class
        } else {
            vec![2.0 * value]
        };
        self.answer = answer.into_iter().flat_map(f32::to_le_bytes).collect();
        Ok(())
    }
    fn output_bytes(&self, _: usize) -> &[u8] {
        &self.answer
    }
    /// Two operators, the second of which takes no time.
    fn profile(&mut self, now: &mut dyn FnMut() -> u64) -> Result<(), &'static str> {
        let begin = now();
        self.infer()?;
        self.profiled += now() - begin;
        Ok(())
    }
    fn profiled(&self, index: usize) -> Option<(u32, u64)> {
        [(3, self.profiled), (7, 0)].get(index).copied()
    }
}

/// Names artefacts by their first bytes, which is hash enough for a test.
#[derive(Default)]
struct Memory {
    complete: HashMap<Digest, Vec<u8>>,
    coming: Option<(Digest, u64, Vec<u8>)>,
}

fn name(bytes: &[u8]) -> Digest {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&frame::crc32(bytes).to_le_bytes());
    Digest(digest)
}

impl Store for Memory {
    fn status(&mut self, digest: Digest) -> (u64, ArtefactState) {
        match self.complete.get(&digest) {
            Some(bytes) => (bytes.len() as u64, ArtefactState::Complete),
            None => (0, ArtefactState::Partial),
        }
    }
    fn begin(&mut self, digest: Digest, bytes: u64, _: u64) -> bool {
        self.coming = Some((digest, bytes, Vec::new()));
        bytes < 1_000_000
    }
    fn append(&mut self, bytes: &[u8]) -> bool {
        self.coming.as_mut().is_some_and(|(_, total, kept)| {
            kept.extend_from_slice(bytes);
            kept.len() as u64 <= *total
        })
    }
    fn commit(&mut self) -> (Option<Digest>, u64, ArtefactState) {
        let Some((digest, _, bytes)) = self.coming.take() else {
            return (None, 0, ArtefactState::Refused);
        };
        if name(&bytes) != digest {
            return (Some(digest), 0, ArtefactState::WrongHash);
        }
        let have = bytes.len() as u64;
        self.complete.insert(digest, bytes);
        (Some(digest), have, ArtefactState::Complete)
    }
    fn open(&mut self, digest: Digest) -> bool {
        self.complete.contains_key(&digest)
    }
    fn bytes(&self, digest: Digest) -> Option<&[u8]> {
        self.complete.get(&digest).map(Vec::as_slice)
    }
    fn close(&mut self) {}
}

/// A machine whose state never changes, and whose clock has a governor.
struct Still {
    governor: Rc<RefCell<String>>,
}

/// When the pin rose and fell, on the board's clock, without moving it.
type Edges = Rc<RefCell<Vec<(bool, u64)>>>;

struct Recorder {
    edges: Edges,
    clock: Scripted,
}

impl ErrorType for Recorder {
    type Error = Infallible;
}

impl OutputPin for Recorder {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.edges.borrow_mut().push((false, self.clock.0.get()));
        Ok(())
    }
    fn set_high(&mut self) -> Result<(), Infallible> {
        self.edges.borrow_mut().push((true, self.clock.0.get()));
        Ok(())
    }
}

/// Counts three instructions a nanosecond, and nothing else.
struct Abacus {
    clock: Scripted,
    since: u64,
}

impl Counters for Abacus {
    fn missing(&self, what: Counter) -> Option<Text> {
        (what != Counter::Instructions).then(|| "no such beads".try_into().unwrap())
    }
    fn start(&mut self) {
        self.since = self.clock.0.get();
    }
    fn stop(&mut self, window: u8) -> Counted {
        Counted {
            window,
            instructions: Some(3 * (self.clock.0.get() - self.since)),
            ..Counted::default()
        }
    }
}

impl Vitals for Still {
    fn set_governor(&mut self, name: &str) -> (Option<Name>, Option<Text>) {
        if name != "performance" {
            return (None, Some("there is no such governor".try_into().unwrap()));
        }
        let before = self.governor.replace(name.to_owned());
        (Some(before.as_str().try_into().unwrap()), None)
    }
    fn restore_governor(&mut self) {
        self.governor.replace("ondemand".to_owned());
    }
    fn condition(&mut self) -> Condition {
        Condition {
            clock_khz: Some(1_400_000),
            millicelsius: Some(45_000),
            throttled: Some(false),
        }
    }
    fn watch_memory(&mut self) -> u64 {
        1_000
    }
    fn peak_memory(&mut self) -> u64 {
        3_000
    }
}

enum Bench {}

impl Board for Bench {
    type Clock = Scripted;
    type Line = Wire;
    type Engine = Doubling;
    type Store = Memory;
    type Rails = NoRails;
    type Log = NoLog;
    type Vitals = Still;
    type Trigger = Recorder;
    type Counters = Abacus;
}

/// Two samples, 1.0 and 2.5, whose labels are 2.0 and 5.0: a doubling model is perfect.
fn dataset() -> Vec<u8> {
    let mut bytes = b"SBDS".to_vec();
    bytes.extend([1, 0, 1, 2]); // version 1, one input, labels are values
    for word in [2_u32, 0, 1] {
        bytes.extend(word.to_le_bytes()); // samples, classes, values a sample
    }
    bytes.extend(1_f32.to_le_bytes());
    bytes.extend(0_f32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend([5, 0, 0, 0]); // f32
    bytes.extend(1_u32.to_le_bytes());
    for value in [1_f32, 0.0, 1.0, 2.5, 2.0, 5.0] {
        bytes.extend(value.to_le_bytes()); // scale, offset, samples, labels
    }
    bytes
}

/// One vector: 3.0 gives `answer`.
fn golden(answer: f32) -> Vec<u8> {
    let mut bytes = b"SBGV".to_vec();
    bytes.extend([1, 0, 1, 1]);
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend([5, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 4, 0, 0, 0]);
    bytes.extend(3_f32.to_le_bytes());
    bytes.extend(answer.to_le_bytes());
    bytes
}

struct Lab<'a> {
    session: Session<'a, Bench>,
    to_board: Bytes,
    to_host: Bytes,
    clock: Scripted,
    governor: Rc<RefCell<String>>,
    edges: Edges,
    slow: Rc<Cell<u32>>,
    link: Link,
    welcomes: Vec<Welcome>,
    messages: Vec<(Kind, Vec<u8>)>,
}

impl<'a> Lab<'a> {
    fn new(readings: &'a mut [u32]) -> Self {
        let (clock, to_board, to_host) = (Scripted::default(), Bytes::default(), Bytes::default());
        let governor = Rc::new(RefCell::new("ondemand".to_owned()));
        let edges = Edges::default();
        let slow = Rc::new(Cell::new(u32::MAX));
        let parts = Parts::<Bench> {
            clock: clock.clone(),
            line: Wire {
                incoming: to_board.clone(),
                outgoing: to_host.clone(),
                clock: clock.clone(),
            },
            engine: Doubling {
                slow: slow.clone(),
                clock: clock.clone(),
                value: [0; 4],
                answer: vec![0; 4],
                boxes: false,
                profiled: 0,
            },
            store: Memory::default(),
            rails: NoRails,
            log: NoLog,
            vitals: Still {
                governor: governor.clone(),
            },
            trigger: Recorder {
                edges: edges.clone(),
                clock: clock.clone(),
            },
            counters: Abacus {
                clock: clock.clone(),
                since: 0,
            },
        };
        let info = BoardInfo {
            runner: "test".try_into().unwrap(),
            target: Default::default(),
            machine: Default::default(),
            system: Default::default(),
            engine: Default::default(),
            build_id: Default::default(),
            memory_bytes: 0,
            readings_capacity: 0,
            emulated: false,
            clock: scalebench_wire::message::Clock {
                ticks_per_second: 0,
                resolution_ticks: 0,
                read_ps: 0,
                harness_ps: 0,
            },
        };
        let session = Session::new(parts, info, 77, 115_200, readings);
        Self {
            session,
            to_board,
            to_host,
            clock,
            governor,
            edges,
            slow,
            link: Link::new(),
            welcomes: vec![],
            messages: vec![],
        }
    }

    fn turn(&mut self) {
        self.clock.0.set(self.clock.0.get() + 200_000);
        self.session.poll().unwrap();
        let now = self.clock.0.get() / 1_000;
        let bytes: Vec<u8> = self.to_host.borrow_mut().drain(..).collect();
        for byte in bytes {
            if let Some(Incoming::Outside(Kind::Welcome, body)) = self.link.push(byte, now) {
                self.welcomes.push(postcard::from_bytes(body).unwrap());
            }
            while let Some((kind, body)) = self.link.receive() {
                self.messages.push((kind, body.to_vec()));
                self.link.consume(now);
            }
        }
        let mut line = [0; MAX_LINE];
        loop {
            match self.link.transmit(now, &mut line) {
                [] => break,
                bytes => self.to_board.borrow_mut().extend(bytes),
            }
        }
    }

    fn greet(&mut self, session: u32) {
        let mut body = [0; MAX_BODY];
        let hello = Hello {
            session,
            host: "test".try_into().unwrap(),
        };
        let body = postcard::to_slice(&hello, &mut body).unwrap();
        let mut line = [0; MAX_LINE];
        let header = Header {
            sequence: 0,
            acknowledgement: 0,
            kind: Kind::Hello,
        };
        self.to_board
            .borrow_mut()
            .extend(frame::encode(header, 0, body, &mut line));
        while self
            .welcomes
            .last()
            .is_none_or(|welcome| welcome.session != session)
        {
            self.turn();
        }
        self.link.open(session);
    }

    fn ask(&mut self, request: &Request) {
        self.link.send_message(Kind::Request, request).unwrap();
        (0..20).for_each(|_| self.turn());
    }

    fn upload(&mut self, bytes: &[u8]) -> ArtefactState {
        let digest = name(bytes);
        self.ask(&Request::ArtefactBegin {
            digest,
            bytes: bytes.len() as u64,
            offset: 0,
        });
        for chunk in bytes.chunks(MAX_BODY) {
            self.link.send(Kind::Chunk, chunk).unwrap();
        }
        self.ask(&Request::ArtefactCommit);
        match self.events().last() {
            Some(Event::Artefact { state, .. }) => *state,
            other => panic!("{other:?}"),
        }
    }

    fn events(&self) -> Vec<Event> {
        let events = self
            .messages
            .iter()
            .filter(|(kind, _)| *kind == Kind::Event);
        events
            .map(|(_, body)| postcard::from_bytes(body).unwrap())
            .collect()
    }

    /// Runs a trial to its end and gives its failure.
    fn measure(&mut self, trial: Trial) -> Option<Failure> {
        self.ask(&Request::Trial(trial));
        for _ in 0..100_000 {
            if let Some(Event::TrialEnded { failure, .. }) = self.events().last() {
                return failure.clone();
            }
            self.turn();
        }
        panic!("the trial did not end: {:?}", self.events());
    }
}

fn trial(golden_answer: Option<f32>) -> Trial {
    let golden = golden_answer.map(|answer| Golden {
        digest: name(&golden(answer)),
        steps: 0,
        absolute: 1e-6,
        relative: 0.0,
    });
    Trial {
        trial: 3,
        model: name(b"double"),
        golden,
        dataset: Some(name(&dataset())),
        samples: 0,
        schedule: Schedule {
            warm_up_ms: 5,
            windows: 3,
            window_ms: 20,
            readings: 0,
        },
        memory_bytes: 0,
    }
}

#[test]
fn the_trigger_is_high_around_every_window_and_its_edges_are_not_timed() {
    let mut readings = vec![0; 1_000];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    for artefact in [b"double".to_vec(), dataset()] {
        lab.upload(&artefact);
    }
    assert_eq!(lab.measure(trial(None)), None);
    let marks: Vec<(u64, u64)> = lab
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Window(window) => Some((window.begin, window.end)),
            _ => None,
        })
        .collect();
    let edges = lab.edges.borrow();
    assert_eq!(edges.len(), 2 * marks.len());
    for (edges, (begin, end)) in edges.chunks(2).zip(marks) {
        // The scripted clock moves by one when it is read: there is nothing between an edge and its mark.
        assert_eq!(edges, [(true, begin - 1), (false, end)]);
    }
}

#[test]
fn a_window_that_is_measured_again_tells_of_the_pulse_that_it_had() {
    let mut readings = vec![0; 1_000];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    for artefact in [b"double".to_vec(), dataset()] {
        lab.upload(&artefact);
    }
    // In the middle of the first window, which is too short then, and misleads about the second.
    lab.slow.set(150);
    assert_eq!(lab.measure(trial(None)), None);
    let events = lab.events();
    let marks: Vec<(u64, u64)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Window(window) => Some((window.begin, window.end)),
            Event::Discarded { begin, end } => Some((*begin, *end)),
            _ => None,
        })
        .collect();
    let discarded = events
        .iter()
        .filter(|event| matches!(event, Event::Discarded { .. }));
    assert_eq!((discarded.count(), marks.len()), (2, 5), "{events:?}");
    let rises = lab.edges.borrow();
    let rises = rises.iter().filter(|(high, _)| *high);
    let pulsed: Vec<u64> = rises.map(|(_, at)| at + 1).collect();
    let begins: Vec<u64> = marks.iter().map(|(begin, _)| *begin).collect();
    assert_eq!(pulsed, begins);
}

#[test]
fn what_the_processor_counts_is_told_window_by_window_and_what_it_does_not_with_a_reason() {
    let mut readings = vec![0; 1_000];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    for artefact in [b"double".to_vec(), dataset()] {
        lab.upload(&artefact);
    }
    assert_eq!(lab.measure(trial(None)), None);
    let events = lab.events();
    let missing: Vec<Counter> = events
        .iter()
        .filter_map(|event| match event {
            Event::Uncounted { what, reason } if reason == "no such beads" => Some(*what),
            _ => None,
        })
        .collect();
    assert_eq!(missing, [Counter::Cycles, Counter::CacheMisses]);
    let mut counted = 0;
    for pair in events.windows(2) {
        if let [Event::Window(window), next] = pair {
            let Event::Counted(counts) = next else {
                panic!("{next:?}");
            };
            assert_eq!((counts.window, counts.cycles), (window.window, None));
            // From one nanosecond before the first mark, where the counting began.
            let span = window.end - window.begin + 1;
            assert_eq!(counts.instructions, Some(3 * span));
            counted += 1;
        }
    }
    assert_eq!(counted, 3);
}

#[test]
fn a_governor_is_set_for_a_session() {
    let mut readings = vec![0; 64];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    let ask = |lab: &mut Lab<'_>, governor: &str| {
        lab.ask(&Request::Governor(governor.try_into().unwrap()));
        lab.events().pop()
    };
    let refused = Some("there is no such governor".try_into().unwrap());
    assert_eq!(
        ask(&mut lab, "warp"),
        Some(Event::Governor {
            before: None,
            refused
        })
    );
    assert_eq!(
        ask(&mut lab, "performance"),
        Some(Event::Governor {
            before: Some("ondemand".try_into().unwrap()),
            refused: None
        })
    );
    assert_eq!(*lab.governor.borrow(), "performance");
    // Another host's session does not inherit it.
    lab.greet(6);
    assert_eq!(*lab.governor.borrow(), "ondemand");
}

#[test]
fn a_trial_goes_through_all_its_phases() {
    let mut readings = vec![0; 1_000];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    assert_eq!(lab.session.state(), State::Ready);
    for artefact in [b"double".to_vec(), dataset(), golden(6.0)] {
        assert_eq!(lab.upload(&artefact), ArtefactState::Complete);
    }
    assert_eq!(lab.measure(trial(Some(6.0))), None);

    let events = lab.events();
    let windows: Vec<_> = events
        .iter()
        .filter_map(|event| {
            if let Event::Window(window) = event {
                Some(window)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(windows.len(), 3);
    for window in &windows {
        assert!(window.end - window.begin >= 20_000_000, "{window:?}");
        assert_eq!(window.readings, window.inferences);
        assert_eq!(window.before.clock_khz, Some(1_400_000));
    }
    let timings: Vec<_> = lab
        .messages
        .iter()
        .filter(|(kind, _)| *kind == Kind::Timings)
        .flat_map(|(_, body)| Rows::new(body, TIMINGS).unwrap().map(|row| row.unwrap()[0]))
        .collect();
    assert_eq!(
        timings.len() as u32,
        windows.iter().map(|window| window.readings).sum::<u32>()
    );
    // One inference takes 100 000 ticks and a reading of the clock one.
    assert!(
        timings
            .iter()
            .all(|&reading| (100_000..100_010).contains(&(reading << unit(&events))))
    );

    let outcomes: Vec<_> = lab
        .messages
        .iter()
        .filter(|(kind, _)| *kind == Kind::Outcomes)
        .flat_map(|(_, body)| {
            Rows::new(body, OUTCOMES)
                .unwrap()
                .map(|row| f32::from_bits(row.unwrap()[0] as u32))
        })
        .collect();
    assert_eq!(outcomes, [2.0, 5.0]);
    let quality = events.iter().find_map(|event| {
        if let Event::Quality(q) = event {
            Some(*q)
        } else {
            None
        }
    });
    let quality = quality.unwrap();
    assert!(quality.outputs_match);
    assert_eq!(
        quality.metrics,
        Metrics::Regression {
            mae: 0.0,
            mse: 0.0,
            r2: 1.0
        }
    );
}

/// Two pictures whose only pixels are the sizes 0.5 and 1.0 of the boxes that they hold.
fn scenes() -> Vec<u8> {
    let mut bytes = b"SBDS".to_vec();
    bytes.extend([1, 0, 1, 3]); // version 1, one input, labels are boxes
    for word in [2_u32, 1, 1] {
        bytes.extend(word.to_le_bytes()); // samples, classes, slots a sample
    }
    bytes.extend(1_f32.to_le_bytes());
    bytes.extend(0_f32.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend([5, 0, 0, 0]); // f32
    bytes.extend(1_u32.to_le_bytes());
    for value in [1_f32, 0.0, 0.5, 1.0] {
        bytes.extend(value.to_le_bytes()); // scale, offset, samples
    }
    let (quarter, rest) = (16_384_u16, 49_151_u16);
    for word in [
        0, quarter, quarter, rest, rest, 0, 0, 0, 0, 65_535, 65_535, 0,
    ] {
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

#[test]
fn boxes_are_decoded_and_scored_whether_that_is_timed_or_not() {
    for timed in [false, true] {
        let mut readings = vec![0; 1_000];
        let mut lab = Lab::new(&mut readings);
        lab.greet(5);
        for artefact in [b"boxes".to_vec(), b"double".to_vec(), scenes()] {
            assert_eq!(lab.upload(&artefact), ArtefactState::Complete);
        }
        lab.ask(&Request::TimeDecoding(timed));
        let spec = |model: &[u8]| Trial {
            model: name(model),
            dataset: Some(name(&scenes())),
            ..trial(None)
        };
        assert_eq!(lab.measure(spec(b"boxes")), None);
        let quality = lab.events().into_iter().find_map(|event| match event {
            Event::Quality(quality) => Some(quality),
            _ => None,
        });
        let Some(Metrics::Detection {
            map50,
            map50_95,
            precision,
            recall,
        }) = quality.map(|quality| quality.metrics)
        else {
            panic!("boxes are scored as something else")
        };
        assert!(map50 > 0.999 && map50_95 > 0.999, "{map50} {map50_95}");
        assert_eq!((precision, recall), (1.0, 1.0));
        let found: Vec<Found> = lab
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Found(found) => Some(found),
                _ => None,
            })
            .collect();
        let samples: Vec<u32> = found.iter().map(|found| found.sample).collect();
        assert_eq!(samples, (0..found.len() as u32).collect::<Vec<_>>());
        let boxes: Vec<_> = found.iter().flat_map(|found| &found.boxes).collect();
        // Each picture has one label, matched at every overlap.
        assert_eq!(boxes.iter().filter(|found| found.right == 0x3ff).count(), 2);
        let Some(Failure::Data(words)) = lab.measure(spec(b"double")) else {
            panic!("one number is no grid")
        };
        assert_eq!(
            words,
            "the first output's 1 values are no square grid of 5 + 1 a cell"
        );
    }
}

fn unit(events: &[Event]) -> u8 {
    let calibrated = events.iter().rev().find_map(|event| match event {
        Event::Calibrated(calibrated) => Some(calibrated.unit_log2),
        _ => None,
    });
    calibrated.unwrap()
}

#[test]
fn operators_are_timed_where_that_is_wanted() {
    let mut readings = vec![0; 1_000];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    for artefact in [b"double".to_vec(), dataset()] {
        lab.upload(&artefact);
    }
    let profile = |lab: &Lab<'_>| -> Vec<Event> {
        let events = lab.events().into_iter();
        events
            .filter(|event| matches!(event, Event::Profiled { .. } | Event::Operator { .. }))
            .collect()
    };
    assert_eq!(lab.measure(trial(None)), None);
    assert_eq!(profile(&lab), []);
    lab.ask(&Request::Profile(2));
    assert_eq!(lab.measure(trial(None)), None);
    let profiled = profile(&lab);
    let [Event::Profiled { inferences }, operators @ ..] = &profiled[..] else {
        panic!("no profile in {profiled:?}")
    };
    // An inference takes a tenth of a millisecond, and the clock some more to read.
    assert!((15..=20).contains(inferences), "{inferences}");
    let [
        Event::Operator { operator: 3, ticks },
        Event::Operator {
            operator: 7,
            ticks: 0,
        },
    ] = operators
    else {
        panic!("not the two operators: {operators:?}")
    };
    assert!(*ticks >= u64::from(*inferences) * 100_000, "{ticks}");
}

#[test]
fn outputs_beyond_the_tolerance_end_the_trial_before_any_window() {
    let mut readings = vec![0; 1_000];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    for artefact in [b"double".to_vec(), dataset(), golden(6.5)] {
        lab.upload(&artefact);
    }
    assert_eq!(lab.measure(trial(Some(6.5))), Some(Failure::Fidelity));
    assert!(
        !lab.events()
            .iter()
            .any(|event| matches!(event, Event::Window(_)))
    );
}

#[test]
fn what_is_missing_or_refused_is_said_and_the_runner_lives_on() {
    let mut readings = vec![0; 1_000];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    assert_eq!(
        lab.measure(trial(None)),
        Some(Failure::ArtefactMissing(name(b"double")))
    );
    lab.upload(b"triple");
    lab.upload(&dataset());
    let refused = lab.measure(Trial {
        model: name(b"triple"),
        ..trial(None)
    });
    assert_eq!(
        refused,
        Some(Failure::Engine(
            "this is no model of mine".try_into().unwrap()
        ))
    );
    lab.upload(b"double");
    let schedule = Schedule {
        windows: 0,
        ..trial(None).schedule
    };
    assert_eq!(
        lab.measure(Trial {
            schedule,
            ..trial(None)
        }),
        Some(Failure::Schedule)
    );
    assert_eq!(lab.measure(trial(None)), None);
}

#[test]
fn a_wrong_upload_is_dropped() {
    let mut readings = vec![0; 1_000];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    lab.ask(&Request::ArtefactBegin {
        digest: name(b"right"),
        bytes: 5,
        offset: 0,
    });
    assert_eq!(lab.session.state(), State::Provisioning);
    lab.link.send(Kind::Chunk, b"wrong").unwrap();
    lab.ask(&Request::ArtefactCommit);
    assert!(matches!(
        lab.events().last(),
        Some(Event::Artefact {
            state: ArtefactState::WrongHash,
            ..
        })
    ));
    assert_eq!(lab.session.state(), State::Ready);
}

#[test]
fn a_new_host_ends_the_old_one_s_trial() {
    let mut readings = vec![0; 1_000];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    lab.upload(b"double");
    lab.upload(&dataset());
    lab.ask(&Request::Trial(trial(None)));
    assert!(matches!(
        lab.session.state(),
        State::Measuring | State::Draining
    ));
    lab.greet(6);
    assert_eq!(lab.session.state(), State::Ready);
    lab.messages.clear();
    assert_eq!(lab.measure(trial(None)), None);
    lab.ask(&Request::Bye);
    assert_eq!(lab.session.state(), State::Idle);
    let beacons = lab.welcomes.len();
    (0..10_000).for_each(|_| lab.turn());
    assert!(
        lab.welcomes.len() > beacons,
        "a board without a host says so once a second"
    );
    assert_eq!(lab.welcomes.last().unwrap().session, 0);
}

#[test]
fn a_line_speed_that_does_not_prove_itself_is_taken_back() {
    let mut readings = vec![0; 1_000];
    let mut lab = Lab::new(&mut readings);
    lab.greet(5);
    lab.ask(&Request::LineTest { bytes: 10_000 });
    (0..200).for_each(|_| lab.turn());
    let probed: usize = lab
        .messages
        .iter()
        .filter(|(kind, _)| *kind == Kind::Probe)
        .map(|(_, b)| b.len())
        .sum();
    assert_eq!(probed, 10_000);
    assert_eq!(
        lab.events().last(),
        Some(&Event::LineTested { bytes: 10_000 })
    );
    lab.ask(&Request::Echo(9));
    assert_eq!(lab.events().last(), Some(&Event::Echo(9)));
    lab.ask(&Request::Baud { baud: 500_000 });
    assert_eq!(
        lab.events().last(),
        Some(&Event::Baud {
            baud: 500_000,
            accepted: true
        })
    );
}
