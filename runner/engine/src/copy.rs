//! Copies of one tensor into another along any strides: what slicing, joining, padding, transposing and tiling
//! all come down to.

/// Most dimensions a copy walks.
pub(crate) const RANK: usize = 8;

/// One walked dimension: its extent, and the steps in elements of source and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) extent: usize,
    pub(crate) from: isize,
    pub(crate) to: isize,
}

/// A planned copy. Checked against both sizes when it is made, so that running it stays inside.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    /// Outermost first, without those of extent 1, neighbours merged; steps in bytes.
    axes: Vec<Axis>,
    from: usize,
    to: usize,
    /// Bytes in one piece.
    run: usize,
    from_bytes: usize,
    to_bytes: usize,
}

/// Row-major strides of a shape, in elements.
pub(crate) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut strides = vec![1isize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis] as isize;
    }
    strides
}

impl Copy {
    /// Walks `axes`, outermost first, from element `from` of a source to element `to` of a target of so many
    /// elements of `size` bytes. `None` if that leaves either.
    pub(crate) fn new(
        axes: &[Axis],
        (from, from_elements): (usize, usize),
        (to, to_elements): (usize, usize),
        size: usize,
    ) -> Option<Self> {
        let inside = |start: usize, elements: usize, step: fn(&Axis) -> isize| {
            let (mut least, mut most) = (i128::from(start as u64), i128::from(start as u64));
            for axis in axes {
                let reach = step(axis) as i128 * (axis.extent as i128 - 1);
                least += reach.min(0);
                most += reach.max(0);
            }
            least >= 0 && most < elements as i128
        };
        if axes.iter().any(|axis| axis.extent == 0) {
            return None;
        }
        if !inside(from, from_elements, |a| a.from) || !inside(to, to_elements, |a| a.to) {
            return None;
        }
        let mut merged: Vec<Axis> = Vec::with_capacity(RANK);
        for axis in axes.iter().filter(|axis| axis.extent > 1) {
            let extent = axis.extent as isize;
            match merged.last_mut() {
                Some(outer) if outer.from == axis.from * extent && outer.to == axis.to * extent => {
                    *outer = Axis {
                        extent: outer.extent * axis.extent,
                        ..*axis
                    };
                }
                _ => merged.push(*axis),
            }
        }
        let run = match merged.last() {
            Some(&Axis {
                extent,
                from: 1,
                to: 1,
            }) => {
                merged.pop();
                extent
            }
            _ => 1,
        };
        for axis in &mut merged {
            axis.from *= size as isize;
            axis.to *= size as isize;
        }
        (merged.len() <= RANK).then_some(Self {
            axes: merged,
            from: from * size,
            to: to * size,
            run: run * size,
            from_bytes: from_elements * size,
            to_bytes: to_elements * size,
        })
    }

    /// Copies. Does nothing if the slices are not those it was planned for.
    pub(crate) fn run(&self, from: &[u8], to: &mut [u8]) {
        if from.len() != self.from_bytes || to.len() != self.to_bytes {
            return;
        }
        match self.run {
            1 => self.walk(from, to, |from, to| to[0] = from[0]),
            2 => self.walk(from, to, |from, to| to[..2].copy_from_slice(&from[..2])),
            4 => self.walk(from, to, |from, to| to[..4].copy_from_slice(&from[..4])),
            run => self.walk(from, to, |from, to| to[..run].copy_from_slice(&from[..run])),
        }
    }

    #[inline(always)]
    fn walk(&self, from: &[u8], to: &mut [u8], piece: impl Fn(&[u8], &mut [u8])) {
        let Some((inner, outer)) = self.axes.split_last() else {
            return piece(&from[self.from..], &mut to[self.to..]);
        };
        let mut index = [0usize; RANK];
        let (mut f, mut t) = (self.from, self.to);
        loop {
            let (mut a, mut b) = (f, t);
            for _ in 0..inner.extent {
                piece(&from[a..], &mut to[b..]);
                a = a.wrapping_add_signed(inner.from);
                b = b.wrapping_add_signed(inner.to);
            }
            let mut axis = outer.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                let Axis { extent, from, to } = outer[axis];
                index[axis] += 1;
                f = f.wrapping_add_signed(from);
                t = t.wrapping_add_signed(to);
                if index[axis] < extent {
                    break;
                }
                index[axis] = 0;
                f = f.wrapping_add_signed(-from * extent as isize);
                t = t.wrapping_add_signed(-to * extent as isize);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_transposition_and_a_reversal() {
        let axis = |extent, from, to| Axis { extent, from, to };
        let mut out = [0; 6];
        let copy = Copy::new(&[axis(2, 3, 1), axis(3, 1, 2)], (0, 6), (0, 6), 1).unwrap();
        copy.run(&[1, 2, 3, 4, 5, 6], &mut out);
        assert_eq!(out, [1, 4, 2, 5, 3, 6]);
        let back = Copy::new(&[axis(6, -1, 1)], (5, 6), (0, 6), 1).unwrap();
        back.run(&[1, 2, 3, 4, 5, 6], &mut out);
        assert_eq!(out, [6, 5, 4, 3, 2, 1]);
        assert!(Copy::new(&[axis(7, 1, 1)], (0, 6), (0, 7), 1).is_none());
        assert!(Copy::new(&[axis(6, -1, 1)], (4, 6), (0, 6), 1).is_none());
    }

    proptest! {
        #[test]
        fn every_transposition_equals_its_definition(
            shape in prop::collection::vec(1usize..5, 1..5), seed: u64, size in 1usize..5,
        ) {
            let rank = shape.len();
            let mut order: Vec<usize> = (0..rank).collect();
            for i in 0..rank {
                order.swap(i, (seed >> (8 * i)) as usize % rank);
            }
            let out_shape: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
            let (from, to) = (strides(&shape), strides(&out_shape));
            let axes: Vec<Axis> = order.iter().zip(&to)
                .map(|(&axis, &to)| Axis { extent: shape[axis], from: from[axis], to })
                .collect();
            let elements: usize = shape.iter().product();
            let input: Vec<u8> = (0..elements * size).map(|i| i as u8).collect();
            let mut out = vec![0; elements * size];
            Copy::new(&axes, (0, elements), (0, elements), size).unwrap().run(&input, &mut out);
            for at in 0..elements {
                let mut rest = at;
                let mut source = 0;
                for axis in (0..rank).rev() {
                    source += rest % out_shape[axis] * from[order[axis]] as usize;
                    rest /= out_shape[axis];
                }
                prop_assert_eq!(&out[at * size..][..size], &input[source * size..][..size]);
            }
        }
    }
}
