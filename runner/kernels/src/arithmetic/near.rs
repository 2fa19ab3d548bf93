//! Sums in single precision, and where their rounding is the specification's.

use super::Add;
use crate::element::Element;
use crate::requant::Multiplier;

/// The sum as a real number, `x · fx + y · fy + c`, and how far its rounding may be trusted.
///
/// Scaling an operand rounds twice, by at most one step of the common scale in all; the specification's
/// sum is therefore within two steps of the real one. Scaling the sum by `m · 2^-e`, `m < 1`, rounds at
/// `2^-e` of an output step before it rounds to an output step: what is rounded last is within
/// `2.5 · 2^-e` of the real number. Single precision adds less than `2^-22` of the greatest magnitude
/// that occurs on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Near {
    pub(super) factors: [f32; 2],
    pub(super) constant: f32,
    /// The greatest distance from an integer that leaves no doubt.
    pub(super) certain: f32,
}

impl Near {
    /// `None` if the bound would leave too much in doubt.
    pub(super) fn of<T: Element>(add: &Add) -> Option<Self> {
        let real = |multiplier: Multiplier| {
            f64::from(multiplier.mantissa) * libm::exp2(f64::from(multiplier.shift - 31))
        };
        let steps = f64::from(1_u32 << add.left) * real(add.output);
        let sign = if add.subtract { -1.0 } else { 1.0 };
        let factors = [
            steps * real(add.inputs[0]),
            sign * steps * real(add.inputs[1]),
        ];
        let moved = |which: usize| f64::from(add.zeros[which]) * factors[which];
        let constant = f64::from(add.zero) - moved(0) - moved(1);
        let span = 2.0 * (f64::from(T::MAX) - f64::from(T::MIN) + 1.0);
        let greatest = span * (factors[0].abs() + factors[1].abs() + 1.0);
        let doubt = 2.5 * libm::exp2(f64::from(add.output.shift)) + greatest / f64::from(1 << 22);
        (doubt < 1.0 / 256.0).then_some(Self {
            factors: factors.map(|factor| factor as f32),
            constant: constant as f32,
            certain: (0.5 - doubt) as f32,
        })
    }
}
