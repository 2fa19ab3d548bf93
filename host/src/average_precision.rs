//! Mean average precision out of what a board found in each picture, and its interval by the bootstrap over pictures.
//!
//! The definition is COCO's (`pycocotools.cocoeval` 2.0: 101 recall points, all areas), as on the board, which also
//! matches boxes with labels: a picture's matches do not depend on the other pictures, so resampled ones keep theirs.

use crate::stats::Interval;
use crate::stats::bootstrap::bca_weights;
use scalebench_wire::message::Found;
use std::collections::BTreeMap;
use std::ops::Range;

/// Number of recall points, from 0 to 1.
const POINTS: u32 = 101;

/// A reported box.
#[derive(Clone, Copy, Debug)]
struct Record {
    picture: usize,
    score: f32,
    right: u16,
}

/// What is labelled and found of one class.
#[derive(Clone, Debug, Default)]
struct Class {
    /// Picture and count of labelled boxes, where there are any.
    labels: Vec<(usize, f64)>,
    /// Best score first; of equal scores, in the order of reporting.
    records: Vec<Record>,
}

/// Pictures with labels and reported boxes.
#[derive(Clone, Debug)]
pub(crate) struct Pictures {
    count: usize,
    classes: Vec<Class>,
}

impl Pictures {
    /// Pictures whose labelled boxes have these `classes`; `None` where `found` is not of these pictures, one after the
    /// other.
    pub(crate) fn new(classes: &[Vec<u16>], found: &[Found]) -> Option<Self> {
        let numbers = found.iter().map(|found| found.sample as usize);
        if !numbers.eq(0..classes.len()) {
            return None;
        }
        let mut by_class = BTreeMap::<u16, Class>::new();
        for (picture, (labels, found)) in classes.iter().zip(found).enumerate() {
            for &class in labels {
                let labels = &mut by_class.entry(class).or_default().labels;
                match labels.last_mut() {
                    Some((last, count)) if *last == picture => *count += 1.0,
                    _ => labels.push((picture, 1.0)),
                }
            }
            for found in &found.boxes {
                let record = Record {
                    picture,
                    score: found.score,
                    right: found.right,
                };
                by_class
                    .entry(found.class)
                    .or_default()
                    .records
                    .push(record);
            }
        }
        let mut classes: Vec<Class> = by_class.into_values().collect();
        for class in &mut classes {
            class.records.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        Some(Self {
            count: found.len(),
            classes,
        })
    }

    /// The mean over the classes that are labelled and over overlaps `0.5 + 0.05 t` of the `steps` `t`, each picture
    /// occurring so many times; not a number where nothing is labelled.
    fn mean(&self, steps: &Range<u8>, times: &[f64]) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        for class in &self.classes {
            let counts = class.labels.iter();
            let labels: f64 = counts.map(|&(picture, count)| count * times[picture]).sum();
            if labels > 0.0 {
                for step in steps.clone() {
                    sum += class.average(step, labels, times);
                    count += 1.0;
                }
            }
        }
        sum / count
    }

    /// The figure over the overlaps of `steps`, and its 95 % interval.
    pub(crate) fn interval(
        &self,
        steps: Range<u8>,
        resamples: usize,
        seed: u64,
    ) -> (f64, Option<Interval>) {
        let figure = |times: &[f64]| self.mean(&steps, times);
        let interval = bca_weights(self.count, figure, resamples, seed);
        (figure(&vec![1.0; self.count]), interval)
    }
}

impl Class {
    /// Mean over the recall points of the best precision at that recall or a higher one, of so many `labels`.
    ///
    /// A picture's box that occurs several times is ranked as one block: within it, precision is nowhere higher than
    /// at its end if it is right, or before it if it is wrong. So of boxes with equal scores one's copies come before
    /// the other's.
    fn average(&self, step: u8, labels: f64, times: &[f64]) -> f64 {
        let (mut ranked, mut hits) = (0.0, 0.0);
        let mut curve = Vec::with_capacity(self.records.len());
        for record in &self.records {
            let times = times[record.picture];
            if times > 0.0 {
                ranked += times;
                hits += times * f64::from(record.right >> step & 1);
                curve.push([hits / labels, hits / ranked]);
            }
        }
        let mut highest = 0.0_f64;
        for [_, precision] in curve.iter_mut().rev() {
            highest = highest.max(*precision);
            *precision = highest;
        }
        let (mut sum, mut at) = (0.0, 0);
        for point in 0..POINTS {
            let wanted = f64::from(point) * 0.01;
            while curve.get(at).is_some_and(|[recall, _]| *recall < wanted) {
                at += 1;
            }
            let Some([_, precision]) = curve.get(at) else {
                break;
            };
            sum += precision;
        }
        sum / f64::from(POINTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scalebench_core::average_precision::AveragePrecision;
    use scalebench_core::detection::{Area, Detection};
    use scalebench_wire::container::BoxLabel;

    fn numbers<T: std::str::FromStr<Err: std::fmt::Debug>>(words: &[&str]) -> Vec<T> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }

    /// The boxes that pycocotools scored, as a board tells of them, and pycocotools' figures.
    fn coco() -> (Vec<Vec<u16>>, Vec<Found>, [f64; 2]) {
        let mut tally = AveragePrecision::new();
        let (mut classes, mut all, mut expected) = (Vec::new(), Vec::new(), [f64::NAN; 2]);
        let (mut found, mut labels) = (Vec::<Detection>::new(), Vec::<BoxLabel>::new());
        let text = include_str!("../../runner/core/tests/coco.txt");
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if matches!(words[0], "picture" | "expected") {
                tally.add(&found, labels.iter().copied()).unwrap();
                all.push(Found {
                    sample: all.len() as u32,
                    boxes: tally.newest(found.len()).collect(),
                });
                classes.push(labels.iter().map(|label| label.class).collect());
                found.clear();
                labels.clear();
            }
            match words[0] {
                "found" => found.push(Detection {
                    class: words[1].parse().unwrap(),
                    score: words[2].parse().unwrap(),
                    area: Area(numbers(&words[3..]).try_into().unwrap()),
                }),
                "label" => labels.push(BoxLabel {
                    class: words[1].parse().unwrap(),
                    corners: numbers(&words[2..]).try_into().unwrap(),
                }),
                "expected" => expected = numbers(&words[1..]).try_into().unwrap(),
                _ => {}
            }
        }
        (classes, all, expected)
    }

    #[test]
    fn equal_to_pycocotools() {
        let (classes, found, [map50, map50_95]) = coco();
        let pictures = Pictures::new(&classes, &found).unwrap();
        let (first, interval) = pictures.interval(0..1, 400, 1);
        assert!((first - map50).abs() < 1e-12, "{first} {map50}");
        let (all, narrower) = pictures.interval(0..10, 400, 1);
        assert!((all - map50_95).abs() < 1e-12, "{all} {map50_95}");
        let (interval, narrower) = (interval.unwrap(), narrower.unwrap());
        assert!(interval.holds(map50) && narrower.holds(map50_95));
        assert!(interval.low > 0.0 && interval.high < 1.0, "{interval:?}");
    }

    #[test]
    fn pictures_that_occur_twice_are_ranked_twice() {
        let (classes, mut found, _) = coco();
        // Of equal scores the copies of a box would not stand together: there are none here.
        let boxes = found.iter_mut().flat_map(|found| &mut found.boxes);
        for (number, found) in boxes.enumerate() {
            found.score += 1.0 + number as f32 * 1e-5;
        }
        let times: Vec<f64> = (0..classes.len())
            .map(|at| [1.0, 2.0, 3.0][at % 3])
            .collect();
        let pictures = Pictures::new(&classes, &found).unwrap();
        let weighted = pictures.mean(&(0..10), &times);
        let (mut labels, mut all) = (Vec::new(), Vec::new());
        for ((classes, found), &times) in classes.iter().zip(&found).zip(&times) {
            for _ in 0..times as usize {
                labels.push(classes.clone());
                all.push(Found {
                    sample: all.len() as u32,
                    ..found.clone()
                });
            }
        }
        let repeated = Pictures::new(&labels, &all).unwrap();
        let plain = repeated.mean(&(0..10), &vec![1.0; all.len()]);
        assert!((weighted - plain).abs() < 1e-12, "{weighted} {plain}");
    }

    #[test]
    fn gaps_in_what_a_board_told_leave_no_figure() {
        let (classes, mut found, _) = coco();
        found.remove(3);
        assert!(Pictures::new(&classes, &found).is_none());
        assert!(Pictures::new(&classes[1..], &found).is_none());
    }
}
