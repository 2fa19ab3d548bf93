//! A meter that records while a run goes on: opened, set up, and written down as a file that is read like any other.
//!
//! Ten samples become one reading, the mean of a tenth of a millisecond; what an input was is told where it was the
//! same all that time. Readings that the meter lost leave a line without a current. A Joulescope has no serial
//! protocol (its maker's driver talks to it over USB's bulk transfers), and an X-NUCLEO-LPM01A has no input whose
//! level goes with its samples: of the one the files are read, of the other nothing that could be tied to a run.

use super::ppk2::{self, Calibration, Decoded, Decoder, Sample};
use crate::port::{Port, PortError};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The speed of the line means nothing to it.
const BAUD: u32 = 115_200;
/// Samples in a reading.
const FOLD: u64 = 10;
const TRIES: u32 = 3;
/// For an answer, and for the first samples.
const PATIENCE: Duration = Duration::from_secs(2);
/// A line on which nothing came for so long has nothing more.
const QUIET: Duration = Duration::from_millis(200);
/// Longest wait for what is on its way when the recording ends.
const DRAIN: Duration = Duration::from_secs(10);
const TURN: Duration = Duration::from_millis(50);
/// Calibrations are a fifth of this.
const MOST_CALIBRATION: usize = 4_096;

/// Which meter, and where: `ppk2:/dev/ttyACM0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whether it feeds the board, rather than sitting in another supply's line.
    pub is_source: bool,
    /// Its serial port.
    pub path: PathBuf,
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, path) = text.split_once(':').unwrap_or((text, ""));
        let is_source = match kind {
            "ppk2" => false,
            "ppk2-source" => true,
            "joulescope" => {
                return Err("a Joulescope has no serial protocol: record with its own program, and add the file with `scalebench energy --meter`".to_owned());
            }
            _ => {
                return Err("write ppk2:PORT for a PPK2 in another supply's line, or ppk2-source:PORT for one that feeds the board; a file is added after the run, with `scalebench energy --meter`".to_owned());
            }
        };
        if path.is_empty() {
            return Err(format!("name its serial port: {kind}:/dev/ttyACM0"));
        }
        Ok(Self {
            is_source,
            path: path.into(),
        })
    }
}

/// Why a meter does not record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The port.
    #[error("the meter: {0}")]
    Port(#[from] PortError),
    /// There is none.
    #[error("there is no serial port {} for the meter: plug it in, or name another one with --meter", path.display())]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// It does not say what it is.
    #[error("{} does not answer as a PPK2: {what}; check that it is the meter's port, and turn the meter off and on", path.display())]
    Stranger {
        /// The port.
        path: PathBuf,
        /// What it did.
        what: String,
    },
    /// A voltage that it cannot do.
    #[error(
        "a PPK2 works from 0.8 to 5.0 V, not with {volts} V: give the supply's voltage with --supply-voltage"
    )]
    Supply {
        /// What was asked for.
        volts: f64,
    },
    /// Not a single sample came.
    #[error("{} sends nothing that is a sample: turn the meter off and on", path.display())]
    Silent {
        /// The port.
        path: PathBuf,
    },
    /// It went away.
    #[error("the meter at {} was unplugged {seconds:.1} s after it began: what it recorded until then is kept in {}", path.display(), file.display())]
    Unplugged {
        /// The port.
        path: PathBuf,
        /// What it had told until then.
        seconds: f64,
        /// Where that is.
        file: PathBuf,
    },
    /// Something else talks.
    #[error("{garbage} bytes from the meter at {} were no samples: check its cable, and that no other program reads it; what was understood is kept in {}", path.display(), file.display())]
    Garbage {
        /// How many.
        garbage: u64,
        /// The port.
        path: PathBuf,
        /// Where the rest is.
        file: PathBuf,
    },
    /// The file.
    #[error("{}: {source}: make room, or choose another folder with --output", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

/// A meter that is set up and waits.
#[derive(Debug)]
pub struct Meter {
    port: Port,
    calibration: Calibration,
}

impl Meter {
    /// Opens the meter and sets it up for a supply of `volts`, its own or another's.
    ///
    /// # Errors
    /// [`LiveError`].
    pub fn open(place: &Place, volts: f64) -> Result<Self, LiveError> {
        if !ppk2::VOLTS.contains(&volts) {
            return Err(LiveError::Supply { volts });
        }
        let port = Port::open(&place.path, BAUD).map_err(|error| match error {
            PortError::Missing { path } => LiveError::Missing { path },
            other => other.into(),
        })?;
        // Whoever used it last may have left it talking.
        write(&port, &ppk2::STOP)?;
        drain(&port, &mut |_| ())?;
        let calibration = calibration(&port, volts).map_err(|error| match error {
            Refused::Port(error) => error.into(),
            Refused::What(what) => LiveError::Stranger {
                path: place.path.clone(),
                what,
            },
        })?;
        write(&port, &ppk2::supply(volts))?;
        write(&port, &ppk2::mode(place.is_source))?;
        write(&port, &ppk2::POWER_ON)?;
        Ok(Self { port, calibration })
    }

    /// Records into `file` until [`Recorder::finish`].
    ///
    /// # Errors
    /// [`LiveError`], when the file cannot be made or no sample comes.
    pub fn record(self, file: &Path) -> Result<Recorder, LiveError> {
        let io = |source| LiveError::Io {
            path: file.to_owned(),
            source,
        };
        let mut out = BufWriter::new(File::create(file).map_err(io)?);
        writeln!(out, "Timestamp(ms),Mean current(uA),D0-D7").map_err(io)?;
        let mut tape = Tape {
            decoder: Decoder::new(self.calibration),
            readings: Readings::default(),
            out,
            file: file.to_owned(),
        };
        write(&self.port, &ppk2::START)?;
        let begun = Instant::now();
        while tape.readings.samples == 0 {
            tape.turn(&self.port)?;
            if begun.elapsed() > PATIENCE {
                return Err(LiveError::Silent {
                    path: self.port.path().to_owned(),
                });
            }
        }
        let stop = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&stop);
        let port = self.port;
        let thread = std::thread::spawn(move || tape.record(&port, &theirs));
        Ok(Recorder { stop, thread })
    }
}

/// A recording under way.
#[derive(Debug)]
pub struct Recorder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), LiveError>>,
}

impl Recorder {
    /// Ends it. The board goes on being fed.
    ///
    /// # Errors
    /// What went wrong meanwhile; the file holds what was recorded until then.
    pub fn finish(self) -> Result<(), LiveError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

enum Refused {
    Port(PortError),
    What(String),
}

impl From<PortError> for Refused {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

/// Asks for the calibration, which the first time often comes to nothing.
fn calibration(port: &Port, volts: f64) -> Result<Calibration, Refused> {
    let mut refused = String::new();
    for _ in 0..TRIES {
        write(port, &ppk2::CALIBRATION)?;
        let (mut text, begun) = (Vec::new(), Instant::now());
        while !text.ends_with(ppk2::CALIBRATION_END)
            && begun.elapsed() < PATIENCE
            && text.len() < MOST_CALIBRATION
        {
            let mut bytes = [0; 512];
            port.wait(false, TURN)?;
            let count = port.read(&mut bytes)?;
            text.extend_from_slice(&bytes[..count]);
        }
        refused = match Calibration::parse(&String::from_utf8_lossy(&text), volts) {
            Ok(calibration) => return Ok(calibration),
            Err(_) if text.is_empty() => "it says nothing".to_owned(),
            Err(what) => what,
        };
    }
    Err(Refused::What(refused))
}

fn write(port: &Port, mut bytes: &[u8]) -> Result<(), PortError> {
    while !bytes.is_empty() {
        port.wait(true, TURN)?;
        bytes = &bytes[port.write(bytes)?..];
    }
    Ok(())
}

/// Reads until nothing comes any more.
fn drain(port: &Port, take: &mut dyn FnMut(&[u8])) -> Result<(), PortError> {
    let begun = Instant::now();
    let mut heard = begun;
    while heard.elapsed() < QUIET && begun.elapsed() < DRAIN {
        let mut bytes = [0; 1 << 14];
        port.wait(false, TURN)?;
        let count = port.read(&mut bytes)?;
        if count > 0 {
            heard = Instant::now();
            take(&bytes[..count]);
        }
    }
    Ok(())
}

/// Samples on their way into the file.
struct Tape {
    decoder: Decoder,
    readings: Readings,
    out: BufWriter<File>,
    file: PathBuf,
}

impl Tape {
    fn record(mut self, port: &Port, stop: &AtomicBool) -> Result<(), LiveError> {
        let mut recorded = Ok(());
        while recorded.is_ok() && !stop.load(Ordering::Relaxed) {
            recorded = self.turn(port);
        }
        if recorded.is_ok() {
            recorded = self.end(port);
        }
        if let Err(LiveError::Port(PortError::Gone { path })) = recorded {
            recorded = Err(LiveError::Unplugged {
                path,
                seconds: self.readings.next as f64 / ppk2::RATE as f64,
                file: self.file.clone(),
            });
        }
        let flushed = self.out.flush();
        recorded?;
        flushed.map_err(|source| self.io(source))?;
        if self.decoder.garbage > 0 {
            return Err(LiveError::Garbage {
                garbage: self.decoder.garbage,
                path: port.path().to_owned(),
                file: self.file,
            });
        }
        Ok(())
    }

    fn io(&self, source: io::Error) -> LiveError {
        LiveError::Io {
            path: self.file.clone(),
            source,
        }
    }

    fn turn(&mut self, port: &Port) -> Result<(), LiveError> {
        let mut bytes = [0; 1 << 14];
        port.wait(false, TURN)?;
        let count = port.read(&mut bytes)?;
        self.take(&bytes[..count])
    }

    /// Tells the meter to stop, and takes what was on its way.
    fn end(&mut self, port: &Port) -> Result<(), LiveError> {
        write(port, &ppk2::STOP)?;
        let mut taken = Ok(());
        drain(port, &mut |bytes| {
            if taken.is_ok() {
                taken = self.take(bytes);
            }
        })?;
        taken
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), LiveError> {
        let (readings, out) = (&mut self.readings, &mut self.out);
        let mut written = Ok(());
        self.decoder.push(bytes, &mut |decoded| {
            if written.is_ok() {
                written = readings.take(decoded, out);
            }
        });
        written.map_err(|source| self.io(source))
    }
}

/// Samples become readings.
#[derive(Debug, Default)]
struct Readings {
    /// The number of the next sample, lost ones counted.
    next: u64,
    /// Samples that came.
    samples: u64,
    /// The number of the first one of this reading, how many there are, and their sum in amperes.
    first: u64,
    count: u64,
    sum: f64,
    /// Inputs that were high, and that were low.
    high: u8,
    low: u8,
}

impl Readings {
    fn take(&mut self, decoded: Decoded, out: &mut impl io::Write) -> io::Result<()> {
        let Sample { amperes, inputs } = match decoded {
            Decoded::Sample(sample) => sample,
            Decoded::Lost(count) => {
                // What was begun is lost with them.
                self.count = 0;
                self.next += u64::from(count);
                return writeln!(out, "{:.3},,", milliseconds(self.next as f64));
            }
        };
        if self.count == 0 {
            (self.first, self.sum, self.high, self.low) = (self.next, 0.0, 0, 0);
        }
        self.samples += 1;
        self.next += 1;
        self.count += 1;
        self.sum += amperes;
        self.high |= inputs;
        self.low |= !inputs;
        if self.count < FOLD {
            return Ok(());
        }
        self.count = 0;
        let middle = milliseconds(self.first as f64 + FOLD as f64 / 2.0);
        let microamperes = self.sum / FOLD as f64 * 1e6;
        write!(out, "{middle:.3},{microamperes:.3},")?;
        for input in 0..8 {
            let was = |levels: u8| levels >> input & 1 != 0;
            out.write_all(match (was(self.high), was(self.low)) {
                (true, true) => b"X",
                (true, false) => b"1",
                (false, _) => b"0",
            })?;
        }
        writeln!(out)
    }
}

fn milliseconds(samples: f64) -> f64 {
    samples * 1e3 / ppk2::RATE as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_is_named_by_kind_and_port() {
        let place = |text: &str| text.parse::<Place>();
        let at = |is_source| Place {
            is_source,
            path: "/dev/ttyACM0".into(),
        };
        assert_eq!(place("ppk2:/dev/ttyACM0"), Ok(at(false)));
        assert_eq!(place("ppk2-source:/dev/ttyACM0"), Ok(at(true)));
        for (text, words) in [
            ("ppk2", "name its serial port: ppk2:/dev/ttyACM0"),
            ("joulescope", "record with its own program"),
            ("recording.csv", "is added after the run"),
        ] {
            let refused = place(text).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn ten_samples_are_a_reading_and_a_loss_leaves_an_empty_line() {
        let mut readings = Readings::default();
        let mut out = Vec::new();
        let mut take = |decoded| readings.take(decoded, &mut out).unwrap();
        let sample = |amperes, inputs| Decoded::Sample(Sample { amperes, inputs });
        // Input 0 rises in the middle, input 7 is high.
        (0..5).for_each(|_| take(sample(1e-3, 0x80)));
        (0..5).for_each(|_| take(sample(3e-3, 0x81)));
        (0..3).for_each(|_| take(sample(1e-3, 0)));
        take(Decoded::Lost(7));
        (0..10).for_each(|_| take(sample(1e-3, 0)));
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "0.050,2000.000,X0000001\n0.200,,\n0.250,1000.000,00000000\n"
        );
    }
}
