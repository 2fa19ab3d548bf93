//! Any body as a batch, and any integers through a batch.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scalebench_wire::batch::{MAX_ROWS, Predictor, Rows, encode};
use scalebench_wire::frame::MAX_BODY;

const POWER: [Predictor; 3] = [Predictor::Step, Predictor::Previous, Predictor::Level];

fuzz_target!(|data: &[u8]| {
    if let Ok(rows) = Rows::new(data, [Predictor::Level]) {
        assert!(rows.count() <= MAX_ROWS);
    }
    let Ok(rows) = Rows::new(data, POWER) else {
        return;
    };
    let rows: Vec<[i64; 3]> = rows.map_while(Result::ok).collect();
    assert!(rows.len() <= MAX_ROWS);
    // What was read, written again, is read as the same.
    let mut sent = 0;
    while sent < rows.len() {
        let mut body = [0; MAX_BODY];
        let encoded = encode(sent as u32, rows[sent..].iter().copied(), POWER, &mut body);
        assert!(encoded.rows > 0 && encoded.bytes <= MAX_BODY);
        let again = Rows::new(&body[..encoded.bytes], POWER).expect("what was written is read");
        assert_eq!(again.first, sent as u32);
        let again: Vec<_> = again.map(|row| row.expect("whole")).collect();
        assert_eq!(again, rows[sent..sent + encoded.rows]);
        sent += encoded.rows;
    }
});
