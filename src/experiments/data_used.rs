//! The images that a run is trained and tested on, for its `config.json`.

use serde::Serialize;

use super::options::{CommonOptions, RunOptions};
use crate::Result;
use crate::data::{DataSet, Images};

/// What identifies a set of images: another set gives other bits.
#[derive(Clone, Debug, Serialize)]
pub struct DataUsed {
    /// Training images.
    pub train_examples: usize,
    /// Test images.
    pub test_examples: usize,
    /// The absolute path of the folder that the user named, if it is UTF-8.
    data_dir: Option<String>,
    data_is_published: bool,
    train_sha256: String,
    test_sha256: String,
}

impl DataUsed {
    /// The images of `data` that the options choose, to train on and to test on, and what identifies them.
    ///
    /// # Errors
    /// A usage error for more images than there are.
    pub fn of(data: DataSet, options: &RunOptions) -> Result<([Images; 2], Self)> {
        let CommonOptions { test_examples, data_dir, .. } = &options.common;
        data.train.check_limit(options.train_examples, "--train-examples")?;
        data.test.check_limit(*test_examples, "--test-examples")?;
        let named = data_dir.as_ref().and_then(|_| std::path::absolute(data.folder()).ok());
        let data_is_published = data.is_published();
        let (train, test) = (data.train.first(options.train_examples), data.test.first(*test_examples));
        let (train_sha256, test_sha256) = std::thread::scope(|scope| {
            let hashed = scope.spawn(|| test.sha256());
            (train.sha256(), hashed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let used = Self {
            train_examples: train.len(),
            test_examples: test.len(),
            data_dir: named.and_then(|folder| folder.into_os_string().into_string().ok()),
            data_is_published,
            train_sha256,
            test_sha256,
        };
        Ok(([train, test], used))
    }

    /// For the report: whether this is the `dataset` as published.
    pub fn origin(&self, dataset: &str) -> String {
        if self.data_is_published {
            format!("{dataset} as published")
        } else {
            "not the published files".into()
        }
    }
}
