//! Nordic's Power Profiler Kit II over its serial line: what it is told, and what it sends.
//!
//! The protocol has no document of its own. What stands here was read from Nordic's program (NordicSemiconductor/
//! pc-nrfconnect-ppk, src/device/serialDevice.ts) and found alike in two others' (IRNAS/ppk2-api-python,
//! src/ppk2_api/ppk2_api.py; hdoordt/ppk2-rs, src/measurement.rs): commands of one byte and their arguments, the
//! calibration as lines of text up to `END`, then 100,000 samples a second of four bytes each, least first:
//!
//! | bits | what |
//! |---|---|
//! | 0–13 | the converter's value |
//! | 14–16 | which of five ranges it was taken in |
//! | 18–23 | a counter, by which lost samples are seen |
//! | 24–31 | the eight logic inputs, D0 first |

use std::collections::BTreeMap;

/// Samples in a second.
pub const RATE: u64 = 100_000;
/// What it can be told to supply, or to expect, in volts.
pub const VOLTS: std::ops::RangeInclusive<f64> = 0.8..=5.0;

/// "Average stop": ends the samples.
pub const STOP: [u8; 1] = [0x07];
/// "Average start": begins them.
pub const START: [u8; 1] = [0x06];
/// "Get meta data": asks for the calibration.
pub const CALIBRATION: [u8; 1] = [0x19];
/// "Device running": closes the switch through which the board is fed.
pub const POWER_ON: [u8; 2] = [0x0c, 1];
/// What the calibration ends with.
pub const CALIBRATION_END: &[u8] = b"END\n";

/// "Set power mode": an ampere meter in another supply's line, or a source itself.
#[must_use]
pub fn mode(is_source: bool) -> [u8; 2] {
    [0x11, 1 + u8::from(is_source)]
}

/// "Regulator set": the supply's voltage.
#[must_use]
pub fn supply(volts: f64) -> [u8; 3] {
    let [high, low] = ((volts * 1e3).round() as u16).to_be_bytes();
    [0x0d, high, low]
}

const RANGES: usize = 5;
/// Volts of a step of the converter; it counts in quarters of its value.
const VOLTS_PER_STEP: f64 = 1.8 / 163_840.0;
const STEPS: f64 = 4.0;
/// After a change of range so many samples are taken from a running mean instead.
const UNSETTLED: u32 = 3;
/// The running mean's share of the newest sample, and that of the highest range's.
const SHARE: f64 = 0.18;
const SHARE_HIGHEST: f64 = 0.06;

/// How the converter's values become amperes, range by range.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    ranges: [Range; RANGES],
    volts: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Range {
    ohms: f64,
    offset: f64,
    square: f64,
    linear: f64,
    by_volts: f64,
    constant: f64,
    user: f64,
}

impl Calibration {
    /// Reads what the meter says of itself, for a supply of `volts`.
    ///
    /// # Errors
    /// What is missing.
    pub fn parse(text: &str, volts: f64) -> Result<Self, String> {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let values: BTreeMap<&str, &str> = lines.map(|(key, value)| (key, value.trim())).collect();
        let number = |name: &str, range: usize| {
            let key = format!("{name}{range}");
            let value = values.get(&*key).and_then(|value| value.parse().ok());
            value
                .filter(|value: &f64| value.is_finite())
                .ok_or_else(|| format!("its calibration has no {key}"))
        };
        let mut ranges = [Range::default(); RANGES];
        for (index, range) in ranges.iter_mut().enumerate() {
            *range = Range {
                ohms: number("R", index)?,
                offset: number("O", index)?,
                square: number("GS", index)?,
                linear: number("GI", index)?,
                by_volts: number("S", index)?,
                constant: number("I", index)?,
                user: number("UG", index)?,
            };
            if range.ohms <= 0.0 {
                return Err(format!("its calibration has no resistance in R{index}"));
            }
        }
        Ok(Self { ranges, volts })
    }

    fn amperes(&self, range: usize, value: u32) -> f64 {
        let range = &self.ranges[range];
        let plain = (f64::from(value) * STEPS - range.offset) * VOLTS_PER_STEP / range.ohms;
        let gained = plain * (range.square * plain + range.linear);
        range.user * (gained + range.by_volts * self.volts + range.constant)
    }
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Amperes.
    pub amperes: f64,
    /// The inputs, D0 in the lowest bit.
    pub inputs: u8,
}

/// What comes out of the bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decoded {
    /// The next sample.
    Sample(Sample),
    /// So many are missing, or as many more as are a multiple of 64.
    Lost(u32),
}

/// Takes the bytes apart.
#[derive(Debug)]
pub struct Decoder {
    calibration: Calibration,
    pending: Vec<u8>,
    /// What the next sample's counter must be.
    next: Option<u32>,
    settling: Settling,
    /// Bytes after the first sample that were part of none.
    pub garbage: u64,
}

/// Running means over which the spikes of a change of range are smoothed, as Nordic's program does.
#[derive(Debug, Default)]
struct Settling {
    means: Option<[f64; 2]>,
    range: Option<usize>,
    unsettled: u32,
    since_change: u32,
}

impl Settling {
    fn settled(&mut self, range: usize, amperes: f64) -> f64 {
        let before = self.means.unwrap_or([amperes; 2]);
        let share = [SHARE, SHARE_HIGHEST];
        let mut means = [0, 1].map(|at| before[at] + share[at] * (amperes - before[at]));
        let changed = self.range.replace(range).is_some_and(|last| last != range);
        let mut settled = amperes;
        if changed || self.unsettled > 0 {
            if changed {
                (self.since_change, self.unsettled) = (0, UNSETTLED);
            } else {
                self.since_change += 1;
            }
            let is_highest = range == RANGES - 1;
            if is_highest && self.since_change < 2 {
                means = before;
            }
            settled = means[usize::from(is_highest)];
            self.unsettled -= 1;
        }
        self.means = Some(means);
        settled
    }
}

const SAMPLE: usize = 4;
/// So many samples in a row must count on where the stream was out of step.
const IN_STEP: usize = 8;

fn counter(bytes: &[u8]) -> u32 {
    u32::from(bytes[2] >> 2)
}

impl Decoder {
    /// Before the first byte.
    #[must_use]
    pub fn new(calibration: Calibration) -> Self {
        Self {
            calibration,
            pending: Vec::new(),
            next: None,
            settling: Settling::default(),
            garbage: 0,
        }
    }

    /// Takes bytes in; tells what they are.
    pub fn push(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Decoded)) {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = &pending[..];
        while let Some(sample) = rest.first_chunk::<SAMPLE>() {
            if self.next != Some(counter(sample)) {
                // Samples are missing, or bytes: where do the next few count on?
                if rest.len() < SAMPLE * (IN_STEP + 1) {
                    break;
                }
                let counts_on = |from: usize| {
                    let samples = rest[from..].chunks_exact(SAMPLE).take(IN_STEP);
                    let counters: Vec<u32> = samples.map(counter).collect();
                    counters.windows(2).all(|two| two[1] == (two[0] + 1) % 64)
                };
                let found = (0..SAMPLE).find(|from| counts_on(*from));
                let skipped = found.unwrap_or(1);
                rest = &rest[skipped..];
                if self.next.is_some() {
                    self.garbage += skipped as u64;
                }
                if found.is_none() {
                    continue;
                }
                let found = counter(rest);
                if let Some(next) = self.next.replace(found) {
                    tell(Decoded::Lost((found + 64 - next) % 64));
                }
                continue;
            }
            let word = u32::from_le_bytes(*sample);
            let range = (word >> 14 & 0b111).min(RANGES as u32 - 1) as usize;
            let amperes = self.calibration.amperes(range, word & 0x3fff);
            self.next = Some((counter(sample) + 1) % 64);
            tell(Decoded::Sample(Sample {
                amperes: self.settling.settled(range, amperes),
                inputs: (word >> 24) as u8,
            }));
            rest = &rest[SAMPLE..];
        }
        self.pending = rest.to_vec();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// A calibration of round numbers: `ohms` in every range, no offsets, no gains.
    pub(crate) fn plain(ohms: f64) -> String {
        let mut text = "Calibrated: 0\n".to_owned();
        for range in 0..RANGES {
            for (name, value) in [
                ("R", ohms),
                ("GS", 0.0),
                ("GI", 1.0),
                ("O", 0.0),
                ("S", 0.0),
                ("I", 0.0),
                ("UG", 1.0),
            ] {
                writeln!(text, "{name}{range}: {value}").unwrap();
            }
        }
        text + "VDD: 3000\nHW: 9173\nmode: 2\nIA: 56\nEND\n"
    }

    pub(crate) fn sample(value: u32, range: u32, count: u32, inputs: u8) -> [u8; 4] {
        (value | range << 14 | (count % 64) << 18 | u32::from(inputs) << 24).to_le_bytes()
    }

    fn decoded(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Decoded> {
        let mut told = Vec::new();
        decoder.push(bytes, &mut |one| told.push(one));
        told
    }

    fn decoder() -> Decoder {
        Decoder::new(Calibration::parse(&plain(1.0), 3.0).unwrap())
    }

    fn lost(told: &[Decoded]) -> Vec<u32> {
        let lost = told.iter().filter_map(|one| match one {
            Decoded::Lost(count) => Some(*count),
            Decoded::Sample(_) => None,
        });
        lost.collect()
    }

    #[test]
    fn commands_are_those_that_the_meter_knows() {
        assert_eq!(supply(0.8), [0x0d, 3, 32]);
        assert_eq!(supply(5.0), [0x0d, 0x13, 0x88]);
        assert_eq!((mode(false), mode(true)), ([0x11, 1], [0x11, 2]));
    }

    /// The calibration and the value that the test of hdoordt/ppk2-rs has from Nordic's own program.
    #[test]
    fn a_value_becomes_amperes_as_in_nordic_s_program() {
        let mut text = plain(1003.3506);
        for (key, value) in [
            ("GS0", "0.0"),
            ("GI0", "1.0"),
            ("O0", "112.942"),
            ("S0", "0.000000048"),
            ("I0", "-0.000000104"),
        ] {
            // With the line's begin: `S0` is the end of `GS0`.
            let line = text.lines().find(|line| line.starts_with(key)).unwrap();
            text = text.replace(&format!("\n{line}\n"), &format!("\n{key}: {value}\n"));
        }
        let calibration = Calibration::parse(&text, 3.741).unwrap();
        let mut settling = Settling {
            means: Some([1.058_938_507_075_364_9e-7, 9.478_947_833_765_696e-8]),
            range: Some(0),
            ..Settling::default()
        };
        // It was given the converter's value times four.
        let amperes = settling.settled(0, calibration.amperes(0, 27));
        // The value is of single precision; what is left out of it is of the eighth digit.
        let off = amperes * 1e6 / 0.021_454_880_761_611_544 - 1.0;
        assert!(off.abs() < 1e-6, "{amperes}");
        let error = Calibration::parse(&text.replace("GI3", "XX"), 3.0).unwrap_err();
        assert_eq!(error, "its calibration has no GI3");
        let error = Calibration::parse(&plain(0.0), 3.0).unwrap_err();
        assert_eq!(error, "its calibration has no resistance in R0");
    }

    #[test]
    fn samples_come_in_pieces_and_their_counter_goes_round() {
        let bytes: Vec<u8> = (0..200)
            .flat_map(|count| sample(1_000, 4, 60 + count, count as u8))
            .collect();
        let mut decoder = decoder();
        let mut told = Vec::new();
        for piece in bytes.chunks(7) {
            told.extend(decoded(&mut decoder, piece));
        }
        assert_eq!((told.len(), decoder.garbage), (200, 0));
        for (count, one) in told.iter().enumerate() {
            let Decoded::Sample(sample) = one else {
                panic!("{one:?}")
            };
            assert_eq!(sample.inputs, count as u8);
            assert!((sample.amperes - 4_000.0 * VOLTS_PER_STEP).abs() < 1e-12);
        }
    }

    #[test]
    fn lost_samples_and_lost_bytes_are_told_and_the_rest_is_found_again() {
        let stream = |counts: std::ops::Range<u32>| -> Vec<u8> {
            counts.flat_map(|count| sample(9, 0, count, 0)).collect()
        };
        let mut missing = decoder();
        let told = decoded(&mut missing, &[stream(0..100), stream(107..200)].concat());
        assert_eq!((told.len(), lost(&told)), (194, vec![7]));
        // A byte is gone, and with it its sample.
        let mut bytes = stream(0..100);
        bytes.remove(203);
        let mut torn = decoder();
        let told = decoded(&mut torn, &bytes);
        assert_eq!((told.len(), lost(&told), torn.garbage), (100, vec![1], 3));
        // What is no stream at all gives nothing.
        let mut noise = decoder();
        let words = b"what a nice day, said the modem. ".repeat(100);
        assert_eq!(decoded(&mut noise, &words), []);
        assert_eq!(decoded(&mut noise, &stream(0..100)).len(), 100);
        assert_eq!(
            (decoded(&mut noise, &words), noise.garbage > 3_000),
            (vec![], true)
        );
    }

    #[test]
    fn the_spike_of_a_change_of_range_is_smoothed() {
        let mut decoder = decoder();
        let mut bytes = Vec::new();
        for count in 0..40 {
            bytes.extend(sample(100, 1, count, 0));
        }
        bytes.extend(sample(16_000, 2, 40, 0));
        for count in 41..60 {
            bytes.extend(sample(100, 2, count, 0));
        }
        let told = decoded(&mut decoder, &bytes);
        let highest = told.iter().map(|one| match one {
            Decoded::Sample(sample) => sample.amperes,
            Decoded::Lost(_) => f64::NAN,
        });
        let highest = highest.fold(0.0, f64::max);
        let spike = 4.0 * 16_000.0 * VOLTS_PER_STEP;
        assert!(highest < 0.2 * spike, "{highest} of {spike}");
    }
}
