//! SOFTMAX and LOG_SOFTMAX along the innermost axis.

use crate::activation::exp;
use crate::element::{Byte, Element, Quantisation};
use crate::error::{Error, Operand, exactly};
use crate::fixed::{exp_of_negative, reciprocal};
use crate::requant::{Multiplier, divide_by_power_of_two, doubling_high};
use crate::table::Interpolated;

/// Softmax of `i8` or `u8`, to the same type or `i16`: `Softmax` (tflite/kernels/internal/reference/
/// softmax.h).
///
/// The exponential depends on the difference from the row's greatest element alone: all 256 are
/// computed at load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Softmax {
    /// `exp(−β · scale · difference)` without integer bits; 0 from where the reference leaves it out.
    exps: [i32; 256],
}

impl Softmax {
    /// Integer bits of the scaled difference.
    const DIFFERENCE: i32 = 5;
    /// Integer bits of the sum.
    const SUM: i32 = 12;

    /// # Errors
    /// [`Error::Quantisation`] if `beta` times the input's scale is out of range.
    pub fn new<T: Byte>(input: Quantisation, beta: f32) -> Result<Self, Error> {
        let unit = f64::from(1 << (31 - Self::DIFFERENCE));
        let real = f64::from(beta) * input.check::<T>()?.wide() * unit;
        // The reference demands a multiplier above 1.
        if !(real > 1.0 && real.is_finite()) {
            return Err(Error::Quantisation);
        }
        let mut exps = [0; 256];
        exps[0] = exp_of_negative(0);
        // Beyond the multiplier's range a single step already leaves nothing.
        if let Some(multiplier) = Multiplier::from_real(real) {
            let largest = f64::from((1 << Self::DIFFERENCE) - 1) * unit;
            let least = libm::floor(libm::ldexp(largest, -multiplier.shift)) as i32;
            for (difference, exp) in (0..=least).zip(&mut exps) {
                *exp = exp_of_negative(multiplier.apply(-difference));
            }
        }
        Ok(Self { exps })
    }

    /// Softmax of every row of `depth` elements.
    ///
    /// # Errors
    /// [`Error::Length`] if the slices are unlike or no whole rows, [`Error::ZeroExtent`] if `depth`
    /// is 0.
    pub fn run<T: Byte, O: Element>(
        &self,
        depth: usize,
        x: &[T],
        out: &mut [O],
    ) -> Result<(), Error> {
        for (x, out) in rows(depth, x, out)? {
            let greatest = x.iter().map(|x| x.widen()).max().unwrap_or(T::MIN);
            let exp = |x: &T| self.exps[(greatest - x.widen()) as usize & 255];
            let sum = x.iter().fold(0_i32, |sum, x| {
                sum.wrapping_add(divide_by_power_of_two(exp(x), Self::SUM as u32))
            });
            let (scale, bits) = reciprocal(sum, Self::SUM);
            let right = (bits + 31 - 8 * size_of::<O>() as i32).clamp(0, 31) as u32;
            for (out, x) in out.iter_mut().zip(x) {
                let share = divide_by_power_of_two(doubling_high(scale, exp(x)), right);
                *out = O::saturate(share.saturating_add(O::MIN));
            }
        }
        Ok(())
    }
}

/// Softmax of `i16`: `SoftmaxInt16` (tflite/kernels/internal/reference/softmax.h), with tables of
/// `exp` over [−10, 0] and of `1 / (1 + x)` over [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WideSoftmax {
    multiplier: Multiplier,
    exp: Interpolated,
    reciprocal: Interpolated,
}

impl WideSoftmax {
    /// # Errors
    /// [`Error::Quantisation`] if `beta` times the input's scale is out of range.
    pub fn new(input: Quantisation, beta: f32) -> Result<Self, Error> {
        let scaled = f64::from(input.check::<i16>()?.scale * beta) / (10.0 / 65535.0);
        let ends = |scale: f64, zero: f64| [scale * (-32768.0 - zero), scale * (32767.0 - zero)];
        let output = ends(2.0 / 65535.0, 0.0);
        Ok(Self {
            multiplier: Multiplier::from_real(scaled).ok_or(Error::Quantisation)?,
            exp: Interpolated::between(ends(10.0 / 65535.0, 32767.0), output, libm::exp),
            reciprocal: Interpolated::between(ends(1.0 / 65535.0, -32768.0), output, |x| {
                1.0 / (1.0 + x)
            }),
        })
    }

    /// Softmax of every row of `depth` elements.
    ///
    /// # Errors
    /// As [`Softmax::run`].
    pub fn run(&self, depth: usize, x: &[i16], out: &mut [i16]) -> Result<(), Error> {
        for (x, out) in rows(depth, x, out)? {
            let greatest = x.iter().copied().max().map_or(0, i32::from);
            let mut sum = 0_i32;
            for (out, &x) in out.iter_mut().zip(x) {
                let scaled = self.multiplier.apply(i32::from(x) - greatest);
                *out = self.exp.answer(i16::saturate(scaled.saturating_add(32767)));
                sum = sum.wrapping_add(i32::from(*out));
            }
            let headroom = sum.leading_zeros().clamp(1, 30);
            let shifted = (((i64::from(sum) << (headroom - 1)) + (1 << 13)) >> 14) as i32;
            let scale = self
                .reciprocal
                .answer(i16::saturate(shifted - (1 << 15) - (1 << 16)));
            let right = 31 - headroom;
            let round = (1_i64 << right) >> 1;
            for out in out.iter_mut() {
                let share = (i64::from(*out) * i64::from(scale) + round) >> right;
                *out = share.clamp(0, i64::from(i16::MAX)) as i16;
            }
        }
        Ok(())
    }
}

/// Softmax of `f32`.
///
/// # Errors
/// As [`Softmax::run`].
pub fn real(beta: f32, depth: usize, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
    for (x, out) in rows(depth, x, out)? {
        let greatest = x.iter().copied().fold(f32::MIN, f32::max);
        for (out, &x) in out.iter_mut().zip(x) {
            *out = exp((x - greatest) * beta);
        }
        let sum: f32 = out.iter().sum();
        out.iter_mut().for_each(|out| *out /= sum);
    }
    Ok(())
}

/// The logarithm of the softmax of `f32`.
///
/// # Errors
/// As [`Softmax::run`].
pub fn log(depth: usize, x: &[f32], out: &mut [f32]) -> Result<(), Error> {
    for (x, out) in rows(depth, x, out)? {
        let greatest = x.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = x.iter().map(|x| libm::expf(x - greatest)).sum();
        let log = libm::logf(sum);
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x - greatest - log;
        }
    }
    Ok(())
}

/// Rows of `depth` elements, input beside output.
pub(crate) fn rows<'s, T, O>(
    depth: usize,
    x: &'s [T],
    out: &'s mut [O],
) -> Result<impl Iterator<Item = (&'s [T], &'s mut [O])>, Error> {
    exactly(x, out.len(), Operand::Input)?;
    if depth == 0 {
        return Err(Error::ZeroExtent);
    }
    exactly(x, x.len() / depth * depth, Operand::Input)?;
    Ok(x.chunks_exact(depth).zip(out.chunks_exact_mut(depth)))
}
