//! The product with AVX2: bytes are widened to 16 bits, of which `vpmaddwd` multiplies pairs and adds
//! them exactly (`vpmaddubsw` would saturate).
//!
//! Four depths of a column stand together, so that an accumulator holds the sums of two pairs of
//! depths in neighbouring lanes, four columns a vector; they are added at the end.

#![expect(
    unsafe_code,
    reason = "vector loads and stores whose bounds `Product` has checked"
)]

use super::{HEADER, Layout, Product, Rows, Sink, Taps, total};
use crate::requant::Output;
use core::arch::x86_64::*;
use core::array::from_fn;

pub(super) const LAYOUT: Layout = Layout {
    nr: LANES,
    lane: LANES,
    kr: 4,
    lift: 0,
};

/// Columns of a panel.
const LANES: usize = 8;

/// Rows of a tile, at most.
const ROWS: usize = 4;

pub(super) fn run(product: Product) {
    // SAFETY: only an `Isa` of this level leads here, and such a token is made where the processor
    // has these features.
    unsafe { panels(product) }
}

#[target_feature(enable = "avx2")]
fn panels(mut product: Product) {
    let depth = product.taps.padded(LAYOUT.kr);
    let panels = product.packed.chunks_exact(LANES * (HEADER + depth));
    for (index, panel) in panels.enumerate() {
        let panel = Panel::new(panel, index * LANES, product.columns);
        let mut rows = Rows::new(product.starts);
        let mut tiles = rows.left.div_ceil(ROWS);
        while tiles > 0 {
            match rows.left.div_ceil(tiles) {
                1 => tile::<1>(&mut product, &panel, &mut rows),
                2 => tile::<2>(&mut product, &panel, &mut rows),
                3 => tile::<3>(&mut product, &panel, &mut rows),
                _ => tile::<ROWS>(&mut product, &panel, &mut rows),
            }
            tiles -= 1;
        }
    }
}

/// `R` rows times the columns of a panel.
#[target_feature(enable = "avx2")]
fn tile<const R: usize>(product: &mut Product, panel: &Panel, rows: &mut Rows) {
    let row = rows.done;
    let starts: [usize; R] = rows.take();
    let mut sums = dot(product.left, &starts, &product.taps, panel);
    if product.weight_zero != 0 {
        for (sum, &start) in sums.iter_mut().zip(&starts) {
            let total = total(product.left, start, &product.taps);
            let correction = product.weight_zero.wrapping_mul(total);
            *sum = _mm256_sub_epi32(*sum, _mm256_set1_epi32(correction));
        }
    }
    match &mut product.sink {
        Sink::Bytes { out, step, stage } => {
            for (r, &sum) in sums.iter().enumerate() {
                let bytes = panel.bytes(sum, *stage);
                let at = (row + r) * *step + panel.column;
                out[at..at + panel.used].copy_from_slice(&bytes[..panel.used]);
            }
        }
        Sink::Wide { out, step } => {
            for (r, &sum) in sums.iter().enumerate() {
                let at = (row + r) * *step + panel.column;
                out[at..at + panel.used].copy_from_slice(&lanes(sum)[..panel.used]);
            }
        }
    }
}

/// The accumulators of `R` rows, biases included.
#[inline]
#[target_feature(enable = "avx2")]
fn dot<const R: usize>(
    left: &[i8],
    starts: &[usize; R],
    taps: &Taps,
    panel: &Panel,
) -> [__m256i; R] {
    let mut sums = [[_mm256_setzero_si256(); 2]; R];
    let mut weights = panel.weights.as_ptr();
    for outer in 0..taps.outer {
        for inner in 0..taps.inner {
            let offset = outer * taps.outer_step + inner * taps.inner_step;
            // SAFETY: `Product::new` has checked that the row which starts last, its last run
            // rounded up to four, ends within `left`, and the panel holds four weights of each
            // column for each four depths of these runs.
            unsafe {
                let heads: [*const i8; R] = from_fn(|r| left.as_ptr().add(starts[r] + offset));
                for depth in (0..taps.run).step_by(4) {
                    let columns: [__m256i; 2] = from_fn(|v| {
                        _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.add(v * 16).cast()))
                    });
                    weights = weights.add(32);
                    for r in 0..R {
                        let quad = heads[r].add(depth).cast::<i32>().read_unaligned();
                        let x = _mm256_cvtepi8_epi16(_mm_set1_epi32(quad));
                        for v in 0..2 {
                            let pairs = _mm256_madd_epi16(x, columns[v]);
                            sums[r][v] = _mm256_add_epi32(sums[r][v], pairs);
                        }
                    }
                }
            }
        }
    }
    let bias = panel.field(0);
    sums.map(|[low, high]| {
        // Columns come out as 0 1 4 5, 2 3 6 7.
        let columns = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(low, high));
        _mm256_add_epi32(columns, bias)
    })
}

/// Eight columns.
struct Panel<'a> {
    /// Biases, mantissas and shifts.
    header: &'a [u8],
    weights: &'a [u8],
    column: usize,
    /// How many of the lanes are columns.
    used: usize,
}

impl<'a> Panel<'a> {
    fn new(bytes: &'a [u8], column: usize, columns: usize) -> Self {
        let (header, weights) = bytes.split_at(LANES * HEADER);
        let used = LANES.min(columns - column);
        Self {
            header,
            weights,
            column,
            used,
        }
    }

    /// Biases (0), mantissas (1) or shifts (2).
    #[inline]
    #[target_feature(enable = "avx2")]
    fn field(&self, field: usize) -> __m256i {
        let vector = &self.header[field * 4 * LANES..][..4 * LANES];
        // SAFETY: the slice has 32 bytes.
        unsafe { _mm256_loadu_si256(vector.as_ptr().cast()) }
    }

    /// Scales accumulators as [`crate::requant::Multiplier::apply`] does, adds the zero point and
    /// clamps.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn bytes(&self, sums: __m256i, stage: Output) -> [i8; LANES] {
        let (mantissa, shift) = (self.field(1), self.field(2));
        let zero = _mm256_setzero_si256();
        let left = _mm256_max_epi32(shift, zero);
        let right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
        let high = doubling_high(_mm256_sllv_epi32(sums, left), mantissa);
        let scaled = divide_by_power_of_two(high, right);
        let moved = _mm256_add_epi32(scaled, _mm256_set1_epi32(stage.zero));
        let moved = _mm256_max_epi32(moved, _mm256_set1_epi32(i32::from(stage.min)));
        let moved = _mm256_min_epi32(moved, _mm256_set1_epi32(i32::from(stage.max)));
        lanes(moved).map(|value| value as i8)
    }
}

/// [`crate::requant::doubling_high`] by a mantissa, which is never negative.
#[inline]
#[target_feature(enable = "avx2")]
fn doubling_high(x: __m256i, mantissa: __m256i) -> __m256i {
    let nudge = _mm256_set1_epi64x(1 << 30);
    let half = |x, mantissa| _mm256_add_epi64(_mm256_mul_epi32(x, mantissa), nudge);
    let even = half(x, mantissa);
    let odd = half(
        _mm256_srli_epi64::<32>(x),
        _mm256_srli_epi64::<32>(mantissa),
    );
    // Bits 31 to 62 of each: those of the even lanes go to the low half, those of the odd ones to
    // the high half.
    _mm256_blend_epi32::<0b1010_1010>(_mm256_srli_epi64::<31>(even), _mm256_slli_epi64::<1>(odd))
}

/// [`crate::requant::divide_by_power_of_two`].
#[inline]
#[target_feature(enable = "avx2")]
fn divide_by_power_of_two(x: __m256i, exponent: __m256i) -> __m256i {
    let one = _mm256_set1_epi32(1);
    let mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, exponent), one);
    let negative = _mm256_srli_epi32::<31>(x);
    let threshold = _mm256_add_epi32(_mm256_srli_epi32::<1>(mask), negative);
    let rounds_up = _mm256_cmpgt_epi32(_mm256_and_si256(x, mask), threshold);
    _mm256_sub_epi32(_mm256_srav_epi32(x, exponent), rounds_up)
}

#[inline]
#[target_feature(enable = "avx2")]
fn lanes(x: __m256i) -> [i32; LANES] {
    let mut lanes = [0; LANES];
    // SAFETY: the array has 32 bytes.
    unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), x) };
    lanes
}
