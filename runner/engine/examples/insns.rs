//! Marks one inference of each model for an emulator that counts instructions: see
//! `benches/beside_tflite_insns.py`.
//!
//! `prctl` with an option that no kernel knows is the mark: 1 opens a window, 2 closes it.

#![expect(unsafe_code, reason = "the mark is a system call")]

use scalebench_engine::{Limits, Model};
use std::ffi::{c_int, c_ulong};

/// "BENC".
const MARK: c_int = 0x4245_4e43;

unsafe extern "C" {
    fn prctl(option: c_int, what: c_ulong, window: c_ulong, _: c_ulong, _: c_ulong) -> c_int;
}

fn mark(what: c_ulong, window: c_ulong) {
    // SAFETY: the kernel answers an unknown option with an error and touches nothing.
    unsafe { prctl(MARK, what, window, 0, 0) };
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in std::env::args().skip(1) {
        let mut model = Model::load(&std::fs::read(&file)?, &Limits::default())?;
        for index in 0..model.inputs().len() {
            let one_byte = model.inputs()[index].shape.iter().product::<usize>();
            let input = model.input_mut(index);
            if input.len() == one_byte {
                let mut state = 1_u32;
                input.fill_with(|| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                });
            }
        }
        for _ in 0..3 {
            model.run()?;
        }
        // A window of each: their difference is free of the marks.
        for (window, inferences) in [1, 11].into_iter().enumerate() {
            mark(1, window as c_ulong);
            for _ in 0..inferences {
                model.run()?;
            }
            mark(2, window as c_ulong);
        }
    }
    Ok(())
}
