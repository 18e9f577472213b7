//! A data set that is read: images to train on and to test on.

use std::path::{Path, PathBuf};

use super::images::Images;

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
