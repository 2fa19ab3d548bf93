//! Where the board is: a virtual one, or at a serial port.

use crate::cli::Place;
use anyhow::Result;
use scalebench::catalogue::Catalogue;
use scalebench::port::Port;
use scalebench::store::{RunFolder, StoreError};
use scalebench::virtual_board::{Setup, VirtualBoard};
use scalebench_boards::{Board, BoardError, Kind};
use std::path::{Path, PathBuf};

/// A port, open, and what is behind it.
pub(crate) struct Reached {
    pub(crate) port: Port,
    pub(crate) path: PathBuf,
    pub(crate) baud: u32,
    pub(crate) virtual_board: Option<VirtualBoard>,
}

/// The board file a person means; nothing is known of a bare serial port.
pub(crate) fn board(place: &Place) -> Result<Board> {
    Ok(match (&place.board, &place.port) {
        (None, Some(_)) => Board::unknown(),
        _ => scalebench_boards::load(board_name(place))?,
    })
}

/// Where that file is.
fn board_path(place: &Place) -> PathBuf {
    let name = board_name(place);
    if name.ends_with(".toml") {
        name.into()
    } else {
        scalebench_boards::root().join(format!("{name}.toml"))
    }
}

/// The name of the board a person means.
pub(crate) fn board_name(place: &Place) -> &str {
    match (&place.board, &place.port) {
        (Some(name), _) => name,
        (None, Some(_)) => "serial",
        (None, None) => "local",
    }
}

/// Finds the board, or starts it.
pub(crate) fn reach(place: &Place) -> Result<Reached> {
    let board = board(place)?;
    let baud = place.baud.unwrap_or(board.serial.baud);
    let device = place
        .port
        .clone()
        .or_else(|| board.serial.host.clone().map(PathBuf::from));
    let (path, virtual_board) = match device {
        Some(path) => (path, None),
        // Never the local board's figures under another board's name.
        None if board.kind != Kind::Virtual => {
            return Err(BoardError::NoPort { board: board.name }.into());
        }
        None => {
            let mut setup = Setup::local(baud)?;
            if let Some(store) = &place.store {
                setup.store.clone_from(store);
            }
            if let Some(command) = &place.runner {
                let mut words = command.split_whitespace();
                setup.program = words.next().unwrap_or_default().into();
                setup.arguments = words.map(Into::into).collect();
            }
            if !board.rails.is_empty() {
                setup.board = Some(board_path(place));
            }
            let started = VirtualBoard::start(setup)?;
            (started.port().to_owned(), Some(started))
        }
    };
    Ok(Reached {
        port: Port::open(&path, baud)?,
        path,
        baud,
        virtual_board,
    })
}

/// The run that a folder, a tag or an id names.
pub(crate) fn named(name: &str, runs: &Path) -> Result<RunFolder> {
    let dir = Path::new(name);
    if dir.is_dir() {
        return Ok(RunFolder::open(dir)?);
    }
    let catalogue = Catalogue::open(runs)?;
    Ok(RunFolder::open(&catalogue.find(name)?.dir)?)
}

/// The run of that name or, without one, the newest that is kept.
pub(crate) fn named_or_newest(name: Option<&str>, runs: &Path) -> Result<RunFolder> {
    if let Some(name) = name {
        return named(name, runs);
    }
    let entries = Catalogue::open(runs)?.list()?;
    let newest = entries.first().ok_or_else(|| StoreError::NoRun {
        path: runs.to_owned(),
    })?;
    Ok(RunFolder::open(&newest.dir)?)
}
