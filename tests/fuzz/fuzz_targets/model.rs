//! A TFLite file: refused with a sentence, or loaded and run, within a small limit of memory, by the fastest
//! kernels and by the portable ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scalebench_engine::{Isa, Limits, Model, inspect};

fuzz_target!(|bytes: &[u8]| {
    let mut limits = Limits::default();
    limits.memory_bytes = 1 << 20;
    let report = inspect(bytes, &limits);
    for isa in [Isa::detect(), Isa::PORTABLE] {
        limits.isa = isa;
        if let Ok(mut model) = Model::load(bytes, &limits) {
            assert!(report.is_ok(), "a model that loads can be inspected");
            let _ = model.run();
        }
    }
});
