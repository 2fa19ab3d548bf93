//! Plots as PNG files, for programs that take no SVG: drawn by resvg with the fonts of this machine.

use super::Drawing;
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};
use scalebench_wire::frame::crc32;
use std::sync::Arc;

/// Pixels to an inch that lengths in a drawing are meant for (CSS Values and Units, level 4, section 6.2).
const DRAWN_DPI: f32 = 96.0;
/// The families that drawings name, best first.
const FAMILIES: [&str; 2] = ["DejaVu Sans", "Noto Sans"];

/// Why a plot is not painted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    /// Text would be missing.
    #[error(
        "no font was found on this machine, and a plot without its words says nothing: install one (Debian: fonts-dejavu-core), or take --svg"
    )]
    NoFont,
    /// The picture does not come about.
    #[error("{name}: {problem}: take --svg, or a smaller --dpi")]
    Drawing {
        /// The drawing.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// What drawings are painted with.
#[derive(Debug)]
pub struct Painter {
    options: Options<'static>,
}

impl Painter {
    /// With the fonts that are installed.
    ///
    /// # Errors
    /// [`PngError::NoFont`].
    pub fn new() -> Result<Self, PngError> {
        let mut fonts = Database::new();
        fonts.load_system_fonts();
        Self::with(fonts)
    }

    fn with(mut fonts: Database) -> Result<Self, PngError> {
        // Where neither family is there, any upright font is better than no text.
        let named = |family: &&&str| {
            let mut faces = fonts.faces();
            faces.any(|face| face.families.iter().any(|(name, _)| name == **family))
        };
        let family = match FAMILIES.iter().find(named) {
            Some(family) => (*family).to_owned(),
            None => {
                let first = fonts.faces().find_map(|face| face.families.first());
                first.ok_or(PngError::NoFont)?.0.clone()
            }
        };
        fonts.set_sans_serif_family(family);
        Ok(Self {
            options: Options {
                fontdb: Arc::new(fonts),
                ..Options::default()
            },
        })
    }

    /// A drawing as a PNG file of so many pixels to an inch, which the file says too.
    ///
    /// # Errors
    /// [`PngError::Drawing`].
    pub fn paint(&self, drawing: &Drawing, dpi: u32) -> Result<Vec<u8>, PngError> {
        let trouble = |problem: String| PngError::Drawing {
            name: drawing.name.clone(),
            problem,
        };
        let tree = Tree::from_str(&drawing.svg, &self.options)
            .map_err(|error| trouble(error.to_string()))?;
        let scale = dpi as f32 / DRAWN_DPI;
        let size = tree.size();
        let [width, height] = [size.width(), size.height()].map(|side| (side * scale).round());
        let mut pixels = Pixmap::new(width as u32, height as u32)
            .ok_or_else(|| trouble(format!("{width} × {height} pixels are too many")))?;
        pixels.fill(Color::WHITE);
        resvg::render(
            &tree,
            Transform::from_scale(scale, scale),
            &mut pixels.as_mut(),
        );
        let png = pixels
            .encode_png()
            .map_err(|error| trouble(error.to_string()))?;
        Ok(dense(&png, dpi))
    }
}

/// The file with a `pHYs` chunk (PNG, third edition, section 11.3.4.3) behind its header, so that programs place
/// it in its size.
fn dense(png: &[u8], dpi: u32) -> Vec<u8> {
    // Signature; then length, type, 13 bytes and checksum of the header.
    const HEADER: usize = 8 + 4 + 4 + 13 + 4;
    let (header, rest) = png.split_at_checked(HEADER).unwrap_or((png, &[]));
    let per_metre = (f64::from(dpi) / 0.0254).round() as u32;
    let mut chunk = b"pHYs".to_vec();
    chunk.extend(per_metre.to_be_bytes());
    chunk.extend(per_metre.to_be_bytes());
    chunk.push(1); // metres
    let length = (chunk.len() as u32 - 4).to_be_bytes();
    let sum = crc32(&chunk).to_be_bytes();
    [header, &length, &chunk, &sum, rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;
    use crate::report::drawings;
    use image::{GenericImageView, RgbImage};

    fn painted(drawing: &Drawing, dpi: u32) -> RgbImage {
        let png = Painter::new().unwrap().paint(drawing, dpi).unwrap();
        image::load_from_memory(&png).unwrap().to_rgb8()
    }

    /// Pixels of an area that are not white.
    fn ink(picture: &RgbImage, [x, y, width, height]: [u32; 4]) -> usize {
        let area = picture.view(x, y, width, height);
        area.pixels()
            .filter(|(.., pixel)| pixel.0 != [255; 3])
            .count()
    }

    #[test]
    #[ignore = "needs a font (Debian: fonts-dejavu-core)"]
    fn a_plot_is_painted_in_its_size_with_its_words() {
        let drawing = drawings(&example::run_file()).remove(0);
        let size = |dpi: u32| painted(&drawing, dpi).dimensions();
        // 400 units across at 96 to an inch; the title and the key are above and below 280.
        assert_eq!(size(96), (400, 322));
        assert_eq!(size(300), (1250, 1006));
        let picture = painted(&drawing, 300);
        // The title, whose base line is 6 units above the plot, and the line that says what the x axis is.
        let (title, axis) = ([0, 0, 1250, 60], [160, 890, 900, 40]);
        let wordless = Drawing {
            name: drawing.name.clone(),
            svg: drawing
                .svg
                .replace("<text", "<desc")
                .replace("</text>", "</desc>"),
        };
        let bare = painted(&wordless, 300);
        for area in [title, axis] {
            assert!(ink(&picture, area) > 1_000, "{}", ink(&picture, area));
            assert_eq!(ink(&bare, area), 0);
        }
        // What is not text is the same: the ground is white, the points are there.
        assert!(ink(&bare, [160, 70, 1000, 750]) > 2_000);
    }

    #[test]
    #[ignore = "needs a font (Debian: fonts-dejavu-core)"]
    fn a_file_says_how_dense_it_is() {
        let drawing = drawings(&example::run_file()).remove(0);
        let png = Painter::new().unwrap().paint(&drawing, 300).unwrap();
        // 300 to an inch are 11,811 to a metre.
        assert_eq!(&png[33..50], b"\0\0\0\x09pHYs\0\0\x2e\x23\0\0\x2e\x23\x01");
    }

    #[test]
    fn without_a_font_the_remedy_is_told() {
        let said = Painter::with(Database::new()).unwrap_err().to_string();
        assert!(
            said.contains("install one") && said.contains("--svg"),
            "{said}"
        );
    }
}
