//! What a board boots straight into the runner: its first file system, and the boot loader's files.
//!
//! | in the file system | what it is |
//! |---|---|
//! | `init` | the runner, process 1 |
//! | `board.toml` | the board file: serial device, speed, knobs |
//! | `runner.args`, `model.tflite` | only of a board that speaks MLPerf Tiny's protocol: how, and with which model |
//! | `modules/000-NAME.ko` and so on | drivers that the kernel is not built with, in the order in which process 1 loads them |
//! | `var/lib/scalebench/<sha256>` | models, datasets and golden vectors, as the runner's store has them |
//! | `dev/console`, `dev/null` | what process 1 needs before it can mount anything |

mod cpio;

pub use cpio::Archive;

use scalebench_boards::{Board, DeployMethod};
use scalebench_runner::init::{ARGUMENTS_FILE, MODULES};
use std::collections::BTreeMap;

/// The archive's name in the image's folder.
pub const INITRAMFS: &str = "scalebench.cpio";
const MODEL: &str = "model.tflite";
const STORE: &str = "var/lib/scalebench";
/// Starts the runner as process 1, and starts anew ten seconds after a panic.
const COMMAND_LINE: &str = "rdinit=/init panic=10 quiet loglevel=1";

/// What goes into an image.
#[derive(Debug)]
pub struct Contents<'a> {
    /// The board.
    pub board: &'a Board,
    /// Its file, as it was read.
    pub board_file: &'a [u8],
    /// The runner, stripped.
    pub runner: &'a [u8],
    /// Artefacts by their SHA-256 in hexadecimal.
    pub artefacts: &'a BTreeMap<String, Vec<u8>>,
    /// Kernel modules in the order in which they are loaded: their names, and their files as the kernel takes them.
    pub modules: &'a [(String, Vec<u8>)],
    /// What the runner serves as MLPerf Tiny firmware, instead of a scalebench host.
    pub firmware: Option<Firmware<'a>>,
}

/// MLPerf Tiny firmware.
#[derive(Clone, Copy, Debug)]
pub struct Firmware<'a> {
    /// The model, a TFLite file.
    pub model: &'a [u8],
    /// Its task, in the benchmark's words.
    pub model_id: &'a str,
    /// Whether windows are marked on the board's trigger pin.
    pub energy: bool,
}

impl Firmware<'_> {
    /// The runner's arguments, one a line.
    fn arguments(&self) -> String {
        let energy = if self.energy { "--energy\n" } else { "" };
        format!(
            "--protocol\nmlperf-tiny\n--model\n/{MODEL}\n--model-id\n{}\n{energy}",
            self.model_id
        )
    }
}

/// The board's first file system. Equal contents give equal bytes.
#[must_use]
pub fn initramfs(contents: &Contents<'_>) -> Vec<u8> {
    let mut archive = Archive::new();
    for directory in ["dev", "proc", "sys", "tmp", "var", "var/lib", STORE] {
        archive.directory(directory);
    }
    archive.device("dev/console", 5, 1);
    archive.device("dev/null", 1, 3);
    archive.program("init", contents.runner);
    archive.file("board.toml", contents.board_file);
    if let Some(firmware) = &contents.firmware {
        archive.file(inside(ARGUMENTS_FILE), firmware.arguments().as_bytes());
        archive.file(MODEL, firmware.model);
    }
    if !contents.modules.is_empty() {
        archive.directory(inside(MODULES));
    }
    for (place, (name, bytes)) in contents.modules.iter().enumerate() {
        archive.file(&format!("{}/{place:03}-{name}", inside(MODULES)), bytes);
    }
    for (sha256, bytes) in contents.artefacts {
        archive.file(&format!("{STORE}/{sha256}"), bytes);
    }
    archive.finish()
}

/// A path on the board as archives have it.
fn inside(path: &str) -> &str {
    path.trim_start_matches('/')
}

/// The kernel's command line on this board.
#[must_use]
pub fn command_line(board: &Board) -> String {
    let more = board
        .deploy
        .as_ref()
        .map_or("", |deploy| &deploy.command_line);
    format!("{COMMAND_LINE} {more}").trim_end().to_owned()
}

/// The boot loader's files: name and content.
#[must_use]
pub fn boot_files(board: &Board) -> Vec<(String, String)> {
    let command_line = command_line(board);
    let files = board.deploy.iter().flat_map(|deploy| &deploy.boot);
    files
        .map(|file| {
            let lines = file.lines.iter().map(|line| {
                line.replace("{initramfs}", INITRAMFS)
                    .replace("{command_line}", &command_line)
                    + "\n"
            });
            (file.name.clone(), lines.collect())
        })
        .collect()
}

/// Whether the board boots from files that an image can hold.
#[must_use]
pub fn is_possible(board: &Board) -> bool {
    board.deploy.as_ref().is_some_and(|deploy| {
        deploy
            .methods
            .iter()
            .any(|method| matches!(method, DeployMethod::Image | DeployMethod::Qemu))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_holds_the_store_and_is_the_same_every_time() {
        let board = scalebench_boards::load("qemu-virt-aarch64").unwrap();
        let sha256 = "ab".repeat(32);
        let artefacts = BTreeMap::from([(sha256.clone(), b"model".to_vec())]);
        let contents = Contents {
            board: &board,
            board_file: b"schema = 1\n",
            runner: b"\x7fELF",
            artefacts: &artefacts,
            modules: &[],
            firmware: None,
        };
        let bytes = initramfs(&contents);
        assert_eq!(bytes, initramfs(&contents));
        let has = |text: &str| bytes.windows(text.len()).any(|at| at == text.as_bytes());
        assert!(has(&format!("var/lib/scalebench/{sha256}\0")));
        assert!(has("init\0") && has("dev/console\0") && has("schema = 1\n"));
        assert!(!has("bin/sh") && !has("runner.args") && !has("modules"));
    }

    #[test]
    fn an_image_can_be_mlperf_tiny_firmware() {
        let board = scalebench_boards::load("qemu-virt-aarch64").unwrap();
        let bytes = initramfs(&Contents {
            board: &board,
            board_file: b"schema = 1\n",
            runner: b"\x7fELF",
            artefacts: &BTreeMap::new(),
            modules: &[
                ("usbcore.ko".to_owned(), b"\x7fELF1".to_vec()),
                ("i2c-dev.ko".to_owned(), b"\x7fELF2".to_vec()),
            ],
            firmware: Some(Firmware {
                model: b"TFL3",
                model_id: "kws01",
                energy: true,
            }),
        });
        let has = |text: &str| bytes.windows(text.len()).any(|at| at == text.as_bytes());
        assert!(has("runner.args\0") && has("model.tflite\0") && has("TFL3"));
        // In the order that was asked for, which is not that of the alphabet.
        assert!(has("modules/000-usbcore.ko\0") && has("modules/001-i2c-dev.ko\0"));
        assert!(has(
            "--protocol\nmlperf-tiny\n--model\n/model.tflite\n--model-id\nkws01\n--energy\n"
        ));
    }

    #[test]
    fn boot_files_name_the_archive_and_the_first_process() {
        let board = scalebench_boards::load("raspberry-pi-4").unwrap();
        let files = boot_files(&board);
        assert_eq!(files[0].0, "config.txt");
        assert!(
            files[0]
                .1
                .contains("\ninitramfs scalebench.cpio followkernel\n")
        );
        assert_eq!(
            files[1],
            (
                "cmdline.txt".to_owned(),
                "rdinit=/init panic=10 quiet loglevel=1 console=tty1\n".to_owned()
            )
        );
    }

    #[test]
    fn the_virtual_board_boots_from_nothing() {
        assert!(!is_possible(&scalebench_boards::load("local").unwrap()));
        assert!(is_possible(&scalebench_boards::load("rock-5b").unwrap()));
    }
}
