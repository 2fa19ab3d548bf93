//! Any text as a board file: accepted, or refused in one sentence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scalebench_boards::parse_board;

fuzz_target!(|text: &str| {
    if let Err(error) = parse_board(text) {
        let sentence = error.to_string();
        assert!(!sentence.is_empty());
        assert!(!sentence.chars().any(char::is_control), "{sentence:?}");
    }
});
