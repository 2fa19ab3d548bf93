//! Where the board is: a virtual one, or at a serial port.

use crate::cli::Place;
use anyhow::Result;
use scalebench::port::Port;
use scalebench::virtual_board::{Setup, VirtualBoard};
use scalebench_boards::Board;
use std::path::PathBuf;

/// A port, open, and what is behind it.
pub(crate) struct Reached {
    pub(crate) port: Port,
    pub(crate) path: PathBuf,
    pub(crate) baud: u32,
    pub(crate) virtual_board: Option<VirtualBoard>,
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
    let board = match (&place.board, &place.port) {
        (None, Some(_)) => Board::unknown(),
        _ => scalebench_boards::load(board_name(place))?,
    };
    let baud = place.baud.unwrap_or(board.serial.baud);
    let device = place
        .port
        .clone()
        .or_else(|| board.serial.host.clone().map(PathBuf::from));
    let (path, virtual_board) = match device {
        Some(path) => (path, None),
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
