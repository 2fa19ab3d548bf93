//! EQUAL, LESS and the other comparisons; their answers are bytes of 0 and 1.

use crate::broadcast::Binary;
use crate::element::{Element, Quantisation};
use crate::error::Error;
use crate::requant::Multiplier;

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `a = b`.
    Equal,
    /// `a ≠ b`.
    NotEqual,
    /// `a < b`.
    Less,
    /// `a ≤ b`.
    LessEqual,
    /// `a > b`.
    Greater,
    /// `a ≥ b`.
    GreaterEqual,
}

impl Comparison {
    /// Whether it holds.
    #[inline]
    pub fn holds<T: PartialOrd>(self, a: T, b: T) -> bool {
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::Less => a < b,
            Self::LessEqual => a <= b,
            Self::Greater => a > b,
            Self::GreaterEqual => a >= b,
        }
    }
}

/// Numbers that stand for themselves.
impl<T: Copy + PartialOrd> Binary<T, u8> for Comparison {
    #[inline]
    fn apply(&self, a: T, b: T) -> u8 {
        u8::from(self.holds(a, b))
    }
}

/// Quantised numbers, brought to one scale: `ComparisonWithScaling`
/// (tflite/kernels/internal/reference/comparisons.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantised {
    comparison: Comparison,
    zeros: [i32; 2],
    multipliers: [Multiplier; 2],
}

impl Quantised {
    /// # Errors
    /// [`Error::Quantisation`] if a scale or zero point is out of range for `T`.
    pub fn new<T: Element>(
        comparison: Comparison,
        a: Quantisation,
        b: Quantisation,
    ) -> Result<Self, Error> {
        let (a, b) = (a.check::<T>()?, b.check::<T>()?);
        let multiplier =
            |q: Quantisation| Multiplier::from_real(q.wide()).ok_or(Error::Quantisation);
        Ok(Self {
            comparison,
            zeros: [a.zero, b.zero],
            multipliers: [multiplier(a)?, multiplier(b)?],
        })
    }
}

impl<T: Element> Binary<T, u8> for Quantised {
    #[inline]
    fn apply(&self, a: T, b: T) -> u8 {
        const LEFT: u32 = 8;
        let scaled = |which: usize, x: T| {
            self.multipliers[which].apply((x.widen() - self.zeros[which]) << LEFT)
        };
        u8::from(self.comparison.holds(scaled(0, a), scaled(1, b)))
    }
}
