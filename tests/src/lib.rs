//! What the end-to-end tests share. Runs on the laptop.
//!
//! | module | what it holds |
//! |---|---|
//! | [`noise`] | fault injection: a seeded line that flips, drops, doubles, inserts, delays and is cut |
//! | [`fake_board`] | a board that sends readings as fast as the line takes them, and nothing else |
//! | [`fake_meter`] | a PPK2 at the other end of a pseudo-terminal |
//! | [`browser`] | Chromium, to look at reports with |
//! | [`cable`] | a cable that is pulled out and plugged in again |
//! | [`emulator`] | boards under `qemu-system`, with stock kernels |
//! | [`mlperf`] | inputs of MLPerf Tiny, labelled by the reference kernels |
//! | [`usb_adapter`] | an I²C adapter in an emulated board's USB port |
//! | [`lab`] | the real programs: built, started, killed, listened to |

pub mod browser;
pub mod cable;
pub mod emulator;
pub mod fake_board;
pub mod fake_meter;
pub mod lab;
pub mod mlperf;
pub mod noise;
pub mod usb_adapter;
