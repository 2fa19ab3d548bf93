//! The bytes every message travels as.
//!
//! Each table below becomes an exhaustive `match`: a new variant, or a new field, without a line here
//! does not compile. When a line here has to be *changed*, [`crate::PROTOCOL_VERSION`] must be raised.

extern crate std;

use super::*;
use crate::frame::MAX_BODY;
use core::fmt::Debug;
use postcard::{from_bytes, to_slice};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use std::vec::Vec as List;

/// A picture with so many boxes, all alike.
fn found(sample: u32, found: FoundBox, count: usize) -> Found {
    let boxes = core::iter::repeat_n(found, count).collect();
    Found { sample, boxes }
}

/// A digest whose bytes are all `0xd1`, and how it travels.
const DIGEST: Digest = Digest([0xd1; 32]);
const D1: &str = "d1d1d1d1 d1d1d1d1 d1d1d1d1 d1d1d1d1 d1d1d1d1 d1d1d1d1 d1d1d1d1 d1d1d1d1";

const U32_MAX: &str = "ff ff ff ff 0f";

const CLOCK: Clock = Clock {
    ticks_per_second: 1_000_000_000,
    resolution_ticks: 1,
    read_ps: 20_000,
    harness_ps: 50_000,
};
const SCHEDULE: Schedule = Schedule {
    warm_up_ms: 100,
    windows: 5,
    window_ms: 1_000,
    readings: 0,
};
const STATS: LinkStats = LinkStats {
    sent: 1,
    resent: 2,
    received: 3,
    repeated: 4,
    rejected: 300,
};
const LARGEST_STATS: LinkStats = LinkStats {
    sent: u32::MAX,
    resent: u32::MAX,
    received: u32::MAX,
    repeated: u32::MAX,
    rejected: u32::MAX,
};
const LARGEST_CONDITION: Condition = Condition {
    clock_khz: Some(u32::MAX),
    millicelsius: Some(i32::MIN),
    throttled: Some(true),
};

fn name(text: &str) -> Name {
    Name::try_from(text).unwrap()
}

/// As many four-byte characters as fit.
fn full<const N: usize>() -> String<N> {
    clipped(&"\u{1f980}".repeat(N))
}

fn board(text: Name, build_id: &[u8], number: u32, long: u64, clock: Clock) -> BoardInfo {
    BoardInfo {
        runner: text.clone(),
        target: text.clone(),
        machine: text.clone(),
        system: text.clone(),
        engine: text,
        build_id: Vec::from_slice(build_id).unwrap(),
        memory_bytes: long,
        readings_capacity: number,
        emulated: true,
        clock,
    }
}

fn hex(pieces: &[&str]) -> List<u8> {
    let digits: List<u8> = pieces
        .iter()
        .flat_map(|piece| piece.bytes())
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    assert!(digits.len().is_multiple_of(2), "odd number of digits");
    digits
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, golden: &[&str]) {
    let golden = hex(golden);
    let mut body = [0; MAX_BODY];
    let body = to_slice(value, &mut body).unwrap();
    assert_eq!(
        *body,
        golden[..],
        "{value:?} travels as other bytes than before: raise PROTOCOL_VERSION"
    );
    assert_eq!(from_bytes::<T>(&golden).as_ref(), Ok(value));
    for cut in 0..golden.len() {
        assert!(
            from_bytes::<T>(&golden[..cut]).is_err(),
            "{value:?} is read from its first {cut} bytes"
        );
    }
}

fn check_fits<T: Serialize + DeserializeOwned + PartialEq + Debug>(largest: &T) {
    let mut body = [0; MAX_BODY];
    let body = to_slice(largest, &mut body)
        .unwrap_or_else(|_| panic!("{largest:?} does not fit into a frame"));
    assert_eq!(from_bytes::<T>(body).as_ref(), Ok(largest));
}

/// `pattern: example => its bytes;` for every variant of a type, and a test of each line.
macro_rules! golden {
    ($test:ident: $type:ty { $($pattern:pat => $example:expr, $bytes:expr;)* }) => {
        #[test]
        fn $test() {
            // Exhaustive: does not compile when a variant has no line.
            fn listed(value: &$type) {
                match value {
                    $($pattern => (),)*
                }
            }
            $(
                let example: $type = $example;
                assert!(matches!(&example, $pattern), "{example:?} stands beside {}", stringify!($pattern));
                listed(&example);
                check(&example, &$bytes);
            )*
        }
    };
}

/// `pattern: the largest value;` for every variant of a type, and a test that each fits into a frame.
macro_rules! largest {
    ($test:ident: $type:ty { $($pattern:pat => $largest:expr;)* }) => {
        #[test]
        fn $test() {
            fn listed(value: &$type) {
                match value {
                    $($pattern => (),)*
                }
            }
            $(
                let largest: $type = $largest;
                assert!(matches!(&largest, $pattern));
                listed(&largest);
                check_fits(&largest);
            )*
        }
    };
}

golden!(hello: Hello {
    Hello { session: _, host: _ } =>
        Hello { session: 0x0102_0304, host: name("0.1.0") },
        ["84 86 88 08", "05 30 2e 31 2e 30"];
});

golden!(welcome: Welcome {
    Welcome { session: _, boot: _, board: _ } =>
        Welcome { session: 5, boot: 300, board: board(name("x"), &[0xb1, 0xb2], 1_000, 2_000, CLOCK) },
        [
            "05", "ac 02",
            "01 78", "01 78", "01 78", "01 78", "01 78",
            "02 b1 b2", "d0 0f", "e8 07", "01",
            "80 94 eb dc 03", "01", "a0 9c 01", "d0 86 03",
        ];
});

golden!(request: Request {
    Request::ArtefactStatus { digest: _ } =>
        Request::ArtefactStatus { digest: DIGEST }, ["00", D1];
    Request::ArtefactBegin { digest: _, bytes: _, offset: _ } =>
        Request::ArtefactBegin { digest: DIGEST, bytes: 300, offset: 128 },
        ["01", D1, "ac 02", "80 01"];
    Request::ArtefactCommit => Request::ArtefactCommit, ["02"];
    Request::Trial(_) =>
        Request::Trial(Trial {
            trial: 7,
            model: DIGEST,
            golden: Some(Golden { digest: DIGEST, steps: 1, absolute: 0.5, relative: 0.25 }),
            dataset: None,
            samples: 1_000,
            schedule: SCHEDULE,
            memory_bytes: 1 << 20,
        }),
        [
            "03", "07", D1,
            "01", D1, "01", "00 00 00 3f", "00 00 80 3e",
            "00", "e8 07",
            "64", "05", "e8 07", "00",
            "80 80 40",
        ];
    Request::Abort => Request::Abort, ["04"];
    Request::Bye => Request::Bye, ["05"];
    Request::LineTest { bytes: _ } => Request::LineTest { bytes: 65_536 }, ["06", "80 80 04"];
    Request::Echo(_) => Request::Echo(u32::MAX), ["07", U32_MAX];
    Request::Baud { baud: _ } => Request::Baud { baud: 921_600 }, ["08", "80 a0 38"];
    Request::TimeDecoding(_) => Request::TimeDecoding(true), ["09", "01"];
    Request::PowerOff => Request::PowerOff, ["0a"];
    Request::Reboot => Request::Reboot, ["0b"];
    Request::Profile(_) => Request::Profile(500), ["0c", "f4 03"];
    Request::Sampling(_) =>
        Request::Sampling(Sampling { when: When::Alternate, conversion_us: 140, averages: 4 }),
        ["0d", "02", "8c 01", "04"];
    Request::WatchRails { millis: _ } => Request::WatchRails { millis: 300 }, ["0e", "ac 02"];
    Request::Governor(_) => Request::Governor(name("max")), ["0f", "03 6d 61 78"];
});

golden!(event: Event {
    Event::Artefact { digest: _, have: _, state: _ } =>
        Event::Artefact { digest: DIGEST, have: 300, state: ArtefactState::Complete },
        ["00", D1, "ac 02", "01"];
    Event::TrialBegun { trial: _ } => Event::TrialBegun { trial: 7 }, ["01", "07"];
    Event::Quiet { up_to_ms: _ } => Event::Quiet { up_to_ms: 1_500 }, ["02", "dc 0b"];
    Event::Loaded(_) =>
        Event::Loaded(Loaded { ticks: 300, activation_bytes: 0, input_bytes: 36, output_bytes: 4 }),
        ["03", "ac 02", "00", "24", "04"];
    Event::Checked(_) =>
        Event::Checked(Checked { vectors: 8, values: 80, beyond: 0, worst: 1.0 }),
        ["04", "08", "50", "00", "00 00 80 3f"];
    Event::Cold { ticks: _ } => Event::Cold { ticks: u64::MAX }, ["05", "ff ff ff ff ff ff ff ff ff 01"];
    Event::Calibrated(_) =>
        Event::Calibrated(Calibrated { inferences: 1_000, stride: 2, unit_log2: 3 }),
        ["06", "e8 07", "02", "03"];
    Event::Window(_) =>
        Event::Window(Window {
            window: 4,
            begin: 128,
            end: 300,
            inferences: 10,
            readings: 5,
            sample: 3,
            output_crc: 0xcbf4_3926,
            before: Condition { clock_khz: Some(1_000), millicelsius: Some(-1), throttled: Some(false) },
            after: Condition { clock_khz: None, millicelsius: None, throttled: None },
        }),
        [
            "07", "04", "80 01", "ac 02", "0a", "05", "03", "a6 f2 d0 df 0c",
            "01 e8 07", "01 01", "01 00",
            "00", "00", "00",
        ];
    Event::WindowSent { window: _, readings: _ } =>
        Event::WindowSent { window: 4, readings: 5 }, ["08", "04", "05"];
    Event::Quality(_) =>
        Event::Quality(Quality { samples: 128, outputs_match: true, metrics: Metrics::None }),
        ["09", "80 01", "01", "00"];
    Event::TrialEnded { trial: _, failure: _, peak_bytes: _, before_bytes: _, link: _ } =>
        Event::TrialEnded {
            trial: 7,
            failure: Some(Failure::Fidelity),
            peak_bytes: 300,
            before_bytes: 128,
            link: STATS,
        },
        ["0a", "07", "01 03", "ac 02", "80 01", "01", "02", "03", "04", "ac 02"];
    Event::Echo(_) => Event::Echo(1), ["0b", "01"];
    Event::LineTested { bytes: _ } => Event::LineTested { bytes: 65_536 }, ["0c", "80 80 04"];
    Event::Baud { baud: _, accepted: _ } =>
        Event::Baud { baud: 115_200, accepted: true }, ["0d", "80 84 07", "01"];
    Event::Rail(_) =>
        Event::Rail(Rail {
            rail: 1,
            name: name("5v"),
            tier: Tier::BoardRail,
            volts_per_step: 0.5,
            amperes_per_step: 0.25,
            tolerance: 1.0,
        }),
        ["0e", "01", "02 35 76", "02", "00 00 00 3f", "00 00 80 3e", "00 00 80 3f"];
    Event::Profiled { inferences: _ } => Event::Profiled { inferences: 300 }, ["0f", "ac 02"];
    Event::Operator { operator: _, ticks: _ } =>
        Event::Operator { operator: 7, ticks: 300 }, ["10", "07", "ac 02"];
    Event::Accuracy(_) =>
        Event::Accuracy(Accuracy {
            rail: 1,
            volts_offset: 0.5,
            amperes_offset: 0.25,
            amperes_noise: 1.0,
            coverage: 0.5,
            interval_ticks: 300,
            age_ticks: 128,
            unit_log2: 10,
        }),
        [
            "11", "01", "00 00 00 3f", "00 00 80 3e", "00 00 80 3f", "00 00 00 3f",
            "ac 02", "80 01", "0a",
        ];
    Event::Power(_) =>
        Event::Power(Power {
            rail: 1,
            span: Span::Idle { begin: 128, end: 300 },
            readings: 7,
            missed: 2,
            fault: Some(RailFault::Frozen),
        }),
        ["12", "01", "00 80 01 ac 02", "07", "02", "01 03"];
    Event::Uncounted { what: _, reason: _ } =>
        Event::Uncounted { what: Counter::CacheMisses, reason: clipped("no") }, ["13", "02", "02 6e 6f"];
    Event::Counted(_) =>
        Event::Counted(Counted { window: 4, cycles: Some(300), instructions: Some(128), cache_misses: None }),
        ["14", "04", "01 ac 02", "01 80 01", "00"];
    Event::Governor { before: _, refused: _ } =>
        Event::Governor { before: Some(name("max")), refused: None }, ["15", "01 03 6d 61 78", "00"];
    Event::Found(_) =>
        Event::Found(found(300, FoundBox { class: 2, score: 0.5, right: 128 }, 1)),
        ["16", "ac 02", "01", "02 00 00 00 3f 80 01"];
    Event::Discarded { begin: _, end: _ } =>
        Event::Discarded { begin: 300, end: 128 }, ["17", "ac 02", "80 01"];
});

golden!(counter: Counter {
    Counter::Cycles => Counter::Cycles, ["00"];
    Counter::Instructions => Counter::Instructions, ["01"];
    Counter::CacheMisses => Counter::CacheMisses, ["02"];
});

golden!(when: When {
    When::Always => When::Always, ["00"];
    When::Never => When::Never, ["01"];
    When::Alternate => When::Alternate, ["02"];
});

golden!(span: Span {
    Span::Idle { begin: _, end: _ } => Span::Idle { begin: 1, end: 2 }, ["00", "01", "02"];
    Span::Window(_) => Span::Window(3), ["01", "03"];
    Span::Watch => Span::Watch, ["02"];
});

golden!(rail_fault: RailFault {
    RailFault::NoAcknowledge => RailFault::NoAcknowledge, ["00"];
    RailFault::Bus => RailFault::Bus, ["01"];
    RailFault::Saturated => RailFault::Saturated, ["02"];
    RailFault::Frozen => RailFault::Frozen, ["03"];
    RailFault::Overrun => RailFault::Overrun, ["04"];
    RailFault::Stranger => RailFault::Stranger, ["05"];
    RailFault::Unreadable => RailFault::Unreadable, ["06"];
});

golden!(artefact_state: ArtefactState {
    ArtefactState::Partial => ArtefactState::Partial, ["00"];
    ArtefactState::Complete => ArtefactState::Complete, ["01"];
    ArtefactState::WrongHash => ArtefactState::WrongHash, ["02"];
    ArtefactState::Refused => ArtefactState::Refused, ["03"];
});

golden!(metrics: Metrics {
    Metrics::None => Metrics::None, ["00"];
    Metrics::Classification { top1: _, top5: _, log_loss: _, auc: _ } =>
        Metrics::Classification { top1: 0.5, top5: 1.0, log_loss: Some(2.0), auc: None },
        ["01", "000000000000e03f", "000000000000f03f", "01 0000000000000040", "00"];
    Metrics::Regression { mae: _, mse: _, r2: _ } =>
        Metrics::Regression { mae: 0.5, mse: 1.0, r2: -2.0 },
        ["02", "000000000000e03f", "000000000000f03f", "00000000000000c0"];
    Metrics::Classes { top1: _, top5: _, log_loss: _, auc: _, macro_f1: _ } =>
        Metrics::Classes { top1: 0.5, top5: 1.0, log_loss: None, auc: None, macro_f1: Some(0.5) },
        ["03", "000000000000e03f", "000000000000f03f", "00", "00", "01 000000000000e03f"];
    Metrics::Detection { map50: _, map50_95: _, precision: _, recall: _ } =>
        Metrics::Detection { map50: 0.5, map50_95: 0.25, precision: 1.0, recall: 0.0 },
        ["04", "000000000000e03f", "000000000000d03f", "000000000000f03f", "0000000000000000"];
});

golden!(failure: Failure {
    Failure::ArtefactMissing(_) => Failure::ArtefactMissing(DIGEST), ["00", D1];
    Failure::Engine(_) => Failure::Engine(clipped("no")), ["01", "02 6e 6f"];
    Failure::Data(_) => Failure::Data(clipped("é")), ["02", "02 c3 a9"];
    Failure::Fidelity => Failure::Fidelity, ["03"];
    Failure::Aborted => Failure::Aborted, ["04"];
    Failure::Schedule => Failure::Schedule, ["05"];
});

golden!(tier: Tier {
    Tier::None => Tier::None, ["00"];
    Tier::Simulated => Tier::Simulated, ["01"];
    Tier::BoardRail => Tier::BoardRail, ["02"];
    Tier::ExternalMeter => Tier::ExternalMeter, ["03"];
    Tier::Estimated => Tier::Estimated, ["04"];
});

largest!(the_largest_hello_fits: Hello {
    Hello { session: _, host: _ } => Hello { session: u32::MAX, host: full() };
});

largest!(the_largest_welcome_fits: Welcome {
    Welcome { session: _, boot: _, board: _ } => Welcome {
        session: u32::MAX,
        boot: u32::MAX,
        board: board(full(), &[0xff; 20], u32::MAX, u64::MAX, Clock {
            ticks_per_second: u64::MAX,
            resolution_ticks: u32::MAX,
            read_ps: u32::MAX,
            harness_ps: u32::MAX,
        }),
    };
});

largest!(the_largest_request_fits: Request {
    Request::ArtefactStatus { digest: _ } => Request::ArtefactStatus { digest: DIGEST };
    Request::ArtefactBegin { digest: _, bytes: _, offset: _ } =>
        Request::ArtefactBegin { digest: DIGEST, bytes: u64::MAX, offset: u64::MAX };
    Request::ArtefactCommit => Request::ArtefactCommit;
    Request::Trial(_) => Request::Trial(Trial {
        trial: u32::MAX,
        model: DIGEST,
        golden: Some(Golden { digest: DIGEST, steps: u32::MAX, absolute: f32::MAX, relative: f32::MAX }),
        dataset: Some(DIGEST),
        samples: u32::MAX,
        schedule: Schedule {
            warm_up_ms: u32::MAX,
            windows: u8::MAX,
            window_ms: u32::MAX,
            readings: u32::MAX,
        },
        memory_bytes: u64::MAX,
    });
    Request::Abort => Request::Abort;
    Request::Bye => Request::Bye;
    Request::LineTest { bytes: _ } => Request::LineTest { bytes: u32::MAX };
    Request::Echo(_) => Request::Echo(u32::MAX);
    Request::Baud { baud: _ } => Request::Baud { baud: u32::MAX };
    Request::TimeDecoding(_) => Request::TimeDecoding(true);
    Request::PowerOff => Request::PowerOff;
    Request::Reboot => Request::Reboot;
    Request::Profile(_) => Request::Profile(u32::MAX);
    Request::Sampling(_) => Request::Sampling(Sampling {
        when: When::Alternate,
        conversion_us: u32::MAX,
        averages: u32::MAX,
    });
    Request::WatchRails { millis: _ } => Request::WatchRails { millis: u32::MAX };
    Request::Governor(_) => Request::Governor(full());
});

largest!(the_largest_event_fits: Event {
    Event::Artefact { digest: _, have: _, state: _ } =>
        Event::Artefact { digest: DIGEST, have: u64::MAX, state: ArtefactState::Refused };
    Event::TrialBegun { trial: _ } => Event::TrialBegun { trial: u32::MAX };
    Event::Quiet { up_to_ms: _ } => Event::Quiet { up_to_ms: u32::MAX };
    Event::Loaded(_) => Event::Loaded(Loaded {
        ticks: u64::MAX,
        activation_bytes: u64::MAX,
        input_bytes: u32::MAX,
        output_bytes: u32::MAX,
    });
    Event::Checked(_) => Event::Checked(Checked {
        vectors: u32::MAX,
        values: u32::MAX,
        beyond: u32::MAX,
        worst: f32::MAX,
    });
    Event::Cold { ticks: _ } => Event::Cold { ticks: u64::MAX };
    Event::Calibrated(_) => Event::Calibrated(Calibrated {
        inferences: u32::MAX,
        stride: u32::MAX,
        unit_log2: u8::MAX,
    });
    Event::Window(_) => Event::Window(Window {
        window: u8::MAX,
        begin: u64::MAX,
        end: u64::MAX,
        inferences: u32::MAX,
        readings: u32::MAX,
        sample: u32::MAX,
        output_crc: u32::MAX,
        before: LARGEST_CONDITION,
        after: LARGEST_CONDITION,
    });
    Event::WindowSent { window: _, readings: _ } =>
        Event::WindowSent { window: u8::MAX, readings: u32::MAX };
    Event::Quality(_) => Event::Quality(Quality {
        samples: u32::MAX,
        outputs_match: true,
        metrics: Metrics::Classes {
            top1: f64::MAX,
            top5: f64::MAX,
            log_loss: Some(f64::MAX),
            auc: Some(f64::MAX),
            macro_f1: Some(f64::MAX),
        },
    });
    Event::TrialEnded { trial: _, failure: _, peak_bytes: _, before_bytes: _, link: _ } =>
        Event::TrialEnded {
            trial: u32::MAX,
            failure: Some(Failure::Engine(full())),
            peak_bytes: u64::MAX,
            before_bytes: u64::MAX,
            link: LARGEST_STATS,
        };
    Event::Echo(_) => Event::Echo(u32::MAX);
    Event::LineTested { bytes: _ } => Event::LineTested { bytes: u32::MAX };
    Event::Baud { baud: _, accepted: _ } => Event::Baud { baud: u32::MAX, accepted: true };
    Event::Rail(_) => Event::Rail(Rail {
        rail: u8::MAX,
        name: full(),
        tier: Tier::ExternalMeter,
        volts_per_step: f32::MAX,
        amperes_per_step: f32::MAX,
        tolerance: f32::MAX,
    });
    Event::Profiled { inferences: _ } => Event::Profiled { inferences: u32::MAX };
    Event::Operator { operator: _, ticks: _ } =>
        Event::Operator { operator: u32::MAX, ticks: u64::MAX };
    Event::Accuracy(_) => Event::Accuracy(Accuracy {
        rail: u8::MAX,
        volts_offset: f32::MAX,
        amperes_offset: f32::MAX,
        amperes_noise: f32::MAX,
        coverage: f32::MAX,
        interval_ticks: u64::MAX,
        age_ticks: u64::MAX,
        unit_log2: u8::MAX,
    });
    Event::Power(_) => Event::Power(Power {
        rail: u8::MAX,
        span: Span::Idle { begin: u64::MAX, end: u64::MAX },
        readings: u32::MAX,
        missed: u32::MAX,
        fault: Some(RailFault::Unreadable),
    });
    Event::Uncounted { what: _, reason: _ } =>
        Event::Uncounted { what: Counter::CacheMisses, reason: full() };
    Event::Counted(_) => Event::Counted(Counted {
        window: u8::MAX,
        cycles: Some(u64::MAX),
        instructions: Some(u64::MAX),
        cache_misses: Some(u64::MAX),
    });
    Event::Governor { before: _, refused: _ } =>
        Event::Governor { before: Some(full()), refused: Some(full()) };
    Event::Found(_) => Event::Found(found(
        u32::MAX,
        FoundBox { class: u16::MAX, score: f32::MAX, right: u16::MAX },
        MAX_FOUND,
    ));
    Event::Discarded { begin: _, end: _ } => Event::Discarded { begin: u64::MAX, end: u64::MAX };
});

/// Reads `body`; what was read must survive another trip.
fn read_and_write_again<T: Serialize + DeserializeOwned>(body: &[u8]) {
    let Ok(value) = from_bytes::<T>(body) else {
        return;
    };
    // Compared as bytes, since a NaN does not equal itself.
    let (mut once, mut twice) = ([0; MAX_BODY], [0; MAX_BODY]);
    let once = to_slice(&value, &mut once).unwrap();
    let twice = to_slice(&from_bytes::<T>(once).unwrap(), &mut twice).unwrap();
    assert_eq!(once, twice);
}

fn read_as_everything(body: &[u8]) {
    read_and_write_again::<Hello>(body);
    read_and_write_again::<Welcome>(body);
    read_and_write_again::<Request>(body);
    read_and_write_again::<Event>(body);
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(
        body in proptest::collection::vec(any::<u8>(), 0..=MAX_BODY),
        tag in 0_u8..24,
    ) {
        read_as_everything(&body);
        // Random bytes are rarely a known variant: give them one.
        read_as_everything(&[&[tag], &body[..body.len().min(MAX_BODY - 1)]].concat());
    }

    #[test]
    fn a_clipped_text_is_the_longest_start_that_fits(text in any::<std::string::String>()) {
        let short: String<16> = clipped(&text);
        prop_assert!(text.starts_with(short.as_str()));
        let next = text[short.len()..].chars().next();
        prop_assert!(next.is_none_or(|next| short.len() + next.len_utf8() > 16));
    }
}

#[test]
fn a_length_beyond_its_type_is_an_error() {
    // A name of 49 bytes, and one that claims to be longer than memory.
    let mut long = hex(&["01", "31"]);
    long.extend([b'x'; 49]);
    assert!(from_bytes::<Hello>(&long).is_err());
    assert!(from_bytes::<Hello>(&hex(&["01", U32_MAX, "78"])).is_err());
    // A name that is not UTF-8.
    assert!(from_bytes::<Hello>(&hex(&["01", "01 ff"])).is_err());
    // Variants nobody has defined.
    assert!(from_bytes::<Request>(&[0x40]).is_err());
    assert!(from_bytes::<Event>(&[0x40]).is_err());
}
