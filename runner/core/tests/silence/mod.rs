//! A defmt logger that forgets everything. A workspace build turns `defmt` on for this crate, and a
//! test program links only with a logger.

#![cfg(feature = "defmt")]
#![expect(
    unsafe_code,
    reason = "defmt's Logger is an unsafe trait; this one touches nothing"
)]

#[defmt::global_logger]
struct Silence;

// SAFETY: nothing is written, so nothing can be interleaved.
unsafe impl defmt::Logger for Silence {
    fn acquire() {}
    // SAFETY: nothing to flush.
    unsafe fn flush() {}
    // SAFETY: nothing was acquired.
    unsafe fn release() {}
    // SAFETY: the bytes are dropped.
    unsafe fn write(_: &[u8]) {}
}

defmt::timestamp!("");
