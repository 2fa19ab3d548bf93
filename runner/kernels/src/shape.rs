//! Shapes of up to six dimensions.

use crate::error::{Error, product};

/// The most dimensions a tensor may have.
pub const RANK: usize = 6;

/// The extents of a tensor, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Shape {
    extents: [usize; RANK],
    rank: usize,
}

impl Shape {
    /// # Errors
    /// [`Error::Rank`] beyond [`RANK`] dimensions, [`Error::TooLarge`] if the elements cannot be
    /// counted.
    pub fn new(extents: &[usize]) -> Result<Self, Error> {
        let mut all = [0; RANK];
        all.get_mut(..extents.len())
            .ok_or(Error::Rank)?
            .copy_from_slice(extents);
        product(extents)?;
        Ok(Self {
            extents: all,
            rank: extents.len(),
        })
    }

    /// The extents.
    pub fn extents(&self) -> &[usize] {
        &self.extents[..self.rank]
    }

    /// How many dimensions.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// How many elements; 1 for a scalar.
    pub fn count(&self) -> usize {
        self.extents().iter().product()
    }

    /// The extents with ones put before them until there are [`RANK`].
    pub(crate) fn aligned(&self) -> [usize; RANK] {
        let mut all = [1; RANK];
        all[RANK - self.rank..].copy_from_slice(self.extents());
        all
    }

    /// Elements before, along and after an axis.
    pub fn around(&self, axis: usize) -> Result<Around, Error> {
        let extents = self.extents();
        let along = *extents.get(axis).ok_or(Error::Axis)?;
        Ok(Around {
            outer: extents[..axis].iter().product(),
            along,
            inner: extents[axis + 1..].iter().product(),
        })
    }
}

/// A tensor seen as `[outer, along, inner]` about one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// The product of the extents before the axis.
    pub outer: usize,
    /// The axis' extent.
    pub along: usize,
    /// The product of the extents after the axis.
    pub inner: usize,
}

/// The steps, in elements, from one index to the next of each dimension.
pub(crate) fn strides(extents: &[usize; RANK]) -> [usize; RANK] {
    let mut strides = [1; RANK];
    for axis in (0..RANK - 1).rev() {
        strides[axis] = strides[axis + 1] * extents[axis + 1];
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_bounded() {
        assert_eq!(Shape::new(&[1; 7]), Err(Error::Rank));
        assert_eq!(Shape::new(&[usize::MAX, 2]), Err(Error::TooLarge));
        assert_eq!(Shape::new(&[]).map(|shape| shape.count()), Ok(1));
    }
}
