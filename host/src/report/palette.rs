//! The colours of the page, as its style sheet has them.

use super::STYLE;
use std::collections::BTreeMap;

/// Names and colours for light pages.
pub(super) fn light() -> BTreeMap<&'static str, &'static str> {
    colours(STYLE.split(":root {").nth(1).unwrap_or_default())
}

fn colours(block: &'static str) -> BTreeMap<&'static str, &'static str> {
    let block = block.split('}').next().unwrap_or_default();
    let declarations = block
        .split(';')
        .filter_map(|one| one.trim().strip_prefix("--"));
    declarations
        .filter_map(|one| one.split_once(':'))
        .map(|(name, colour)| (name.trim(), colour.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dark() -> BTreeMap<&'static str, &'static str> {
        colours(STYLE.split(":root {").nth(2).unwrap())
    }

    /// Relative luminance (WCAG 2.2, definition of the term).
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    /// Contrast ratio (WCAG 2.2, definition of the term).
    fn contrast(one: &str, other: &str) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn contrast_is_that_of_the_standard() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        // The grey that is known for just passing on white.
        assert!((contrast("#767676", "#ffffff") - 4.54).abs() < 0.01);
    }

    #[test]
    fn text_and_drawings_stand_out_on_light_and_dark() {
        for (scheme, palette) in [("light", light()), ("dark", dark())] {
            assert_eq!(palette.len(), 13, "{scheme}: {palette:?}");
            // Success criterion 1.4.3: 4.5 for text; 1.4.11: 3 for what drawings and controls need.
            let text = ["ink", "muted", "float32", "int8", "dynamic", "good", "bad"];
            for (names, grounds, least) in [
                (&text[..], &["panel", "bg", "tint"][..], 4.5),
                (&["warn-ink"][..], &["warn"][..], 4.5),
            ] {
                for name in names {
                    for ground in grounds {
                        let ratio = contrast(palette[name], palette[ground]);
                        assert!(
                            ratio >= least,
                            "{scheme}: {name} on {ground} has {ratio:.2}"
                        );
                    }
                }
            }
        }
    }
}
