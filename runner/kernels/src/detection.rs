//! TFLite_Detection_PostProcess: boxes decoded from their anchors and freed of doubles.
//!
//! After `DetectionPostprocess` (tflite/kernels/detection_postprocess.cc). Equal scores keep the order of
//! their boxes.

use core::cmp::Ordering;

use crate::error::{Error, Operand, exactly, product};

/// Corners of a box: top, left, bottom, right.
pub type Corners = [f32; 4];

/// How boxes are told from each other, and how many are wanted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suppression {
    /// Classes, without the background.
    pub classes: usize,
    /// Scores a box has: one more than classes if the first is the background's.
    pub scores: usize,
    /// Boxes in the output.
    pub most: usize,
    /// Boxes of one class, if classes are told from each other.
    pub most_of_class: usize,
    /// Classes in the output for each box, if classes are not told from each other.
    pub classes_of_box: usize,
    /// Least score of a box.
    pub least_score: f32,
    /// Intersection over union from which on, exclusively, two boxes are one.
    pub overlap: f32,
}

/// Where detections go, each as long as there may be detections.
#[derive(Debug)]
pub struct Detections<'a> {
    /// Boxes, four numbers each.
    pub boxes: &'a mut [f32],
    /// Classes as numbers from 0.
    pub classes: &'a mut [f32],
    /// Scores, falling.
    pub scores: &'a mut [f32],
}

impl Detections<'_> {
    fn clear(&mut self, of: &Suppression) -> Result<(), Error> {
        exactly(self.boxes, product(&[of.places(), 4])?, Operand::Output)?;
        exactly(self.classes, of.places(), Operand::Output)?;
        exactly(self.scores, of.places(), Operand::Output)?;
        self.boxes.fill(0.0);
        self.classes.fill(0.0);
        self.scores.fill(0.0);
        Ok(())
    }

    fn set(&mut self, at: usize, corners: &[f32], class: usize, score: f32) {
        self.boxes[4 * at..4 * at + 4].copy_from_slice(corners);
        (self.classes[at], self.scores[at]) = (class as f32, score);
    }
}

/// A box of a class that was found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    score: f32,
    place: u32,
    class: u32,
}

/// Boxes from what a network says of their anchors: middle, height and width, over `scales` of both (top,
/// left, height, width). Of each box the first four of its numbers count.
///
/// # Errors
/// [`Error::Length`] if the slices are of different numbers of boxes.
pub fn decode(
    scales: [f32; 4],
    numbers: usize,
    encodings: &[f32],
    anchors: &[f32],
    out: &mut [f32],
) -> Result<(), Error> {
    let boxes = out.len() / 4;
    if numbers < 4 {
        return Err(Error::Channels);
    }
    exactly(out, boxes * 4, Operand::Output)?;
    exactly(encodings, product(&[boxes, numbers])?, Operand::Input)?;
    exactly(anchors, boxes * 4, Operand::Other)?;
    let (outs, anchors) = (out.as_chunks_mut::<4>().0, anchors.as_chunks::<4>().0);
    for ((out, anchor), encoding) in outs.iter_mut().zip(anchors).zip(encodings.chunks(numbers)) {
        let [y, x, h, w] = anchor.map(f64::from);
        let scaled = |which: usize| f64::from(encoding[which]) / f64::from(scales[which]);
        let middle = [(scaled(0) * h + y) as f32, (scaled(1) * w + x) as f32];
        let half = |which: usize, size: f64| (0.5 * libm::exp(scaled(which)) * size) as f32;
        let half = [half(2, h), half(3, w)];
        *out = [
            middle[0] - half[0],
            middle[1] - half[1],
            middle[0] + half[0],
            middle[1] + half[1],
        ];
    }
    Ok(())
}

fn overlap(a: Corners, b: Corners) -> f32 {
    let area = |[top, left, bottom, right]: Corners| (bottom - top) * (right - left);
    if area(a) <= 0.0 || area(b) <= 0.0 {
        return 0.0;
    }
    let span = |low: usize, high: usize| (a[high].min(b[high]) - a[low].max(b[low])).max(0.0);
    let common = span(0, 2) * span(1, 3);
    common / (area(a) + area(b) - common)
}

/// Greatest score first, then the box that comes first.
fn order(a: &Found, b: &Found) -> Ordering {
    b.score.total_cmp(&a.score).then(a.place.cmp(&b.place))
}

impl Suppression {
    fn check(&self, boxes: &[f32], scores: &[f32], found: usize) -> Result<usize, Error> {
        let count = boxes.len() / 4;
        exactly(boxes, count * 4, Operand::Input)?;
        exactly(scores, product(&[count, self.scores])?, Operand::Other)?;
        if self.scores.checked_sub(self.classes).is_none_or(|n| n > 1) || self.classes == 0 {
            return Err(Error::Channels);
        }
        if found < self.found_len(count) {
            return Err(Error::Length {
                operand: Operand::Scratch,
                needed: self.found_len(count),
                given: found,
            });
        }
        Ok(count)
    }

    /// Detections the output has room for.
    pub fn places(&self) -> usize {
        self.most.saturating_mul(self.classes_of_box)
    }

    /// How many [`Found`] are needed as scratch for so many boxes.
    pub fn found_len(&self, boxes: usize) -> usize {
        boxes.saturating_add(self.most)
    }

    /// The scores of one box, without the background.
    fn of<'s>(&self, scores: &'s [f32], place: usize) -> &'s [f32] {
        &scores[place * self.scores + (self.scores - self.classes)..][..self.classes]
    }

    /// Keeps of `found` the first so many that are none of those before; tells how many.
    fn suppress(&self, boxes: &[f32], found: &mut [Found], most: usize) -> usize {
        found.sort_unstable_by(order);
        let corners = |found: Found| {
            let at = 4 * found.place as usize;
            [boxes[at], boxes[at + 1], boxes[at + 2], boxes[at + 3]]
        };
        let mut kept = 0;
        for next in 0..found.len() {
            if kept == most {
                break;
            }
            let own = corners(found[next]);
            let alone = found[..kept]
                .iter()
                .all(|&other| overlap(corners(other), own) <= self.overlap);
            if alone {
                found[kept] = found[next];
                kept += 1;
            }
        }
        kept
    }

    /// Each class for itself ("regular"). Tells how many were found; what is beyond is 0.
    ///
    /// # Errors
    /// If shapes and slices contradict each other.
    pub fn by_class(
        &self,
        boxes: &[f32],
        scores: &[f32],
        found: &mut [Found],
        mut out: Detections<'_>,
    ) -> Result<usize, Error> {
        let count = self.check(boxes, scores, found.len())?;
        out.clear(self)?;
        let mut best = 0;
        for class in 0..self.classes {
            let mut all = best;
            for place in 0..count {
                let score = self.of(scores, place)[class];
                if score >= self.least_score {
                    found[all] = Found {
                        score,
                        place: place as u32,
                        class: class as u32,
                    };
                    all += 1;
                }
            }
            let kept = self.suppress(boxes, &mut found[best..all], self.most_of_class);
            // The best of all classes so far; what was found earlier comes first.
            let among = &mut found[..best + kept];
            among.sort_unstable_by(|a, b| {
                let scores = b.score.total_cmp(&a.score);
                scores.then((a.class, a.place).cmp(&(b.class, b.place)))
            });
            best = among.len().min(self.most);
        }
        for (at, found) in found[..best].iter().enumerate() {
            let corners = &boxes[4 * found.place as usize..][..4];
            out.set(at, corners, found.class as usize, found.score);
        }
        Ok(best)
    }

    /// All classes together by their best score ("fast"). Tells how many boxes were found; each has
    /// `classes_of_box` places of the output, and what is beyond is 0.
    ///
    /// # Errors
    /// If shapes and slices contradict each other.
    pub fn at_once(
        &self,
        boxes: &[f32],
        scores: &[f32],
        found: &mut [Found],
        mut out: Detections<'_>,
    ) -> Result<usize, Error> {
        let count = self.check(boxes, scores, found.len())?;
        out.clear(self)?;
        let each = self.classes_of_box;
        let mut all = 0;
        for place in 0..count {
            let greatest = |best: f32, &score: &f32| if score > best { score } else { best };
            let own = self.of(scores, place);
            let score = own.iter().skip(1).fold(own[0], greatest);
            if score >= self.least_score {
                found[all] = Found {
                    score,
                    place: place as u32,
                    class: 0,
                };
                all += 1;
            }
        }
        let kept = self.suppress(boxes, &mut found[..all], self.most);
        for (at, found) in found[..kept].iter().enumerate() {
            let place = found.place as usize;
            let own = self.of(scores, place);
            let mut last: Option<usize> = None;
            for column in 0..each.min(self.classes) {
                // The next class in the order of falling scores, the first of equals first.
                let after = |class: usize| {
                    last.is_none_or(|last| {
                        own[class] < own[last] || (own[class] == own[last] && class > last)
                    })
                };
                let mut next: Option<usize> = None;
                for class in (0..self.classes).filter(|&class| after(class)) {
                    if next.is_none_or(|next| own[class] > own[next]) {
                        next = Some(class);
                    }
                }
                let Some(class) = next else { break };
                let corners = &boxes[4 * place..][..4];
                out.set(at * each + column, corners, class, own[class]);
                last = Some(class);
            }
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_CLASSES: Suppression = Suppression {
        classes: 2,
        scores: 3,
        most: 3,
        most_of_class: 2,
        classes_of_box: 1,
        least_score: 0.3,
        overlap: 0.5,
    };
    /// Two that are one, and one apart.
    const BOXES: [f32; 12] = [0.0, 0.0, 1.0, 1.0, 0.0, 0.1, 1.0, 1.1, 0.0, 3.0, 1.0, 4.0];
    /// Background, then either class.
    const SCORES: [f32; 9] = [0.9, 0.5, 0.4, 0.9, 0.6, 0.1, 0.9, 0.2, 0.7];

    fn found(by_class: bool) -> (usize, [f32; 12], [f32; 3], [f32; 3]) {
        let (mut boxes, mut classes, mut scores) = ([9.0; 12], [9.0; 3], [9.0; 3]);
        let out = Detections {
            boxes: &mut boxes,
            classes: &mut classes,
            scores: &mut scores,
        };
        let mut scratch = [Found::default(); 6];
        let run = if by_class {
            Suppression::by_class
        } else {
            Suppression::at_once
        };
        let count = run(&TWO_CLASSES, &BOXES, &SCORES, &mut scratch, out).expect("fits");
        (count, boxes, classes, scores)
    }

    #[test]
    fn of_two_that_are_one_the_better_stays() {
        let (count, boxes, classes, scores) = found(false);
        assert_eq!((count, classes), (2, [1.0, 0.0, 0.0]));
        assert_eq!(scores, [0.7, 0.6, 0.0]);
        assert_eq!(boxes[..8], [0.0, 3.0, 1.0, 4.0, 0.0, 0.1, 1.0, 1.1]);
        assert_eq!(boxes[8..], [0.0; 4]);
    }

    #[test]
    fn classes_keep_their_own() {
        let (count, _, classes, scores) = found(true);
        assert_eq!((count, classes), (3, [1.0, 0.0, 1.0]));
        assert_eq!(scores, [0.7, 0.6, 0.4]);
    }

    #[test]
    fn a_box_lies_about_its_anchor() {
        let mut out = [0.0; 4];
        let scales = [10.0, 10.0, 5.0, 5.0];
        let anchor = [0.5, 0.5, 0.2, 0.4];
        decode(scales, 5, &[0.0, 5.0, 0.0, 0.0, 9.0], &anchor, &mut out).expect("fits");
        let due = [0.4, 0.5, 0.6, 0.9];
        assert!(
            out.iter().zip(due).all(|(a, b)| (a - b).abs() < 1e-6),
            "{out:?}"
        );
    }
}
