//! An RGB image of a file.

use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use png::{ColorType, Decoder, Transformations};

use crate::{Error, Result};

/// The most pixels that are read, twice those of a good camera: a file of a few bytes can claim any size.
const MAX_PIXELS: u64 = 50_000_000;

/// Pixels of three bytes each: red, green, blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    /// Pixels from left to right.
    pub width: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// `3 * width * height` bytes, row by row from the top.
    pub pixels: Vec<u8>,
}

impl RgbImage {
    /// Reads a PNG file of any colour type, as Pillow's `Image.open(path).convert("RGB")` gives it: opacity is left
    /// out, grey repeated. Of 16 bits a channel, the higher 8 count.
    ///
    /// # Errors
    /// A file that cannot be read, is no PNG, is damaged, or has more than 50 million pixels.
    pub fn read_png(path: &Path) -> Result<Self> {
        let unreadable = |e: &dyn Display| cannot_read(path, e);
        let file = File::open(path).map_err(|e| unreadable(&e))?;
        let mut decoder = Decoder::new(BufReader::new(file));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let (width, height) = decoder.read_header_info().map_err(|e| unreadable(&e))?.size();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            let most = MAX_PIXELS / 1_000_000;
            return Err(unreadable(&format!("{width} x {height} pixels are more than {most} million")));
        }
        let mut reader = decoder.read_info().map_err(|e| unreadable(&e))?;
        let mut bytes = vec![0; reader.output_buffer_size().expect("so few pixels have room in memory")];
        let frame = reader.next_frame(&mut bytes).map_err(|e| unreadable(&e))?;
        bytes.truncate(frame.buffer_size());
        Ok(Self { width: width as usize, height: height as usize, pixels: rgb(bytes, frame.color_type) })
    }
}

/// The red, green and blue of pixels with 8 bits a channel.
fn rgb(bytes: Vec<u8>, color_type: ColorType) -> Vec<u8> {
    match color_type {
        ColorType::Grayscale => bytes.iter().flat_map(|&grey| [grey; 3]).collect(),
        ColorType::GrayscaleAlpha => bytes.chunks_exact(2).flat_map(|pixel| [pixel[0]; 3]).collect(),
        ColorType::Rgba => bytes.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
        // The decoder looks palettes up.
        ColorType::Rgb | ColorType::Indexed => bytes,
    }
}

fn cannot_read(path: &Path, e: &dyn Display) -> Error {
    Error::failed(
        format!("cannot read the image {}: {e}", path.display()),
        "Name a PNG file; images of other kinds must be converted first.",
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use png::{BitDepth, Encoder};

    use super::*;

    /// Reads what a file of these bytes holds.
    fn read(bytes: &[u8]) -> Result<RgbImage> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        RgbImage::read_png(file.path())
    }

    fn encoded(width: u32, (color, depth): (ColorType, BitDepth), palette: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, width, 1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if !palette.is_empty() {
            encoder.set_palette(palette);
        }
        encoder.write_header().unwrap().write_image_data(bytes).unwrap();
        file
    }

    #[test]
    fn every_kind_of_pixel_becomes_red_green_blue() {
        use BitDepth::{Eight, One, Sixteen};
        use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        let two = [1, 2, 3, 250, 251, 252];
        let cases: [(_, &[u8], &[u8], [u8; 6]); 7] = [
            ((Rgb, Eight), &[], &two, two),
            ((Rgba, Eight), &[], &[1, 2, 3, 0, 250, 251, 252, 99], two),
            ((Rgb, Sixteen), &[], &[1, 255, 2, 255, 3, 255, 250, 255, 251, 255, 252, 255], two),
            ((Grayscale, Eight), &[], &[7, 200], [7, 7, 7, 200, 200, 200]),
            ((Grayscale, One), &[], &[0b0100_0000], [0, 0, 0, 255, 255, 255]),
            ((GrayscaleAlpha, Eight), &[], &[7, 0, 200, 1], [7, 7, 7, 200, 200, 200]),
            ((Indexed, Eight), &two, &[1, 0], [250, 251, 252, 1, 2, 3]),
        ];
        for (kind, palette, bytes, expected) in cases {
            let image = read(&encoded(2, kind, palette, bytes)).unwrap();
            assert_eq!((image.width, image.height), (2, 1));
            assert_eq!(image.pixels, expected, "{kind:?}");
        }
    }

    #[test]
    fn what_is_no_whole_png_is_refused() {
        let whole = encoded(2, (ColorType::Rgb, BitDepth::Eight), &[], &[1, 2, 3, 4, 5, 6]);
        for cut in 0..whole.len() - 12 {
            assert!(read(&whole[..cut]).is_err(), "{cut} bytes of {}", whole.len());
        }
        assert!(read(b"GIF89a and more").is_err());
        // A header that claims 65,536 x 65,536 pixels, with its checksum.
        let mut huge = Vec::new();
        let header = Encoder::new(&mut huge, 1 << 16, 1 << 16).write_header().unwrap();
        std::mem::forget(header);
        assert!(read(&huge).unwrap_err().to_string().contains("50 million"));
    }
}
