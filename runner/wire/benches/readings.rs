//! Bytes per reading on the line, and how fast readings are packed and unpacked.
//!
//! `cargo bench -p scalebench-wire` first prints a table of bytes per reading, with everything that
//! goes over the line for them: batch head, frame header, checksum, COBS and the zeros. The readings
//! are real: a small matrix product is timed on this machine, again and again, as a window does it,
//! and power readings get the times at which a thread that sleeps for a millisecond wakes up. Voltage
//! and current, for which this machine has no sensor, are noise of the size an INA226 shows.

use scalebench_wire::batch::{Predictor, Rows, encode};
use scalebench_wire::frame::{Deframer, Header, Kind, MAX_BODY, MAX_LINE, encode as frame};
use std::hint::black_box;
use std::time::{Duration, Instant};

const TIMINGS: [Predictor; 1] = [Predictor::Level];
const POWER: [Predictor; 3] = [Predictor::Step, Predictor::Previous, Predictor::Previous];
const SESSION: u32 = 1;

fn main() {
    println!(
        "{:<44} {:>9} {:>10} {:>13}",
        "readings", "count", "median", "bytes/reading"
    );
    for size in [8, 32, 96] {
        let timings = timings(size, Duration::from_millis(400));
        report_timings(&format!("timing, {size}x{size} matrix product"), &timings);
    }
    let wakes = wakes(1_000);
    report_power("power, clock in nanoseconds", &wakes, 0);
    report_power("power, clock in units of 1.024 us", &wakes, 10);
    println!();
    divan::main();
}

/// Times `size`³ multiplications as a window does: back to back, one reading each, in the unit that
/// calibration would choose.
fn timings(size: usize, at_least: Duration) -> Vec<u64> {
    let left: Vec<f32> = (0..size * size).map(|i| i as f32).collect();
    let mut product = vec![0_f32; size * size];
    let mut infer = || {
        for (row, out) in left.chunks(size).zip(product.chunks_mut(size)) {
            out.fill(0.0);
            for (&a, column) in row.iter().zip(black_box(&left).chunks(size)) {
                for (out, &b) in out.iter_mut().zip(column) {
                    *out += a * b;
                }
            }
        }
        black_box(&product);
    };
    (0..200).for_each(|_| infer());
    let mut nanos = Vec::with_capacity(4_000_000);
    let begin = Instant::now();
    while begin.elapsed() < at_least {
        let start = Instant::now();
        infer();
        nanos.push(start.elapsed().as_nanos() as u64);
    }
    nanos
}

fn report_timings(name: &str, nanos: &[u64]) {
    let median = median(nanos);
    let unit_log2 = (median >> 16).max(1).ilog2();
    let rows: Vec<_> = nanos.iter().map(|&n| [(n >> unit_log2) as i64]).collect();
    report(name, &rows, median, TIMINGS);
}

/// When a thread that sleeps a millisecond at a time wakes up, in nanoseconds.
fn wakes(count: usize) -> Vec<i64> {
    let begin = Instant::now();
    (0..count)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(1));
            begin.elapsed().as_nanos() as i64
        })
        .collect()
}

fn report_power(name: &str, wakes: &[i64], unit_log2: u32) {
    let mut state = 1_u64;
    let mut noise = |spread: u64| {
        // Sum of four draws: roughly bell-shaped, `spread` wide.
        let mut draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % spread
        };
        (draw() + draw() + draw() + draw()) as i64 / 4
    };
    let rows: Vec<_> = wakes
        .iter()
        .map(|&wake| [wake >> unit_log2, 4_020 + noise(5), 1_200 + noise(60)])
        .collect();
    report(name, &rows, 0, POWER);
}

fn report<const C: usize>(name: &str, rows: &[[i64; C]], median: u64, predictors: [Predictor; C]) {
    let lines = framed(rows, predictors);
    let bytes = lines.len();
    assert_eq!(unframed(&lines, predictors), rows, "readings were lost");
    let median = if median > 0 {
        format!("{:.1} us", median as f64 / 1e3)
    } else {
        String::new()
    };
    println!(
        "{name:<44} {:>9} {median:>10} {:>13.3}",
        rows.len(),
        bytes as f64 / rows.len() as f64
    );
}

/// Everything that goes over the line for `rows`.
fn framed<const C: usize>(rows: &[[i64; C]], predictors: [Predictor; C]) -> Vec<u8> {
    let mut line = Vec::new();
    let mut sent = 0;
    while let Some(rest) = rows.get(sent..).filter(|rest| !rest.is_empty()) {
        let mut body = [0; MAX_BODY];
        let encoded = encode(sent as u32, rest.iter().copied(), predictors, &mut body);
        let header = Header {
            sequence: sent as u16,
            acknowledgement: 0,
            kind: Kind::Timings,
        };
        let mut bytes = [0; MAX_LINE];
        line.extend(frame(header, SESSION, &body[..encoded.bytes], &mut bytes));
        sent += encoded.rows;
    }
    line
}

fn unframed<const C: usize>(line: &[u8], predictors: [Predictor; C]) -> Vec<[i64; C]> {
    let mut deframer = Deframer::new();
    let mut rows = Vec::new();
    for &byte in line {
        if let Some(frame) = deframer.push(byte, SESSION) {
            let body = frame.expect("a clean line").body;
            let batch = Rows::new(body, predictors).expect("a sound batch");
            rows.extend(batch.map(|row| row.expect("a whole batch")));
        }
    }
    rows
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

/// Ten thousand timing readings around 4,000 units with a hundredth of noise.
fn typical() -> Vec<[i64; 1]> {
    let mut state = 7_u32;
    (0..10_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            [4_000 + i64::from((state >> 8) % 40)]
        })
        .collect()
}

#[divan::bench]
fn pack_ten_thousand_timings(bencher: divan::Bencher<'_, '_>) {
    let rows = typical();
    bencher
        .counter(divan::counter::ItemsCount::new(rows.len()))
        .bench(|| framed(black_box(&rows), TIMINGS));
}

#[divan::bench]
fn unpack_ten_thousand_timings(bencher: divan::Bencher<'_, '_>) {
    let line = framed(&typical(), TIMINGS);
    bencher
        .counter(divan::counter::ItemsCount::new(10_000_usize))
        .bench(|| unframed(black_box(&line), TIMINGS));
}

#[divan::bench]
fn hear_a_megabyte_of_frames(bencher: divan::Bencher<'_, '_>) {
    let mut line = Vec::new();
    let mut bytes = [0; MAX_LINE];
    let header = Header {
        sequence: 1,
        acknowledgement: 2,
        kind: Kind::Log,
    };
    while line.len() < 1_000_000 {
        line.extend(frame(header, SESSION, &[0x5a; MAX_BODY], &mut bytes));
    }
    bencher
        .counter(divan::counter::BytesCount::new(line.len()))
        .bench(|| {
            let mut deframer = Deframer::new();
            line.iter()
                .filter(|&&byte| matches!(deframer.push(byte, SESSION), Some(Ok(_))))
                .count()
        });
}
