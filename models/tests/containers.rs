//! The containers' parsers against golden bytes, round trips, truncation and corruption.

use proptest::collection::vec;
use proptest::prelude::*;
use scalebench_models::container::{
    BoxLabel, ContainerError, Dataset, Dtype, Golden, InputSpec, Label, LabelKind, NO_BOX,
    TensorSpec, boxes, quantise, value,
};
use scalebench_models::write;

/// Read everything a dataset offers; panics are what this looks for.
fn walk_dataset(set: &Dataset<'_>) -> usize {
    let mut read = 0;
    for sample in (0..set.samples().min(50)).chain([u32::MAX]) {
        for index in 0..set.inputs() + 1 {
            let Some(bytes) = set.sample(index, sample) else {
                continue;
            };
            let spec = set.input(index).expect("a sample has a description");
            assert_eq!(bytes.len() as u64, spec.sample_bytes());
            assert!(spec.real(bytes, 0).is_some());
            assert_eq!(spec.real(bytes, spec.elements as usize), None);
            read += bytes.len();
        }
        match set.label(sample) {
            Some(Label::Values(bytes)) => assert!(value(bytes, 0).is_some()),
            Some(Label::Boxes(bytes)) => read += boxes(bytes).count(),
            _ => {}
        }
    }
    read
}

fn walk_golden(golden: &Golden<'_>) -> usize {
    let mut read = 0;
    for vector in (0..golden.vectors().min(50)).chain([u32::MAX]) {
        for index in 0..9 {
            read += golden.input(vector, index).map_or(0, <[u8]>::len);
            read += golden.output(vector, index).map_or(0, <[u8]>::len);
        }
    }
    read
}

#[test]
fn golden_bytes_of_a_dataset() {
    let input = InputSpec {
        dtype: Dtype::I16,
        elements: 1,
        scale: 0.5,
        offset: 1.0,
    };
    let stored = [3i16, -2, 7].map(i16::to_le_bytes).concat();
    let labels = [1.5f32, 2.5, -1.0].map(f32::to_le_bytes).concat();
    let kind = LabelKind::Values {
        count: 1,
        scale: 2.0,
        offset: 10.0,
    };
    let bytes = write::dataset(3, &[(input, &stored)], kind, &labels);
    #[rustfmt::skip]
    let expected = [
        b'S', b'B', b'D', b'S', 1, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
        0, 0, 0, 0x40, 0, 0, 0x20, 0x41, 0, 0, 0, 0,
        3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x3f, 0, 0, 0x80, 0x3f,
        3, 0, 0xfe, 0xff, 7, 0, 0, 0,
        0, 0, 0xc0, 0x3f, 0, 0, 0x20, 0x40, 0, 0, 0x80, 0xbf,
    ];
    assert_eq!(bytes, expected);

    let set = Dataset::parse(&bytes).unwrap();
    assert_eq!(
        (set.samples(), set.inputs(), set.label_kind(), set.input(0)),
        (3, 1, kind, Some(input))
    );
    let real: Vec<f32> = (0..3)
        .map(|i| input.real(set.sample(0, i).unwrap(), 0).unwrap())
        .collect();
    assert_eq!(real, [2.5, 0.0, 4.5]);
    let Some(Label::Values(last)) = set.label(2) else {
        panic!("{:?}", set.label(2))
    };
    assert_eq!((value(last, 0), value(last, 1)), (Some(-1.0), None));
    assert_eq!(
        (set.sample(0, 3), set.sample(1, 0), set.label(3)),
        (None, None, None)
    );
}

#[test]
fn golden_bytes_of_golden_vectors() {
    let (input, output) = (
        TensorSpec {
            dtype: Dtype::I8,
            bytes: 3,
        },
        TensorSpec {
            dtype: Dtype::I8,
            bytes: 1,
        },
    );
    let bytes = write::golden(
        &[input],
        &[output],
        &[vec![&[1, 2, 3], &[4]], vec![&[5, 6, 7], &[8]]],
    );
    #[rustfmt::skip]
    let expected = [
        b'S', b'B', b'G', b'V', 1, 0, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0,
        2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0,
        1, 2, 3, 0, 4, 0, 0, 0, 5, 6, 7, 0, 8, 0, 0, 0,
    ];
    assert_eq!(bytes, expected);
    let golden = Golden::parse(&bytes).unwrap();
    assert_eq!(
        (golden.vectors(), golden.inputs(), golden.outputs()),
        (2, 1, 1)
    );
    assert_eq!(
        (
            golden.input_spec(0),
            golden.output_spec(0),
            golden.output_spec(1)
        ),
        (Some(input), Some(output), None)
    );
    assert_eq!(
        (golden.input(1, 0), golden.output(1, 0)),
        (Some(&[5, 6, 7][..]), Some(&[8][..]))
    );
    assert_eq!(
        (golden.input(2, 0), golden.input(0, 1), golden.output(0, 1)),
        (None, None, None)
    );
}

#[test]
fn boxes_skip_empty_slots_and_bad_classes_are_refused() {
    let input = InputSpec {
        dtype: Dtype::U8,
        elements: 1,
        scale: 1.0,
        offset: 0.0,
    };
    let kind = LabelKind::Boxes {
        classes: 4,
        slots: 2,
    };
    let slots = |first: u16| {
        [first, 1, 2, 3, 4, 0, NO_BOX, 0, 0, 0, 0, 0]
            .map(u16::to_le_bytes)
            .concat()
    };
    let bytes = write::dataset(1, &[(input, &[0])], kind, &slots(3));
    let set = Dataset::parse(&bytes).unwrap();
    let Some(Label::Boxes(found)) = set.label(0) else {
        panic!("{:?}", set.label(0))
    };
    assert_eq!(
        boxes(found).collect::<Vec<_>>(),
        [BoxLabel {
            class: 3,
            corners: [1, 2, 3, 4]
        }]
    );

    let bytes = write::dataset(1, &[(input, &[0])], kind, &slots(4));
    assert_eq!(
        Dataset::parse(&bytes).unwrap_err(),
        ContainerError::Label { sample: 0 }
    );
    let labels = [1u16, 3].map(u16::to_le_bytes).concat();
    let bytes = write::dataset(
        2,
        &[(input, &[0, 0])],
        LabelKind::Class { classes: 3 },
        &labels,
    );
    assert_eq!(
        Dataset::parse(&bytes).unwrap_err(),
        ContainerError::Label { sample: 1 }
    );
}

#[test]
fn headers_out_of_range_are_refused_by_name() {
    let input = InputSpec {
        dtype: Dtype::U8,
        elements: 2,
        scale: 1.0,
        offset: 0.0,
    };
    let good = write::dataset(
        2,
        &[(input, &[1, 2, 3, 4])],
        LabelKind::Class { classes: 3 },
        &[0, 0, 1, 0],
    );
    let with = |at: usize, put: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + put.len()].copy_from_slice(put);
        Dataset::parse(&bytes).map(|_| ()).unwrap_err()
    };
    let nan = f32::NAN.to_le_bytes();
    assert_eq!(with(0, b"SBGV"), ContainerError::Magic);
    assert_eq!(with(4, &[2]), ContainerError::Version(2));
    assert_eq!(with(6, &[0]), ContainerError::Field("inputs"));
    assert_eq!(with(6, &[9]), ContainerError::Field("inputs"));
    assert_eq!(with(7, &[4]), ContainerError::Field("label kind"));
    assert_eq!(with(8, &[0]), ContainerError::Field("samples"));
    assert_eq!(with(12, &[0]), ContainerError::Field("classes"));
    assert_eq!(with(14, &[1]), ContainerError::Field("classes"));
    assert_eq!(with(16, &[2]), ContainerError::Field("labels a sample"));
    assert_eq!(with(20, &nan), ContainerError::Field("output scale"));
    assert_eq!(with(24, &[1]), ContainerError::Field("output offset"));
    assert_eq!(with(28, &[1]), ContainerError::Field("reserved"));
    assert_eq!(with(32, &[6]), ContainerError::Field("dtype"));
    assert_eq!(with(33, &[1]), ContainerError::Field("reserved"));
    assert_eq!(with(36, &[0]), ContainerError::Field("elements"));
    assert_eq!(with(40, &[0; 4]), ContainerError::Field("scale"));
    assert_eq!(with(44, &nan), ContainerError::Field("offset"));
    // A sample count whose sections would not fit into any address space is a length, not an overflow.
    let huge = with(8, &[0xff; 4]);
    assert!(
        matches!(huge, ContainerError::Length { expected, found: 56 } if expected > 1 << 32),
        "{huge:?}"
    );
    assert!(
        with(36, &[0xff; 4])
            .to_string()
            .starts_with("the header asks for 8589934"),
        "{}",
        with(36, &[0xff; 4])
    );
}

#[test]
fn quantising_rounds_half_away_from_zero_and_saturates() {
    let cases = [
        (0.25, 0),
        (0.5, 1),
        (-0.5, -1),
        (1.49, 1),
        (-1.5, -2),
        (1e30, 127),
        (-1e30, -128),
        (f32::NAN, 0),
    ];
    for (real, expected) in cases {
        assert_eq!(quantise(real, 1.0, 0), expected, "{real}");
    }
    for pixel in 0..=255u8 {
        let scale = 1.0f32 / 255.0;
        assert_eq!(
            i32::from(quantise(f32::from(pixel) * scale, scale, -128)),
            i32::from(pixel) - 128
        );
    }
    assert_eq!(quantise(1.0, 0.0, 5), 127);
}

/// A twin of `quantise` by the standard library's rounding.
fn rounded(real: f32, scale: f32, zero: i32) -> i8 {
    ((real / scale).round() as i64 + i64::from(zero)).clamp(-128, 127) as i8
}

fn spec() -> impl Strategy<Value = InputSpec> {
    let dtype = prop::sample::select(vec![
        Dtype::U8,
        Dtype::I8,
        Dtype::I16,
        Dtype::I32,
        Dtype::F32,
    ]);
    (dtype, 1u32..5, 0.001f32..9.0, -9.0f32..9.0).prop_map(|(dtype, elements, scale, offset)| {
        InputSpec {
            dtype,
            elements,
            scale,
            offset,
        }
    })
}

fn kind() -> impl Strategy<Value = LabelKind> {
    prop_oneof![
        Just(LabelKind::None),
        (1u16..9).prop_map(|classes| LabelKind::Class { classes }),
        (1u32..4, 0.1f32..9.0, -9.0f32..9.0).prop_map(|(count, scale, offset)| LabelKind::Values {
            count,
            scale,
            offset
        }),
        (1u16..9, 1u32..4).prop_map(|(classes, slots)| LabelKind::Boxes { classes, slots }),
    ]
}

prop_compose! {
    /// A dataset's bytes with what went into them; labels are zero, which every kind accepts.
    fn a_dataset()(samples in 1u32..9, specs in vec(spec(), 1..4), kind in kind())(
        data in specs.iter().map(|s| vec(any::<u8>(), (s.sample_bytes() * u64::from(samples)) as usize))
            .collect::<Vec<_>>(),
        samples in Just(samples), specs in Just(specs), kind in Just(kind),
    ) -> (Vec<u8>, u32, Vec<InputSpec>, LabelKind, Vec<Vec<u8>>) {
        let inputs: Vec<_> = specs.iter().copied().zip(data.iter().map(Vec::as_slice)).collect();
        let labels = vec![0; (kind.sample_bytes() * u64::from(samples)) as usize];
        (write::dataset(samples, &inputs, kind, &labels), samples, specs, kind, data)
    }
}

prop_compose! {
    fn some_golden()(vectors in 1usize..5, sizes in vec((1u32..9, any::<u8>()), 2..5), split in 1usize..2) -> (Vec<u8>, usize) {
        let specs: Vec<_> = sizes.iter().map(|&(bytes, _)| TensorSpec { dtype: Dtype::U8, bytes }).collect();
        let tensors: Vec<Vec<u8>> = sizes.iter().map(|&(n, fill)| vec![fill; n as usize]).collect();
        let each: Vec<&[u8]> = tensors.iter().map(Vec::as_slice).collect();
        let total = tensors.iter().map(Vec::len).sum::<usize>() * vectors;
        (write::golden(&specs[..split], &specs[split..], &vec![each; vectors]), total)
    }
}

proptest! {
    #[test]
    fn datasets_come_back_as_written((bytes, samples, specs, kind, data) in a_dataset()) {
        let set = Dataset::parse(&bytes).unwrap();
        prop_assert_eq!(set.samples(), samples);
        prop_assert_eq!(set.label_kind(), kind);
        for (index, (spec, data)) in specs.iter().zip(&data).enumerate() {
            prop_assert_eq!(set.input(index), Some(*spec));
            let found: Vec<u8> = (0..samples).flat_map(|s| set.sample(index, s).unwrap().to_vec()).collect();
            prop_assert_eq!(&found, data);
        }
        let total: usize = data.iter().map(Vec::len).sum();
        prop_assert!(walk_dataset(&set) >= total);
    }

    #[test]
    fn golden_vectors_come_back_as_written((bytes, total) in some_golden()) {
        prop_assert_eq!(walk_golden(&Golden::parse(&bytes).unwrap()), total);
    }

    #[test]
    fn no_truncated_or_lengthened_file_is_accepted((bytes, ..) in a_dataset(), (golden, _) in some_golden(), cut in any::<prop::sample::Index>()) {
        prop_assert!(Dataset::parse(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(Golden::parse(&golden[..cut.index(golden.len())]).is_err());
        prop_assert!(Dataset::parse(&[bytes, vec![0]].concat()).is_err());
        prop_assert!(Golden::parse(&[golden, vec![0]].concat()).is_err());
    }

    #[test]
    fn corrupted_files_never_panic(
        (mut bytes, ..) in a_dataset(), (mut golden, _) in some_golden(),
        edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for (at, byte) in edits {
            let (i, j) = (at.index(bytes.len().min(64)), at.index(golden.len().min(40)));
            bytes[i] = byte;
            golden[j] = byte;
        }
        if let Ok(set) = Dataset::parse(&bytes) { walk_dataset(&set); }
        if let Ok(golden) = Golden::parse(&golden) { walk_golden(&golden); }
    }

    #[test]
    fn any_bytes_after_the_magic_never_panic(tail in vec(any::<u8>(), 0..200)) {
        for magic in [&b"SBDS\x01\x00"[..], &b"SBGV\x01\x00"[..]] {
            let bytes = [magic, &tail].concat();
            if let Ok(set) = Dataset::parse(&bytes) { walk_dataset(&set); }
            if let Ok(golden) = Golden::parse(&bytes) { walk_golden(&golden); }
        }
    }

    #[test]
    fn quantising_agrees_with_the_library(real in -1e4f32..1e4, scale in 1e-3f32..10.0, zero in -128i32..128) {
        prop_assert_eq!(quantise(real, scale, zero), rounded(real, scale, zero));
    }
}
