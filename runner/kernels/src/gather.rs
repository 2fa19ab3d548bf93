//! Operators that select by index: GATHER, GATHER_ND, EMBEDDING_LOOKUP, ONE_HOT, ARG_MAX, ARG_MIN.

use crate::error::{Error, Operand, exactly, product};
use crate::shape::{Around, RANK, Shape, strides};

/// An index of a model: `i32` or `i64`, never negative.
pub trait Index: Copy {
    /// As a position below `size`.
    fn position(self, size: usize) -> Option<usize>;
}

impl Index for i32 {
    fn position(self, size: usize) -> Option<usize> {
        usize::try_from(self).ok().filter(|&at| at < size)
    }
}

impl Index for i64 {
    fn position(self, size: usize) -> Option<usize> {
        usize::try_from(self).ok().filter(|&at| at < size)
    }
}

/// GATHER: slices of `x` along an axis, chosen by `indices`. `around` is the input about the axis;
/// of its outer part, `batches` batches have indices of their own (1 if `batch_dims` is 0).
/// EMBEDDING_LOOKUP is the case of axis 0.
///
/// # Errors
/// [`Error::Length`], or [`Error::Index`] if an index points outside the axis.
pub fn gather<T: Copy>(
    around: Around,
    batches: usize,
    x: &[T],
    indices: &[impl Index],
    out: &mut [T],
) -> Result<(), Error> {
    let Around {
        outer,
        along,
        inner,
    } = around;
    exactly(x, product(&[outer, along, inner])?, Operand::Input)?;
    if batches == 0 || !outer.is_multiple_of(batches) || !indices.len().is_multiple_of(batches) {
        return Err(Error::Broadcast);
    }
    let each = indices.len() / batches;
    exactly(out, product(&[outer, each, inner])?, Operand::Output)?;
    if out.is_empty() {
        return Ok(());
    }
    for (row, out) in out.chunks_exact_mut(each * inner).enumerate() {
        let batch = row / (outer / batches);
        let chosen = &indices[batch * each..][..each];
        for (out, &index) in out.chunks_exact_mut(inner).zip(chosen) {
            let at = index.position(along).ok_or(Error::Index)?;
            out.copy_from_slice(&x[(row * along + at) * inner..][..inner]);
        }
    }
    Ok(())
}

/// GATHER_ND: each row of `depth` indices names a slice of `x`.
///
/// # Errors
/// [`Error::Length`], [`Error::Axis`], or [`Error::Index`] if one points outside.
pub fn gather_nd<T: Copy>(
    input: &Shape,
    depth: usize,
    x: &[T],
    indices: &[impl Index],
    out: &mut [T],
) -> Result<(), Error> {
    exactly(x, input.count(), Operand::Input)?;
    if depth == 0 || depth > input.rank() {
        return Err(Error::Axis);
    }
    let lead = RANK - input.rank();
    let steps = strides(&input.aligned());
    let slice = input.extents()[depth..].iter().product();
    let rows = indices.len() / depth;
    exactly(indices, rows * depth, Operand::Other)?;
    exactly(out, product(&[rows, slice])?, Operand::Output)?;
    if slice == 0 {
        return Ok(());
    }
    for (out, index) in out.chunks_exact_mut(slice).zip(indices.chunks_exact(depth)) {
        let mut at = 0;
        for (axis, index) in index.iter().enumerate() {
            let place = index.position(input.extents()[axis]).ok_or(Error::Index)?;
            at += place * steps[lead + axis];
        }
        out.copy_from_slice(&x[at..at + slice]);
    }
    Ok(())
}

/// ONE_HOT: along the axis, as long as there are classes, `hot` where the index says and `cold` elsewhere;
/// only `cold` for an index that is no class.
///
/// # Errors
/// [`Error::Length`] if a slice is not as long as its shape.
pub fn one_hot<T: Copy>(
    around: Around,
    indices: &[impl Index],
    [hot, cold]: [T; 2],
    out: &mut [T],
) -> Result<(), Error> {
    let Around {
        outer,
        along,
        inner,
    } = around;
    exactly(indices, product(&[outer, inner])?, Operand::Input)?;
    exactly(out, product(&[outer, along, inner])?, Operand::Output)?;
    out.fill(cold);
    for (place, index) in indices.iter().enumerate() {
        if let Some(class) = index.position(along) {
            out[(place / inner * along + class) * inner + place % inner] = hot;
        }
    }
    Ok(())
}

/// ARG_MAX and ARG_MIN along an axis: the first element that no other is `better` than, its index as
/// the model wants it.
///
/// # Errors
/// [`Error::Length`], or [`Error::ZeroExtent`] if the axis is empty.
pub fn best<T: Copy, O>(
    around: Around,
    x: &[T],
    out: &mut [O],
    better: impl Fn(T, T) -> bool,
    index: impl Fn(usize) -> O,
) -> Result<(), Error> {
    let Around {
        outer,
        along,
        inner,
    } = around;
    exactly(x, product(&[outer, along, inner])?, Operand::Input)?;
    exactly(out, product(&[outer, inner])?, Operand::Output)?;
    if along == 0 {
        return Err(Error::ZeroExtent);
    }
    for (place, out) in out.iter_mut().enumerate() {
        let start = place / inner * along * inner + place % inner;
        let mut best = 0;
        for at in 1..along {
            if better(x[start + at * inner], x[start + best * inner]) {
                best = at;
            }
        }
        *out = index(best);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_is_no_class_is_cold() {
        let around = Around {
            outer: 2,
            along: 3,
            inner: 2,
        };
        let mut out = [7; 12];
        one_hot(around, &[0, 2, -1, 1], [1, 0], &mut out).expect("fits");
        assert_eq!(out, [1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
        let short = one_hot(around, &[0, 2, -1], [1, 0], &mut out);
        assert!(matches!(short, Err(Error::Length { .. })));
    }
}
