//! PNG.

use std::io::{BufRead, Seek};

use png::{BitDepth, ColorType, Decoder, Transformations};

use super::{Reason, check_size};
use crate::data::transforms::{Image, Mode};

pub(super) fn decode(file: impl BufRead + Seek) -> Result<Image, Reason> {
    let mut decoder = Decoder::new(file);
    let header = decoder.read_header_info()?;
    let (width, height) = (header.width as usize, header.height as usize);
    let long_gray = (header.color_type, header.bit_depth) == (ColorType::Grayscale, BitDepth::Sixteen);
    check_size(width, height)?;
    // Pillow cuts gray of 16 bits off, and takes the higher half of all else.
    decoder.set_transformations(match long_gray {
        true => Transformations::IDENTITY,
        false => Transformations::normalize_to_color8(),
    });
    let mut reader = decoder.read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().expect("so few pixels have room in memory")];
    let frame = reader.next_frame(&mut bytes)?;
    bytes.truncate(frame.buffer_size());
    let rgb = if long_gray { cut_off(&bytes) } else { rgb(bytes, frame.color_type) };
    Ok(Image::new(Mode::Rgb, height, width, rgb)?)
}

/// Gray of 16 bits, the higher ones first, in 8: white from 255 on.
fn cut_off(bytes: &[u8]) -> Vec<u8> {
    let grays = bytes.as_chunks().0.iter().map(|&[high, low]| if high == 0 { low } else { 255 });
    grays.flat_map(|gray| [gray; 3]).collect()
}

/// The red, green and blue of pixels with 8 bits a channel.
fn rgb(bytes: Vec<u8>, color_type: ColorType) -> Vec<u8> {
    match color_type {
        ColorType::Grayscale => bytes.iter().flat_map(|&gray| [gray; 3]).collect(),
        ColorType::GrayscaleAlpha => bytes.chunks_exact(2).flat_map(|pixel| [pixel[0]; 3]).collect(),
        ColorType::Rgba => bytes.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
        // The decoder looks palettes up.
        ColorType::Rgb | ColorType::Indexed => bytes,
    }
}
