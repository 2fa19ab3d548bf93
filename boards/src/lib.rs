//! Boards as data, one TOML file each, and drivers of their power sensors.
//!
//! A board exists because its file exists: `NAME.toml` in the folder of boards. [`Board`] documents
//! every key; one that is not there is refused, with the nearest one that is. That part runs on the laptop
//! and on Linux boards, as do the simulated sensors; both need the feature `std`.
//!
//! [`sensor`] runs on any board, without `std` and without a heap.

#![cfg_attr(not(feature = "std"), no_std)]

#[cfg(feature = "std")]
mod board;
#[cfg(feature = "std")]
mod folder;
#[cfg(feature = "std")]
mod parse;
pub mod sensor;
#[cfg(feature = "std")]
pub mod simulated;

#[cfg(feature = "std")]
pub use board::{
    Board, BootFile, Bus, Clock, Deploy, DeployMethod, Kind, Measure, Part, Rail, RailSource,
    Sensor, Serial, Simulated, Source, Thermal, Total, Trigger,
};
#[cfg(feature = "std")]
pub use folder::{BoardError, load, load_all, root, text};
#[cfg(feature = "std")]
pub use parse::{ParseError, parse_board};
