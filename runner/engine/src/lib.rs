//! TFLite models on tract. Runs on the board, needs std.
//!
//! [`Model::load`] checks a `.tflite` flatbuffer and prepares it; [`Model::input_mut`],
//! [`Model::run`] and [`Model::output`] then move raw little-endian tensor bytes in and out.

mod arena;
pub mod check;
mod constants;
mod error;
mod graph;
mod inspect;
mod lower;
mod model;
mod operator;
mod reader;
mod session;
mod step;
mod tensor;

pub use constants::float_constants;
pub use error::{LoadError, RunError};
pub use inspect::{Execution, ModelReport, OperatorReport, TensorReport, inspect};
pub use model::{Limits, Model, Written};
pub use scalebench_kernels::isa::Isa;
pub use tensor::{DType, Quantization, TensorInfo};
