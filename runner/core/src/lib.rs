//! The measuring harness. Runs on the board. No heap.
//!
//! [`session::Session`] is the whole runner but for its surroundings: it talks to the host, keeps
//! artefacts, and measures trials. What surrounds it is described by the traits in [`board`] and
//! given by a crate for the platform (`runner/linux` for Linux boards).
//!
//! | module | what it holds |
//! |---|---|
//! | [`board`] | the traits a platform implements |
//! | [`clock`] | resolution and cost of a clock, measured |
//! | [`window`] | calibration and the timed window itself |
//! | [`tensor`] | dataset samples into input tensors, output tensors into numbers |
//! | [`metric`] | quality metrics that need no heap |
//! | [`detection`] | a grid head's outputs into boxes |
//! | [`average_precision`] | how good boxes are |
//! | [`power`] | power readings on their way to the host |
//! | [`trial`] | the phases of one trial |
//! | [`session`] | the state machine around all of it |
//! | [`mlperf`] | the same board as MLPerf Tiny firmware |

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

pub mod average_precision;
pub mod board;
pub mod clock;
pub mod detection;
mod log;
pub mod metric;
pub mod mlperf;
pub mod power;
pub mod session;
pub mod tensor;
pub mod trial;
pub mod window;
