//! Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28x28 gray pixels, ten classes
//! (Xiao, Rasul, Vollgraf, 2017, <https://arxiv.org/abs/1708.07747>; d2l section 4.2).
//!
//! The four IDX files are taken from the first folder that has them (`data_folder.rs`).

use std::path::{Path, PathBuf};

use super::checksum;
use super::data_folder::{self, DataFolder, Installed, Sources};
use super::fetch::{Origin, Origins, Package, Wanted};
use super::idx::{self, Kind};
use super::images::{DataSet, Images, check_labels};
use crate::error::Result;

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

/// The data set, of which 60,000 images are to train on and 10,000 to test on: 55 MB in memory.
#[derive(Clone, Copy, Debug)]
pub struct FashionMnist;

impl FashionMnist {
    /// Reads the data set from `data_dir` if one is given, else from where it is found or fetched to;
    /// `progress` draws a bar while fetching, if standard error is a terminal.
    ///
    /// `data_dir` holds the four files under their published names, or with a dot as `train-images.idx3-ubyte`, gzipped
    /// (preferred, where that is sound) or not, directly or in `FashionMNIST/raw` or `raw`, where torchvision puts them. They
    /// may hold other data in this form (MNIST, say):
    /// [`is_published`](DataSet::is_published) tells. Files from elsewhere must be the published ones.
    ///
    /// # Errors
    /// Files are missing and cannot be fetched, cannot be read, are no sound IDX files, or do not hold as
    /// many labels below ten as images of 28x28.
    pub fn load(data_dir: Option<&Path>, progress: bool) -> Result<DataSet> {
        match data_dir {
            Some(dir) => read(&named(dir)?, &PUBLISHED),
            None => load(&sources(), &PUBLISHED, progress),
        }
    }

    /// The folder that [`load`](Self::load) without a folder reads from; `None` if it would have to fetch.
    pub fn find() -> Option<PathBuf> {
        sources().find(|folder| missing(folder, &PUBLISHED)).map(|found| found.path)
    }
}

/// One of the four files: its published name without `.gz`, and the SHA-256 of its contents. Publisher and Debian zipped the same
/// bytes with other headers.
struct Part(&'static str, &'static str);

/// In this order: training images and labels, test images and labels.
type Parts = [Part; 4];

/// The unzipped contents of the files whose MD5 torchvision lists (`FashionMNIST.resources`).
const PUBLISHED: Parts = [
    Part("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    Part("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    Part("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    Part("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
];

impl Part {
    fn zipped_name(&self) -> String {
        format!("{}.gz", self.0)
    }

    fn kind(&self) -> Kind {
        if self.0.contains("images") { Kind::Images } else { Kind::Labels }
    }

    /// The folder's files that should be this one, gzipped first: gzip brings its own checksum. Some archives of MNIST have a
    /// dot in the name.
    fn files(&self, folder: &Path) -> Vec<PathBuf> {
        let names = [self.0.to_owned(), self.0.replacen("-idx", ".idx", 1)];
        let paths = names.into_iter().flat_map(|name| [folder.join(format!("{name}.gz")), folder.join(name)]);
        paths.filter(|path| path.is_file()).collect()
    }
}

/// Names of the gzipped files that `folder` has in no form.
fn missing(folder: &Path, parts: &Parts) -> Vec<String> {
    parts.iter().filter(|part| part.files(folder).is_empty()).map(Part::zipped_name).collect()
}

/// Where to look when the user names no folder.
fn sources() -> Sources {
    let system = "usr/share/datasets/fashion-mnist";
    let package = "dataset-fashion-mnist";
    Sources {
        cache: data_folder::cache("fashion-mnist"),
        system: Some(Installed { folder: Path::new("/").join(system), package }),
        origins: Origins::new(vec![
            Origin::Mirror(
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/".into(),
            ),
            // The publisher's bucket has no certificate for its name.
            Origin::Mirror("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/".into()),
            Origin::Debian(Package { apt_get: &["apt-get"], name: package, folder: system }),
        ]),
    }
}

/// The folder that the user named, or torchvision's layout in it.
fn named(dir: &Path) -> Result<DataFolder> {
    let (inside, put) = (["FashionMNIST/raw", "raw"], "put these files there, gzipped or not");
    DataFolder::named("Fashion-MNIST", dir, &inside, |folder| missing(folder, &PUBLISHED), put)
}

/// Finds or fetches the files, reads them, and accepts none but `parts`.
fn load(sources: &Sources, parts: &Parts, progress: bool) -> Result<DataSet> {
    let wanted = Wanted {
        dataset: "Fashion-MNIST",
        missing: &|folder| missing(folder, parts),
        check: &|name, path| {
            let part = parts.iter().find(|part| part.zipped_name() == name).ok_or("not wanted")?;
            let idx = idx::read(path, part.kind()).map_err(|fault| fault.to_string())?;
            checksum::check(part.1, &idx.sha256())
        },
    };
    read(&sources.find_or_fetch(&wanted, progress)?, parts)
}

/// Reads the training and test files side by side.
fn read(folder: &DataFolder, parts: &Parts) -> Result<DataSet> {
    let [train_images, train_labels, test_images, test_labels] = parts;
    let (train, test) = std::thread::scope(|scope| {
        let test = scope.spawn(|| read_pair(folder, test_images, test_labels));
        let train = read_pair(folder, train_images, train_labels);
        (train, test.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let ((train, train_published), (test, test_published)) = (train?, test?);
    let published = train_published && test_published;
    Ok(DataSet { train, test, folder: folder.path.clone(), published })
}

/// Images with their labels, and whether both files are the published ones.
fn read_pair(folder: &DataFolder, images: &Part, labels: &Part) -> Result<(Images, bool)> {
    let (images_path, images, images_published) = read_part(folder, images)?;
    let (labels_path, labels, labels_published) = read_part(folder, labels)?;

    // `idx::read` gives images three dimensions, and labels one.
    let (n, rows, cols) = (images.shape[0], images.shape[1], images.shape[2]);
    if (rows, cols) != (SIDE, SIDE) {
        let fault = format!("expected images of {SIDE} x {SIDE} pixels, got {rows} x {cols}");
        return Err(folder.bad(&images_path, fault));
    }
    if n == 0 {
        return Err(folder.bad(&images_path, "holds no image"));
    }
    if labels.data.len() != n {
        let images_name = images_path.file_name().unwrap_or_default().to_string_lossy();
        let got = labels.data.len();
        let fault = format!("expected {n} labels, one for each image of {images_name}, got {got}");
        return Err(folder.bad(&labels_path, fault));
    }
    check_labels(&labels.data).map_err(|fault| folder.bad(&labels_path, fault))?;
    let images = Images { pixels: images.data, labels: labels.data, rows, cols, channels: 1 };
    Ok((images, images_published && labels_published))
}

/// One file: its path, its contents, and whether it is the published one. Of several, the first that is sound.
fn read_part(folder: &DataFolder, part: &Part) -> Result<(PathBuf, idx::Idx, bool)> {
    let read = |path: PathBuf| {
        let idx = idx::read(&path, part.kind()).map_err(|fault| folder.bad(&path, fault))?;
        let published = folder.is_published(&path, checksum::check(part.1, &idx.sha256()))?;
        Ok((path, idx, published))
    };
    let [first, others @ ..] = &part.files(&folder.path)[..] else {
        return read(folder.path.join(part.zipped_name()));
    };
    let sound = |error| others.iter().find_map(|path| read(path.clone()).ok()).ok_or(error);
    read(first.clone()).or_else(sound)
}

#[cfg(test)]
mod tests;
