//! Image files: PNG and JPEG, with the pixels that Pillow's `Image.open(path).convert("RGB")` gives.

mod jpeg;
mod png;
mod reason;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::image::Image;
use crate::{Error, Result};
use reason::Reason;

/// How the files of each kind begin.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";

impl Image {
    /// Reads a PNG or JPEG file as RGB: gray is repeated, opacity is left out, and so is the orientation that a camera
    /// notes. The kind is read from the first bytes, not from the name.
    ///
    /// Pixels are those of Pillow 13. Of a PNG file with 16 bits a channel the higher 8 count, but
    /// of gray alone Pillow cuts off what is over 255. JPEG goes through libjpeg's slow integer transform and its smooth
    /// enlargement of the colours, as in Pillow; decoders written in Rust (`zune-jpeg` 0.5, `jpeg-decoder` 0.3) gave
    /// others in all of 4,000 small colour photographs, by up to 5 levels. Overflow in JPEG saturates as in Pillow on
    /// x86-64.
    ///
    /// Of damaged files those are read that Pillow reads. In PNG, a wrong checksum counts in chunks before the image's
    /// data, and zlib's of the data; colours that a palette lacks are black; rows that complete data lack are 0; after the
    /// last row the file may end. In JPEG, what libjpeg guesses is taken, and the file may end after the last row.
    /// Metadata are not looked at.
    ///
    /// # Errors
    /// A file that cannot be read, is of another kind (lossless JPEG too), has more than 89 million pixels, or is damaged
    /// or cut off in another way.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Reason::from);
        file.and_then(|file| decode(BufReader::new(file)))
            .map_err(|Reason(reason)| Error::File { path: Some(path.to_owned()), reason })
    }

    /// The image that a PNG or JPEG file of these bytes holds, as [`open`](Self::open) reads it.
    ///
    /// # Errors
    /// As those of [`open`](Self::open).
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        decode(bytes).map_err(|Reason(reason)| Error::File { path: None, reason })
    }
}

fn decode(mut file: impl BufRead) -> Result<Image, Reason> {
    let begin = file.fill_buf()?;
    if begin.starts_with(PNG) {
        png::decode(file)
    } else if begin.starts_with(JPEG) {
        jpeg::decode(file)
    } else if begin.is_empty() {
        Err("it is empty".into())
    } else {
        Err("it begins neither as PNG nor as JPEG".into())
    }
}
