//! Published tables: those that ship are read, and a wrong one gets a sentence.

use scalebench_models::{ManifestError, parse_published};

fn shipped() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("published");
    let files = std::fs::read_dir(folder).unwrap().flatten();
    files
        .map(|file| std::fs::read_to_string(file.path()).unwrap())
        .collect()
}

#[test]
fn shipped_tables_are_read() {
    let tables = shipped();
    assert!(tables.len() >= 2);
    for text in tables {
        let table = parse_published(&text).unwrap();
        assert!(table.rows.len() > 1, "{}", table.name);
    }
}

#[test]
fn an_unknown_field_gets_the_nearest_known_one_and_a_huge_table_is_refused() {
    let text = shipped().remove(0).replacen("quality =", "qualty =", 1);
    let said = parse_published(&text).unwrap_err().to_string();
    assert!(said.contains("did you mean `quality`?"), "{said}");
    let huge = " ".repeat(2 << 20);
    assert_eq!(
        parse_published(&huge),
        Err(ManifestError::TooLong { found: huge.len() })
    );
}

#[test]
fn what_a_source_does_not_state_is_not_mixed_with_what_it_does() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = &scalebench_models::shipped_tables(folder, "study").unwrap()[0];
    let good = std::fs::read_to_string(path).unwrap();
    let said = |from: &str, to: &str| {
        let text = good.replacen(from, to, 1);
        parse_published(&text).unwrap_err().to_string()
    };
    let time = "time = 1.861904";
    for (from, to, expected) in [
        (time, "time = 0.0", "above 0"),
        (time, "latency_ms = 1.0", "make two tables"),
        (time, "time = 1.0\nlatency_ms = 1.0", "whose unit is known"),
        ("flops =", "macs =", "`macs` and `flops`"),
        ("flops = 10_401_318\n", "", "given once"),
    ] {
        let said = said(from, to);
        assert!(said.contains(expected), "{said}");
    }
    assert!(
        scalebench_models::shipped_tables(folder, "../study")
            .unwrap()
            .is_empty()
    );
}
