//! Broken models: the shipped families' and the oracle's single operators, mutated, are refused with a sentence or
//! run, without a panic. `SCALEBENCH_MUTATIONS=SEED,ROUNDS` takes other ones, and more.

use std::path::Path;

use scalebench_engine::{Limits, Model, inspect};

fn models() -> Vec<(String, Vec<u8>)> {
    let families = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    let mut found = Vec::new();
    for family in std::fs::read_dir(families).unwrap().flatten() {
        let weights = std::fs::read_dir(family.path().join("weights"));
        for file in weights.into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.ends_with(".tflite") {
                found.push((name, std::fs::read(file.path()).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no shipped models");
    for name in scalebench_oracle::names() {
        let cases = scalebench_oracle::cases(&name);
        found.extend(cases.into_iter().map(|case| (case.name, case.model)));
    }
    found.sort();
    found
}

/// A cheap generator; the mutations shall be the same at every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % below.max(1)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        if self.roll(8) == 0 {
            bytes.truncate(self.roll(bytes.len()));
        }
        for _ in 0..=self.roll(4) {
            if bytes.is_empty() {
                break;
            }
            // The tables are small beside the weights: most hits shall be in them.
            let at = match self.roll(3) {
                0 => self.roll(bytes.len()),
                1 => self.roll(bytes.len().min(4096)),
                _ => bytes.len() - 1 - self.roll(bytes.len().min(8192)),
            };
            bytes[at] = match self.roll(5) {
                0 => 0,
                1 => 0xff,
                2 => 0x80,
                3 => bytes[at] ^ 1 << self.roll(8),
                _ => self.roll(256) as u8,
            };
        }
    }
}

#[test]
fn mutations_are_refused_or_run() {
    let asked = std::env::var("SCALEBENCH_MUTATIONS").unwrap_or_else(|_| "7,2000".into());
    let (seed, rounds) = asked.split_once(',').expect("SEED,ROUNDS");
    let mut dice = Dice(seed.parse().expect("a seed"));
    let rounds: usize = rounds.parse().expect("a number of rounds");
    let mut limits = Limits::default();
    limits.memory_bytes = 1 << 22;
    let models = models();
    let (mut refused, mut ran) = (0, 0);
    for round in 0..rounds {
        let (name, bytes) = &models[dice.roll(models.len())];
        let mut bytes = bytes.clone();
        dice.mutate(&mut bytes);
        let outcome = std::panic::catch_unwind(|| {
            let report = inspect(&bytes, &limits);
            match Model::load(&bytes, &limits) {
                Ok(mut model) => {
                    assert!(report.is_ok(), "a model that loads can be inspected");
                    // An input may be one that an operator must not act upon.
                    let _ = model.run();
                    None
                }
                Err(error) => Some(error.to_string()),
            }
        });
        match outcome {
            Ok(None) => ran += 1,
            Ok(Some(sentence)) => {
                assert!(sentence.len() > 20, "{name}, round {round}: {sentence}");
                refused += 1;
            }
            Err(_) => {
                let file = std::env::temp_dir().join(format!("mutation-{seed}-{round}.tflite"));
                std::fs::write(&file, &bytes).unwrap();
                panic!("{name}, round {round}: see {}", file.display());
            }
        }
    }
    println!("{ran} ran, {refused} were refused");
    assert!(
        ran > rounds / 100 && refused > rounds / 8,
        "{ran} ran, {refused} were refused"
    );
}

#[test]
fn tensors_of_unlike_ranks_are_not_joined() {
    let model = include_bytes!("broken/pack-of-unlike-ranks.tflite");
    let error = Model::load(model, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("joined with"), "{error}");
}

#[test]
fn functions_of_nothing_answer_nothing() {
    let model = include_bytes!("broken/sine-of-nothing.tflite");
    let mut model = Model::load(model, &Limits::default()).unwrap();
    model.run().unwrap();
    assert!(model.output(0).is_empty());
}
