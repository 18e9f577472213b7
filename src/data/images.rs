//! Data sets in memory: images of one size as bytes, with their labels.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use torchvision_exact::image::{Image, Mode};

use super::checksum;
use crate::{Error, Result};

/// A data set in memory.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Images to train on.
    pub train: Images,
    /// Images to test on.
    pub test: Images,
    pub(super) folder: PathBuf,
    pub(super) published: bool,
}

impl DataSet {
    /// Whether all files are the published ones, by their SHA-256.
    pub fn is_published(&self) -> bool {
        self.published
    }

    /// The folder that the files were read from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Images with their labels.
#[derive(Clone, PartialEq, Eq)]
pub struct Images {
    /// Values of 0 to 255: shape (n, rows, cols, channels), row-major, as PIL has them.
    pub pixels: Vec<u8>,
    /// The class of each image: shape (n).
    pub labels: Vec<u8>,
    /// Height of an image in pixels.
    pub rows: usize,
    /// Width of an image in pixels.
    pub cols: usize,
    /// Bytes of a pixel: 1 for gray, 3 for red, green, blue.
    pub channels: usize,
}

impl Images {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image; a data set that was loaded has at least one.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The first `limit` of them; all without a limit, or if there are fewer.
    #[must_use]
    pub fn first(mut self, limit: Option<usize>) -> Self {
        let n = limit.map_or(self.len(), |limit| limit.min(self.len()));
        self.labels.truncate(n);
        self.pixels.truncate(n * self.image_bytes());
        self
    }

    /// Whether there are as many as `limit`, which the user chose with `option`.
    ///
    /// # Errors
    /// A usage error with the number that there is.
    pub fn check_limit(&self, limit: Option<usize>, option: &str) -> Result<()> {
        let n = self.len();
        let Some(limit) = limit.filter(|&limit| limit > n) else { return Ok(()) };
        Err(Error::usage(
            format!("{option} {limit} is more than the {n} images that there are"),
            format!("give {option} {n} or less, or leave it out to take all"),
        ))
    }

    /// The SHA-256, in hexadecimal, of sizes, labels and pixels.
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{} {} {} {}\n", self.len(), self.rows, self.cols, self.channels));
        hash.update(&self.labels);
        hash.update(&self.pixels);
        checksum::hex(hash)
    }

    /// A copy of the image at `i`; panics if `i` is not less than [`len`](Self::len).
    pub fn image(&self, i: usize) -> Image {
        let mode = if self.channels == 1 { Mode::L } else { Mode::Rgb };
        let bytes = self.image_bytes();
        let pixels = self.pixels[i * bytes..][..bytes].to_vec();
        Image::new(mode, self.rows, self.cols, pixels).expect("one pixel or more of 1 or 3 channels")
    }

    fn image_bytes(&self) -> usize {
        self.rows * self.cols * self.channels
    }
}

/// How many and of what size: the bytes themselves would fill millions of lines.
impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { rows, cols, channels, .. } = self;
        write!(f, "Images({} of {rows} x {cols} x {channels})", self.len())
    }
}

/// Says in one line which of the `labels` is the first that names none of the ten classes, if one is.
pub(super) fn check_labels(labels: &[u8]) -> Result<(), String> {
    match labels.iter().enumerate().find(|&(_, &label)| label >= 10) {
        None => Ok(()),
        Some((i, label)) => Err(format!("expected labels from 0 to 9, got {label} for image {i}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three images of 2 x 1 pixels whose bytes count up.
    fn three(channels: usize) -> Images {
        let pixels = (0..3 * 2 * channels as u8).collect();
        Images { pixels, labels: vec![7, 8, 9], rows: 2, cols: 1, channels }
    }

    #[test]
    fn an_image_is_its_own_bytes_in_its_own_mode() {
        assert_eq!(three(1).image(2), Image::new(Mode::L, 2, 1, vec![4, 5]).unwrap());
        assert_eq!(three(3).image(1), Image::new(Mode::Rgb, 2, 1, (6..12).collect()).unwrap());
    }

    #[test]
    fn a_limit_takes_the_first_of_both() {
        let two = three(3).first(Some(2));
        assert_eq!((two.pixels, two.labels), ((0..12).collect(), vec![7, 8]));
        assert_eq!(three(3).first(Some(4)), three(3));
        assert_eq!(three(3).first(None), three(3));
    }

    #[test]
    fn a_limit_beyond_the_images_is_refused_with_their_number() {
        for limit in [None, Some(2), Some(3)] {
            three(1).check_limit(limit, "--test-examples").unwrap();
        }
        let error = three(1).check_limit(Some(4), "--test-examples").unwrap_err();
        assert_eq!(error.to_string(), "--test-examples 4 is more than the 3 images that there are");
        assert_eq!(error.exit_code(), 2);
    }
}
