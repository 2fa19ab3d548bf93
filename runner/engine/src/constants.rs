//! Where a file keeps its float constants, for those who want to know what becomes of its answers when these move.

use std::borrow::Cow;
use std::ops::Range;

use crate::{DType, LoadError, reader};

/// The bytes of each float32 constant of the main subgraph, as ranges of `model`, from first to last, each once.
///
/// # Errors
/// As [`crate::Model::load`] has for a file that is broken.
pub fn float_constants(model: &[u8]) -> Result<Vec<Range<usize>>, LoadError> {
    let graph = reader::read(model)?;
    let begin = model.as_ptr() as usize;
    let mut ranges: Vec<Range<usize>> = graph
        .tensors
        .iter()
        .filter(|tensor| tensor.dtype == Ok(DType::F32))
        .filter_map(|tensor| match tensor.data {
            // A part of `model`.
            Some(Cow::Borrowed(data)) if !data.is_empty() => {
                let at = (data.as_ptr() as usize).checked_sub(begin)?;
                Some(at..at + data.len())
            }
            _ => None,
        })
        .collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges.dedup();
    Ok(ranges)
}
