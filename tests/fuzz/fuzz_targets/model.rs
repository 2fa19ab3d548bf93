//! A TFLite file: refused with a sentence, or loaded and run, within a small limit of memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scalebench_engine::{Limits, Model, inspect};

fuzz_target!(|bytes: &[u8]| {
    let mut limits = Limits::default();
    limits.memory_bytes = 1 << 20;
    let report = inspect(bytes, &limits);
    if let Ok(mut model) = Model::load(bytes, &limits) {
        assert!(report.is_ok(), "a model that loads can be inspected");
        let _ = model.run();
    }
});
