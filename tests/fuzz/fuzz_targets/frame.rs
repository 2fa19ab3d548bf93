//! Any bytes from the line, into the deframer and into a link with an open session.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scalebench_wire::frame::{Deframer, HEADER_LEN, Header, Kind, MAX_BODY, MAX_LINE, encode};
use scalebench_wire::link::Link;

const SESSION: u32 = 0x5ca1_ab1e;

/// The first byte says how to read the rest: as raw line bytes, or as a script of frames with right
/// checksums, which random bytes would never have.
fuzz_target!(|data: &[u8]| {
    let Some((&mode, data)) = data.split_first() else {
        return;
    };
    if mode & 1 == 0 {
        raw(data);
    } else {
        sound(data);
    }
});

fn raw(data: &[u8]) {
    let mut deframer = Deframer::new();
    let mut again = [0; MAX_LINE];
    for &byte in data {
        if let Some(Ok(frame)) = deframer.push(byte, SESSION) {
            assert!(frame.body.len() <= MAX_BODY);
            let header = frame.header;
            let session = frame.session;
            let line = encode(header, session, frame.body, &mut again).to_vec();
            let mut second = Deframer::new();
            let heard = line
                .iter()
                .filter(|&&b| matches!(second.push(b, session), Some(Ok(_))));
            assert_eq!(heard.count(), 1);
        }
    }
    // Whatever came before: the next sound frame is heard.
    let header = Header {
        sequence: 1,
        acknowledgement: 2,
        kind: Kind::Log,
    };
    let line = encode(header, SESSION, b"after all that", &mut again);
    let mut heard = false;
    for &byte in line {
        heard = matches!(deframer.push(byte, SESSION), Some(Ok(frame)) if frame.body == b"after all that");
    }
    assert!(heard);
}

/// `data` in pieces: sequence, acknowledgement, kind, time that passes, length, body.
fn sound(mut data: &[u8]) {
    let mut link = Box::new(Link::new());
    link.open(SESSION);
    let mut now = 0_u64;
    let mut buffer = [0; MAX_LINE];
    let mut delivered = 0_u64;
    while let Some((&[sequence, ack, kind, passes, length, send], rest)) =
        data.split_first_chunk::<HEADER_LEN>()
    {
        let (body, rest) = rest.split_at(usize::from(length).min(rest.len()));
        data = rest;
        let known = Kind::ALL[usize::from(kind) % Kind::ALL.len()];
        // Sequence numbers near zero from both sides, so that the circle's seam is met.
        let header = Header {
            sequence: i16::from(sequence as i8) as u16,
            acknowledgement: i16::from(ack as i8) as u16,
            kind: known,
        };
        let session = if matches!(known, Kind::Hello | Kind::Welcome) {
            0
        } else {
            SESSION
        };
        let mut line = [0; MAX_LINE];
        for &byte in encode(header, session, body, &mut line) {
            link.push(byte, now);
        }
        if send & 1 == 1 {
            let _ = link.send(Kind::Event, body);
        }
        while let Some((_, body)) = link.receive() {
            assert!(body.len() <= MAX_BODY);
            delivered += 1;
            link.consume(now);
        }
        now += u64::from(passes) * 1_000;
        assert!(link.room() <= 16);
        for _ in 0..40 {
            if link.transmit(now, &mut buffer).is_empty() {
                break;
            }
        }
        // Nothing is due any more at this moment but what the timer brings later.
        assert!(link.transmit(now, &mut buffer).is_empty());
    }
    assert!(delivered <= 0x1_0000);
}
