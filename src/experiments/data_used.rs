//! The images that a run is trained and tested on, for its `config.json`.

use std::path::PathBuf;

use serde::Serialize;

use crate::data::Images;

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
    /// Identifies images, from files that are the `published` ones or not, in the folder that the user `named`.
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
