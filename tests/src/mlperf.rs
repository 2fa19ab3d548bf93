//! Inputs of MLPerf Tiny's tasks, drawn from a seed as `tests/mlperf_tiny/label.py` draws them, with the labels that
//! the TFLite reference kernels gave them; and a folder of the models that ship, as a task.

use crate::lab::root;
use scalebench_wire::container::{Dataset, Label};
use std::fs;
use std::path::{Path, PathBuf};

/// The benchmark's int8 models by task. They do not ship; `None` says so.
#[must_use]
pub fn model(task: &str) -> Option<PathBuf> {
    let name = match task {
        "ad01" => "ad01_int8.tflite",
        "ic01" => "pretrainedResnet_quant.tflite",
        "kws01" => "kws_ref_model.tflite",
        _ => "vww_96_int8.tflite",
    };
    let path = root().join("../shared/models/mlperf-tiny").join(name);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: there is no {}", path.display());
    None
}

/// Writes `task`'s folder of inputs and labels below `data`.
///
/// # Panics
/// When the labels are missing or the folder cannot be written.
pub fn write_inputs(data: &Path, task: &str) {
    let dir = data.join(task);
    fs::create_dir_all(&dir).expect("a folder");
    let labels = labels(&format!("{task}.csv"));
    for line in labels.lines() {
        let name = line.split(',').next().expect("a name");
        let number = name.trim_end_matches(".bin").parse().expect("a number");
        fs::write(dir.join(name), drawn(task, number)).expect("an input");
    }
    fs::write(dir.join("y_labels.csv"), labels).expect("labels");
}

/// What the reference kernels answered to the inputs: a line an input, scores with three digits.
///
/// # Panics
/// When the file is missing.
#[must_use]
pub fn reference_scores(task: &str) -> Vec<Vec<f64>> {
    labels(&format!("{task}-scores.csv"))
        .lines()
        .map(|line| {
            let scores = line.split(',').skip(1);
            scores
                .map(|score| score.parse().expect("a score"))
                .collect()
        })
        .collect()
}

fn labels(name: &str) -> String {
    let path = root().join("tests/mlperf_tiny/labels").join(name);
    fs::read_to_string(path).expect("labels are in the repository")
}

/// Writes the first `count` images of fashion-cnn's smallest evaluation set as a folder of ic01, labelled with the
/// garments they show, and returns the int8 model that takes them.
///
/// # Panics
/// When the family is not as it ships.
#[must_use]
pub fn write_garments(data: &Path, count: u32) -> PathBuf {
    let dir = data.join("ic01");
    fs::create_dir_all(&dir).expect("a folder");
    let family = root().join("models/fashion-cnn");
    let bytes = fs::read(family.join("data/test-14x14.sbds")).expect("a dataset");
    let dataset = Dataset::parse(&bytes).expect("a sound dataset");
    let mut lines = String::new();
    for number in 0..count {
        let Some(Label::Class(class)) = dataset.label(number) else {
            panic!("no class");
        };
        let name = format!("{number:04}.bin");
        fs::write(
            dir.join(&name),
            dataset.sample(0, number).expect("a sample"),
        )
        .expect("an input");
        lines += &format!("{name},10,{class}\n");
    }
    fs::write(dir.join("y_labels.csv"), lines).expect("labels");
    family.join("weights/s0.int8.tflite")
}

const BANDS: usize = 128;
const FRAMES: usize = 8;

fn drawn(task: &str, number: u64) -> Vec<u8> {
    let place = ["ad01", "ic01", "kws01", "vww01"]
        .iter()
        .position(|&known| known == task)
        .expect("a task");
    let mut dice = Dice::new(1_000 * place as u64 + number);
    match task {
        "ad01" => spectrogram(&mut dice),
        "ic01" => image(&mut dice, 32),
        "kws01" => cepstrum(&mut dice),
        _ => image(&mut dice, 96),
    }
}

/// xorshift64: G. Marsaglia, J. Stat. Softw. 8(14), 2003.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.below(2);
        }
        dice
    }

    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as i64 % bound
    }

    fn colour(&mut self) -> [i64; 3] {
        std::array::from_fn(|_| self.below(256))
    }
}

fn image(dice: &mut Dice, side: i64) -> Vec<u8> {
    let (top, bottom) = (dice.colour(), dice.colour());
    let mut pixels = Vec::new();
    for y in 0..side {
        let colour: [i64; 3] =
            std::array::from_fn(|at| (top[at] * (side - y) + bottom[at] * y) / side);
        pixels.extend((0..side).map(|_| colour));
    }
    for _ in 0..3 + dice.below(8) {
        let (x, y) = (dice.below(side), dice.below(side));
        let (wide, high) = (1 + dice.below(side / 2), 1 + dice.below(side / 2));
        let colour = dice.colour();
        for (at, pixel) in (0..).zip(&mut pixels) {
            let (right, down) = (at % side - x, at / side - y);
            if (right * high).pow(2) + (down * wide).pow(2) <= (wide * high).pow(2) {
                *pixel = colour;
            }
        }
    }
    pixels
        .as_flattened()
        .iter()
        .map(|&value| value as u8)
        .collect()
}

fn cepstrum(dice: &mut Dice) -> Vec<u8> {
    let mut values: [i64; 10] = std::array::from_fn(|_| dice.below(200) - 100);
    let step = 1 + dice.below(60);
    let mut frames = Vec::new();
    for _ in 0..49 {
        for value in &mut values {
            *value = (*value + dice.below(2 * step + 1) - step).clamp(-128, 127);
        }
        frames.extend(values.map(|value| value as u8));
    }
    frames
}

fn spectrogram(dice: &mut Dice) -> Vec<u8> {
    let rough = 1 + dice.below(160);
    let mut values: [i64; BANDS] = std::array::from_fn(|_| dice.below(rough) - 240);
    let mut frames = Vec::new();
    for _ in 0..FRAMES {
        for value in &mut values {
            *value += dice.below(9) - 4;
        }
        frames.extend(
            values
                .iter()
                .flat_map(|&value| (value as f32 / 8.0).to_le_bytes()),
        );
    }
    frames
}
