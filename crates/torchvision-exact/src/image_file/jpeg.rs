//! JPEG, through libjpeg as Mozilla keeps it, whose decoder is libjpeg-turbo's; Pillow has libjpeg-turbo.

use std::io::Read;

use super::reason::{Reason, check_size};
use crate::foreign::jpeg as libjpeg;
use crate::image::{Image, Mode};

pub(super) fn decode(mut reader: impl Read) -> Result<Image, Reason> {
    let mut file = Vec::new();
    reader.read_to_end(&mut file)?;
    let header = libjpeg::header(&file)?;
    let [width, height] = [header.width, header.height].map(|side| side as usize);
    check_size(width, height)?;
    let mut pixels = libjpeg::pixels(&file, &header)?;
    if header.channels == 4 {
        for i in 0..width * height {
            let rgb = rgb_of(pixels.as_chunks().0[i]);
            pixels.as_chunks_mut().0[i] = rgb;
        }
        pixels.truncate(3 * width * height);
    }
    Ok(Image::new(Mode::Rgb, height, width, pixels)?)
}

/// Red, green and blue of cyan, magenta, yellow and black, which JPEG files hold inverted, as Pillow rounds them.
fn rgb_of([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    [c, m, y].map(|inverted| {
        let product = u32::from(255 - inverted) * u32::from(k) + 128;
        k - (((product >> 8) + product) >> 8) as u8
    })
}
