//! The shipped families' models: all load and run, without an allocation after the first inference.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::{Path, PathBuf};

use scalebench_engine::{Isa, Limits, Model, inspect};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, which counts what the thread asks of it.
struct Counting;

#[expect(unsafe_code, reason = "an allocator can be counted only by being one")]
mod counting {
    use super::*;

    // SAFETY: every call goes to the system's allocator with the arguments as they came; counting touches a
    // constant-initialised cell of the thread and allocates nothing.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            ALLOCATIONS.with(|count| count.set(count.get() + 1));
            // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn models() -> Vec<(PathBuf, Vec<u8>)> {
    let families = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut found = Vec::new();
    for family in std::fs::read_dir(families).unwrap().flatten() {
        let Ok(weights) = std::fs::read_dir(family.path().join("weights")) else {
            continue;
        };
        for file in weights.flatten().map(|entry| entry.path()) {
            if file.extension().is_some_and(|end| end == "tflite") {
                let bytes = std::fs::read(&file).unwrap();
                found.push((file, bytes));
            }
        }
    }
    assert!(!found.is_empty(), "no shipped models");
    found
}

#[test]
fn an_inference_allocates_nothing() {
    for (file, bytes) in models() {
        let mut model = Model::load(&bytes, &Limits::default())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        model.run().unwrap();
        let before = ALLOCATIONS.with(Cell::get);
        for _ in 0..3 {
            model.run().unwrap();
        }
        let after = ALLOCATIONS.with(Cell::get);
        assert_eq!(after - before, 0, "{}", file.display());
    }
}

#[test]
fn a_preflight_agrees_with_the_loaded_model() {
    for (file, bytes) in models() {
        let report = inspect(&bytes, &Limits::default()).unwrap();
        assert_eq!(report.unsupported().count(), 0, "{}", file.display());
        let model = Model::load(&bytes, &Limits::default()).unwrap();
        assert_eq!(
            report.activation_bytes,
            Some(model.activation_bytes() as u64)
        );
        assert!(report.macs > 0 && report.parameters > 0);
    }
}

#[test]
fn a_profile_names_every_operator_that_runs() {
    let (_, bytes) = models().remove(0);
    let mut model = Model::load(&bytes, &Limits::default()).unwrap();
    let mut now = 0;
    for _ in 0..2 {
        model
            .profile(&mut || {
                now += 5;
                now
            })
            .unwrap();
    }
    let report = inspect(&bytes, &Limits::default()).unwrap();
    let profiled: Vec<_> = model.profiled().collect();
    assert!(!profiled.is_empty());
    for (operator, ticks) in profiled {
        assert!(operator < report.operators.len());
        assert!(
            ticks >= 10 && ticks % 10 == 0,
            "twice, in steps of 5: {ticks}"
        );
    }
}

#[test]
fn a_broken_file_gets_a_sentence() {
    let say = |bytes: &[u8]| {
        Model::load(bytes, &Limits::default())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        say(b"PK\x03\x04"),
        "not a readable TFLite flatbuffer: the identifier TFL3 is missing at its beginning; export or download the file again"
    );
    let (_, bytes) = models().remove(0);
    let mut limits = Limits::default();
    limits.memory_bytes = 8;
    let error = Model::load(&bytes, &limits).unwrap_err().to_string();
    assert!(error.contains("8 are allowed: raise the limit"), "{error}");
}

#[test]
fn portable_and_fast_kernels_give_the_same_bytes() {
    let mut compared = 0;
    for (file, bytes) in models() {
        if !file.to_string_lossy().ends_with(".int8.tflite") {
            continue; // sums of floats depend on their order
        }
        let answers = [Isa::detect(), Isa::PORTABLE].map(|isa| {
            let mut limits = Limits::default();
            limits.isa = isa;
            let mut model = Model::load(&bytes, &limits).unwrap();
            for index in 0..model.inputs().len() {
                // Token ids must be in a vocabulary, which no shipped one has less of than 64.
                let words = model.inputs()[index].dtype.size() == 4;
                let input = model.input_mut(index);
                for (at, byte) in input.iter_mut().enumerate() {
                    let mixed = (at as u32).wrapping_mul(0x9e37_79b9) >> 24;
                    *byte = match words {
                        true if at % 4 == 0 => mixed as u8 % 64,
                        true => 0,
                        false => mixed as u8,
                    };
                }
            }
            model.run().unwrap();
            let outputs = 0..model.outputs().len();
            outputs
                .map(|at| model.output(at).to_vec())
                .collect::<Vec<_>>()
        });
        assert_eq!(answers[0], answers[1], "{}", file.display());
        compared += 1;
    }
    assert!(compared > 40, "only {compared} models");
}
