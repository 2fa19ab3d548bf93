use super::*;
use crate::fake_board::{serve, welcome_line};
use crate::virtual_board::Pty;
use std::sync::mpsc::{Sender, channel};

const BAUD: u32 = 921_600;

fn impatient() -> Patience {
    Patience {
        hello: Duration::from_millis(50),
        open: Duration::from_millis(400),
        silence: Duration::from_millis(400),
    }
}

fn over(pty: &Pty, patience: Patience) -> Session<()> {
    let port = Port::open(pty.path(), BAUD).unwrap();
    Session::new(port, BAUD, Receiver::new(), None, patience, ())
}

/// A session with a board that does what `answer` says.
fn with_board(
    patience: Patience,
    answer: impl FnMut(&mut scalebench_wire::link::Link, Kind, Vec<u8>) + Send + 'static,
) -> (Session<()>, Sender<()>) {
    let pty = Pty::open().unwrap();
    let session = over(&pty, patience);
    let (stop, stopped) = channel();
    serve(pty, 1, stopped, answer);
    (session, stop)
}

#[test]
fn a_board_that_answers_is_heard() {
    let (mut session, _stop) = with_board(Patience::default(), |link, kind, body| {
        if kind == Kind::Request
            && let Ok(Request::Echo(number)) = postcard::from_bytes(&body)
        {
            link.send_message(Kind::Event, &Event::Echo(number))
                .unwrap();
        }
    });
    assert_eq!(session.open().unwrap().boot, 1);
    session.request(&Request::Echo(5)).unwrap();
    let back = session
        .wait(|delivery| match delivery {
            Delivery::Message(kind, body) => event(*kind, body),
            _ => None,
        })
        .unwrap();
    assert_eq!(back, Event::Echo(5));
    assert_eq!(session.counts().sent, 1);
}

#[test]
fn silence_without_a_board_is_one_sentence() {
    let pty = Pty::open().unwrap();
    let error = over(&pty, impatient()).open().unwrap_err().to_string();
    assert!(
        error.starts_with("no runner answers on /dev/pts/"),
        "{error}"
    );
    assert!(
        error.contains("at 921600 baud: check that the board runs scalebench-runner"),
        "{error}"
    );
}

#[test]
fn a_login_prompt_is_quoted() {
    let pty = Pty::open().unwrap();
    let mut session = over(&pty, impatient());
    pty.write(b"\r\nraspberrypi login: ").unwrap();
    let error = session.open().unwrap_err().to_string();
    assert!(
        error.contains("(the board printed: raspberrypi login:)"),
        "{error}"
    );
}

#[test]
fn a_board_that_stops_talking_is_given_up_but_not_while_it_announced_silence() {
    let (mut session, _stop) = with_board(impatient(), |link, kind, body| {
        if kind == Kind::Request
            && let Ok(Request::Echo(up_to_ms)) = postcard::from_bytes(&body)
        {
            link.send_message(Kind::Event, &Event::Quiet { up_to_ms })
                .unwrap();
        }
    });
    session.open().unwrap();
    session.request(&Request::Echo(900)).unwrap();
    let begun = Instant::now();
    let error = session.wait(|_| None::<()>).unwrap_err();
    assert!(matches!(error, SessionError::Silent(_)), "{error}");
    assert!(
        begun.elapsed() > Duration::from_millis(1_200),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_restart_in_the_middle_is_noticed() {
    let pty = Pty::open().unwrap();
    let mut session = over(&pty, Patience::default());
    let (stop, stopped) = channel();
    let board = serve(pty, 1, stopped, |_, _, _| {});
    session.open().unwrap();
    drop(stop);
    board.join().unwrap();
    // The pseudo-terminal is gone with its board; what a restarted one would send is fed directly.
    let mut restarted = false;
    session
        .receiver
        .feed(&welcome_line(0, 2), 0, &mut |delivery| {
            restarted |= matches!(delivery, Delivery::Restarted);
        });
    assert!(restarted);
    let error = session
        .request(&Request::Bye)
        .and_then(|()| session.turn(Duration::ZERO, &mut |_| {}));
    assert!(error.is_err());
}
