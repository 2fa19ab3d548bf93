//! Any bytes as a dataset and as golden vectors: every accessor, inside and one beyond.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scalebench_wire::container::{Dataset, Golden, Label, boxes, value};

fuzz_target!(|data: &[u8]| {
    if let Ok(dataset) = Dataset::parse(data) {
        // A board divides by the number of samples.
        assert!(dataset.samples() > 0);
        let last = dataset.samples() - 1;
        for index in 0..dataset.inputs() {
            let spec = dataset.input(index).expect("counted");
            for sample in [0, last] {
                let bytes = dataset.sample(index, sample).expect("counted");
                assert_eq!(bytes.len(), spec.sample_bytes() as usize);
                let _ = (spec.real(bytes, 0), spec.real(bytes, usize::MAX));
            }
            assert_eq!(dataset.sample(index, last.wrapping_add(1)), None);
        }
        assert!(dataset.input(dataset.inputs()).is_none());
        for sample in [0, last, u32::MAX] {
            match dataset.label(sample) {
                Some(Label::Values(values)) => {
                    let _ = (value(values, 0), value(values, usize::MAX));
                }
                Some(Label::Boxes(slots)) => {
                    assert!(boxes(slots).count() <= slots.len());
                }
                _ => {}
            }
        }
    }
    if let Ok(golden) = Golden::parse(data) {
        assert!(golden.vectors() > 0);
        for vector in [0, golden.vectors() - 1] {
            for index in 0..golden.inputs() {
                assert!(golden.input_spec(index).is_some());
                assert!(golden.input(vector, index).is_some());
            }
            for index in 0..golden.outputs() {
                assert!(golden.output_spec(index).is_some());
                assert!(golden.output(vector, index).is_some());
            }
        }
        assert_eq!(golden.input(golden.vectors(), 0), None);
        assert_eq!(golden.output(u32::MAX, usize::MAX), None);
    }
});
