//! The host: runs on the laptop at the other end of the serial cable.
//!
//! | module | what it does |
//! |---|---|
//! | [`plan`] | families × variants × precisions on a board, in a recorded random order |
//! | [`provision`] | uploads what the board does not hold |
//! | [`collect`] | asks for trials, takes in readings, survives restarts |
//! | [`session`], [`receiver`], [`port`] | the line to the board |
//! | [`virtual_board`] | the board that is this machine |
//! | [`capture`], [`store`], [`catalogue`] | every raw byte, the run folder, and the folder of runs |
//! | [`fleet`] | runs on several boards at once |
//! | [`cross`], [`image`], [`ssh`] | the runner's ways onto other boards: built, booted, copied |
//! | [`aggregate`], [`results`], [`stats`] | from bytes to figures; live and in replay the same |
//! | [`profile`] | where the time of an inference goes |
//! | [`scaling`], [`analysis`] | what each step up in size buys and costs |
//! | [`compare`] | did a change make it better or worse |
//! | [`export`] | runs for other programs: CSV, JSON, Parquet |
//! | [`power`], [`energy`] | power readings, their integral and its uncertainty |
//! | [`meter`] | recordings of external meters |
//! | [`logs`] | the board's log |
//! | [`report`], [`table`], [`units`], [`quantity`] | figures for people |
//! | [`mlperf`] | boards with MLPerf Tiny firmware |
//! | [`cable`] | tests of a line |

pub mod adding;
pub mod aggregate;
pub mod analysis;
mod average_precision;
pub mod cable;
pub mod capture;
pub mod catalogue;
pub mod collect;
pub mod compare;
pub mod cross;
pub mod energy;
#[cfg(test)]
mod example;
pub mod export;
#[cfg(test)]
mod fake_board;
pub mod fleet;
pub mod image;
pub mod logs;
pub mod meter;
pub mod mlperf;
pub mod outcomes;
pub mod plan;
pub mod port;
pub mod power;
pub mod profile;
pub mod progress;
pub mod provision;
pub mod published;
pub mod quantity;
pub mod receiver;
pub mod report;
pub mod results;
pub mod scaling;
pub mod session;
pub mod ssh;
pub mod stats;
pub mod store;
pub mod table;
pub mod text;
pub mod units;
pub mod virtual_board;
mod windows;
