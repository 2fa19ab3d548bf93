//! The firmware's answers, against a board in memory and a naive twin.

#[path = "mlperf/twin.rs"]
mod twin;

use proptest::prelude::*;
use scalebench_core::mlperf::FIRMWARE;
use scalebench_core::mlperf::kind::Kind;
use twin::{BUFFER, Board, check};

#[test]
fn the_board_greets_and_says_what_it_is() {
    let mut buffer = [0; BUFFER];
    let mut board = Board::new(false, Kind::Kws01, &mut buffer);
    board.monitor.greet().unwrap();
    let greeting = board.paper.lines();
    assert_eq!(greeting[0], "m-timestamp-mode-performance");
    assert_eq!(greeting[1], "m-lap-us-1");
    assert_eq!(greeting[2..], ["m-init-done", "m-ready"]);
    assert_eq!(board.answer(b"name%"), ["m-name-dut-[twin]", "m-ready"]);
    assert_eq!(
        board.answer(b"profile%"),
        [
            &format!("m-profile-[{FIRMWARE}]"),
            "m-model-[kws01]",
            "m-ready"
        ]
    );
    assert_eq!(board.answer(b"timestamp%"), ["m-lap-us-2", "m-ready"]);
    let help = board.answer(b"help%");
    assert_eq!(help[0], FIRMWARE);
    assert!(help.iter().any(|line| line.starts_with("infer N [W=10]")));
    assert_eq!(help.last().unwrap(), "m-ready");
}

#[test]
fn an_input_is_loaded_shown_and_inferred() {
    let mut buffer = [0; BUFFER];
    let mut board = Board::new(false, Kind::Kws01, &mut buffer);
    assert_eq!(
        board.answer(b"db load 3%"),
        ["m-[Expecting 3 bytes]", "m-ready"]
    );
    assert_eq!(board.answer(b"db 01%"), ["m-ready"]);
    assert_eq!(board.answer(b"db print%"), ["m-buffer-01", "m-ready"]);
    // More than expected is disregarded.
    assert_eq!(board.answer(b"db 02FF04%"), ["m-load-done", "m-ready"]);
    assert_eq!(board.answer(b"db print%"), ["m-buffer-01-02-ff", "m-ready"]);
    assert_eq!(
        board.answer(b"infer 4 2%"),
        [
            "m-warmup-start-2",
            "m-warmup-done",
            "m-infer-start-4",
            "m-lap-us-1",
            "m-lap-us-2",
            "m-infer-done",
            "m-results-[1.000,1.500,0.000]",
            "m-ready"
        ]
    );
    assert_eq!(board.inferences.get(), 6);
    assert_eq!(
        board.answer(b"results%"),
        ["m-results-[1.000,1.500,0.000]", "m-ready"]
    );
    board.answer(b"infer 1%");
    assert_eq!(
        board.inferences.get(),
        17,
        "ten to warm up where none are named"
    );
}

#[test]
fn in_energy_mode_moments_are_edges_of_the_pin() {
    let mut buffer = [0; BUFFER];
    let mut board = Board::new(true, Kind::Kws01, &mut buffer);
    board.monitor.greet().unwrap();
    assert_eq!(
        board.paper.lines(),
        ["m-timestamp-mode-energy", "m-init-done", "m-ready"]
    );
    assert_eq!(board.pin.falls.get(), 1);
    assert_eq!(board.answer(b"timestamp%"), ["m-ready"]);
    assert_eq!(board.pin.falls.get(), 2);
    board.answer(b"db load 3%db 010203%");
    let answer = board.answer(b"infer 1 0%");
    assert_eq!(
        answer[2..4],
        ["m-infer-start-1", "m-infer-done"],
        "no time on the line"
    );
    assert_eq!(board.pin.falls.get(), 4);
}

#[test]
fn what_cannot_be_done_says_why() {
    let mut buffer = [0; BUFFER];
    let mut board = Board::new(false, Kind::Kws01, &mut buffer);
    let mut why = |text: &str| {
        let answer = board.answer(text.as_bytes());
        assert_eq!(answer[1..], ["m-ready"], "{text}");
        answer[0].clone()
    };
    assert_eq!(why("results%"), "e-[This input has not been inferred]");
    let unfilled = "e-[The input is not of the model's size: load it with 'db load' and 'db HH']";
    assert_eq!(why("infer 1 0%"), unfilled);
    assert_eq!(
        why("db 00%"),
        "e-[No bytes are expected: begin with 'db load']"
    );
    assert_eq!(
        why("db load 17%"),
        "e-[Supplied buffer size 17 exceeds maximum of 16]"
    );
    assert_eq!(why("%"), "e-[Command is empty]");
    assert_eq!(why("db load 2%")[..6], *"m-[Exp");
    assert_eq!(why("db 0102%"), "m-load-done");
    assert_eq!(why("infer 1 0%"), unfilled, "two bytes of three");
}

#[test]
fn an_engine_that_fails_ends_the_inference_and_not_the_board() {
    let mut buffer = [0; BUFFER];
    let mut board = Board::new(false, Kind::Kws01, &mut buffer);
    board.answer(b"db load 3%db 010203%");
    let answer = board.answer(b"infer 20000 0%");
    assert_eq!(answer[3..], ["e-[Inference failed: [tired]]", "m-ready"]);
    assert_eq!(
        board.answer(b"results%")[0],
        "e-[This input has not been inferred]"
    );
}

#[test]
fn anomalies_are_told_by_one_score() {
    let mut buffer = [0; BUFFER];
    let mut board = Board::new(false, Kind::Ad01, &mut buffer);
    // 1.0, 2.0, 3.0 become steps of a half; the engine adds one step to each.
    board.answer(b"db load 12%db 0000803f0000004000004040%");
    let answer = board.answer(b"infer 1 0%");
    assert_eq!(answer[answer.len() - 2], "m-results-[0.250]");
}

/// Commands, whole or damaged, and noise.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "name%",
        "profile%",
        "timestamp%",
        "help%",
        "results%",
        "db%",
        "db load %",
        "db load 3%",
        "db load 16%",
        "db load 17%",
        "db load 99999999999%",
        "db 0102%",
        "db 01020304050607%",
        "db 0%",
        "db zz%",
        "db print%",
        "infer%",
        "infer 3 2%",
        "infer 0%",
        "infer 1 x%",
        "%",
        "\r\n",
        "db load 3%db 010203%infer 2 0%",
    ]);
    prop_oneof![
        4 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..120),
        1 => "[a-f0-9 db%]{1,90}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn any_stream_is_answered_and_the_buffer_holds_what_was_sent(
        energy in any::<bool>(),
        stream in prop::collection::vec(pieces(), 0..40),
    ) {
        check(energy, &stream.concat());
    }
}
