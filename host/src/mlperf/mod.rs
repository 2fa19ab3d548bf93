//! The runner of MLPerf Tiny: measures any board that carries the benchmark's firmware, over its serial line.
//!
//! After the rules of the reference runner (`benchmark/runner` of github.com/mlcommons/tiny): five windows of at
//! least ten seconds on the board's own clock and their median; accuracy over the whole set. Other than the
//! reference it finds the board's speed, finds how many inferences fill a window, and repeats what a bad line
//! spoilt.
//!
//! | module | what it holds |
//! |---|---|
//! | [`task`] | the four tasks and how each is scored |
//! | [`answer`] | what a line of the board says |
//! | [`mod@line`] | commands out, lines in, everything kept |
//! | [`board`] | a board that is known: inputs loaded, inferences timed, again if need be |
//! | [`trouble`] | what goes wrong, and what to do |
//! | [`dataset`] | inputs and labels in EEMBC's folder layout |
//! | [`measure`] | windows, and the accuracy pass |
//! | [`score`] | top-1 and area under the curve |
//! | [`record`] | the result file in the reference's form, and the run of our store |

pub mod answer;
pub mod board;
pub mod dataset;
pub mod line;
pub mod measure;
pub mod record;
pub mod score;
pub mod task;
pub mod trouble;
