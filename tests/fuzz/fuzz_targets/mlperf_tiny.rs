//! Any characters from the line, to the runner as MLPerf Tiny firmware: every command is answered, refusals say why,
//! and the input buffer holds what was sent and nothing else.
#![no_main]

#[path = "../../../runner/core/tests/mlperf/twin.rs"]
#[allow(
    dead_code,
    reason = "shared with the core's own tests, which look at more of the board"
)]
mod twin;

use libfuzzer_sys::fuzz_target;

/// The first byte chooses the mode.
fuzz_target!(|data: &[u8]| {
    if let Some((&mode, stream)) = data.split_first() {
        twin::check(mode & 1 == 1, stream);
    }
});
