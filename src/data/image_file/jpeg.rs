//! JPEG, through libjpeg as Mozilla keeps it, whose decoder is libjpeg-turbo's; Pillow has libjpeg-turbo.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mozjpeg::{ColorSpace, Decompress};

use super::{Reason, check_size};
use crate::data::transforms::{Image, Mode};
use crate::panics;

pub(super) fn decode(file: impl BufRead) -> Result<Image, Reason> {
    // libjpeg gives up by unwinding, with a text of its own, past the panic hook.
    catch_unwind(AssertUnwindSafe(|| decompress(file))).unwrap_or_else(|payload| {
        Err(match panics::words(payload.as_ref()).trim_start_matches("libjpeg fatal error: ") {
            // What libjpeg makes of the error of `Whole`.
            "Input file read error" => "it is cut off, or cannot be read to its end".into(),
            text => text.into(),
        })
    })
}

fn decompress(file: impl BufRead) -> Result<Image, Reason> {
    let rows_lack = Cell::new(true);
    let header = Decompress::new_reader(Whole { file, rows_lack: &rows_lack })?;
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
    rows_lack.set(false);
    rows.finish()?;
    Ok(Image::new(Mode::Rgb, height, width, pixels)?)
}

/// Red, green and blue of cyan, magenta, yellow and black, which JPEG files hold inverted, as Pillow rounds them.
fn rgb_of([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|inverted| {
        let product = u32::from(255 - inverted) * u32::from(k) + 128;
        k - (((product >> 8) + product) >> 8) as u8
    })
}

/// A file that must not end before its image does: libjpeg would make up the rest, gray, and say nothing.
struct Whole<'a, R> {
    file: R,
    rows_lack: &'a Cell<bool>,
}

impl<R: BufRead> BufRead for Whole<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self.file.fill_buf()? {
            [] if self.rows_lack.get() => Err(io::Error::other("it is cut off")),
            bytes => Ok(bytes),
        }
    }

    fn consume(&mut self, amount: usize) {
        self.file.consume(amount);
    }
}

impl<R: BufRead> Read for Whole<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.file.read(bytes)
    }
}
