//! Any text as a family manifest: accepted, or refused in one sentence.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scalebench_models::parse_manifest;

fuzz_target!(|text: &str| {
    match parse_manifest(text) {
        Ok(manifest) => {
            for variant in &manifest.variants {
                let _ = variant.builds().count();
            }
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(!sentence.is_empty());
            assert!(!sentence.chars().any(char::is_control), "{sentence:?}");
        }
    }
});
