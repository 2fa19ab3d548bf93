//! Any body as every message: read without harm, and what was read survives another trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scalebench_wire::frame::MAX_BODY;
use scalebench_wire::message::{Event, Hello, Request, Welcome};
use serde::{Serialize, de::DeserializeOwned};

fuzz_target!(|data: &[u8]| {
    let data = &data[..data.len().min(MAX_BODY)];
    again::<Hello>(data);
    again::<Welcome>(data);
    again::<Request>(data);
    again::<Event>(data);
});

fn again<T: Serialize + DeserializeOwned>(data: &[u8]) {
    let Ok(value) = postcard::from_bytes::<T>(data) else {
        return;
    };
    let (mut once, mut twice) = ([0; MAX_BODY], [0; MAX_BODY]);
    let once = postcard::to_slice(&value, &mut once).expect("what fitted fits again");
    let value = postcard::from_bytes::<T>(once).expect("what was written is read");
    let twice = postcard::to_slice(&value, &mut twice).expect("what fitted fits again");
    assert_eq!(once, twice);
}
