//! Run folders: `run.json`, `capture.bin`, `report.html`, `log.txt`.
//!
//! `run.json` is written whole, beside its place, and moved there: at any moment there is a complete
//! one. The capture is appended to. So a host that is killed leaves a folder that can be replayed and
//! resumed.

use crate::aggregate::{Aggregate, WindowReadings};
use crate::capture::{self, Capture, CaptureError, Entry};
use crate::fleet::{self, FleetFolder};
use crate::meter;
use crate::mlperf::record::MlperfTiny;
use crate::plan::{Plan, PlanError};
use crate::receiver::Receiver;
use crate::results::RunResults;
use scalebench_wire::link::LinkStats;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The version of `run.json`. Raised when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// Why a run folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The system says no.
    #[error("{}: {source}: check the path, its permissions and the room on the disk", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// There is a run already.
    #[error("{} holds a run already: name another folder with --output, or go on with it by --resume", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// There is no run.
    #[error("{} holds no run (there is no capture.bin in it): name the folder of a run", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// There are several.
    #[error("{} holds a run of {}: name one of them: {}", path.display(), crate::text::counted(*boards, "board"), members.join(", "))]
    Several {
        /// The folder.
        path: PathBuf,
        /// How many boards it has.
        boards: usize,
        /// Their folders.
        members: Vec<String>,
    },
    /// A `boards.json` that cannot be read.
    #[error("{}: {problem}: name the folder of one of the run's boards", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The capture.
    #[error("{}: {source}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CaptureError,
    },
    /// The plan in it.
    #[error("{}: {source}", path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PlanError,
    },
    /// A capture that tells too little.
    #[error(
        "{}: this run was measured over MLPerf Tiny's protocol, whose capture lacks the labels: its results stand in run.json and are not worked out again", path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// A capture that tells nothing.
    #[error(
        "{}: these figures were published, not measured: there is no capture to work them out from again", path.display()
    )]
    Published {
        /// The folder.
        path: PathBuf,
    },
    /// A `run.json` that cannot be read.
    #[error("{}: {problem}: delete it and run `scalebench replay` on the folder", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of scalebench that wrote it.
    pub scalebench: String,
    /// When the run began, UTC.
    pub started: String,
    /// Whether all trials have come to an end.
    pub complete: bool,
    /// The machine the host ran on.
    pub host: Machine,
    /// How the board was reached.
    pub connection: Connection,
    /// What was to be measured.
    pub plan: Plan,
    /// What was found.
    pub results: RunResults,
    /// What only a run over MLPerf Tiny's protocol has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mlperf_tiny: Option<MlperfTiny>,
    /// Whose figures these are, where they were published and not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<crate::published::Source>,
    /// SHA-256 of `capture.bin`; only of a finished run.
    pub capture_sha256: Option<String>,
}

impl RunFile {
    /// What the board was: `real`, `virtual`, `emulated`, or that somebody else's `published` figures are
    /// told.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.results.board {
            _ if self.published.is_some() => "published",
            Some(board) if board.emulated => "emulated",
            _ if self.connection.is_virtual => "virtual",
            _ => "real",
        }
    }
}

/// The machine the host ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and version.
    pub system: String,
    /// Architecture.
    pub architecture: String,
    /// CPU model.
    pub cpu: String,
    /// Logical cores.
    pub cores: usize,
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn here() -> Self {
        let uname = rustix::system::uname();
        let text = |text: &std::ffi::CStr| crate::text::escaped(&text.to_string_lossy());
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown", |(_, model)| model);
        Self {
            system: format!("{} {}", text(uname.sysname()), text(uname.release())),
            architecture: text(uname.machine()),
            cpu: crate::text::escaped(cpu),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// How the board was reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The serial port; of the virtual board nothing that outlives it.
    pub port: String,
    /// Bits per second.
    pub baud: u32,
    /// Whether the board is this machine's own virtual one.
    pub is_virtual: bool,
    /// The host's end of the link, all sessions together.
    pub link: LinkStats,
    /// Bytes received.
    pub bytes_received: u64,
    /// Smoothed round trip in milliseconds, where measured.
    pub round_trip_ms: Option<f64>,
}

/// A folder that holds a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    dir: PathBuf,
}

/// A run as told by its capture.
#[derive(Debug)]
pub struct Replayed {
    /// Everything learnt.
    pub aggregate: Aggregate,
    /// The receiver in the state at the end.
    pub receiver: Receiver,
    /// Bytes of the capture that are sound.
    pub sound: usize,
    /// Whether a torn tail was dropped.
    pub torn: bool,
    /// All log bytes, in order.
    pub log: Vec<u8>,
    /// What `run.json` has of an external meter, of which a capture knows nothing.
    metered: Option<RunResults>,
}

impl Replayed {
    /// The results.
    #[must_use]
    pub fn results(&self) -> RunResults {
        let mut results = self.aggregate.results(self.receiver.totals());
        if let Some(metered) = &self.metered {
            meter::carry(metered, &mut results);
        }
        results
    }
}

impl RunFolder {
    /// Makes a new one.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when there is a run in it already.
    pub fn create(dir: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|source| StoreError::Io {
            path: dir.to_owned(),
            source,
        })?;
        let folder = Self {
            dir: dir.to_owned(),
        };
        if folder.capture().exists() || folder.run_json().exists() || fleet::is_fleet(dir) {
            return Err(StoreError::Taken {
                path: dir.to_owned(),
            });
        }
        Ok(folder)
    }

    /// Opens an existing one.
    ///
    /// # Errors
    /// [`StoreError::NoRun`], or [`StoreError::Several`] when each of several boards has its own.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let folder = Self {
            dir: dir.to_owned(),
        };
        if folder.capture().is_file() {
            return Ok(folder);
        }
        let Some(fleet) = FleetFolder::at(dir) else {
            return Err(StoreError::NoRun {
                path: dir.to_owned(),
            });
        };
        let members = fleet.load()?.boards;
        Err(StoreError::Several {
            path: dir.to_owned(),
            boards: members.len(),
            members: members
                .iter()
                .map(|member| fleet.member(&member.name).display().to_string())
                .collect(),
        })
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `run.json`
    #[must_use]
    pub fn run_json(&self) -> PathBuf {
        self.dir.join("run.json")
    }

    /// `capture.bin`
    #[must_use]
    pub fn capture(&self) -> PathBuf {
        self.dir.join("capture.bin")
    }

    /// `report.html`
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.dir.join("report.html")
    }

    /// Writes a file of the folder whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        write_whole(path, bytes)
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn save(&self, run: &RunFile) -> Result<(), StoreError> {
        self.write(&self.run_json(), &json(run))
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn load(&self) -> Result<RunFile, StoreError> {
        let path = self.run_json();
        let bytes = fs::read(&path).map_err(|source| StoreError::Io {
            path: path.clone(),
            source,
        })?;
        let run: RunFile = serde_json::from_slice(&bytes).map_err(|error| StoreError::Json {
            path: path.clone(),
            problem: crate::text::escaped(&error.to_string()),
        })?;
        if run.schema == SCHEMA {
            Ok(run)
        } else {
            Err(StoreError::Json {
                path,
                problem: format!("schema {}, this scalebench knows {SCHEMA}", run.schema),
            })
        }
    }

    /// SHA-256 of the capture, in hexadecimal.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn capture_sha256(&self) -> Result<String, StoreError> {
        let path = self.capture();
        let bytes = capture::load(&path).map_err(|source| StoreError::Io { path, source })?;
        Ok(Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }

    /// Every reading of every window, from the capture.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn readings(&self) -> Result<Vec<WindowReadings>, StoreError> {
        let replayed = self.told(Aggregate::keeping_readings)?;
        Ok(replayed.aggregate.into_readings())
    }

    /// Tells the run again from its capture alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn replay(&self) -> Result<Replayed, StoreError> {
        let file = self.load().ok();
        let path = || self.dir.clone();
        if file.as_ref().is_some_and(|file| file.published.is_some()) {
            return Err(StoreError::Published { path: path() });
        }
        if file.as_ref().is_some_and(|file| file.mlperf_tiny.is_some()) {
            return Err(StoreError::Foreign { path: path() });
        }
        let mut replayed = self.told(Aggregate::new)?;
        replayed.metered = file.map(|file| file.results);
        Ok(replayed)
    }

    fn told(&self, aggregate: fn(Plan) -> Aggregate) -> Result<Replayed, StoreError> {
        let path = self.capture();
        let bytes = capture::load(&path).map_err(|source| StoreError::Io {
            path: path.clone(),
            source,
        })?;
        let capture = capture::parse(&bytes).map_err(|source| StoreError::Capture {
            path: path.clone(),
            source,
        })?;
        let torn = capture.sound < bytes.len();
        replay(&capture, torn, aggregate).map_err(|source| StoreError::Plan { path, source })
    }
}

/// Tells a run again.
///
/// # Errors
/// [`PlanError`] when the capture does not begin with a plan this host can read.
fn replay(
    capture: &Capture<'_>,
    torn: bool,
    aggregate: fn(Plan) -> Aggregate,
) -> Result<Replayed, PlanError> {
    let plan = match capture.records.first().map(|record| record.entry) {
        Some(Entry::Plan(json)) => Plan::from_json(json)?,
        _ => {
            return Err(PlanError::Json(
                "the capture does not begin with it".to_owned(),
            ));
        }
    };
    let mut aggregate = aggregate(plan);
    let mut receiver = Receiver::new();
    let mut log = Vec::new();
    for record in &capture.records {
        match record.entry {
            Entry::Plan(_) => {}
            Entry::Seek(session) => receiver.seek(session),
            Entry::Bytes(bytes) => receiver.feed(bytes, record.time_us, &mut |delivery| {
                if let crate::receiver::Delivery::Message(scalebench_wire::frame::Kind::Log, body) =
                    delivery
                {
                    log.extend_from_slice(body);
                }
                aggregate.deliver(&delivery);
            }),
        }
    }
    Ok(Replayed {
        aggregate,
        receiver,
        sound: capture.sound,
        torn,
        log,
        metered: None,
    })
}

/// Writes a file whole, beside its place, and moves it there.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".scalebench-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|source| StoreError::Io {
        path: path.to_owned(),
        source,
    })
}

/// JSON as it stands in files: indented, ending in a newline.
pub fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// Now, UTC, to the second.
#[must_use]
pub fn now_utc() -> String {
    let now = jiff::Timestamp::now();
    jiff::fmt::temporal::DateTimePrinter::new()
        .precision(Some(0))
        .timestamp_to_string(&now)
}
