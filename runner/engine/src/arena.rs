//! Where activations lie: one block of memory, planned once, shared by values that are never alive together.
//!
//! Planning is greedy by size (Pisarchyk and Lee, "Efficient memory management for deep neural net
//! inference", 2020, section 5.2): the largest value first, each at the lowest offset at which no placed
//! value with an overlapping lifetime lies.

use crate::tensor::AlignedBytes;

/// Bytes from `offset` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Region {
    /// A multiple of [`AlignedBytes::ALIGNMENT`].
    pub(crate) offset: usize,
    /// May be zero.
    pub(crate) len: usize,
}

impl Region {
    /// First byte after the region.
    pub(crate) const fn end(self) -> usize {
        self.offset + self.len
    }
}

/// A value that wants memory from step `first` to step `last`, both included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) bytes: usize,
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// A place for each claim, and the bytes the arena needs. `None` if those do not fit the address space.
pub(crate) fn plan(claims: &[Claim]) -> Option<(Vec<Region>, usize)> {
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(claims[i].bytes), claims[i].first));
    let mut regions = vec![Region::default(); claims.len()];
    // Placed claims by offset, so that gaps are met from the lowest up.
    let mut placed: Vec<usize> = Vec::with_capacity(claims.len());
    let mut peak = 0usize;
    for &i in &order {
        let claim = claims[i];
        let mut offset = 0usize;
        for &other in &placed {
            let together = claims[other].first <= claim.last && claim.first <= claims[other].last;
            if !together {
                continue;
            }
            if regions[other].offset >= offset.checked_add(claim.bytes)? {
                break;
            }
            offset = offset.max(
                regions[other]
                    .end()
                    .checked_next_multiple_of(AlignedBytes::ALIGNMENT)?,
            );
        }
        regions[i] = Region {
            offset,
            len: claim.bytes,
        };
        peak = peak.max(offset.checked_add(claim.bytes)?);
        let at = placed.partition_point(|&other| regions[other].offset <= offset);
        placed.insert(at, i);
    }
    Some((regions, peak))
}

/// Most regions one step writes: its outputs and its scratch.
pub(crate) const MOST_WRITTEN: usize = 5;

/// Regions a step writes, from the lowest to the highest, disjoint.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    regions: Vec<(usize, Region)>,
}

impl Cut {
    /// Of `regions`, in the order in which they are to come out. `None` if two overlap or there are too many.
    pub(crate) fn new(regions: &[Region]) -> Option<Self> {
        let mut regions: Vec<_> = regions.iter().copied().enumerate().collect();
        regions.sort_by_key(|&(_, region)| (region.offset, region.len));
        let disjoint = regions
            .windows(2)
            .all(|pair| pair[0].1.end() <= pair[1].1.offset);
        (disjoint && regions.len() <= MOST_WRITTEN).then_some(Self { regions })
    }

    /// Takes the regions out of `memory`; what is left can be read.
    #[inline]
    pub(crate) fn apply<'a>(
        &self,
        memory: &'a mut [u8],
    ) -> Option<(Rest<'a>, [&'a mut [u8]; MOST_WRITTEN])> {
        let mut cut: [&mut [u8]; MOST_WRITTEN] = Default::default();
        let mut gaps: [(usize, &[u8]); MOST_WRITTEN + 1] = [(usize::MAX, &[]); MOST_WRITTEN + 1];
        let (mut rest, mut at) = (memory, 0);
        for (&(slot, region), gap) in self.regions.iter().zip(&mut gaps) {
            let (before, tail) = rest.split_at_mut_checked(region.offset - at)?;
            let (own, tail) = tail.split_at_mut_checked(region.len)?;
            *gap = (at, before);
            *cut.get_mut(slot)? = own;
            (rest, at) = (tail, region.end());
        }
        *gaps.get_mut(self.regions.len())? = (at, rest);
        Some((
            Rest {
                gaps,
                count: self.regions.len() + 1,
            },
            cut,
        ))
    }
}

/// The arena without the regions that are being written.
pub(crate) struct Rest<'a> {
    gaps: [(usize, &'a [u8]); MOST_WRITTEN + 1],
    count: usize,
}

impl<'a> Rest<'a> {
    /// The bytes of `region`. `None` if some of them are being written.
    #[inline]
    pub(crate) fn get(&self, region: Region) -> Option<&'a [u8]> {
        self.gaps[..self.count].iter().find_map(|&(start, bytes)| {
            let from = region.offset.checked_sub(start)?;
            bytes.get(from..from + region.len)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claims() -> impl Strategy<Value = Vec<Claim>> {
        let claim =
            (0usize..5000, 0usize..20, 0usize..6).prop_map(|(bytes, first, length)| Claim {
                bytes,
                first,
                last: first + length,
            });
        prop::collection::vec(claim, 0..40)
    }

    proptest! {
        #[test]
        fn values_alive_together_never_share(claims in claims()) {
            let (regions, peak) = plan(&claims).unwrap();
            for (i, a) in claims.iter().enumerate() {
                prop_assert!(regions[i].end() <= peak);
                prop_assert_eq!(regions[i].offset % AlignedBytes::ALIGNMENT, 0);
                for (j, b) in claims.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = regions[i].end() <= regions[j].offset
                        || regions[j].end() <= regions[i].offset
                        || a.bytes == 0 || b.bytes == 0;
                    prop_assert!(!together || apart, "{:?} {:?}", regions[i], regions[j]);
                }
            }
        }

        #[test]
        fn a_chain_needs_its_two_largest_neighbours(sizes in prop::collection::vec(1usize..4000, 2..30)) {
            let sizes: Vec<_> = sizes.iter().map(|s| s * AlignedBytes::ALIGNMENT).collect();
            let claims: Vec<_> = sizes.iter().enumerate()
                .map(|(i, &bytes)| Claim { bytes, first: i, last: i + 1 })
                .collect();
            let least = sizes.windows(2).map(|w| w[0] + w[1]).max().unwrap();
            let (_, peak) = plan(&claims).unwrap();
            prop_assert!(peak >= least && peak <= least + least / 2, "{peak} for {least}");
        }
    }

    #[test]
    fn what_is_written_cannot_be_read() {
        let region = |offset, len| Region { offset, len };
        let cut = Cut::new(&[region(128, 10), region(0, 64)]).unwrap();
        let mut memory: Vec<u8> = (0..=255).collect();
        let (rest, written) = cut.apply(&mut memory).unwrap();
        assert_eq!(written[0][0], 128);
        assert_eq!(written[1].len(), 64);
        written[1].fill(7);
        assert_eq!(rest.get(region(64, 3)), Some(&[64, 65, 66][..]));
        assert_eq!(rest.get(region(192, 64)).unwrap().len(), 64);
        assert_eq!(rest.get(region(128, 1)), None);
        assert_eq!(rest.get(region(100, 29)), None);
        assert_eq!(rest.get(region(250, 7)), None);
    }

    #[test]
    fn overlapping_regions_are_refused() {
        let region = |offset, len| Region { offset, len };
        assert!(Cut::new(&[region(0, 65), region(64, 1)]).is_none());
        assert!(Cut::new(&[region(0, 1); 6]).is_none());
        assert!(Cut::new(&[region(0, 64), region(64, 0), region(64, 8)]).is_some());
    }
}
