//! Mean average precision as COCO defines it (`pycocotools.cocoeval` 2.0: matching in order of score,
//! 101 recall points, all areas), with room for a fixed number of boxes. No heap.

use crate::detection::Detection;
use core::cmp::Ordering;
use heapless::Vec;
use scalebench_wire::container::BoxLabel;
use scalebench_wire::message::{FoundBox, Metrics};

/// The most labelled boxes of a picture.
pub const MAX_LABELS: usize = 16;
/// The most boxes of a whole pass.
pub const MAX_DETECTIONS: usize = 4096;
/// The most classes.
pub const MAX_CLASSES: usize = 64;
/// Boxes count for precision and recall from this score on.
const COUNTED_SCORE: f32 = 0.5;
/// Overlaps asked for: 0.50, 0.55, ... 0.95.
const THRESHOLDS: usize = 10;

/// What is kept of a reported box.
#[derive(Clone, Copy, Debug)]
struct Record {
    class: u16,
    /// Bit `t` is set when the box matched a label at threshold `t`.
    right: u16,
    score: f32,
    /// Its number in the pass: of equal scores the earlier ranks first.
    number: u32,
}

/// Why a picture was not added. Append-only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Full {
    /// More than [`MAX_DETECTIONS`] boxes in the pass.
    Detections,
    /// More than [`MAX_LABELS`] labelled boxes in the picture.
    Labels,
}

impl core::fmt::Display for Full {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Detections => write!(
                f,
                "more than {MAX_DETECTIONS} boxes to rank: plan fewer samples"
            ),
            Self::Labels => write!(
                f,
                "more than {MAX_LABELS} labelled boxes in a picture: split it"
            ),
        }
    }
}

impl core::error::Error for Full {}

/// Boxes and labels of all pictures so far.
#[derive(Clone, Debug)]
pub struct AveragePrecision {
    records: Vec<Record, MAX_DETECTIONS>,
    /// Labelled boxes of each class.
    labels: [u32; MAX_CLASSES],
}

impl Default for AveragePrecision {
    fn default() -> Self {
        Self::new()
    }
}

impl AveragePrecision {
    /// Nothing seen.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            records: Vec::new(),
            labels: [0; MAX_CLASSES],
        }
    }

    /// Adds a picture: what was reported, best score first, and what is there.
    ///
    /// # Errors
    /// [`Full`], and then nothing of the picture counts.
    pub fn add(
        &mut self,
        found: &[Detection],
        labelled: impl Iterator<Item = BoxLabel>,
    ) -> Result<(), Full> {
        let mut labels: Vec<BoxLabel, MAX_LABELS> = Vec::new();
        for label in labelled {
            labels.push(label).map_err(|_| Full::Labels)?;
        }
        if self.records.len() + found.len() > MAX_DETECTIONS {
            return Err(Full::Detections);
        }
        let mut taken = [0_u16; THRESHOLDS];
        for detection in found {
            let mut right = 0;
            for (step, taken) in taken.iter_mut().enumerate() {
                if let Some(label) = partner(detection, &labels, *taken, threshold(step)) {
                    *taken |= 1 << label;
                    right |= 1 << step;
                }
            }
            let record = Record {
                class: detection.class,
                right,
                score: detection.score,
                number: self.records.len() as u32,
            };
            self.records.push(record).map_err(|_| Full::Detections)?;
        }
        for label in &labels {
            if let Some(count) = self.labels.get_mut(usize::from(label.class)) {
                *count += 1;
            }
        }
        Ok(())
    }

    /// The last `count` boxes that were added, in their order. [`AveragePrecision::metrics`] forgets the order.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = FoundBox> + '_ {
        let first = self.records.len().saturating_sub(count);
        self.records.iter().skip(first).map(|record| FoundBox {
            class: record.class,
            score: record.score,
            right: record.right,
        })
    }

    /// The metrics of everything added. Without any label they are not numbers.
    pub fn metrics(&mut self) -> Metrics {
        self.records.sort_unstable_by(|a, b| {
            let by_score = b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal);
            a.class
                .cmp(&b.class)
                .then(by_score)
                .then(a.number.cmp(&b.number))
        });
        let mut sums = [0.0; THRESHOLDS];
        let mut classes = 0.0;
        for (class, &labels) in self
            .labels
            .iter()
            .enumerate()
            .filter(|&(_, &count)| count > 0)
        {
            classes += 1.0;
            for (step, sum) in sums.iter_mut().enumerate() {
                *sum += average(self.class(class), step, labels);
            }
        }
        let counted = self.records.iter().filter(|r| r.score >= COUNTED_SCORE);
        let (mut reported, mut right) = (0.0, 0.0);
        for record in counted {
            reported += 1.0;
            right += f64::from(record.right & 1);
        }
        let labels: u32 = self.labels.iter().sum();
        Metrics::Detection {
            map50: sums[0] / classes,
            map50_95: sums.iter().sum::<f64>() / (classes * THRESHOLDS as f64),
            precision: right / reported,
            recall: right / f64::from(labels),
        }
    }

    /// The records of one class, which the sorting put together.
    fn class(&self, class: usize) -> &[Record] {
        let before = |limit: usize| {
            self.records
                .partition_point(|r| usize::from(r.class) < limit)
        };
        self.records
            .get(before(class)..before(class + 1))
            .unwrap_or(&[])
    }
}

fn threshold(step: usize) -> f64 {
    // As numpy's linspace gives it, and as cocoeval caps it.
    (0.5 + step as f64 * 0.05).min(1.0 - 1e-10)
}

/// The label that a box matches: of its class, not taken, overlapping most and by `least` at least.
fn partner(found: &Detection, labels: &[BoxLabel], taken: u16, least: f64) -> Option<usize> {
    let mut best = (None, least);
    for (index, label) in labels.iter().enumerate() {
        if label.class != found.class || taken >> index & 1 == 1 {
            continue;
        }
        let overlap = found.area.overlap_with_label(label);
        if overlap >= best.1 {
            best = (Some(index), overlap);
        }
    }
    best.0
}

/// Mean over recall 0, 0.01, ... 1 of the best precision at that recall or a higher one. `records` are
/// one class's, best score first.
fn average(records: &[Record], step: usize, labels: u32) -> f64 {
    let right = |record: &Record| u32::from(record.right >> step & 1);
    let mut hits: u32 = records.iter().map(right).sum();
    let mut point = 100_u32; // hundredths of recall still to be given a precision
    let (mut highest, mut sum) = (0.0_f64, 0.0);
    for (rank, record) in records.iter().enumerate().rev() {
        highest = highest.max(f64::from(hits) / (rank + 1) as f64);
        let recall = f64::from(hits) / f64::from(labels);
        let before = f64::from(hits - right(record)) / f64::from(labels);
        // The first rank with at least this recall is here when the rank before has less.
        loop {
            let wanted = f64::from(point) * 0.01;
            if wanted > recall {
                // No rank reaches it.
            } else if rank == 0 || wanted > before {
                sum += highest;
            } else {
                break;
            }
            if point == 0 {
                return sum / 101.0;
            }
            point -= 1;
        }
        hits -= right(record);
    }
    sum / 101.0
}
