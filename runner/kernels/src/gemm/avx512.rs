//! The product with AVX-512 VNNI: `vpdpbusd` multiplies four unsigned bytes (inputs, lifted by 128)
//! with four signed ones (weights) and adds the sum to each of sixteen accumulators.
//!
//! A tile of up to eight rows and four vectors of columns stays in registers over the whole depth,
//! and is requantised there.

#![expect(
    unsafe_code,
    reason = "vector loads and stores whose bounds `Product` has checked"
)]

use super::{HEADER, Layout, Product, Rows, Sink, Taps, total};
use crate::requant::Output;
use core::arch::x86_64::*;
use core::hint::black_box;

pub(super) const LAYOUT: Layout = Layout {
    nr: 4 * LANES,
    lane: LANES,
    kr: 4,
    lift: 128,
};

/// Accumulators of a vector.
const LANES: usize = 16;

/// Bytes of a vector.
const VECTOR: usize = 64;

/// How many bytes ahead weights are fetched that are used once.
const AHEAD: usize = 2048;

pub(super) fn run(product: Product) {
    // SAFETY: only an `Isa` of this level leads here, and such a token is made where the processor
    // has these features.
    unsafe { panels(product) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn panels(product: Product) {
    if product.lifted {
        every_panel::<true>(product);
    } else {
        every_panel::<false>(product);
    }
}

/// Lifts bytes for a product [`Product::with_lifted`].
pub(super) fn lift(bytes: &mut [i8]) {
    // SAFETY: only an `Isa` of this level leads here, and such a token is made where the processor
    // has these features.
    unsafe { flip(bytes) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn flip(bytes: &mut [i8]) {
    bytes.iter_mut().for_each(|x| *x ^= i8::MIN);
}

/// `LIFTED` as [`Product::with_lifted`] has it.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn every_panel<const LIFTED: bool>(mut product: Product) {
    let depth = product.taps.padded(LAYOUT.kr);
    let mut rest = product.packed;
    let mut column = 0;
    while column < product.columns {
        let width = LAYOUT.width(column, product.columns);
        let (panel, after) = rest.split_at(width * (HEADER + depth));
        match width / LANES {
            1 => strip::<1, LIFTED>(&mut product, panel, column),
            2 => strip::<2, LIFTED>(&mut product, panel, column),
            3 => strip::<3, LIFTED>(&mut product, panel, column),
            _ => strip::<4, LIFTED>(&mut product, panel, column),
        }
        rest = after;
        column += width;
    }
}

/// All rows times the `V` vectors of columns of one panel, in tiles of nearly equal height.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn strip<const V: usize, const LIFTED: bool>(product: &mut Product, panel: &[u8], column: usize) {
    let panel = Panel::<V, LIFTED>::new(panel, column, product.columns, product.once);
    let mut rows = Rows::new(product.starts);
    if rows.left == 1 {
        // A lone row keeps its multipliers in registers.
        return tile::<V, 1, LIFTED>(product, &panel, None, &mut rows);
    }
    tiles(product, &panel, &mut rows);
}

/// Several rows times the columns of a panel. Not part of [`strip`], whose frame stays small.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tiles<const V: usize, const LIFTED: bool>(
    product: &mut Product,
    panel: &Panel<V, LIFTED>,
    rows: &mut Rows,
) {
    let most = if V == 4 { 6 } else { 8 };
    let all = panel.all_multipliers();
    let ready = Some(&all);
    let mut tiles = rows.left.div_ceil(most);
    while tiles > 0 {
        match rows.left.div_ceil(tiles) {
            1 => tile::<V, 1, LIFTED>(product, panel, ready, rows),
            2 => tile::<V, 2, LIFTED>(product, panel, ready, rows),
            3 => tile::<V, 3, LIFTED>(product, panel, ready, rows),
            4 => tile::<V, 4, LIFTED>(product, panel, ready, rows),
            5 => tile::<V, 5, LIFTED>(product, panel, ready, rows),
            6 => tile::<V, 6, LIFTED>(product, panel, ready, rows),
            7 => tile::<V, 7, LIFTED>(product, panel, ready, rows),
            _ => tile::<V, 8, LIFTED>(product, panel, ready, rows),
        }
        tiles -= 1;
    }
}

/// `R` rows times the columns of a panel.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile<const V: usize, const R: usize, const LIFTED: bool>(
    product: &mut Product,
    panel: &Panel<V, LIFTED>,
    ready: Option<&[Multipliers; V]>,
    rows: &mut Rows,
) {
    let row = rows.done;
    let starts: [usize; R] = rows.take();
    let corrections = corrections(product, &starts);
    let mut sums = dot::<V, R, LIFTED>(product.left, &starts, corrections, &product.taps, panel);
    match &mut product.sink {
        Sink::Bytes { out, step, stage } => {
            panel.scale(&mut sums, ready);
            panel.put_bytes(&sums, *stage, out, (row * *step, *step));
        }
        Sink::Wide { out, step } => {
            for (r, sums) in sums.iter().enumerate() {
                panel.put_wide(sums, out, (row + r) * *step);
            }
        }
    }
}

/// The accumulators of `R` rows, biases included.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn dot<const V: usize, const R: usize, const LIFTED: bool>(
    left: &[i8],
    starts: &[usize; R],
    corrections: [i32; R],
    taps: &Taps,
    panel: &Panel<V, LIFTED>,
) -> [[__m512i; V]; R] {
    let biases = panel.biases();
    let mut sums = [biases; R];
    if !LIFTED {
        // Where the input was lifted, weights have no zero point and there is nothing to correct.
        for (sums, correction) in sums.iter_mut().zip(corrections) {
            for sum in sums {
                *sum = _mm512_sub_epi32(*sum, _mm512_set1_epi32(correction));
            }
        }
    }
    let mut weights = panel.weights;
    for outer in 0..taps.outer {
        for inner in 0..taps.inner {
            let offset = outer * taps.outer_step + inner * taps.inner_step;
            // SAFETY: `Product::new` has checked that the row which starts last, its last run
            // rounded up to four, ends within `left`, and the panel holds a vector of weights for
            // each column vector and each four depths of these runs.
            unsafe {
                let heads = starts.map(|start| left.as_ptr().wrapping_add(start + offset));
                for depth in (0..taps.run).step_by(4) {
                    let mut columns = [panel.lift; V];
                    for (v, column) in columns.iter_mut().enumerate() {
                        *column = load(weights.add(v * VECTOR));
                    }
                    if R == 1 {
                        // A lone row only streams its weights: faster than the processor expects.
                        for v in 0..V {
                            let ahead = weights.wrapping_add(AHEAD + v * VECTOR);
                            _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                        }
                    }
                    weights = weights.add(V * VECTOR);
                    for r in 0..R {
                        let quad = heads[r].add(depth).cast::<i32>().read_unaligned();
                        let quads = _mm512_set1_epi32(quad);
                        let x = if LIFTED {
                            quads
                        } else {
                            _mm512_xor_si512(quads, panel.lift)
                        };
                        for v in 0..V {
                            sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], x, columns[v]);
                        }
                    }
                }
            }
        }
    }
    sums
}

/// What weights with a zero point take from the sums of each row.
#[inline]
fn corrections<const R: usize>(product: &Product, starts: &[usize; R]) -> [i32; R] {
    if product.weight_zero == 0 {
        return [0; R];
    }
    starts.map(|start| {
        let total = total(product.left, start, &product.taps);
        product.weight_zero.wrapping_mul(total)
    })
}

/// # Safety
/// 64 bytes must be readable at `from`.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(from: *const u8) -> __m512i {
    // SAFETY: as above; the intrinsic asks for no alignment.
    unsafe { _mm512_loadu_si512(from.cast()) }
}

/// `V` vectors of columns. `LIFTED` is part of the type so that each instance of a method has one caller, into
/// which it is inlined.
struct Panel<'a, const V: usize, const LIFTED: bool> {
    /// Biases, mantissas and shifts.
    header: &'a [u8],
    weights: *const u8,
    column: usize,
    /// Which lanes of the last vector are columns.
    last: u16,
    /// What lifts signed bytes to unsigned ones. The compiler must not know that all lanes are the
    /// same, or it lifts before it broadcasts, and the broadcast is no longer part of the load.
    lift: __m512i,
    /// Whether multipliers round once.
    once: bool,
}

/// The multipliers of sixteen columns.
#[derive(Clone, Copy)]
struct Multipliers {
    /// What accumulators are shifted to the left by before, where any is.
    left: Option<__m512i>,
    even: Scale,
    odd: Scale,
}

impl<'a, const V: usize, const LIFTED: bool> Panel<'a, V, LIFTED> {
    /// Multipliers are rounded as in [`crate::requant::Multiplier::apply`], or `once` as in `apply_once`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn new(bytes: &'a [u8], column: usize, columns: usize, once: bool) -> Self {
        let (header, weights) = bytes.split_at(V * LANES * HEADER);
        let used = (columns - column - (V - 1) * LANES).min(LANES);
        Self {
            header,
            weights: weights.as_ptr(),
            column,
            last: ((1_u32 << used) - 1) as u16,
            lift: black_box(_mm512_set1_epi8(i8::MIN)),
            once,
        }
    }

    /// The multipliers of all vectors.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn all_multipliers(&self) -> [Multipliers; V] {
        let mut all = [self.multipliers(0); V];
        for (v, one) in all.iter_mut().enumerate().skip(1) {
            *one = self.multipliers(v);
        }
        all
    }

    /// Vector `v` of the biases (0), mantissas (1) or shifts (2).
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn field(&self, field: usize, v: usize) -> __m512i {
        let bytes = &self.header[(field * V + v) * VECTOR..][..VECTOR];
        // SAFETY: the slice has 64 bytes.
        unsafe { load(bytes.as_ptr()) }
    }

    /// The multipliers of vector `v`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn multipliers(&self, v: usize) -> Multipliers {
        let zero = _mm512_setzero_si512();
        let low_half = _mm512_set1_epi64(0xffff_ffff);
        let (mantissa, shift) = (self.field(1, v), self.field(2, v));
        if self.once {
            let total = _mm512_sub_epi32(_mm512_set1_epi32(31), shift);
            return Multipliers {
                left: None,
                even: Scale::once(mantissa, _mm512_and_si512(total, low_half)),
                odd: Scale::once(upper(mantissa), upper(total)),
            };
        }
        let left = _mm512_max_epi32(shift, zero);
        let right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
        Multipliers {
            left: (_mm512_test_epi32_mask(left, left) != 0).then_some(left),
            even: Scale::twice(mantissa, _mm512_and_si512(right, low_half)),
            odd: Scale::twice(upper(mantissa), upper(right)),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn biases(&self) -> [__m512i; V] {
        let mut vectors = [_mm512_setzero_si512(); V];
        for (v, vector) in vectors.iter_mut().enumerate() {
            *vector = self.field(0, v);
        }
        vectors
    }

    /// Multiplies accumulators by their columns' multipliers, which may be `ready`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn scale<const R: usize>(
        &self,
        sums: &mut [[__m512i; V]; R],
        ready: Option<&[Multipliers; V]>,
    ) {
        for v in 0..V {
            let Multipliers { left, even, odd } = match ready {
                Some(ready) if R > 1 => ready[v],
                _ => self.multipliers(v),
            };
            for sums in sums.iter_mut() {
                let sum = match left {
                    Some(left) => _mm512_sllv_epi32(sums[v], left),
                    None => sums[v],
                };
                let (low, high) = (even.apply(sum), odd.apply(upper(sum)));
                sums[v] = _mm512_mask_shuffle_epi32::<_MM_PERM_CCAA>(low, 0xaaaa, high);
            }
        }
    }

    /// Adds the zero point, clamps, and stores rows that begin at `first`, `first + step` and so on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn put_bytes<const R: usize>(
        &self,
        scaled: &[[__m512i; V]; R],
        stage: Output,
        out: &mut [i8],
        (first, step): (usize, usize),
    ) {
        let zero = _mm512_set1_epi32(stage.zero);
        let least = _mm512_set1_epi8(stage.min);
        let most = _mm512_set1_epi8(stage.max);
        // What four vectors, packed into one, are in order of columns.
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        for group in (0..R * V).step_by(4) {
            let mut four = [zero; 4];
            for (at, moved) in (group..R * V).zip(&mut four) {
                *moved = _mm512_add_epi32(scaled[at / V][at % V], zero);
            }
            let low = _mm512_packs_epi32(four[0], four[1]);
            let high = _mm512_packs_epi32(four[2], four[3]);
            let bytes = _mm512_packs_epi16(low, high);
            let bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, least), most);
            let bytes = _mm512_permutexvar_epi32(order, bytes);
            if V == 4 && self.last == u16::MAX {
                let at = first + group / V * step + self.column;
                // SAFETY: `Product::new` has checked that every column of every row lies within
                // `out`, and all 64 lanes are columns.
                unsafe { _mm512_storeu_si512(out.as_mut_ptr().add(at).cast(), bytes) };
                continue;
            }
            if V == 1 && self.last == u16::MAX && step == LANES && group + 4 <= R {
                let at = first + group * step + self.column;
                // SAFETY: as above; four rows of 16 columns each follow each other.
                unsafe { _mm512_storeu_si512(out.as_mut_ptr().add(at).cast(), bytes) };
                continue;
            }
            let quarters = [
                _mm512_extracti32x4_epi32::<0>(bytes),
                _mm512_extracti32x4_epi32::<1>(bytes),
                _mm512_extracti32x4_epi32::<2>(bytes),
                _mm512_extracti32x4_epi32::<3>(bytes),
            ];
            for (at, quarter) in (group..R * V).zip(quarters) {
                let (r, v) = (at / V, at % V);
                // SAFETY: as above; lanes that are no columns are masked.
                unsafe {
                    let to = out
                        .as_mut_ptr()
                        .add(first + r * step + self.column + v * LANES);
                    match self.mask(v) {
                        u16::MAX => _mm_storeu_si128(to.cast(), quarter),
                        mask => _mm_mask_storeu_epi8(to, mask, quarter),
                    }
                }
            }
        }
    }

    /// Stores the accumulators of a row that begins at `row`.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    fn put_wide(&self, sums: &[__m512i; V], out: &mut [i32], row: usize) {
        for (v, &sums) in sums.iter().enumerate() {
            // SAFETY: `Product::new` has checked that every column of every row lies within `out`;
            // lanes that are no columns are masked.
            unsafe {
                let to = out.as_mut_ptr().add(row + self.column + v * LANES);
                _mm512_mask_storeu_epi32(to, self.mask(v), sums);
            }
        }
    }

    /// Which lanes of vector `v` are columns.
    #[inline]
    fn mask(&self, v: usize) -> u16 {
        if v + 1 == V { self.last } else { u16::MAX }
    }
}

/// The odd lanes, in the low halves of 64 bits.
#[inline]
#[target_feature(enable = "avx512f")]
fn upper(x: __m512i) -> __m512i {
    _mm512_srli_epi64::<32>(x)
}

/// The multiplier of eight lanes, for accumulators in the low halves of 64 bits.
///
/// gemmlowp rounds twice: `y = ⌊(xm + 2^30) / 2^31⌋`, then `⌊(y + 2^(e−1) − [y < 0]) / 2^e⌋` if
/// `e > 0`. A floor of a floor is one floor: `⌊(xm + 2^30 + 2^(30+e) − 2^31 [y < 0]) / 2^(31+e)⌋`.
/// And `y < 0` may be read off `x < 0`: they differ only for `xm = −2^30`, which gives zero either
/// way.
#[derive(Clone, Copy)]
struct Scale {
    mantissa: __m512i,
    /// What is added before the shift.
    round: __m512i,
    /// What is added to negative products besides.
    negative: __m512i,
    shift: __m512i,
}

impl Scale {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn twice(mantissa: __m512i, exponent: __m512i) -> Self {
        let twice = _mm512_test_epi64_mask(exponent, exponent);
        let nudge = _mm512_set1_epi64(1 << 30);
        let second = _mm512_maskz_sllv_epi64(twice, nudge, exponent);
        Self {
            mantissa,
            round: _mm512_add_epi64(nudge, second),
            negative: _mm512_maskz_set1_epi64(twice, -(1 << 31)),
            shift: _mm512_add_epi64(exponent, _mm512_set1_epi64(31)),
        }
    }

    /// Rounded once, with the whole shift.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn once(mantissa: __m512i, shift: __m512i) -> Self {
        let one = _mm512_set1_epi64(1);
        Self {
            mantissa,
            round: _mm512_sllv_epi64(one, _mm512_sub_epi64(shift, one)),
            negative: _mm512_setzero_si512(),
            shift,
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512dq")]
    fn apply(&self, x: __m512i) -> __m512i {
        let product = _mm512_mul_epi32(x, self.mantissa);
        let below = _mm512_movepi64_mask(product);
        let rounded = _mm512_add_epi64(product, self.round);
        let rounded = _mm512_mask_add_epi64(rounded, below, rounded, self.negative);
        _mm512_srav_epi64(rounded, self.shift)
    }
}
