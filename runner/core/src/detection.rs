//! From a grid head's outputs to boxes: decoding and suppression of doubles. No heap.
//!
//! The head is the single-shot one of `models/garment-detect`: a square grid of cells, and for each
//! cell, in row-major order, `presence, x, y, width, height` and one score a class, all 0 to 1. `x` and
//! `y` place the box's centre within the cell; width and height are shares of the picture.

use heapless::Vec;
use scalebench_wire::container::BoxLabel;
use scalebench_wire::message::MAX_FOUND;

/// The most cells of a grid.
pub const MAX_CELLS: usize = 256;
/// The most boxes reported for a picture.
pub const MAX_BOXES: usize = MAX_FOUND;
/// Boxes with a lower score are not reported.
pub const LEAST_SCORE: f32 = 0.05;
/// Of two boxes of a class that overlap by more than this, the one with the lower score is dropped.
pub const MOST_OVERLAP: f32 = 0.5;
/// Values of a cell before its classes' scores.
const BOX_VALUES: usize = 5;
/// What a [`BoxLabel`]'s corners count.
const LABEL_STEPS: f64 = 65_535.0;

/// A reported box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Its class.
    pub class: u16,
    /// Presence times the class's score.
    pub score: f32,
    /// Where it is.
    pub area: Area,
}

/// Left, top, right, bottom as shares of the picture's width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Area(pub [f32; 4]);

impl Area {
    /// Common area over united area; zero when nothing is common.
    #[must_use]
    pub fn overlap(self, other: Self) -> f64 {
        intersection_over_union(self.0.map(f64::from), other.0.map(f64::from))
    }

    /// [`Area::overlap`] with a labelled box.
    #[must_use]
    pub fn overlap_with_label(self, label: &BoxLabel) -> f64 {
        let corners = label.corners.map(|edge| f64::from(edge) / LABEL_STEPS);
        intersection_over_union(self.0.map(f64::from), corners)
    }
}

fn intersection_over_union(a: [f64; 4], b: [f64; 4]) -> f64 {
    let area = |[left, top, right, bottom]: [f64; 4]| (right - left) * (bottom - top);
    let common = [
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ];
    if common[0] >= common[2] || common[1] >= common[3] {
        return 0.0;
    }
    let common = area(common);
    common / (area(a) + area(b) - common)
}

/// A head's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    side: usize,
    classes: usize,
}

impl Grid {
    /// The grid of a model with this many output values on a dataset with this many classes, if they are
    /// those of a square grid of at most [`MAX_CELLS`] cells.
    #[must_use]
    pub fn new(outputs: usize, classes: u16) -> Option<Self> {
        let classes = usize::from(classes);
        let each = BOX_VALUES + classes;
        let side = (1..).take_while(|side| side * side <= MAX_CELLS);
        side.into_iter()
            .find(|side| side * side * each == outputs)
            .map(|side| Self { side, classes })
    }

    /// The boxes that `outputs` report, best score first; of equal scores the earlier cell's first.
    #[must_use]
    pub fn decode(&self, mut outputs: impl Iterator<Item = f32>) -> Vec<Detection, MAX_BOXES> {
        let mut candidates: Vec<Detection, MAX_CELLS> = Vec::new();
        for cell in 0..self.side * self.side {
            if let Some(found) = self.cell(cell, &mut outputs)
                && found.score >= LEAST_SCORE
            {
                let _ = candidates.push(found); // a grid has no more than MAX_CELLS
            }
        }
        let mut kept: Vec<Detection, MAX_BOXES> = Vec::new();
        while let Some(best) = best(&candidates).filter(|_| !kept.is_full()) {
            candidates.retain(|other| {
                *other != best
                    && (other.class != best.class
                        || best.area.overlap(other.area) <= f64::from(MOST_OVERLAP))
            });
            let _ = kept.push(best); // not full
        }
        kept
    }

    /// Takes one cell's values.
    fn cell(&self, cell: usize, outputs: &mut impl Iterator<Item = f32>) -> Option<Detection> {
        let mut next = || outputs.next();
        let (presence, x, y, width, height) = (next()?, next()?, next()?, next()?, next()?);
        let mut best = (0, f32::NEG_INFINITY);
        for class in 0..self.classes {
            let score = next()?;
            if score > best.1 {
                best = (class, score);
            }
        }
        let (row, column) = (cell / self.side, cell % self.side);
        let side = self.side as f32;
        let (x, y) = ((column as f32 + x) / side, (row as f32 + y) / side);
        let edges = [
            x - width / 2.0,
            y - height / 2.0,
            x + width / 2.0,
            y + height / 2.0,
        ];
        Some(Detection {
            class: best.0 as u16,
            score: presence * best.1,
            area: Area(edges.map(|edge| edge.clamp(0.0, 1.0))),
        })
    }
}

/// The first of those with the highest score.
fn best(candidates: &[Detection]) -> Option<Detection> {
    candidates.iter().copied().reduce(
        |best, next| {
            if next.score > best.score { next } else { best }
        },
    )
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec as List;

    /// A grid of 2 x 2 with two classes, empty but for `cells`.
    fn head(cells: &[(usize, [f32; 7])]) -> List<f32> {
        let mut outputs = std::vec![0.0; 28];
        for (cell, values) in cells {
            outputs[7 * cell..7 * (cell + 1)].copy_from_slice(values);
        }
        outputs
    }

    #[test]
    fn the_grid_follows_from_the_number_of_outputs() {
        assert_eq!(
            Grid::new(360, 5),
            Some(Grid {
                side: 6,
                classes: 5
            })
        );
        assert_eq!(
            Grid::new(28, 2),
            Some(Grid {
                side: 2,
                classes: 2
            })
        );
        assert_eq!(Grid::new(29, 2), None);
        assert_eq!(Grid::new(17 * 17 * 7, 2), None, "more cells than MAX_CELLS");
        assert_eq!(Grid::new(0, 2), None);
    }

    #[test]
    fn a_cell_places_its_box_and_edges_stay_in_the_picture() {
        let grid = Grid::new(28, 2).unwrap();
        let outputs = head(&[(1, [0.8, 0.5, 0.5, 0.25, 0.5, 0.25, 0.5])]);
        let found = grid.decode(outputs.into_iter());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].class, found[0].score), (1, 0.4));
        assert_eq!(found[0].area, Area([0.625, 0.0, 0.875, 0.5]));
        let outputs = head(&[(0, [1.0, 0.0, 0.0, 0.5, 0.5, 1.0, 0.0])]);
        let found = grid.decode(outputs.into_iter());
        assert_eq!(found[0].area, Area([0.0, 0.0, 0.25, 0.25]));
    }

    #[test]
    fn of_doubles_the_best_stays_and_classes_do_not_suppress_each_other() {
        let grid = Grid::new(28, 2).unwrap();
        let outputs = head(&[
            (0, [0.6, 1.0, 0.5, 0.4, 0.4, 1.0, 0.0]),
            (1, [0.9, 0.1, 0.5, 0.4, 0.4, 1.0, 0.0]),
            (2, [0.7, 1.0, 0.0, 0.4, 0.4, 0.0, 1.0]),
            (3, [0.04, 0.0, 0.5, 0.4, 0.4, 1.0, 0.0]),
        ]);
        let found = grid.decode(outputs.into_iter());
        let scores: List<(u16, f32)> = found.iter().map(|d| (d.class, d.score)).collect();
        assert_eq!(scores, [(0, 0.9), (1, 0.7)]);
    }

    #[test]
    fn a_head_of_nans_reports_nothing() {
        let grid = Grid::new(28, 2).unwrap();
        assert!(grid.decode(std::iter::repeat_n(f32::NAN, 28)).is_empty());
    }

    #[test]
    fn overlaps_by_hand() {
        let area = Area([0.0, 0.0, 0.5, 0.5]);
        assert_eq!(area.overlap(area), 1.0);
        assert_eq!(area.overlap(Area([0.25, 0.0, 0.75, 0.5])), 1.0 / 3.0);
        assert_eq!(area.overlap(Area([0.5, 0.0, 0.75, 0.5])), 0.0);
        let nothing = Area([0.2; 4]);
        assert_eq!(nothing.overlap(nothing), 0.0);
    }
}
