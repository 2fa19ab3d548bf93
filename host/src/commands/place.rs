//! Where the board is: a virtual one, or at a serial port.

use crate::cli::{Place, Places};
use crate::failure::Wrong;
use anyhow::Result;
use scalebench::port::Port;
use scalebench::virtual_board::{Setup, VirtualBoard};
use scalebench_boards::{Board, BoardError, Kind};
use scalebench_runner::serial::SPEEDS;
use std::path::PathBuf;

/// A port, open, and what is behind it.
pub(crate) struct Reached {
    pub(crate) port: Port,
    pub(crate) path: PathBuf,
    pub(crate) baud: u32,
    pub(crate) virtual_board: Option<VirtualBoard>,
}

/// The place of every board that a person means.
pub(crate) fn each(places: &Places) -> Result<Vec<Place>> {
    let mut boards: Vec<Option<String>> = places.board.iter().cloned().map(Some).collect();
    if boards.is_empty() {
        // Ports alone: boards of which no more is known.
        boards.resize(places.port.len().max(1), None);
    }
    let names: Vec<&str> = boards
        .iter()
        .map(|board| board.as_deref().unwrap_or_default())
        .collect();
    let ports = dealt("--port", &places.port, &names, &|_| true)?;
    let place = |(board, port)| Place {
        board,
        port,
        baud: places.baud,
        store: places.store.clone(),
        runner: places.runner.clone(),
    };
    Ok(boards.iter().cloned().zip(ports).map(place).collect())
}

/// Deals an option's values out to boards: `BOARD=PATH` to the first of that name which has none, the others in
/// their order to those of the rest that `wants` names by their index.
pub(crate) fn dealt(
    option: &str,
    values: &[PathBuf],
    boards: &[&str],
    wants: &dyn Fn(usize) -> bool,
) -> Result<Vec<Option<PathBuf>>> {
    let mut dealt = vec![None; boards.len()];
    let mut plain = Vec::new();
    for value in values {
        let named = value
            .to_str()
            .and_then(|text| text.split_once('='))
            .filter(|(name, _)| boards.contains(name));
        let Some((name, path)) = named else {
            plain.push(value.clone());
            continue;
        };
        let free = (0..boards.len()).find(|&at| boards[at] == name && dealt[at].is_none());
        let Some(at) = free else {
            return Err(Wrong(format!(
                "{option} {name}=… is there more often than board `{name}`: name each board's once"
            ))
            .into());
        };
        dealt[at] = Some(PathBuf::from(path));
    }
    if plain.is_empty() {
        return Ok(dealt);
    }
    let left: Vec<usize> = (0..boards.len())
        .filter(|&at| dealt[at].is_none() && wants(at))
        .collect();
    if left.len() != plain.len() {
        return Err(Wrong(format!(
            "{option} is given {} for {}: give it once for each board in their order, or as {option} BOARD=PATH",
            scalebench::text::counted(plain.len(), "time"),
            scalebench::text::counted(left.len(), "board"),
        ))
        .into());
    }
    for (at, value) in left.into_iter().zip(plain) {
        dealt[at] = Some(value);
    }
    Ok(dealt)
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
            let known = SPEEDS.map(|(speed, _)| speed);
            if !known.contains(&baud) {
                return Err(Wrong(format!(
                    "no Linux terminal has {baud} baud: choose one of {}",
                    known.map(|speed| speed.to_string()).join(", ")
                ))
                .into());
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(boards: &[&str], values: &[&str]) -> Result<Vec<Option<PathBuf>>> {
        let values: Vec<PathBuf> = values.iter().map(PathBuf::from).collect();
        dealt("--port", &values, boards, &|_| true)
    }

    #[test]
    fn ports_are_dealt_by_name_and_by_order() {
        let path = |path: &str| Some(PathBuf::from(path));
        assert_eq!(
            ports(&["pi", "bone"], &["/dev/a", "/dev/b"]).unwrap(),
            [path("/dev/a"), path("/dev/b")]
        );
        assert_eq!(
            ports(&["local", "pi", "bone"], &["bone=/dev/b", "pi=/dev/a"]).unwrap(),
            [None, path("/dev/a"), path("/dev/b")]
        );
        assert_eq!(
            ports(&["pi", "pi"], &["pi=/dev/a", "pi=/dev/b=c"]).unwrap(),
            [path("/dev/a"), path("/dev/b=c")]
        );
        // Not a board's name: part of a path.
        assert_eq!(ports(&["pi"], &["/dev/x=y"]).unwrap(), [path("/dev/x=y")]);
    }

    #[test]
    fn ports_that_do_not_add_up_are_refused() {
        let error = ports(&["pi", "bone"], &["/dev/a"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "--port is given 1 time for 2 boards: give it once for each board in their order, or as --port BOARD=PATH"
        );
        let error = ports(&["pi", "bone"], &["pi=/a", "pi=/b"]).unwrap_err();
        assert!(error.to_string().contains("more often than board `pi`"));
    }
}
