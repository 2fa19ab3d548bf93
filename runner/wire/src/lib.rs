//! The messages and frames between a runner and its host. Runs on the board and on the laptop. No heap.
//!
//! Everything here is *sans-io*: bytes come in as slices, bytes go out as slices, and the time is an
//! argument. From the bottom up:
//!
//! * [`frame`]: one frame on the line, and the [`frame::Deframer`] that finds frames in a byte stream;
//! * [`link`]: a session over such a line, in which every message arrives exactly once and in order;
//! * [`message`]: what the two sides say to each other;
//! * [`batch`]: many readings in one message, at little more than their entropy;
//! * [`container`]: the dataset and golden vector files that a board reads.
//!
//! # Version
//!
//! [`PROTOCOL_VERSION`] is the first byte of every frame. It must be raised when any of these change:
//! the frame layout, the checksum, the order or type of fields in a message, the order of variants of
//! an enum that travels, or the coding of a batch. Appending a variant to [`message::Request`],
//! [`message::Event`] or [`frame::Kind`] does not force a bump as long as the other side may ignore it.
//! The golden bytes in `message/golden.rs` fail when a bump was forgotten.

#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod batch;
pub mod bits;
pub mod container;
pub mod digest;
pub mod frame;
pub mod link;
pub mod message;

pub use digest::Digest;

/// The version both sides must speak. See the crate documentation for what forces a bump.
pub const PROTOCOL_VERSION: u8 = 1;
