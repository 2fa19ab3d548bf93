//! Log statements: defmt where the feature is on, nothing where it is off.

macro_rules! info {
    ($format:literal $(, $arg:expr)*) => {{
        #[cfg(feature = "defmt")]
        defmt::info!($format $(, $arg)*);
        #[cfg(not(feature = "defmt"))]
        let _ = ($(&$arg,)*);
    }};
}

macro_rules! warning {
    ($format:literal $(, $arg:expr)*) => {{
        #[cfg(feature = "defmt")]
        defmt::warn!($format $(, $arg)*);
        #[cfg(not(feature = "defmt"))]
        let _ = ($(&$arg,)*);
    }};
}

pub(crate) use {info, warning as warn};
