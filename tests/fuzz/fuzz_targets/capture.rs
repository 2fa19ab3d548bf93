//! Any bytes as a capture: what is sound of it is read, the rest is a torn tail.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// The host's own module by path: as a dependency the host would bring an inference engine along,
/// and instrumenting that takes longer than all fuzzing.
#[allow(dead_code)]
#[path = "../../../host/src/capture.rs"]
mod capture;

fuzz_target!(|data: &[u8]| {
    check(data);
    // Random bytes never have a right checksum: give every record one.
    check(&mended(data));
});

fn check(data: &[u8]) {
    let Ok(read) = capture::parse(data) else {
        return;
    };
    assert!(read.sound <= data.len());
    let again = capture::parse(&data[..read.sound]).expect("its head is as before");
    assert_eq!(again, read, "a torn tail changed what is before it");
}

fn mended(data: &[u8]) -> Vec<u8> {
    let mut file = b"SBCAPTUR\x01\x00\x00\x00".to_vec();
    let mut rest = data;
    while let Some((&[kind, time, length], after)) = rest.split_first_chunk::<3>() {
        let (payload, after) = after.split_at(usize::from(length).min(after.len()));
        let begin = file.len();
        file.push(kind % 5);
        file.extend(u64::from(time).to_le_bytes());
        file.extend((payload.len() as u32).to_le_bytes());
        file.extend(payload);
        let crc = scalebench_wire::frame::crc32(&file[begin..]);
        file.extend(crc.to_le_bytes());
        rest = after;
    }
    file
}
