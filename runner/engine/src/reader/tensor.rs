//! One tensor: its type, shape, quantisation and constant data.

use std::borrow::Cow;

use flatbuffers::{ForwardsUOffset, Vector};
use tract_tflite::tflite::{self, TensorType};

use crate::graph::{MOST_ELEMENTS, Scales, Tensor};
use crate::{DType, LoadError};

/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;

/// Buffers of the file, which tensors point into.
pub(super) type Buffers<'a> = Option<Vector<'a, ForwardsUOffset<tflite::Buffer<'a>>>>;

/// Reads and checks tensor number `index`.
pub(super) fn read<'a>(
    index: usize,
    table: tflite::Tensor<'a>,
    buffers: Buffers<'a>,
) -> Result<Tensor<'a>, LoadError> {
    let name = table.name().unwrap_or_default();
    let broken = |reason: String| LoadError::Tensor {
        index,
        name: name.into(),
        reason,
    };
    let shape = shape(&table).map_err(broken)?;
    let dtype = dtype(table.type_());
    let elements = elements(&shape).map_err(broken)?;
    let data = data(&table, buffers).map_err(broken)?;
    let special = if table.sparsity().is_some() {
        Some("sparse storage")
    } else if table.is_variable() {
        Some("a variable that keeps its value between inferences")
    } else {
        None
    };
    if let (Some(data), Ok(dtype), None) = (data, dtype, special)
        && data.len() as u64 != elements as u64 * dtype.size() as u64
    {
        return Err(broken(format!(
            "its shape {shape:?} of {dtype} takes {} bytes, its buffer has {}",
            elements as u64 * dtype.size() as u64,
            data.len()
        )));
    }
    let empty = elements == 0 && table.buffer() != 0;
    let open = table
        .shape_signature()
        .is_some_and(|signature| signature.iter().any(|dimension| dimension < 0))
        || (table.shape().is_none_or(|shape| shape.is_empty()) && data.is_none());
    Ok(Tensor {
        name,
        dtype,
        scales: scales(&table, dtype, &shape).map_err(broken)?,
        shape,
        open,
        data: data.or(empty.then_some(&[][..])).map(Cow::Borrowed),
        special,
    })
}

fn dtype(kind: TensorType) -> Result<DType, TensorType> {
    match kind {
        TensorType::FLOAT32 => Ok(DType::F32),
        TensorType::FLOAT16 => Ok(DType::F16),
        TensorType::INT8 => Ok(DType::I8),
        TensorType::UINT8 => Ok(DType::U8),
        TensorType::INT16 => Ok(DType::I16),
        TensorType::INT32 => Ok(DType::I32),
        TensorType::INT64 => Ok(DType::I64),
        TensorType::BOOL => Ok(DType::Bool),
        other => Err(other),
    }
}

fn shape(table: &tflite::Tensor<'_>) -> Result<Vec<usize>, String> {
    let shape = table
        .shape()
        .into_iter()
        .flatten()
        .map(|dimension| {
            usize::try_from(dimension)
                .map_err(|_| format!("its shape has the dimension {dimension}"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    if shape.len() > MOST_DIMENSIONS {
        return Err(format!(
            "it has {} dimensions, the most is {MOST_DIMENSIONS}",
            shape.len()
        ));
    }
    Ok(shape)
}

/// Product of the dimensions.
pub(crate) fn elements(shape: &[usize]) -> Result<usize, String> {
    shape
        .iter()
        .try_fold(1usize, |product, &dimension| product.checked_mul(dimension))
        .filter(|&product| product <= MOST_ELEMENTS)
        .ok_or_else(|| format!("its shape {shape:?} has more than {MOST_ELEMENTS} elements"))
}

fn data<'a>(table: &tflite::Tensor<'a>, buffers: Buffers<'a>) -> Result<Option<&'a [u8]>, String> {
    let index = table.buffer() as usize;
    if index == 0 {
        // By convention the empty buffer of everything that is no constant.
        return Ok(None);
    }
    let buffers = buffers.filter(|list| index < list.len());
    let buffer = buffers
        .map(|list| list.get(index))
        .ok_or_else(|| format!("its buffer {index} is not in the file"))?;
    Ok(buffer
        .data()
        .map(|data| data.bytes())
        .filter(|bytes| !bytes.is_empty()))
}

fn scales(
    table: &tflite::Tensor<'_>,
    dtype: Result<DType, TensorType>,
    shape: &[usize],
) -> Result<Option<Scales>, String> {
    // Float tensors may carry the remains of a calibration.
    let range = match dtype {
        Ok(DType::I8) => i64::from(i8::MIN)..=i64::from(i8::MAX),
        Ok(DType::U8) => 0..=i64::from(u8::MAX),
        Ok(DType::I16) => i64::from(i16::MIN)..=i64::from(i16::MAX),
        Ok(DType::I32) => i64::from(i32::MIN)..=i64::from(i32::MAX),
        Ok(DType::I64) => 0..=0,
        _ => return Ok(None),
    };
    let Some(table) = table.quantization() else {
        return Ok(None);
    };
    let Some(scale) = table.scale().filter(|scales| !scales.is_empty()) else {
        return Ok(None);
    };
    let scales: Vec<f32> = scale.iter().collect();
    if let Some(bad) = scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        return Err(format!(
            "a quantisation scale is {bad}, it must be positive and finite"
        ));
    }
    let zero_points = table
        .zero_point()
        .into_iter()
        .flatten()
        .map(|zero| {
            if range.contains(&zero) {
                Ok(zero as i32)
            } else {
                Err(format!("its zero point {zero} is outside {range:?}"))
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    if zero_points.len() != scales.len() {
        return Err(format!(
            "it has {} quantisation scales but {} zero points",
            scales.len(),
            zero_points.len()
        ));
    }
    let axis = table.quantized_dimension();
    if scales.len() > 1 {
        let length = usize::try_from(axis).ok().and_then(|axis| shape.get(axis));
        if length != Some(&scales.len()) {
            return Err(format!(
                "it has {} quantisation scales along axis {axis} of the shape {shape:?}",
                scales.len()
            ));
        }
    }
    Ok(Some(Scales {
        scales,
        zero_points,
        axis: usize::try_from(axis).unwrap_or_default(),
    }))
}
