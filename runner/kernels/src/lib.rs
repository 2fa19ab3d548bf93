//! Quantised and float operators on slices. Runs on the board. No heap.
//!
//! Every operator has one portable implementation that *is* its specification: the arithmetic of the
//! TFLite reference kernels, to the bit for integers. Beside it stands a packed implementation, which
//! runs on weights that were rearranged once at load, for an instruction set that an [`isa::Isa`]
//! token proves to be there; it gives the same bytes (floats: the same up to the order of additions).
//!
//! Nothing here allocates: an operator tells how many bytes of packed weights and scratch it needs,
//! and is lent them. Tensors are NHWC, weights OHWI, batch outermost, all contiguous.
//!
//! * [`isa`]: which instruction set may be used;
//! * [`requant`]: from 32-bit accumulators to 8-bit outputs, as gemmlowp rounds;
//! * [`window`]: the geometry of a sliding window, shared by all operators that have one;
//! * [`conv`], [`fully_connected`], [`batch_matmul`]: integer matrix products;
//! * [`wide`]: the same on int16 activations;
//! * [`hybrid`]: float activations with int8 weights ("dynamic range" models);
//! * [`float`]: the same operators on `f32`;
//! * [`depthwise`]: one filter a channel;
//! * [`element`], [`shape`]: what a quantised element stands for, and shapes of up to six dimensions;
//! * [`arithmetic`] over [`broadcast`]: operators on pairs of elements;
//! * [`activation`] by way of [`table`]: operators on single elements;
//! * [`pool`], [`reduce`], [`softmax`], [`norm`]: many elements into one;
//! * [`view`], [`place`], [`gather`], [`resize`]: elements moved;
//! * [`quantise`], [`compare`], [`transpose_conv`], [`scan`], [`detection`]: the rest.
//!
//! The uint8 scheme is the int8 scheme moved by 128: flip the top bit of every byte (`x ^ 0x80`) and
//! subtract 128 from every zero point; the weights then have a zero point too.

#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable
    )
)]

#[cfg(any(test, feature = "detect"))]
extern crate std;

pub mod activation;
pub mod arithmetic;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod batch_matmul;
pub mod broadcast;
pub mod compare;
pub mod conv;
pub mod depthwise;
pub mod detection;
pub mod element;
mod error;
mod fixed;
pub mod float;
pub mod fully_connected;
pub mod gather;
mod gemm;
pub mod hybrid;
pub mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(all(target_arch = "arm", target_os = "linux"))]
mod neon32;
pub mod norm;
pub mod place;
pub mod pool;
pub mod quantise;
pub mod reduce;
pub mod requant;
pub mod resize;
pub mod scan;
pub mod shape;
pub mod softmax;
pub mod table;
pub mod transpose_conv;
pub mod view;
pub mod wide;
pub mod window;

pub use error::{Error, Operand};
