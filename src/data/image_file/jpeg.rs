//! JPEG, through libjpeg as Mozilla keeps it, whose decoder is libjpeg-turbo's; Pillow has libjpeg-turbo.

use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mozjpeg::{ColorSpace, Decompress};

use super::{Reason, check_size};
use crate::data::transforms::{Image, Mode};
use crate::panics;

pub(super) fn decode(file: impl BufRead) -> Result<Image, Reason> {
    // libjpeg gives up by unwinding, with a text of its own, past the panic hook.
    catch_unwind(AssertUnwindSafe(|| decompress(Whole(file)))).unwrap_or_else(|payload| {
        Err(match panics::words(payload.as_ref()).trim_start_matches("libjpeg fatal error: ") {
            // What libjpeg makes of the error of `Whole`.
            "Input file read error" => "it is cut off, or cannot be read to its end".into(),
            text => text.into(),
        })
    })
}

fn decompress(file: impl BufRead) -> Result<Image, Reason> {
    let header = Decompress::new_reader(file)?;
    let (width, height) = header.size();
    check_size(width, height)?;
    let pixels = match header.color_space() {
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => {
            let inverted: Vec<[u8; 4]> = header.to_colorspace(ColorSpace::JCS_CMYK)?.read_scanlines()?;
            inverted.into_iter().flat_map(rgb_of).collect()
        }
        _ => header.rgb()?.read_scanlines()?,
    };
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
