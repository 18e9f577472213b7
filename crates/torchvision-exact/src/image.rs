//! Images of 8 bits a channel in memory: what a PIL image of mode `L` or `RGB` holds.

use crate::{Error, Result};

/// What a pixel is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// One byte: gray.
    L,
    /// Three bytes: red, green, blue.
    Rgb,
}

impl Mode {
    /// Bytes of a pixel.
    pub fn channels(self) -> usize {
        match self {
            Self::L => 1,
            Self::Rgb => 3,
        }
    }
}

/// Which part of an image to cut out, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropBox {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Height x width x channels bytes, row by row; at least one pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    mode: Mode,
    height: usize,
    width: usize,
    pixels: Vec<u8>,
}

impl Image {
    /// An image of the given `pixels`, `height * width` of them, each `mode.channels()` bytes.
    ///
    /// ```
    /// use torchvision_exact::image::{Image, Mode};
    ///
    /// let gray = Image::new(Mode::L, 2, 3, vec![0, 50, 100, 150, 200, 250])?;
    /// assert_eq!((gray.height(), gray.width()), (2, 3));
    /// assert!(Image::new(Mode::Rgb, 2, 3, vec![0; 6]).is_err());
    /// # Ok::<(), torchvision_exact::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no pixel, or another number of bytes than that takes.
    pub fn new(mode: Mode, height: usize, width: usize, pixels: Vec<u8>) -> Result<Self> {
        let expected = height.checked_mul(width).and_then(|n| n.checked_mul(mode.channels()));
        if expected != Some(pixels.len()) || pixels.is_empty() {
            return Err(Error::Pixels { mode, height, width, bytes: pixels.len() });
        }
        Ok(Self { mode, height, width, pixels })
    }

    /// An image of zeros; both sides are positive.
    pub(crate) fn black(mode: Mode, height: usize, width: usize) -> Self {
        Self { mode, height, width, pixels: vec![0; height * width * mode.channels()] }
    }

    /// What a pixel is made of.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Rows of pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Pixels of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The bytes (height, width, channels), row by row.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    pub(crate) fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The part of the image in `part`; panics if that is empty or reaches beyond the image.
    pub fn crop(&self, part: CropBox) -> Self {
        let channels = self.mode.channels();
        let rows = self.pixels.chunks_exact(self.width * channels).skip(part.top).take(part.height);
        let columns = part.left * channels..(part.left + part.width) * channels;
        let pixels: Vec<u8> = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
        Self::new(self.mode, part.height, part.width, pixels).expect("a part that lies within the image")
    }
}
