//! Mean average precision equals pycocotools' on the boxes of `coco.txt`, which
//! `models/recipe/test_detection.py` writes.

use scalebench_core::average_precision::{AveragePrecision, Full, MAX_LABELS};
use scalebench_core::detection::{Area, Detection};
use scalebench_wire::container::BoxLabel;
use scalebench_wire::message::Metrics;

fn numbers<T: std::str::FromStr<Err: std::fmt::Debug>>(words: &[&str]) -> Vec<T> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

#[test]
fn equal_to_pycocotools() {
    let mut tally = AveragePrecision::new();
    let (mut found, mut labels) = (Vec::new(), Vec::new());
    let mut pictures = 0;
    for line in include_str!("coco.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if matches!(words[0], "picture" | "expected") {
            tally.add(&found, labels.iter().copied()).unwrap();
            pictures += 1;
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
            "expected" => {
                let expected: Vec<f64> = numbers(&words[1..]);
                let Metrics::Detection {
                    map50, map50_95, ..
                } = tally.metrics()
                else {
                    panic!("boxes have another metric")
                };
                assert!((map50 - expected[0]).abs() < 1e-12, "{map50} {expected:?}");
                assert!(
                    (map50_95 - expected[1]).abs() < 1e-12,
                    "{map50_95} {expected:?}"
                );
            }
            _ => {}
        }
    }
    assert_eq!(pictures, 41);
}

fn report(score: f32) -> Detection {
    Detection {
        class: 0,
        score,
        area: Area([0.0, 0.0, 1.0, 1.0]),
    }
}

const WHOLE: BoxLabel = BoxLabel {
    class: 0,
    corners: [0, 0, 65_535, 65_535],
};

#[test]
fn precision_and_recall_count_confident_boxes() {
    let mut tally = AveragePrecision::new();
    tally
        .add(
            &[report(0.9), report(0.6), report(0.4)],
            [WHOLE].into_iter(),
        )
        .unwrap();
    tally.add(&[report(0.3)], [WHOLE].into_iter()).unwrap();
    let Metrics::Detection {
        precision,
        recall,
        map50,
        ..
    } = tally.metrics()
    else {
        panic!("boxes have another metric")
    };
    assert_eq!((precision, recall), (0.5, 0.5));
    assert!(map50 > 0.5, "{map50}");
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let mut tally = AveragePrecision::new();
    let crowd = std::iter::repeat_n(WHOLE, MAX_LABELS + 1);
    let refused = tally.add(&[], crowd);
    assert_eq!(refused, Err(Full::Labels));
    assert_eq!(
        Full::Labels.to_string(),
        "more than 16 labelled boxes in a picture: split it"
    );
    let refused = (0..300).find_map(|_| tally.add(&[report(0.9); 16], [].into_iter()).err());
    assert_eq!(refused, Some(Full::Detections));
}
