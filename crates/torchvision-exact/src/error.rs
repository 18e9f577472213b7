//! Errors.

use std::path::PathBuf;

use crate::image::Mode;
use crate::transforms::Size;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in one line.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// An image without a pixel, or with another number of bytes than its pixels take.
    #[error("an image of {height} x {width} pixels in mode {mode:?} cannot have {bytes} bytes")]
    Pixels {
        /// What a pixel is made of.
        mode: Mode,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// The bytes that were given.
        bytes: usize,
    },
    /// Images that do not fit into one tensor.
    #[error("{0} images that are not all of one size and mode make no batch")]
    Batch(usize),
    /// A size without a pixel, or with an edge of more than 65,535.
    #[error("an image cannot be resized to {0:?}")]
    Size(Size),
    /// Areas or shapes that a crop cannot have.
    #[error("a crop's {parameter} cannot go from {min} to {max}")]
    Crop {
        /// `scale` or `ratio`.
        parameter: &'static str,
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// Factors by which a property of an image cannot be changed.
    #[error("{property} cannot be jittered by a factor from {min} to {max}")]
    Jitter {
        /// `brightness`, `contrast`, `saturation` or `hue`.
        property: &'static str,
        /// The least factor.
        min: f64,
        /// The greatest factor.
        max: f64,
        /// The least and the greatest factor that would be possible.
        bounds: (f64, f64),
    },
    /// Statistics by which images cannot be normalized: not one pair for each channel, or a deviation of 0.
    #[error("images cannot be normalized by the means {mean:?} and standard deviations {std:?}")]
    Normalize {
        /// Means.
        mean: Vec<f64>,
        /// Standard deviations.
        std: Vec<f64>,
    },
    /// A file that is no PNG or JPEG file, is damaged or cannot be read.
    #[error("{}: {reason}", match path {
        Some(path) => format!("cannot read the image {}", path.display()),
        None => "cannot decode an image".to_owned(),
    })]
    File {
        /// Its path; none if its bytes were given.
        path: Option<PathBuf>,
        /// What is wrong with it, after a colon.
        reason: String,
    },
}
