//! A million readings over pseudo-terminals with real pacing, through a line that damages them.

use scalebench::port::Port;
use scalebench::receiver::{Delivery, Receiver};
use scalebench::session::{Patience, Session};
use scalebench::virtual_board::{Line, Pty};
use scalebench_tests::fake_board::{PREDICTORS, reading, serve};
use scalebench_tests::noise::Noise;
use scalebench_wire::batch::Rows;
use scalebench_wire::frame::Kind;
use std::sync::atomic::Ordering;
use std::time::Duration;

const BAUD: u32 = 4_000_000;
const PATIENCE: Duration = Duration::from_secs(240);

/// Sends `count` readings over a line with this noise; asserts that each arrives once, in its place, as
/// it was sent. Returns the link's counts at the host's end.
fn carry(count: u32, noise: Noise) -> scalebench_wire::link::LinkStats {
    let (hosts, boards) = (Pty::open().unwrap(), Pty::open().unwrap());
    let host = Port::open(hosts.path(), BAUD).unwrap();
    let board = Port::open(boards.path(), BAUD).unwrap();
    let _line = Line::start(hosts, boards, Some(Box::new(noise))).unwrap();
    let board = std::thread::spawn(move || serve(&board, count, PATIENCE));

    let mut next = 0;
    let mut take = |delivery: &Delivery<'_>| match delivery {
        Delivery::Message(Kind::Timings, body) => {
            let rows = Rows::new(body, PREDICTORS).expect("a sound batch");
            assert_eq!(
                rows.first, next,
                "a batch is missing, twice there, or out of order"
            );
            for row in rows {
                assert_eq!(row, Ok([reading(next)]), "reading {next}");
                next += 1;
            }
        }
        Delivery::Message(kind, _) => panic!("a message nobody sent: {kind:?}"),
        Delivery::Restarted => panic!("the board did not restart"),
        _ => {}
    };
    let mut observer = Take(&mut take);
    let patience = Patience::default();
    let mut session = Session::new(host, BAUD, Receiver::new(), None, patience, &mut observer);
    session.open().unwrap();
    while !board.is_finished() {
        session
            .turn(Duration::from_millis(20), &mut |_| {})
            .unwrap();
    }
    let counts = session.counts();
    drop(session);
    board.join().unwrap().unwrap();
    assert_eq!(next, count);
    counts
}

/// Sees messages also while the session is being opened.
struct Take<'a>(&'a mut dyn FnMut(&Delivery<'_>));

impl scalebench::session::Observer for &mut Take<'_> {
    fn delivered(&mut self, delivery: &Delivery<'_>) {
        (self.0)(delivery);
    }
}

#[test]
fn a_million_readings_cross_a_line_that_damages_one_byte_in_a_thousand() {
    let noise = Noise::new(1, 1_000);
    let did = noise.counts();
    let counts = carry(1_000_000, noise);
    let bytes = did.bytes.load(Ordering::SeqCst);
    println!("{bytes} bytes entered the line, {did:?}, {counts:?}");
    assert!(did.errors() > bytes / 1_200, "the line was too good");
    assert!(counts.rejected > 0 && did.delayed.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_million_readings_cross_a_bad_line_that_is_cut_ten_times() {
    let noise = Noise::new(2, 1_000).with_cuts(10, 100_000, Duration::from_millis(300));
    let did = noise.counts();
    let counts = carry(1_000_000, noise);
    println!("{did:?}, {counts:?}");
    assert_eq!(did.cuts.load(Ordering::SeqCst), 10);
    assert!(did.errors() > 0 && counts.rejected > 0);
}
