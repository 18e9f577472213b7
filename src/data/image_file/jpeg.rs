//! JPEG, through libjpeg as Mozilla keeps it, whose decoder is libjpeg-turbo's; Pillow has libjpeg-turbo.

use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mozjpeg::{ColorSpace, Decompress};

use super::reason::{Reason, check_size};
use crate::data::transforms::{Image, Mode};
use crate::panics;

/// What libjpeg says when [`Whole`] refuses to go on.
const ENDED: &str = "Input file read error";

pub(super) fn decode(file: impl BufRead) -> Result<Image, Reason> {
    caught(|| decompress(Whole(file))).map_err(|Reason(text)| match text.as_str() {
        ENDED => "it is cut off, or cannot be read to its end".into(),
        _ => Reason(text),
    })
}

/// Runs `f`, in which libjpeg gives up by unwinding, with a text of its own, past the panic hook.
fn caught<T>(f: impl FnOnce() -> Result<T, Reason>) -> Result<T, Reason> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|payload| {
        Err(panics::words(payload.as_ref()).trim_start_matches("libjpeg fatal error: ").into())
    })
}

fn decompress(file: impl BufRead) -> Result<Image, Reason> {
    let header = Decompress::new_reader(file)?;
    let (width, height) = header.size();
    check_size(width, height)?;
    let cmyk = matches!(header.color_space(), ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK);
    let mut rows = header.to_colorspace(if cmyk { ColorSpace::JCS_CMYK } else { ColorSpace::JCS_RGB })?;
    let mut pixels = vec![0; 3 * width * height];
    if cmyk {
        let mut inverted = vec![[0; 4]; width];
        for line in pixels.chunks_exact_mut(3 * width) {
            rows.read_scanlines_into(&mut inverted)?;
            line.as_chunks_mut().0.iter_mut().zip(&inverted).for_each(|(rgb, &pixel)| *rgb = rgb_of(pixel));
        }
    } else {
        rows.read_scanlines_into(&mut pixels)?;
    }
    // What follows may be missing, but not be damaged.
    match caught(|| Ok(rows.finish()?)) {
        Err(Reason(text)) if text != ENDED => Err(Reason(text)),
        _ => Ok(Image::new(Mode::Rgb, height, width, pixels)?),
    }
}

/// Red, green and blue of cyan, magenta, yellow and black, which JPEG files hold inverted, as Pillow rounds them.
fn rgb_of([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|inverted| {
        let product = u32::from(255 - inverted) * u32::from(k) + 128;
        k - (((product >> 8) + product) >> 8) as u8
    })
}

/// A file that must not end: libjpeg would make up the rest, gray, and say nothing.
struct Whole<R>(R);

impl<R: BufRead> BufRead for Whole<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.0.fill_buf()? {
            [] => Err(io::Error::other("it is cut off")),
            bytes => Ok(bytes),
        }
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

impl<R: BufRead> Read for Whole<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.read(bytes)
    }
}
