//! `scalebench build`, `scalebench image` and `scalebench deploy`: the runner's ways onto a board.

use super::{out, stock};
use crate::cli::{BuildArgs, DeployArgs, ImageArgs};
use crate::failure::Wrong;
use anyhow::{Context, Result};
use scalebench::cross::{self, Runner};
use scalebench::image::{self, Contents, Firmware, INITRAMFS};
use scalebench::provision::Sources;
use scalebench::ssh::{Deployment, Host};
use scalebench::units;
use scalebench_boards::{Board, Kind};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

pub(crate) fn build(args: &BuildArgs) -> Result<ExitCode> {
    let board = scalebench_boards::load(&args.board)?;
    let runner = cross::build(&board)?;
    let size = fs::metadata(&runner.stripped)?.len();
    out::line(format!(
        "{} ({}, for any {} board)\n{} (the same with its log strings, for --elf)",
        runner.stripped.display(),
        units::bytes(size),
        board.target.as_deref().unwrap_or("such"),
        runner.elf.display(),
    ))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn image(args: &ImageArgs) -> Result<ExitCode> {
    let board = scalebench_boards::load(&args.board)?;
    if !image::is_possible(&board) {
        return Err(scalebench_boards::BoardError::NoImage { board: board.name }.into());
    }
    if args.energy && board.trigger.is_none() {
        return Err(Wrong(format!(
            "the board file of {} names no trigger pin: leave --energy out, or add [trigger] to it",
            board.name
        ))
        .into());
    }
    let model = args.mlperf_tiny.as_deref().map(read).transpose()?;
    let firmware = model
        .as_deref()
        .zip(args.model_id)
        .map(|(model, task)| Firmware {
            model,
            model_id: task.word(),
            energy: args.energy,
        });
    let artefacts = match firmware {
        Some(_) => BTreeMap::new(),
        None => stock::sources(&args.choice, args.models.as_deref())?
            .into_iter()
            .map(|(sha256, source)| Ok((sha256, source.read()?)))
            .collect::<Result<_>>()?,
    };
    let modules = args.module.iter().map(|path| module(path));
    let modules: Vec<_> = modules.collect::<Result<_>>()?;
    let runner = runner(args.runner.as_deref(), &board)?;
    let bytes = image::initramfs(&Contents {
        board: &board,
        board_file: scalebench_boards::text(&args.board)?.as_bytes(),
        runner: &read(&runner.stripped)?,
        artefacts: &artefacts,
        modules: &modules,
        firmware,
    });
    fs::create_dir_all(&args.output)
        .with_context(|| format!("{}: choose another folder with -o", args.output.display()))?;
    write(&args.output.join(INITRAMFS), &bytes)?;
    fs::copy(&runner.elf, args.output.join("scalebench-runner.elf"))?;
    let mut names = vec![INITRAMFS.to_owned()];
    for (name, text) in image::boot_files(&board) {
        write(&args.output.join(&name), text.as_bytes())?;
        names.push(name);
    }
    let content = match args.model_id {
        Some(task) => format!("MLPerf Tiny firmware for {}", task.word()),
        None => scalebench::text::counted(artefacts.len(), "artefact"),
    };
    out::line(format!(
        "{}: {} ({} with {content}); log strings in scalebench-runner.elf",
        args.output.display(),
        names.join(", "),
        units::bytes(bytes.len() as u64),
    ))?;
    out::line(next_step(&board, &args.output, firmware.is_some()))?;
    remark(&board)?;
    Ok(ExitCode::SUCCESS)
}

/// What a person should know before wiring the board.
fn remark(board: &Board) -> Result<()> {
    match &board.notes {
        notes if notes.is_empty() => Ok(()),
        notes => out::line(format!("note on {}: {notes}", board.title)),
    }
}

pub(crate) fn deploy(args: &DeployArgs) -> Result<ExitCode> {
    let board = scalebench_boards::load(&args.board)?;
    let host = Host::new(&args.ssh)?;
    if board.target.is_some() {
        // Before the minutes that a build may take.
        host.reach()?;
    }
    let sources = match args.choice.is_open() {
        true => Sources::new(),
        false => stock::sources(&args.choice, args.models.as_deref())?,
    };
    let runner = runner(args.runner.as_deref(), &board)?;
    let deployment = Deployment::copy(
        &host,
        &read(&runner.stripped)?,
        scalebench_boards::text(&args.board)?.as_bytes(),
        &sources,
    )?;
    let mut running = deployment.start(args.channel)?;
    let (where_to, port) = match (running.port(), &board.serial.board) {
        (Some(port), _) => ("over ssh".to_owned(), port.display().to_string()),
        (None, Some(device)) => (format!("on {device}"), "/dev/ttyUSB0".to_owned()),
        (None, None) => ("on its serial device".to_owned(), "/dev/ttyUSB0".to_owned()),
    };
    out::line(format!(
        "the runner serves {where_to} on {} until this ends; in another terminal:\n    scalebench run --board {} --port {port} --elf {}",
        args.ssh,
        board.name,
        runner.elf.display(),
    ))?;
    remark(&board)?;
    Ok(ExitCode::from(if running.wait()? { 0 } else { 3 }))
}

/// A kernel module's name and content.
fn module(path: &Path) -> Result<(String, Vec<u8>)> {
    let bytes = read(path)?;
    if !bytes.starts_with(b"\x7fELF") {
        return Err(Wrong(format!(
            "{} is no kernel module as a kernel takes it: give a .ko file, unpacked (unxz, unzstd) where it is packed",
            path.display()
        ))
        .into());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok((name.into_owned(), bytes))
}

/// A runner that is there, or one that is built now.
fn runner(given: Option<&Path>, board: &Board) -> Result<Runner> {
    match given {
        Some(elf) => {
            let triple = board.target.as_deref().unwrap_or_default();
            Ok(cross::strip(elf, triple)?)
        }
        None => Ok(cross::build(board)?),
    }
}

fn next_step(board: &Board, folder: &Path, is_firmware: bool) -> String {
    let command = if is_firmware {
        "scalebench mlperf-tiny --data DIR".to_owned()
    } else {
        format!("scalebench run --board {}", board.name)
    };
    match board.kind {
        Kind::Emulated => format!(
            "start it with `sh {}/qemu.sh KERNEL`, then `{command} --port` the terminal it names",
            folder.display()
        ),
        _ => format!(
            "copy them to the boot partition beside the board's own kernel, plug the cable in, then `{command} --port /dev/ttyUSB0`"
        ),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path)
        .with_context(|| format!("{}: check the path and its permissions", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| {
        format!(
            "{}: make room, or choose another folder with -o",
            path.display()
        )
    })
}
