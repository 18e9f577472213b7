//! Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28x28 gray pixels, ten classes
//! (Xiao, Rasul, Vollgraf, 2017, <https://arxiv.org/abs/1708.07747>; d2l section 4.2).
//!
//! The four IDX files are taken from the first place that has them: the folder that the user names,
//! and no other if one is named; the user's cache; the system's data sets; else they are fetched into
//! the cache (`fetch.rs`).

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use super::Images;
use super::fetch::{self, Origins, Package, Wanted};
use super::idx::{self, Kind};
use crate::error::{Error, Result};

/// The class names, as the publisher writes them; a label is an index into them.
pub const LABELS: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Height and width of every image.
const SIDE: usize = 28;

/// The data set in memory, 55 MB of it.
#[derive(Clone, Debug)]
pub struct FashionMnist {
    /// 60,000 as published.
    pub train: Images,
    /// 10,000 as published.
    pub test: Images,
    folder: PathBuf,
    published: bool,
}

impl FashionMnist {
    /// Reads the data set from `data_dir` if one is given, else from where it is found or fetched to;
    /// `progress` draws a bar while fetching, if standard error is a terminal.
    ///
    /// `data_dir` holds the four files under their published names, gzipped (preferred) or not, directly
    /// or in `FashionMNIST/raw`, where torchvision puts them. They may hold other data in this form (MNIST, say):
    /// [`is_published`](Self::is_published) tells. Files from elsewhere must be the published ones.
    ///
    /// # Errors
    /// Files are missing and cannot be fetched, cannot be read, are no sound IDX files, or do not hold as
    /// many labels below ten as images of 28x28.
    pub fn load(data_dir: Option<&Path>, progress: bool) -> Result<Self> {
        match data_dir {
            Some(dir) => Place::named(dir)?.read(&PUBLISHED),
            None => Sources::default().load(&PUBLISHED, progress),
        }
    }

    /// Whether all four files are the published ones, by their SHA-256.
    pub fn is_published(&self) -> bool {
        self.published
    }

    /// The folder that the files were read from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// One of the four files.
struct Part {
    /// As published, without `.gz`.
    name: &'static str,
    kind: Kind,
    /// Of the published file, unzipped: publisher and Debian zipped the same bytes with other headers.
    sha256: &'static str,
}

/// In this order: training images and labels, test images and labels.
type Parts = [Part; 4];

/// The unzipped contents of the files whose MD5 torchvision lists (`FashionMNIST.resources`).
const PUBLISHED: Parts = [
    Part {
        name: "train-images-idx3-ubyte",
        kind: Kind::Images,
        sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    },
    Part {
        name: "train-labels-idx1-ubyte",
        kind: Kind::Labels,
        sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    },
    Part {
        name: "t10k-images-idx3-ubyte",
        kind: Kind::Images,
        sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    },
    Part {
        name: "t10k-labels-idx1-ubyte",
        kind: Kind::Labels,
        sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
];

impl Part {
    fn zipped_name(&self) -> String {
        format!("{}.gz", self.name)
    }

    /// The file in the folder, gzipped if it is there in both forms: gzip brings its own checksum.
    fn find(&self, folder: &Path) -> Option<PathBuf> {
        [self.zipped_name().as_str(), self.name]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|p| p.is_file())
    }
}

/// Names of the gzipped files that `folder` has in neither form.
fn missing(folder: &Path, parts: &Parts) -> Vec<String> {
    parts.iter().filter(|part| part.find(folder).is_none()).map(Part::zipped_name).collect()
}

/// Where to look when the user names no folder.
struct Sources {
    cache: Option<PathBuf>,
    system: PathBuf,
    origins: Origins,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            cache: ProjectDirs::from("", "", "d2l_ch7").map(|dirs| dirs.cache_dir().join("fashion-mnist")),
            system: "/usr/share/datasets/fashion-mnist".into(),
            origins: Origins {
                mirrors: vec![
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
                        .into(),
                    // The publisher's bucket has no certificate for its name.
                    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/".into(),
                ],
                debian: Some(Package {
                    apt_get: &["apt-get"],
                    name: "dataset-fashion-mnist",
                    folder: "usr/share/datasets/fashion-mnist",
                }),
                agent: fetch::agent(),
            },
        }
    }
}

impl Sources {
    /// Finds or fetches the files, reads them, and accepts none but `parts`.
    fn load(&self, parts: &Parts, progress: bool) -> Result<FashionMnist> {
        self.place(parts, progress)?.read(parts)
    }

    fn place(&self, parts: &Parts, progress: bool) -> Result<Place> {
        if let Some(cache) = self.cache.as_ref().filter(|cache| missing(cache, parts).is_empty()) {
            return Ok(Place { folder: cache.clone(), origin: Origin::Cache });
        }
        if missing(&self.system, parts).is_empty() {
            return Ok(Place { folder: self.system.clone(), origin: Origin::System });
        }
        let cache = self.cache.clone().ok_or_else(|| {
            Error::failed(
                "Fashion-MNIST is not on this machine, and no home directory is known to fetch it into",
                "set HOME, or name a folder that holds the data with --data-dir",
            )
        })?;
        let wanted = Wanted {
            dataset: "Fashion-MNIST",
            files: &missing(&cache, parts),
            check: &|name, path| {
                let part = parts.iter().find(|part| part.zipped_name() == name).ok_or("not wanted")?;
                let idx = idx::read(path, part.kind).map_err(|e| e.fault())?;
                part.check(&idx)
            },
        };
        self.origins.fetch(&wanted, &cache, progress)?;
        Ok(Place { folder: cache, origin: Origin::Cache })
    }
}

impl Part {
    fn check(&self, idx: &idx::Idx) -> std::result::Result<(), String> {
        let got = idx.sha256();
        if got == self.sha256 {
            return Ok(());
        }
        Err(format!(
            "not the published file: expected the SHA-256 {} of its contents, got {got}",
            self.sha256
        ))
    }
}

/// A folder that has all four files.
struct Place {
    folder: PathBuf,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The user's choice: data of any origin.
    Named,
    Cache,
    System,
}

impl Place {
    /// The folder that the user named, or torchvision's layout in it.
    fn named(dir: &Path) -> Result<Self> {
        // Of the two, speak of the one that has more of the files.
        let (missing, folder) = [dir.to_owned(), dir.join("FashionMNIST").join("raw")]
            .map(|folder| (missing(&folder, &PUBLISHED), folder))
            .into_iter()
            .min_by_key(|(missing, _)| missing.len())
            .expect("an array of two has a least element");
        if missing.is_empty() {
            return Ok(Self { folder, origin: Origin::Named });
        }
        Err(Error::failed(
            format!("no Fashion-MNIST in {}: missing {}", folder.display(), missing.join(", ")),
            "put these files there, gzipped or not; or leave out --data-dir to have the data found or fetched",
        ))
    }

    /// What to do about a bad file that came from here.
    fn remedy(&self) -> &'static str {
        match self.origin {
            Origin::Named => {
                "replace it by a sound copy, or leave out --data-dir to have the data found or fetched"
            }
            Origin::Cache => "delete it and run again: it will be fetched anew",
            Origin::System => {
                "reinstall the package dataset-fashion-mnist, or name a sound copy's folder with --data-dir"
            }
        }
    }

    /// Reads the training and test files side by side.
    fn read(&self, parts: &Parts) -> Result<FashionMnist> {
        let [train_images, train_labels, test_images, test_labels] = parts;
        let (train, test) = std::thread::scope(|scope| {
            let test = scope.spawn(|| self.read_pair(test_images, test_labels));
            let train = self.read_pair(train_images, train_labels);
            (train, test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let ((train, train_published), (test, test_published)) = (train?, test?);
        let published = train_published && test_published;
        Ok(FashionMnist { train, test, folder: self.folder.clone(), published })
    }

    /// Images with their labels, and whether both files are the published ones.
    fn read_pair(&self, images: &Part, labels: &Part) -> Result<(Images, bool)> {
        let (images_path, images, images_published) = self.read_part(images)?;
        let (labels_path, labels, labels_published) = self.read_part(labels)?;
        let bad = |path: &Path, what: String| {
            Err(Error::failed(format!("{}: {what}", path.display()), self.remedy()))
        };

        // `idx::read` gives images three dimensions, and labels one.
        let (n, rows, cols) = (images.shape[0], images.shape[1], images.shape[2]);
        if (rows, cols) != (SIDE, SIDE) {
            return bad(
                &images_path,
                format!("expected images of {SIDE} x {SIDE} pixels, got {rows} x {cols}"),
            );
        }
        if n == 0 {
            return bad(&images_path, "holds no image".into());
        }
        if labels.data.len() != n {
            let images_name = images_path.file_name().unwrap_or_default().to_string_lossy();
            let got = labels.data.len();
            return bad(
                &labels_path,
                format!("expected {n} labels, one for each image of {images_name}, got {got}"),
            );
        }
        if let Some((i, label)) =
            labels.data.iter().enumerate().find(|&(_, &l)| usize::from(l) >= LABELS.len())
        {
            return bad(&labels_path, format!("expected labels from 0 to 9, got {label} for image {i}"));
        }
        let images = Images { pixels: images.data, labels: labels.data, rows, cols, channels: 1 };
        Ok((images, images_published && labels_published))
    }

    /// One file: its path, its contents, and whether it is the published one, which it must be unless the
    /// user brought it.
    fn read_part(&self, part: &Part) -> Result<(PathBuf, idx::Idx, bool)> {
        let path = part.find(&self.folder).unwrap_or_else(|| self.folder.join(part.zipped_name()));
        let idx = idx::read(&path, part.kind).map_err(|e| Error::failed(e.to_string(), self.remedy()))?;
        match part.check(&idx) {
            Ok(()) => Ok((path, idx, true)),
            Err(_) if self.origin == Origin::Named => Ok((path, idx, false)),
            Err(reason) => Err(Error::failed(format!("{}: {reason}", path.display()), self.remedy())),
        }
    }
}

#[cfg(test)]
mod tests;
