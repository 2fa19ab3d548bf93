//! defmt's global logger: frames go into a ring that the session empties into the wire.
//!
//! A frame is put together on the thread that logs and enters the ring whole. A frame that does not fit
//! is dropped: readings come before log lines.

#![expect(
    unsafe_code,
    reason = "defmt's Logger is an unsafe trait; nothing here needs more than its contract"
)]

use heapless::{Deque, Vec};
use scalebench_core::board;
use std::cell::RefCell;
use std::sync::Mutex;

const RING: usize = 16 * 1024;
const FRAME: usize = 256;

static WAITING: Mutex<Deque<u8, RING>> = Mutex::new(Deque::new());

struct Frame {
    encoder: defmt::Encoder,
    bytes: Vec<u8, FRAME>,
    whole: bool,
}

thread_local! {
    static FRAME_OF_THREAD: RefCell<Frame> =
        const { RefCell::new(Frame { encoder: defmt::Encoder::new(), bytes: Vec::new(), whole: true }) };
}

fn with_frame(work: impl FnOnce(&mut defmt::Encoder, &mut dyn FnMut(&[u8]))) {
    FRAME_OF_THREAD.with_borrow_mut(
        |Frame {
             encoder,
             bytes,
             whole,
         }| {
            work(encoder, &mut |piece| {
                *whole &= bytes.extend_from_slice(piece).is_ok()
            });
        },
    );
}

#[defmt::global_logger]
struct ToRing;

// SAFETY: `acquire` to `release` works on the frame of the calling thread only, and no call in between
// yields to another log statement of that thread; so frames are never interleaved.
unsafe impl defmt::Logger for ToRing {
    fn acquire() {
        with_frame(|encoder, write| encoder.start_frame(write));
    }

    // SAFETY: nothing to flush; trivially sound.
    unsafe fn flush() {}

    // SAFETY: touches the frame of the calling thread and the ring under its lock.
    unsafe fn release() {
        with_frame(|encoder, write| encoder.end_frame(write));
        FRAME_OF_THREAD.with_borrow_mut(|frame| {
            if let Ok(mut ring) = WAITING.lock()
                && frame.whole
                && ring.capacity() - ring.len() >= frame.bytes.len()
            {
                frame.bytes.iter().for_each(|&byte| {
                    let _ = ring.push_back(byte);
                });
            }
            frame.bytes.clear();
            frame.whole = true;
        });
    }

    // SAFETY: touches the frame of the calling thread only.
    unsafe fn write(bytes: &[u8]) {
        with_frame(|encoder, write| encoder.write(bytes, write));
    }
}

defmt::timestamp!("{=u64:us}", {
    use board::Clock as _;
    crate::clock::Monotonic.now() / 1_000
});

/// The reading end of the ring.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ring;

impl board::Log for Ring {
    fn take(&mut self, into: &mut [u8]) -> usize {
        let Ok(mut ring) = WAITING.lock() else {
            return 0;
        };
        let mut count = 0;
        for slot in into {
            let Some(byte) = ring.pop_front() else { break };
            *slot = byte;
            count += 1;
        }
        count
    }
}
