//! Element types, descriptions of tensors, and aligned memory for them.

use std::fmt;

use tract_core::prelude::{DatumType, Tensor};

/// Type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DType {
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 half precision (weights only).
    F16,
    /// Two's complement, 8 bits: the current quantised scheme.
    I8,
    /// 8 bits: the older quantised scheme.
    U8,
    /// Two's complement, 16 bits.
    I16,
    /// Two's complement, 32 bits: indices, token ids, biases.
    I32,
    /// Two's complement, 64 bits.
    I64,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Bytes an element takes.
    pub const fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::F16 | Self::I16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
        }
    }

    /// Whether elements are floats.
    pub(crate) const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16)
    }

    /// tract's name for the type. Quantised tensors are plain integers to tract.
    pub(crate) const fn datum(self) -> DatumType {
        match self {
            Self::F32 => DatumType::F32,
            Self::F16 => DatumType::F16,
            Self::I8 => DatumType::I8,
            Self::U8 => DatumType::U8,
            Self::I16 => DatumType::I16,
            Self::I32 => DatumType::I32,
            Self::I64 => DatumType::I64,
            Self::Bool => DatumType::Bool,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        })
    }
}

/// Affine quantisation of a whole tensor: `real = scale * (quantised - zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Quantization {
    /// Real value of one step; positive and finite.
    pub scale: f32,
    /// Quantised value that stands for 0.0.
    pub zero_point: i32,
}

/// What a caller needs to know to fill or read a tensor.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TensorInfo {
    /// Name in the file.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Dimensions, outermost first; NHWC for images.
    pub shape: Vec<usize>,
    /// Per-tensor quantisation, if the tensor is quantised.
    pub quantization: Option<Quantization>,
}

impl TensorInfo {
    /// Elements in the tensor.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes in the tensor.
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.size()
    }
}

/// Zeroed bytes on a cache-line boundary, so that any element type may be viewed in them, be they none.
#[derive(Debug)]
pub(crate) struct AlignedBytes {
    memory: Tensor,
    len: usize,
}

impl AlignedBytes {
    /// Boundary the first byte lies on.
    pub(crate) const ALIGNMENT: usize = 64;

    /// `len` zero bytes. `None` if the allocator refuses.
    pub(crate) fn zeroed(len: usize) -> Option<Self> {
        // The address of no memory at all is on no boundary.
        let memory = Tensor::zero_aligned_dt(DatumType::U8, &[len.max(1)], Self::ALIGNMENT).ok()?;
        Some(Self { memory, len })
    }

    /// The bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory.as_bytes()[..self.len]
    }

    /// The bytes, to be written.
    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory.as_bytes_mut()[..self.len]
    }
}

/// The bytes of a tensor, on a boundary for any element type even if they are none.
#[inline]
pub(crate) fn bytes(tensor: &Tensor) -> &[u8] {
    match tensor.as_bytes() {
        [] => bytemuck::cast_slice::<u64, u8>(&[]),
        bytes => bytes,
    }
}
