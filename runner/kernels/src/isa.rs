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
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    #[cfg_attr(
        not(any(test, feature = "detect")),
        expect(dead_code, reason = "made by detect")
    )]
    Avx2,
    /// AVX-512 F, BW, DQ, VL and VNNI.
    #[cfg(target_arch = "x86_64")]
    #[cfg_attr(
        not(any(test, feature = "detect")),
        expect(dead_code, reason = "made by detect")
    )]
    Avx512,
    /// NEON, which every aarch64 has.
    #[cfg(target_arch = "aarch64")]
    #[cfg_attr(
        not(any(test, feature = "detect")),
        expect(dead_code, reason = "made by detect")
    )]
    Neon,
    /// NEON with the dot products of Armv8.2.
    #[cfg(target_arch = "aarch64")]
    #[cfg_attr(
        not(any(test, feature = "detect")),
        expect(dead_code, reason = "made by detect")
    )]
    NeonDot,
    /// NEON on 32-bit ARM.
    #[cfg(all(target_arch = "arm", target_os = "linux"))]
    #[cfg_attr(
        not(any(test, feature = "detect")),
        expect(dead_code, reason = "made by detect")
    )]
    Neon32,
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
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "NEON",
            #[cfg(target_arch = "aarch64")]
            Level::NeonDot => "NEON, dot product",
            #[cfg(all(target_arch = "arm", target_os = "linux"))]
            Level::Neon32 => "NEON",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "AVX-512 VNNI",
        }
    }
}

#[cfg(all(target_arch = "x86_64", any(test, feature = "detect")))]
use std::arch::is_x86_feature_detected;

#[cfg(any(test, feature = "detect"))]
const LEVELS: &[Level] = &[
    Level::Portable,
    #[cfg(target_arch = "x86_64")]
    Level::Avx2,
    #[cfg(target_arch = "x86_64")]
    Level::Avx512,
    #[cfg(target_arch = "aarch64")]
    Level::Neon,
    #[cfg(target_arch = "aarch64")]
    Level::NeonDot,
    #[cfg(all(target_arch = "arm", target_os = "linux"))]
    Level::Neon32,
];

#[cfg(any(test, feature = "detect"))]
impl Level {
    /// Whether the processor has all features of this level.
    fn present(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => std::arch::is_aarch64_feature_detected!("dotprod"),
            #[cfg(all(target_arch = "arm", target_os = "linux"))]
            Self::Neon32 => crate::neon32::present(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.present()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
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
