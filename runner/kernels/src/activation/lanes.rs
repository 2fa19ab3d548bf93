//! Exponential functions of many `f32`, computed the same way on every processor and without branches, so
//! that the compiler fills its lanes with them.
//!
//! Nearer than 3e-7 to the exact answer, relative or to 1; [`Function::apply`] is nearer and an order of
//! magnitude slower.

use crate::activation::Function;
use crate::broadcast::row;
use crate::error::{Error, Operand, exactly};
use crate::isa::Isa;
use crate::table::map;

impl Function {
    /// The function of every element.
    ///
    /// # Errors
    /// [`Error::Length`] if the slices are unlike.
    pub fn run(self, isa: Isa, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
        match self {
            Self::Logistic => each(isa, x, out, logistic),
            Self::Tanh => each(isa, x, out, tanh),
            Self::Gelu => each(isa, x, out, gelu),
            Self::GeluByTanh => each(isa, x, out, gelu_by_tanh),
            other => map(x, out, |x| other.apply(x)),
        }
    }
}

#[inline(always)]
fn each(isa: Isa, x: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) -> Result<(), Error> {
    exactly(out, x.len(), Operand::Output)?;
    row(isa, x, &[0.0], out, |x, _| f(x));
    Ok(())
}

/// `e^x` of numbers up to 88; what is below −87 counts as −87.
///
/// `x = n ln 2 + r`: `n` is read from the mantissa of a sum with 1.5 · 2²³, `e^r` is a polynomial (Cephes, expf.c).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Written so that what is no number stays none.
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * core::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = (x - n * LN_2[0]) - n * LN_2[1];
    let mut tail = 1.987_569_1e-4;
    for coefficient in [
        1.398_2e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        tail = tail * r + coefficient;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (tail * r * r + r + 1.0) * power
}

#[inline(always)]
fn logistic(x: f32) -> f32 {
    let small = exp(-x.abs());
    let part = 1.0 / (1.0 + small);
    if x < 0.0 { small * part } else { part }
}

/// Near zero a polynomial (Cephes, tanhf.c), else by the exponential.
#[inline(always)]
fn tanh(x: f32) -> f32 {
    let square = x * x;
    let mut near = -5.704_988_7e-3;
    for coefficient in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
        near = near * square + coefficient;
    }
    let near = near * square * x + x;
    let small = exp(-2.0 * x.abs());
    let far = (1.0 - small) / (1.0 + small);
    let far = if x < 0.0 { -far } else { far };
    if x.abs() < 0.625 { near } else { far }
}

#[inline(always)]
fn gelu_by_tanh(x: f32) -> f32 {
    let slope = core::f32::consts::FRAC_2_SQRT_PI * core::f32::consts::FRAC_1_SQRT_2;
    0.5 * x * (1.0 + tanh(slope * (x + 0.044_715 * x * x * x)))
}

/// The normal distribution's integral after Abramowitz and Stegun, 7.1.26.
#[inline(always)]
fn gelu(x: f32) -> f32 {
    let z = x.abs() * core::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let mut sum = 1.061_405_4;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        sum = sum * t + coefficient;
    }
    let beyond = 0.5 * sum * t * exp(-z * z);
    x * if x < 0.0 { beyond } else { 1.0 - beyond }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn points() -> Vec<f32> {
        let grid = (-4000..=4000).map(|n| n as f32 * 0.025);
        let tiny = [
            0.0,
            -0.0,
            1e-30,
            -1e-8,
            3e-4,
            f32::MIN_POSITIVE,
            1e30,
            -1e30,
        ];
        grid.chain(tiny).collect()
    }

    #[test]
    fn lanes_are_near_the_exact_functions() {
        let x = points();
        for function in [
            Function::Logistic,
            Function::Tanh,
            Function::Gelu,
            Function::GeluByTanh,
        ] {
            let mut out = std::vec![0.0; x.len()];
            function.run(Isa::PORTABLE, &x, &mut out).expect("fits");
            for (&x, &got) in x.iter().zip(&out) {
                let due = function.apply(x);
                let off = (got - due).abs() / due.abs().max(1.0);
                assert!(
                    off <= 4e-7 || got == due,
                    "{function:?} of {x}: {got}, not {due}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_none() {
        for function in [Function::Logistic, Function::Tanh, Function::GeluByTanh] {
            let mut out = [0.0];
            function
                .run(Isa::PORTABLE, &[f32::NAN], &mut out)
                .expect("fits");
            assert!(out[0].is_nan(), "{function:?}");
        }
        let unlike = Function::Tanh.run(Isa::PORTABLE, &[1.0], &mut [0.0; 2]);
        assert!(matches!(unlike, Err(Error::Length { .. })));
    }

    #[test]
    fn every_instruction_set_answers_alike() {
        let x = points();
        let mut portable = std::vec![0.0; x.len()];
        Function::Gelu
            .run(Isa::PORTABLE, &x, &mut portable)
            .expect("fits");
        #[cfg(feature = "detect")]
        for isa in Isa::available() {
            let mut out = std::vec![0.0; x.len()];
            Function::Gelu.run(isa, &x, &mut out).expect("fits");
            assert_eq!(out, portable, "{}", isa.name());
        }
    }
}
