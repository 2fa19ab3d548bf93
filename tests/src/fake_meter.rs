//! A Power Profiler Kit II without hardware: it answers commands, and sends what its script says.

use scalebench::virtual_board::Pty;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What the script is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The calibration.
    Calibration,
    /// To begin.
    Start,
    /// Whatever there is, again and again once it has begun.
    More,
    /// To end; what was on its way may still come.
    Stop,
}

/// Amperes of a step of the converter by [`calibration`], whose ranges are all alike.
pub const AMPERES_PER_STEP: f64 = 4.0 * 1.8 / 163_840.0;

/// One ohm in every range, and nothing to correct.
#[must_use]
pub fn calibration() -> Vec<u8> {
    let mut text = "Calibrated: 1\n".to_owned();
    for (name, value) in [
        ("R", "1.0"),
        ("GS", "0.0"),
        ("GI", "1.0"),
        ("O", "0.0"),
        ("VDD", "3300"),
        ("S", "0.000000000"),
        ("I", "0.000000000"),
        ("UG", "1.00"),
    ] {
        for range in 0..5 {
            text += &format!("{name}{range}: {value}\n");
        }
    }
    (text + "HW: 9173\nmode: 2\nIA: 56\nEND\n").into_bytes()
}

/// Samples on their way: counted as the meter counts them.
#[derive(Debug, Default)]
pub struct Samples {
    /// The bytes so far.
    pub bytes: Vec<u8>,
    /// How many there are, lost ones included.
    pub count: u32,
}

impl Samples {
    /// Adds `count` samples of `amperes`, with input D0 high or low.
    pub fn push(&mut self, count: u32, amperes: f64, is_high: bool) {
        let value = (amperes / AMPERES_PER_STEP).round() as u32 & 0x3fff;
        for _ in 0..count {
            let word = value | 4 << 14 | (self.count % 64) << 18 | u32::from(is_high) << 24;
            self.bytes.extend(word.to_le_bytes());
            self.count += 1;
        }
    }

    /// Leaves `count` samples out.
    pub fn lose(&mut self, count: u32) {
        self.count += count;
    }

    /// The bytes, which are then gone.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// The meter.
#[derive(Debug)]
pub struct FakeMeter {
    path: PathBuf,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl FakeMeter {
    /// Plugs it in. `script` gives the bytes to be sent; with `None` it is unplugged.
    ///
    /// # Panics
    /// When there can be no pseudo-terminal.
    #[must_use]
    pub fn plug_in(mut script: impl FnMut(Asked) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let pty = Pty::open().expect("a pseudo-terminal");
        let path = pty.path().to_owned();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ours = Arc::clone(&heard);
        // It ends with the test, or when it is unplugged.
        thread::spawn(move || {
            let (mut commands, mut has_begun) = (Vec::new(), false);
            loop {
                let mut bytes = [0; 64];
                let count = pty.read(&mut bytes).unwrap_or(0);
                commands.extend_from_slice(&bytes[..count]);
                ours.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&bytes[..count]);
                let asked = match commands.first() {
                    None if has_begun => Asked::More,
                    None => {
                        thread::sleep(Duration::from_millis(1));
                        continue;
                    }
                    Some(command) => {
                        let length = match command {
                            0x0d => 3,
                            0x0c | 0x11 => 2,
                            _ => 1,
                        };
                        if commands.len() < length {
                            continue;
                        }
                        let command: Vec<u8> = commands.drain(..length).collect();
                        match command[0] {
                            0x19 => Asked::Calibration,
                            0x06 => Asked::Start,
                            0x07 if has_begun => Asked::Stop,
                            _ => continue,
                        }
                    }
                };
                has_begun |= asked == Asked::Start;
                let Some(bytes) = script(asked) else {
                    return;
                };
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    match pty.write(rest) {
                        Ok(0) => thread::sleep(Duration::from_micros(200)),
                        Ok(count) => rest = &rest[count..],
                        Err(_) => return,
                    }
                }
                if asked == Asked::More && bytes.is_empty() {
                    thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Self { path, heard }
    }

    /// Its port, as `--meter` wants it.
    #[must_use]
    pub fn argument(&self) -> String {
        format!("ppk2:{}", self.path.display())
    }

    /// All commands so far.
    #[must_use]
    pub fn heard(&self) -> Vec<u8> {
        self.heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
