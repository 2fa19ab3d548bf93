//! The folder of board files.

use crate::board::Board;
use crate::parse::{ParseError, parse_board};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a board cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// The file system said no.
    #[error("{}: {source}: check the path and its permissions", path.display())]
    Io {
        /// What was opened.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// There is no such board.
    #[error("there is no board `{name}`: did you mean `{nearest}`? Known are {known}; a new one is a new file in {}", root.display())]
    Unknown {
        /// The name asked for.
        name: String,
        /// The one most like it.
        nearest: String,
        /// The names there are.
        known: String,
        /// The folder of boards.
        root: PathBuf,
    },
    /// It is somewhere, but where is not said.
    #[error(
        "board `{board}` is reached through a serial port: name it with --port (`scalebench boards` lists those found)"
    )]
    NoPort {
        /// The board.
        board: String,
    },
    /// It boots from nothing that could be made here.
    #[error(
        "board `{board}` boots from no image: start it with `scalebench run --board {board}`, or choose another of `scalebench boards`"
    )]
    NoImage {
        /// The board.
        board: String,
    },
    /// Its file is refused.
    #[error("{}: {source}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: ParseError,
    },
    /// The name inside is another one.
    #[error("{}: field `name`: the board is called `{name}` but its file is not: rename one", path.display())]
    Name {
        /// The file.
        path: PathBuf,
        /// The name inside.
        name: String,
    },
}

/// The folder of boards: `$SCALEBENCH_BOARDS`, else the one this crate was built in.
#[must_use]
pub fn root() -> PathBuf {
    match std::env::var_os("SCALEBENCH_BOARDS") {
        Some(path) if !path.is_empty() => path.into(),
        _ => env!("CARGO_MANIFEST_DIR").into(),
    }
}

/// Every board there is, by name.
///
/// # Errors
/// The first file that is refused.
pub fn load_all(root: &Path) -> Result<Vec<Board>, BoardError> {
    let mut boards = Vec::new();
    for name in names(root)? {
        boards.push(load_file(&root.join(format!("{name}.toml")))?);
    }
    Ok(boards)
}

/// One board: a name, or the path of a file that ends in `.toml`.
///
/// # Errors
/// [`BoardError`].
pub fn load(name: &str) -> Result<Board, BoardError> {
    load_file(&path(name)?)
}

/// The file of a board, named as for [`load`], as it was written.
///
/// # Errors
/// [`BoardError`].
pub fn text(name: &str) -> Result<String, BoardError> {
    read(&path(name)?)
}

fn path(name: &str) -> Result<PathBuf, BoardError> {
    if name.ends_with(".toml") {
        return Ok(name.into());
    }
    let root = root();
    let known = names(&root)?;
    if known.iter().any(|known| known == name) {
        return Ok(root.join(format!("{name}.toml")));
    }
    let nearest = known
        .iter()
        .max_by(|a, b| strsim::jaro(name, a).total_cmp(&strsim::jaro(name, b)));
    Err(BoardError::Unknown {
        name: name.escape_default().to_string(),
        nearest: nearest.cloned().unwrap_or_default(),
        known: known.join(", "),
        root,
    })
}

fn names(root: &Path) -> Result<Vec<String>, BoardError> {
    let io_error = |source| BoardError::Io {
        path: root.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(root).map_err(io_error)? {
        let name = entry.map_err(io_error)?.file_name();
        let name = name.to_string_lossy();
        if let Some(stem) = name.strip_suffix(".toml")
            && stem != "Cargo"
        {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<String, BoardError> {
    fs::read_to_string(path).map_err(|source| BoardError::Io {
        path: path.to_owned(),
        source,
    })
}

fn load_file(path: &Path) -> Result<Board, BoardError> {
    let text = read(path)?;
    let board = parse_board(&text).map_err(|source| BoardError::Refused {
        path: path.to_owned(),
        source,
    })?;
    if path
        .file_stem()
        .is_some_and(|stem| stem == board.name.as_str())
    {
        Ok(board)
    } else {
        Err(BoardError::Name {
            path: path.to_owned(),
            name: board.name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn every_shipped_board_loads() {
        let boards = load_all(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!(boards.len(), 14);
        for board in boards {
            let real = board.kind == Kind::Real;
            assert_eq!(board.target.is_none(), board.kind == Kind::Virtual);
            assert!(!real || board.serial.board.is_some(), "{}", board.name);
            assert!(board.sources.iter().all(|s| s.url.starts_with("https://")));
            let Some(deploy) = &board.deploy else {
                continue;
            };
            let lines: Vec<&String> = deploy.boot.iter().flat_map(|file| &file.lines).collect();
            for word in ["{initramfs}", "{command_line}"] {
                let asked = lines.iter().any(|line| line.contains(word));
                assert!(asked, "{}: no {word}", board.name);
            }
        }
    }

    #[test]
    fn an_unknown_board_is_named_with_those_there_are() {
        let error = load("lokal").unwrap_err().to_string();
        assert!(
            error.starts_with(
                "there is no board `lokal`: did you mean `local`? Known are beaglebone-black, "
            ) && error.contains(" local, ")
                && error.contains("a new one is a new file in"),
            "{error}"
        );
    }
}
