//! `scalebench mlperf-tiny`

use super::run::default_dir;
use super::{out, show};
use crate::cli::{MlperfMode, MlperfTinyArgs};
use crate::failure::Wrong;
use anyhow::{Context, Result};
use scalebench::capture::Writer;
use scalebench::mlperf::board::{Board, Meeting};
use scalebench::mlperf::dataset::Dataset;
use scalebench::mlperf::line::{Line, Records};
use scalebench::mlperf::measure::{self, MeasureError};
use scalebench::mlperf::record::{self, Measured, ModelFile};
use scalebench::plan::File;
use scalebench::port::Port;
use scalebench::progress::{Progress, Watch};
use scalebench::results::Status;
use scalebench::store::{
    Connection, Machine, RunFile, RunFolder, SCHEMA, StoreError, json, now_utc,
};
use scalebench::virtual_board::{Setup, VirtualBoard};
use scalebench::{report, table};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) fn mlperf_tiny(args: &MlperfTinyArgs) -> Result<ExitCode> {
    let started = now_utc();
    let data = &args.data;
    let model = model_file(args.model.as_deref())?;
    let (path, virtual_board) = reach(args)?;
    let port = path.display().to_string();
    let ui = show::Ui::new(&args.showing);
    let watch = ui.watch();
    let line = Line::new(Port::open(&path, 115_200)?);
    let meeting = Meeting {
        baud: args.baud,
        energy: args.mode == Some(MlperfMode::Energy),
        verify: args.verify,
        watch: watch.clone(),
    };
    let mut board = Board::meet(line, &port, meeting)?;
    watch.tell(Progress::Connected {
        machine: board.name.clone(),
    });
    let dataset = Dataset::open(data, board.task)?;
    let window = Duration::from_nanos(args.window as u64);
    let place = match (&virtual_board, &args.board) {
        (_, Some(name)) => name,
        (Some(_), None) => "local",
        (None, None) => "serial",
    };
    let mut file = RunFile {
        schema: SCHEMA,
        scalebench: env!("CARGO_PKG_VERSION").to_owned(),
        complete: false,
        host: Machine::here(),
        connection: Connection {
            port: match &virtual_board {
                Some(_) => "virtual".to_owned(),
                None => scalebench::text::escaped(&port),
            },
            baud: board.baud,
            is_virtual: virtual_board.is_some(),
            ..Connection::default()
        },
        plan: record::plan(place, board.task, args.precision, &model, &dataset, window),
        results: record::results(&board, &Measured::default(), Status::Pending),
        mlperf_tiny: None,
        published: None,
        capture_sha256: None,
        started,
    };
    let dir = args
        .output
        .clone()
        .unwrap_or_else(|| default_dir(&file.started, &format!("mlperf-tiny-{}", board.task)));
    let folder = RunFolder::create(&dir)?;
    board.line.keep(records(&folder, &file)?);
    watch.tell(Progress::Trial {
        done: 0,
        total: 1,
        label: format!("{} on {}", board.task, board.name),
    });
    let mut measured = Measured::default();
    let outcome = measure(args, &mut board, &dataset, window, &watch, &mut measured);
    let status = match &outcome {
        Ok(()) => Status::Done,
        Err(error) => Status::Failed(scalebench::text::escaped(&error.to_string())),
    };
    file.results = record::results(&board, &measured, status);
    file.mlperf_tiny = Some(record::summary(&board, &measured, window));
    file.connection.bytes_received = board.line.received;
    file.complete = outcome.is_ok();
    drop((board, watch));
    ui.finish();
    finish(&folder, &mut file, &measured)?;
    outcome?;
    if args.json {
        out::bytes(&json(&file.results))?;
    } else {
        out::line(table::trials(&file, &BTreeMap::new()))?;
        let mut lines = table::remarks(&file, &BTreeMap::new());
        lines.extend(table::caveat(&file).map(str::to_owned));
        lines.push(format!("report: {}", folder.report().display()));
        out::line(lines.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the mode asks for: windows, the accuracy pass, or both.
fn measure(
    args: &MlperfTinyArgs,
    board: &mut Board,
    dataset: &Dataset,
    window: Duration,
    watch: &Watch,
    measured: &mut Measured,
) -> Result<(), MeasureError> {
    if args.mode != Some(MlperfMode::Accuracy) {
        measured.windows = measure::windows(board, dataset, window, watch)?;
    }
    if matches!(args.mode, None | Some(MlperfMode::Accuracy)) {
        measured.outcomes = measure::accuracy(board, dataset, watch)?;
    }
    Ok(())
}

/// The port that is named, or that of a virtual board which serves the model.
fn reach(args: &MlperfTinyArgs) -> Result<(PathBuf, Option<VirtualBoard>)> {
    if let Some(port) = &args.port {
        return Ok((port.clone(), None));
    }
    let (Some(model), Some(task)) = (&args.model, args.model_id) else {
        return Err(Wrong(
            "where is the board? name its serial port with --port, or a model for this machine's own virtual board with --model and --model-id"
                .to_owned(),
        )
        .into());
    };
    let mut setup = Setup::local(args.baud.unwrap_or(115_200))?;
    setup.arguments.extend(
        [
            "--protocol",
            "mlperf-tiny",
            "--model-id",
            task.word(),
            "--model",
        ]
        .map(Into::into),
    );
    setup.arguments.push(model.into());
    let board = VirtualBoard::start(setup)?;
    Ok((board.port().to_owned(), Some(board)))
}

fn model_file(path: Option<&Path>) -> Result<ModelFile> {
    let Some(path) = path else {
        return Ok(ModelFile {
            name: "firmware".to_owned(),
            ..ModelFile::default()
        });
    };
    let bytes = fs::read(path)
        .map_err(|error| Wrong(format!("{}: {error}: name another file", path.display())))?;
    let report = scalebench_engine::inspect(&bytes, &scalebench_engine::Limits::default())
        .with_context(|| format!("{}: name another file", path.display()))?;
    let digest = Sha256::digest(&bytes);
    Ok(ModelFile {
        name: path.file_stem().map_or_else(String::new, |stem| {
            scalebench::text::escaped(&stem.to_string_lossy())
        }),
        file: Some(File {
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            bytes: bytes.len() as u64,
        }),
        parameters: report.parameters,
        macs: report.macs,
    })
}

fn records(folder: &RunFolder, file: &RunFile) -> Result<Records> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| StoreError::Io { path, source }
    };
    let (capture, log) = (folder.capture(), folder.dir().join("log.txt"));
    let plan = serde_json::to_vec(&file.plan)?;
    Ok(Records {
        capture: Writer::create(&capture, &plan).map_err(io(&capture))?,
        log: BufWriter::new(fs::File::create(&log).map_err(io(&log))?),
    })
}

/// Everything that the run leaves; the result files where the benchmark's submissions have them.
fn finish(folder: &RunFolder, file: &mut RunFile, measured: &Measured) -> Result<()> {
    if file.complete {
        file.capture_sha256 = Some(folder.capture_sha256()?);
    }
    folder.save(file)?;
    folder.write(&folder.report(), report::page(file).as_bytes())?;
    let time = record::stamp();
    let task = file.mlperf_tiny.as_ref().map(|run| run.task);
    let has_laps = measured.windows.iter().all(|window| window.laps.is_some());
    if !measured.windows.is_empty() && has_laps {
        let text = record::performance_text(measured, &time);
        result(folder, "performance", &text)?;
    }
    if let (Some(task), false) = (task, measured.outcomes.is_empty()) {
        let text = record::accuracy_text(task, &measured.outcomes, &time);
        result(folder, "accuracy", &text)?;
    }
    Ok(())
}

/// Writes a result file where the benchmark has it.
pub(super) fn result(folder: &RunFolder, mode: &str, text: &str) -> Result<()> {
    let dir = folder.dir().join(mode);
    fs::create_dir_all(&dir).map_err(|source| StoreError::Io {
        path: dir.clone(),
        source,
    })?;
    Ok(folder.write(&dir.join("results.txt"), text.as_bytes())?)
}
