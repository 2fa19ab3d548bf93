//! Operators on pairs of elements, of tensors whose shapes broadcast.

use crate::error::{Error, Operand, exactly};
use crate::isa::Isa;
use crate::shape::{RANK, Shape, strides};

#[cfg(target_arch = "x86_64")]
mod wide;

/// An operator on pairs of elements.
pub trait Binary<T: Copy, O = T> {
    /// One pair: the specification.
    fn apply(&self, a: T, b: T) -> O;

    /// A row of pairs. Each of `a` and `b` is as long as `out`, or is one element that meets all of
    /// the other's.
    fn row(&self, isa: Isa, a: &[T], b: &[T], out: &mut [O]) {
        row(isa, a, b, out, |a, b| self.apply(a, b));
    }
}

impl<T: Copy, O, F: Fn(T, T) -> O> Binary<T, O> for F {
    fn apply(&self, a: T, b: T) -> O {
        self(a, b)
    }
}

/// The loop of a row, as wide as `isa` allows.
#[inline(always)]
pub(crate) fn row<T: Copy, O>(isa: Isa, a: &[T], b: &[T], out: &mut [O], f: impl Fn(T, T) -> O) {
    #[cfg(target_arch = "x86_64")]
    wide::row(isa, a, b, out, f);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = isa;
        portable(a, b, out, f);
    }
}

#[inline(always)]
fn portable<T: Copy, O>(a: &[T], b: &[T], out: &mut [O], f: impl Fn(T, T) -> O) {
    match (a, b) {
        (&[a], &[b]) => out.iter_mut().for_each(|out| *out = f(a, b)),
        (&[a], b) => out.iter_mut().zip(b).for_each(|(out, &b)| *out = f(a, b)),
        (a, &[b]) => out.iter_mut().zip(a).for_each(|(out, &a)| *out = f(a, b)),
        (a, b) => out
            .iter_mut()
            .zip(a.iter().zip(b))
            .for_each(|(out, (&a, &b))| *out = f(a, b)),
    }
}

/// How two tensors broadcast, as NumPy has it: extents are compared from the innermost, and one of 1
/// meets any other. Made once at load.
///
/// Dimensions that are walked alike are merged, so that a row is as long as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broadcast {
    output: Shape,
    /// Merged extents, and the steps of either input for them; 0 where an extent of 1 is repeated.
    extents: [usize; RANK],
    a: [usize; RANK],
    b: [usize; RANK],
    counts: [usize; 2],
}

impl Broadcast {
    /// # Errors
    /// [`Error::Broadcast`] if two extents differ and neither is 1.
    pub fn new(a: &Shape, b: &Shape) -> Result<Self, Error> {
        let (one, other) = (a.aligned(), b.aligned());
        let mut full = [1; RANK];
        for axis in 0..RANK {
            full[axis] = match (one[axis], other[axis]) {
                (n, m) if n == m => n,
                (1, n) | (n, 1) => n,
                _ => return Err(Error::Broadcast),
            };
        }
        let rank = a.rank().max(b.rank());
        let output = Shape::new(&full[RANK - rank..])?;
        let steps = |own: [usize; RANK]| {
            let mut steps = strides(&own);
            for axis in 0..RANK {
                if own[axis] == 1 {
                    steps[axis] = 0;
                }
            }
            steps
        };
        let mut plan = Self {
            output,
            extents: full,
            a: steps(one),
            b: steps(other),
            counts: [a.count(), b.count()],
        };
        plan.merge();
        Ok(plan)
    }

    /// The output's shape.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Folds each dimension into the one inside it where both inputs step on evenly.
    fn merge(&mut self) {
        let mut kept = RANK - 1;
        for axis in (0..RANK - 1).rev() {
            let inside = self.extents[kept];
            let even = |steps: &[usize; RANK]| steps[axis] == steps[kept] * inside;
            if self.extents[axis] == 1 {
                continue;
            }
            if inside == 1 {
                (self.extents[kept], self.a[kept], self.b[kept]) =
                    (self.extents[axis], self.a[axis], self.b[axis]);
            } else if even(&self.a) && even(&self.b) {
                self.extents[kept] *= self.extents[axis];
            } else {
                kept -= 1;
                (self.extents[kept], self.a[kept], self.b[kept]) =
                    (self.extents[axis], self.a[axis], self.b[axis]);
            }
        }
        for axis in 0..kept {
            (self.extents[axis], self.a[axis], self.b[axis]) = (1, 0, 0);
        }
    }

    /// Applies `operator` to every pair.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice is not as long as its shape.
    pub fn run<T: Copy, O>(
        &self,
        isa: Isa,
        operator: &impl Binary<T, O>,
        a: &[T],
        b: &[T],
        out: &mut [O],
    ) -> Result<(), Error> {
        exactly(a, self.counts[0], Operand::Input)?;
        exactly(b, self.counts[1], Operand::Other)?;
        exactly(out, self.output.count(), Operand::Output)?;
        let row = self.extents[RANK - 1];
        if out.is_empty() {
            return Ok(());
        }
        let width = |step: usize| if step == 0 { 1 } else { row };
        let widths = (width(self.a[RANK - 1]), width(self.b[RANK - 1]));
        let mut index = [0; RANK - 1];
        let (mut at, mut bt) = (0, 0);
        for out in out.chunks_exact_mut(row) {
            operator.row(isa, &a[at..at + widths.0], &b[bt..bt + widths.1], out);
            for axis in (0..RANK - 1).rev() {
                index[axis] += 1;
                at += self.a[axis];
                bt += self.b[axis];
                if index[axis] < self.extents[axis] {
                    break;
                }
                at -= self.a[axis] * self.extents[axis];
                bt -= self.b[axis] * self.extents[axis];
                index[axis] = 0;
            }
        }
        Ok(())
    }
}

/// Repeats a tensor along the axes where its extent is 1 (BROADCAST_TO).
pub fn broadcast_to<T: Copy>(
    input: &Shape,
    output: &Shape,
    x: &[T],
    out: &mut [T],
) -> Result<(), Error> {
    let plan = Broadcast::new(input, output)?;
    if plan.output() != *output {
        return Err(Error::Broadcast);
    }
    let Some(&any) = x.first() else {
        return exactly(x, input.count(), Operand::Input);
    };
    let scalar = Broadcast {
        b: [0; RANK],
        counts: [plan.counts[0], 1],
        ..plan
    };
    scalar.run(Isa::PORTABLE, &|a, _| a, x, &[any], out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn shape(extents: &[usize]) -> Shape {
        Shape::new(extents).expect("a small shape")
    }

    #[test]
    fn like_shapes_are_one_row() {
        let plan = Broadcast::new(&shape(&[2, 3, 4]), &shape(&[2, 3, 4])).expect("alike");
        assert_eq!(plan.extents, [1, 1, 1, 1, 1, 24]);
        let channel = Broadcast::new(&shape(&[2, 3, 4]), &shape(&[4])).expect("channels");
        assert_eq!(channel.extents, [1, 1, 1, 1, 6, 4]);
        let scalar = Broadcast::new(&shape(&[2, 3, 4]), &shape(&[])).expect("a scalar");
        assert_eq!(scalar.extents, [1, 1, 1, 1, 1, 24]);
    }

    #[test]
    fn unlike_extents_are_refused() {
        let refused = Broadcast::new(&shape(&[2, 3]), &shape(&[2]));
        assert_eq!(refused, Err(Error::Broadcast));
    }

    proptest! {
        #[test]
        fn every_pair_meets_as_numpy_has_it(
            extents in prop::collection::vec((1_usize..4, any::<bool>(), any::<bool>()), 1..=RANK),
            drop in 0_usize..3,
        ) {
            let full: Vec<_> = extents.iter().map(|&(n, _, _)| n).collect();
            let one: Vec<_> = extents.iter().map(|&(n, a, _)| if a { 1 } else { n }).collect();
            let other: Vec<_> = extents.iter().skip(drop.min(full.len() - 1))
                .map(|&(n, a, b)| if b && !a { 1 } else { n }).collect();
            let plan = Broadcast::new(&shape(&one), &shape(&other)).expect("made to fit");
            let out = plan.output();
            let a: Vec<u32> = (0..shape(&one).count() as u32).collect();
            let b: Vec<u32> = (0..shape(&other).count() as u32).map(|n| n * 10_000).collect();
            let mut got = std::vec![0; out.count()];
            plan.run(Isa::PORTABLE, &|a: u32, b: u32| a + b, &a, &b, &mut got).expect("fits");
            let (sa, sb) = (shape(&one).aligned(), shape(&other).aligned());
            for (flat, &got) in got.iter().enumerate() {
                let (mut rest, mut at, mut bt) = (flat, 0, 0);
                let (mut pa, mut pb) = (1, 1);
                for axis in (0..RANK).rev() {
                    let index = rest % out.aligned()[axis];
                    rest /= out.aligned()[axis];
                    at += if sa[axis] == 1 { 0 } else { index * pa };
                    bt += if sb[axis] == 1 { 0 } else { index * pb };
                    pa *= sa[axis];
                    pb *= sb[axis];
                }
                prop_assert_eq!(got, a[at] + b[bt]);
            }
        }
    }
}
