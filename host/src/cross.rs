//! The runner built for a board: cargo, a cross linker, and a copy without symbols.
//!
//! What is built has its log strings and line tables; what goes to the board is stripped of them. Both
//! carry the same build id, by which the host finds the strings again.

use scalebench_boards::Board;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Triples that can be linked for, and their tools' prefix; `.cargo/config.toml` names the linkers.
const TRIPLES: [(&str, &str); 3] = [
    // Boards of this machine's own kind, with its own tools.
    ("x86_64-unknown-linux-gnu", ""),
    ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu-"),
    ("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf-"),
];

/// Why there is no runner.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrossError {
    /// The board is this machine.
    #[error(
        "board `{board}` names no target: it is this machine's own, and its runner is part of scalebench"
    )]
    NoTarget {
        /// The board.
        board: String,
    },
    /// A triple without a linker.
    #[error(
        "nothing is known of how to link for {triple}: build scalebench-runner for it yourself, and name it with --runner"
    )]
    Triple {
        /// The triple.
        triple: String,
    },
    /// The sources are elsewhere.
    #[error("the sources of the runner are not in {}: name them with $SCALEBENCH_SOURCE, or a built runner with --runner", path.display())]
    Source {
        /// Where they were.
        path: PathBuf,
    },
    /// No compiler for the triple.
    #[error(
        "Rust has no standard library for {triple} here: `rustup target add {triple}`, or, where that fetches nothing, .ci/cross-toolchain"
    )]
    Target {
        /// The triple.
        triple: String,
    },
    /// A tool that is not there.
    #[error("{tool} cannot be started: {source}: install it (Debian: {package})")]
    Tool {
        /// The tool.
        tool: String,
        /// What it comes with.
        package: String,
        /// The system's words.
        source: io::Error,
    },
    /// It said no.
    #[error("{tool} failed: its own words are above")]
    Failed {
        /// The tool.
        tool: String,
    },
    /// A file.
    #[error("{}: {source}: check the path and its permissions", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

/// A runner for a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runner {
    /// With log strings and line tables, for the host.
    pub elf: PathBuf,
    /// For the board.
    pub stripped: PathBuf,
}

/// Builds the runner for `board`. What cargo has to say goes to standard error.
///
/// # Errors
/// [`CrossError`], with the remedy.
pub fn build(board: &Board) -> Result<Runner, CrossError> {
    let triple = board
        .target
        .as_deref()
        .ok_or_else(|| CrossError::NoTarget {
            board: board.name.clone(),
        })?;
    let source = source()?;
    let compiler = toolchain(triple)?;
    linker(triple)?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| source.join("target"), PathBuf::from);
    let mut cargo = Command::new("cargo");
    if let Some(toolchain) = compiler {
        cargo.arg(format!("+{toolchain}"));
    }
    cargo
        .args([
            "build",
            "--release",
            "-p",
            "scalebench-runner",
            "--target",
            triple,
        ])
        .arg("--target-dir")
        .arg(target.join("cross"))
        .current_dir(&source)
        .stdout(Stdio::null());
    run(&mut cargo, "cargo")?;
    let elf = target
        .join("cross")
        .join(triple)
        .join("release/scalebench-runner");
    strip(&elf, triple)
}

/// A copy of `elf` beside it without what only the host needs.
///
/// # Errors
/// [`CrossError`].
pub fn strip(elf: &Path, triple: &str) -> Result<Runner, CrossError> {
    let prefix = prefix(triple)?;
    let stripped = elf.with_extension("stripped");
    let tool = format!("{prefix}objcopy");
    run(
        Command::new(&tool)
            .arg("--strip-all")
            .arg(elf)
            .arg(&stripped),
        &tool,
    )?;
    Ok(Runner {
        elf: elf.to_owned(),
        stripped,
    })
}

/// How the names of the triple's tools begin.
fn prefix(triple: &str) -> Result<&'static str, CrossError> {
    TRIPLES
        .iter()
        .find(|(known, _)| *known == triple)
        .map(|(_, prefix)| *prefix)
        .ok_or_else(|| CrossError::Triple {
            triple: triple.to_owned(),
        })
}

/// Asks for the linker, which cargo would miss only after everything is compiled.
fn linker(triple: &str) -> Result<(), CrossError> {
    let prefix = prefix(triple)?;
    let tool = match prefix {
        "" => "cc".to_owned(),
        prefix => format!("{prefix}gcc"),
    };
    run(
        Command::new(&tool).arg("--version").stdout(Stdio::null()),
        &tool,
    )
}

/// The Debian package that a tool comes with.
fn package(tool: &str) -> String {
    let of = |kind: &str, prefix: &str| match prefix.trim_end_matches('-') {
        "" => kind.to_owned(),
        machine => format!("{kind}-{machine}"),
    };
    match (tool.strip_suffix("objcopy"), tool.strip_suffix("gcc")) {
        (Some(prefix), _) => of("binutils", prefix),
        (_, Some(prefix)) => of("gcc", prefix),
        _ if tool == "cc" => "gcc".to_owned(),
        _ => "rustup".to_owned(),
    }
}

/// The toolchain to name to cargo; `None` for the one it takes by itself.
fn toolchain(triple: &str) -> Result<Option<&'static str>, CrossError> {
    // The second is what .ci/cross-toolchain makes of Debian's packages.
    [None, Some("debian")]
        .into_iter()
        .find(|toolchain| has_target(*toolchain, triple))
        .ok_or_else(|| CrossError::Target {
            triple: triple.to_owned(),
        })
}

/// Whether the standard library for `triple` is installed.
fn has_target(toolchain: Option<&str>, triple: &str) -> bool {
    let printed = Command::new("rustc")
        .args(toolchain.map(|name| format!("+{name}")))
        .args(["--target", triple, "--print", "target-libdir"])
        .stderr(Stdio::null())
        .output();
    printed.is_ok_and(|printed| {
        let path = String::from_utf8_lossy(&printed.stdout).trim().to_owned();
        printed.status.success() && Path::new(&path).is_dir()
    })
}

fn source() -> Result<PathBuf, CrossError> {
    let path = match std::env::var_os("SCALEBENCH_SOURCE") {
        Some(path) if !path.is_empty() => PathBuf::from(path),
        _ => Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
    };
    if path.join("runner/linux/Cargo.toml").is_file() {
        Ok(path)
    } else {
        Err(CrossError::Source { path })
    }
}

fn run(command: &mut Command, tool: &str) -> Result<(), CrossError> {
    let status = command.status().map_err(|source| CrossError::Tool {
        tool: tool.to_owned(),
        package: package(tool),
        source,
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(CrossError::Failed {
            tool: tool.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_board_has_its_runner_already() {
        let board = Board::unknown();
        assert_eq!(
            build(&board).unwrap_err().to_string(),
            "board `serial` names no target: it is this machine's own, and its runner is part of scalebench"
        );
    }

    #[test]
    fn a_tool_that_is_missing_is_named_with_its_package() {
        for (tool, package) in [
            ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
            (
                "arm-linux-gnueabihf-objcopy",
                "binutils-arm-linux-gnueabihf",
            ),
            ("objcopy", "binutils"),
            ("cargo", "rustup"),
        ] {
            assert_eq!(super::package(tool), package);
        }
        let error = run(
            &mut Command::new("/nowhere/arm-linux-gnueabihf-gcc"),
            "arm-linux-gnueabihf-gcc",
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.ends_with("install it (Debian: gcc-arm-linux-gnueabihf)"),
            "{error}"
        );
    }

    #[test]
    fn a_triple_nothing_is_known_of_gets_the_way_round() {
        let error = strip(Path::new("/nowhere"), "riscv64gc-unknown-linux-gnu").unwrap_err();
        assert!(
            error.to_string().ends_with("and name it with --runner"),
            "{error}"
        );
    }
}
