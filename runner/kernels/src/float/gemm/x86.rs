//! The product with AVX2 and FMA, and with AVX-512: the same code for vectors of 8 and of 16.
//!
//! A tile of several rows and vectors of columns stays in registers over the whole depth.

#![expect(
    unsafe_code,
    reason = "vector loads and stores whose bounds `Product` has checked"
)]

macro_rules! kernel {
    (
        $name:ident, $features:literal, $vector:ident, $lanes:literal,
        widths: $most:literal: [$($width:literal: $height:literal),*],
        $load:ident, $store:ident, $splat:ident, $fma:ident, $max:ident, $min:ident
    ) => {
        pub(in crate::float::gemm) mod $name {
            use super::super::{Layout, Product};
            use crate::gemm::Rows;
            use core::arch::x86_64::*;
            use core::array::from_fn;

            const LANES: usize = $lanes;

            pub(in crate::float::gemm) const LAYOUT: Layout = Layout {
                nr: $most * LANES,
                lane: LANES,
            };

            pub(in crate::float::gemm) fn run(product: Product) {
                // SAFETY: only an `Isa` of this level leads here, and such a token is made where
                // the processor has these features.
                unsafe { panels(product) }
            }

            #[target_feature(enable = $features)]
            fn panels(mut product: Product) {
                let depth = product.taps.depth();
                let mut rest = product.packed;
                let mut column = 0;
                while column < product.columns {
                    let width = LAYOUT.width(column, product.columns);
                    let (panel, after) = rest.split_at(width * (1 + depth));
                    match width / LANES {
                        $($width => strip::<$width, $height>(&mut product, panel, column),)*
                        _ => {}
                    }
                    rest = after;
                    column += width;
                }
            }

            /// All rows times the `V` vectors of columns of one panel, in tiles of nearly equal
            /// height, at most `MOST`.
            #[target_feature(enable = $features)]
            fn strip<const V: usize, const MOST: usize>(
                product: &mut Product,
                panel: &[f32],
                column: usize,
            ) {
                let mut rows = Rows::new(product.starts);
                let mut tiles = rows.left.div_ceil(MOST);
                while tiles > 0 {
                    match rows.left.div_ceil(tiles) {
                        1 => tile::<V, 1>(product, panel, &mut rows, column),
                        2 => tile::<V, 2>(product, panel, &mut rows, column),
                        3 => tile::<V, 3>(product, panel, &mut rows, column),
                        4 => tile::<V, 4>(product, panel, &mut rows, column),
                        5 => tile::<V, 5>(product, panel, &mut rows, column),
                        6 => tile::<V, 6>(product, panel, &mut rows, column),
                        7 => tile::<V, 7>(product, panel, &mut rows, column),
                        _ => tile::<V, 8>(product, panel, &mut rows, column),
                    }
                    tiles -= 1;
                }
            }

            /// `R` rows times the columns of a panel.
            #[target_feature(enable = $features)]
            fn tile<const V: usize, const R: usize>(
                product: &mut Product,
                panel: &[f32],
                rows: &mut Rows,
                column: usize,
            ) {
                let row = rows.done;
                let starts: [usize; R] = rows.take();
                let sums = dot::<V, R>(product, panel, &starts);
                let least = $splat(product.clamp.min);
                let most = $splat(product.clamp.max);
                for (r, sums) in sums.iter().enumerate() {
                    for (v, &sum) in sums.iter().enumerate() {
                        // In this order of operands NaN stays NaN.
                        let sum = $min(most, $max(least, sum));
                        let lane = column + v * LANES;
                        let at = (row + r) * product.step + lane;
                        let used = LANES.min(product.columns - lane);
                        let mut lanes = [0.0_f32; LANES];
                        // SAFETY: `Product::new` has checked that every column of every row lies
                        // within `out`, and all lanes are columns; or the array has that many.
                        unsafe {
                            if used == LANES {
                                $store(product.out.as_mut_ptr().add(at), sum);
                                continue;
                            }
                            $store(lanes.as_mut_ptr(), sum);
                        }
                        product.out[at..at + used].copy_from_slice(&lanes[..used]);
                    }
                }
            }

            /// The sums of `R` rows, biases included.
            #[inline]
            #[target_feature(enable = $features)]
            fn dot<const V: usize, const R: usize>(
                product: &Product,
                panel: &[f32],
                starts: &[usize; R],
            ) -> [[$vector; V]; R] {
                let taps = &product.taps;
                // SAFETY: a panel holds `V` vectors of biases, then as many of weights for each
                // depth of the taps; `Product::new` has checked that the row which starts last
                // ends within `left`.
                unsafe {
                    let mut weights = panel.as_ptr();
                    let biases: [$vector; V] = from_fn(|v| $load(weights.add(v * LANES)));
                    let mut sums = [biases; R];
                    for outer in 0..taps.outer {
                        for inner in 0..taps.inner {
                            let offset = outer * taps.outer_step + inner * taps.inner_step;
                            let heads: [*const f32; R] =
                                from_fn(|r| product.left.as_ptr().add(starts[r] + offset));
                            for depth in 0..taps.run {
                                weights = weights.add(V * LANES);
                                let columns: [$vector; V] =
                                    from_fn(|v| $load(weights.add(v * LANES)));
                                for r in 0..R {
                                    let x = $splat(*heads[r].add(depth));
                                    for v in 0..V {
                                        sums[r][v] = $fma(x, columns[v], sums[r][v]);
                                    }
                                }
                            }
                        }
                    }
                    sums
                }
            }
        }
    };
}

kernel!(
    avx2, "avx2,fma", __m256, 8,
    widths: 2: [1: 8, 2: 6],
    _mm256_loadu_ps, _mm256_storeu_ps, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_max_ps, _mm256_min_ps
);

kernel!(
    avx512, "avx512f", __m512, 16,
    widths: 4: [1: 8, 2: 8, 3: 8, 4: 6],
    _mm512_loadu_ps, _mm512_storeu_ps, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_max_ps, _mm512_min_ps
);
