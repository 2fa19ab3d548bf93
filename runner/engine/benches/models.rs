//! One inference of each model: those named in `SCALEBENCH_MODELS` (paths, separated by colons), or else one of
//! each shipped family and precision.
//!
//!     SCALEBENCH_MODELS=a.tflite:b.tflite cargo bench -p scalebench-engine
//!
//! `beside_litert.py` runs LiteRT on the same models and prints the ratios.

use std::path::{Path, PathBuf};

use divan::Bencher;
use scalebench_engine::{Limits, Model};

fn main() {
    divan::main();
}

#[derive(Debug)]
struct Named(PathBuf);

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.0.file_stem().unwrap_or_default();
        f.write_str(&name.to_string_lossy())
    }
}

fn models() -> Vec<Named> {
    if let Some(list) = std::env::var_os("SCALEBENCH_MODELS") {
        return std::env::split_paths(&list).map(Named).collect();
    }
    let families = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    [
        "diamonds-mlp/weights/d3-w128.float32.tflite",
        "diamonds-mlp/weights/d3-w128.int8.tflite",
        "fashion-cnn/weights/s1.float32.tflite",
        "fashion-cnn/weights/s1.int8.tflite",
    ]
    .map(|file| Named(families.join(file)))
    .into()
}

#[divan::bench(args = models())]
fn inference(bencher: Bencher<'_, '_>, model: &Named) {
    let bytes = std::fs::read(&model.0).expect("a readable model");
    let mut model = Model::load(&bytes, &Limits::default()).expect("an executable model");
    bencher.bench_local(|| model.run());
}
