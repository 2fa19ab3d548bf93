//! A cable between a virtual board and a port that comes and goes, as a USB adapter's does.

use scalebench::port::Port;
use scalebench::virtual_board::Pty;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A cable, plugged in at first.
#[derive(Debug)]
pub struct Cable {
    path: PathBuf,
    plugged: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cable {
    /// From the board's port to one that appears as `path`.
    ///
    /// # Panics
    /// When the system gives no pseudo-terminal.
    #[must_use]
    pub fn new(board: &Path, baud: u32, path: &Path) -> Self {
        let board = Port::open(board, baud).expect("the board's port opens");
        let (plugged, stop) = (
            Arc::new(AtomicBool::new(true)),
            Arc::new(AtomicBool::new(false)),
        );
        let (path, thread) = (path.to_owned(), {
            let (path, plugged, stop) = (path.to_owned(), plugged.clone(), stop.clone());
            std::thread::spawn(move || carry(&board, &path, &plugged, &stop))
        });
        let cable = Self {
            path,
            plugged,
            stop,
            thread: Some(thread),
        };
        cable.settled(true);
        cable
    }

    /// Pulls it out, or plugs it in again.
    pub fn plug(&self, plugged: bool) {
        self.plugged.store(plugged, Ordering::SeqCst);
        self.settled(plugged);
    }

    fn settled(&self, plugged: bool) {
        crate::lab::until(Duration::from_secs(5), "the port to come or go", || {
            self.path.exists() == plugged
        });
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry(board: &Port, path: &Path, plugged: &AtomicBool, stop: &AtomicBool) {
    let mut host: Option<Pty> = None;
    let (mut up, mut down) = (Vec::new(), Vec::new());
    let mut bytes = [0; 4096];
    while !stop.load(Ordering::SeqCst) {
        match (plugged.load(Ordering::SeqCst), &host) {
            (true, None) => {
                let pty = Pty::open().expect("a pseudo-terminal");
                symlink(pty.path(), path).expect("the port appears");
                host = Some(pty);
            }
            (false, Some(_)) => {
                fs::remove_file(path).expect("the port vanishes");
                host = None;
                (up, down) = (Vec::new(), Vec::new());
            }
            _ => {}
        }
        board
            .wait(false, Duration::from_millis(1))
            .expect("the board is there");
        let length = board.read(&mut bytes).expect("the board is there");
        // What the board says while nothing is plugged in is lost, as it is on a desk.
        let Some(host) = &host else { continue };
        up.extend_from_slice(&bytes[..length]);
        let written = host.write(&up).expect("the port takes bytes");
        up.drain(..written);
        if down.is_empty() {
            let length = host.read(&mut bytes).expect("the port gives bytes");
            down.extend_from_slice(&bytes[..length]);
        }
        let written = board.write(&down).expect("the board takes bytes");
        down.drain(..written);
    }
    let _ = fs::remove_file(path);
}
