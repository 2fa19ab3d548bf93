//! Which instruction set a kernel may use.

/// A token that proves an instruction set to be there.
///
/// Only [`Isa::detect`] and [`Isa::available`] make one that is not [`Isa::PORTABLE`], and they ask
/// the processor. Holding a token is therefore the safety argument of every fast path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(pub(crate) Level);

/// The paths that exist, slowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Safe Rust, whatever the compiler makes of it.
    Portable,
}

impl Isa {
    /// Runs everywhere.
    pub const PORTABLE: Self = Self(Level::Portable);

    /// The fastest path this processor has.
    #[cfg(any(test, feature = "detect"))]
    pub fn detect() -> Self {
        Self::available().last().unwrap_or(Self::PORTABLE)
    }

    /// Every path this processor has, slowest first.
    #[cfg(any(test, feature = "detect"))]
    pub fn available() -> impl Iterator<Item = Self> {
        LEVELS
            .iter()
            .copied()
            .filter(|level| level.present())
            .map(Self)
    }

    /// How reports call this path.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Portable => "portable",
        }
    }
}

#[cfg(any(test, feature = "detect"))]
const LEVELS: &[Level] = &[Level::Portable];

#[cfg(any(test, feature = "detect"))]
impl Level {
    /// Whether the processor has all features of this level.
    fn present(self) -> bool {
        match self {
            Self::Portable => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_comes_first_and_the_best_is_available() {
        assert_eq!(Isa::available().next(), Some(Isa::PORTABLE));
        assert!(Isa::available().any(|isa| isa == Isa::detect()));
    }
}
