//! Which images a run is trained and tested on, as its `config.json` says it.

use std::path::PathBuf;

use serde::Serialize;

use crate::data::Images;

/// What tells one set of images from another: another one gives other bits.
#[derive(Clone, Debug, Serialize)]
pub struct DataUsed {
    /// Training images.
    pub train_examples: usize,
    /// Test images.
    pub test_examples: usize,
    /// The absolute path of the folder that the user named for them, if it is text.
    data_dir: Option<String>,
    data_is_published: bool,
    train_sha256: String,
    test_sha256: String,
}

impl DataUsed {
    /// Of a run with these images, out of files that are `published` or not, in the folder that was `named`, if one was.
    pub fn of(train: &Images, test: &Images, published: bool, named: Option<PathBuf>) -> Self {
        let (train_sha256, test_sha256) = std::thread::scope(|scope| {
            let test = scope.spawn(|| test.sha256());
            (train.sha256(), test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        Self {
            train_examples: train.len(),
            test_examples: test.len(),
            data_dir: named
                .and_then(|folder| std::path::absolute(folder).ok()?.into_os_string().into_string().ok()),
            data_is_published: published,
            train_sha256,
            test_sha256,
        }
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
