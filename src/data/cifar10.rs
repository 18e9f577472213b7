//! CIFAR-10: 50,000 training and 10,000 test photographs of ten classes, 32x32 pixels in colour
//! (Krizhevsky, 2009, <https://www.cs.toronto.edu/~kriz/cifar.html>; d2l section 13.1), in the publisher's
//! binary version.
//!
//! The six files are taken from the first folder that has them (`data_folder.rs`). Each holds 10,000 records of a
//! label and three planes of 32x32 bytes: red, green, blue.

use std::fs::File;
use std::io::Read;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::checksum;
use super::data_folder::{self, DataFolder, Sources};
use super::fetch::{Archive, Origin, Origins, Wanted};
use super::images::{DataSet, Images, check_labels};
use crate::error::Result;

/// The class names, as the publisher writes them; a label is an index into them.
pub const LABELS: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Height and width of every image.
const SIDE: usize = 32;

/// Red, green, blue.
const CHANNELS: usize = 3;

/// Bytes of an image.
const IMAGE: usize = SIDE * SIDE * CHANNELS;

/// Bytes of an image and its label.
pub(crate) const RECORD: usize = 1 + IMAGE;

/// The publisher's name for the folder of the files.
const FOLDER: &str = "cifar-10-batches-bin";

/// The data set, of which 50,000 images are to train on, batch after batch, and 10,000 to test on: 184 MB in memory.
#[derive(Clone, Copy, Debug)]
pub struct Cifar10;

impl Cifar10 {
    /// Reads the data set from `data_dir` if one is given, else from where it is found or fetched to;
    /// `progress` draws a bar while fetching, if standard error is a terminal.
    ///
    /// `data_dir` is the publisher's folder `cifar-10-batches-bin` or its parent. The files may hold other
    /// data in this form: [`is_published`](DataSet::is_published) tells. Files from elsewhere must be the published ones.
    ///
    /// # Errors
    /// Files are missing and cannot be fetched, cannot be read, have another size than 10,000 images, or
    /// labels over 9.
    pub fn load(data_dir: Option<&Path>, progress: bool) -> Result<DataSet> {
        match data_dir {
            Some(dir) => read(&named(dir, &PUBLISHED)?, &PUBLISHED),
            None => load(&sources(), &PUBLISHED, progress),
        }
    }

    /// The folder that [`load`](Self::load) without a folder reads from; `None` if it would have to fetch.
    pub fn find() -> Option<PathBuf> {
        sources().find(|folder| PUBLISHED.missing(folder)).map(|found| found.path)
    }
}

/// The six files.
struct Batches {
    /// Images in each.
    images: usize,
    /// Names and SHA-256: training images in their order, test images last.
    files: [(&'static str, &'static str); 6],
}

/// The members of the publisher's archive.
const PUBLISHED: Batches = Batches {
    images: 10_000,
    files: [
        ("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        ("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        ("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        ("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        ("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        ("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    ],
};

impl Batches {
    /// Names of the files that `folder` lacks.
    fn missing(&self, folder: &Path) -> Vec<String> {
        let names = self.files.iter().map(|(name, _)| name);
        names.filter(|name| !folder.join(name).is_file()).map(ToString::to_string).collect()
    }
}

/// Where to look when the user names no folder.
fn sources() -> Sources {
    Sources {
        cache: data_folder::cache("cifar-10"),
        system: None,
        origins: Origins::new(vec![Origin::Archive(Archive {
            url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz".into(),
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd".into(),
            folder: FOLDER,
        })]),
    }
}

/// The folder that the user named, or the publisher's in it.
fn named(dir: &Path, batches: &Batches) -> Result<DataFolder> {
    let has = |name: &str| dir.join(name).exists();
    let put = if has("cifar-10-binary.tar.gz") {
        "unpack cifar-10-binary.tar.gz there"
    } else if has("data_batch_1") || has("cifar-10-batches-py") {
        "put these files of the binary version (cifar-10-binary.tar.gz) there: torchvision's, of the Python version, are not read"
    } else {
        "put these files of the binary version (cifar-10-binary.tar.gz) there"
    };
    DataFolder::named("CIFAR-10", dir, &[FOLDER], |folder| batches.missing(folder), put)
}

/// Finds or fetches the files, reads them, and accepts none but `batches`.
fn load(sources: &Sources, batches: &Batches, progress: bool) -> Result<DataSet> {
    let wanted = Wanted {
        dataset: "CIFAR-10",
        missing: &|folder| batches.missing(folder),
        check: &|name, path| {
            let (_, sha256) = batches.files.iter().find(|(file, _)| *file == name).ok_or("not wanted")?;
            checksum::check(sha256, &checksum::of_file(path).map_err(|e| e.to_string())?)
        },
    };
    read(&sources.find_or_fetch(&wanted, progress)?, batches)
}

/// Reads the files side by side, each straight to its part of the data set.
fn read(folder: &DataFolder, batches: &Batches) -> Result<DataSet> {
    let n = batches.images;
    let (mut train, mut test) = (black(5 * n), black(n));
    let published = std::thread::scope(|scope| {
        let parts = [&mut train, &mut test].into_iter().flat_map(|images| {
            images.pixels.chunks_exact_mut(n * IMAGE).zip(images.labels.chunks_exact_mut(n))
        });
        let read = |(&(name, sha256), (pixels, labels))| {
            scope.spawn(move || read_file(folder, name, sha256, pixels, labels))
        };
        let readers: Vec<_> = batches.files.iter().zip(parts).map(read).collect();
        let joined =
            readers.into_iter().map(|reader| reader.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.collect::<Result<Vec<bool>>>()
    })?;
    let published = published.into_iter().all(|published| published);
    Ok(DataSet { train, test, folder: folder.path.clone(), published })
}

/// `n` images of zeros.
fn black(n: usize) -> Images {
    Images { pixels: vec![0; n * IMAGE], labels: vec![0; n], rows: SIDE, cols: SIDE, channels: CHANNELS }
}

/// The images of the file `name` in the user's `folder`, of which it should hold so many.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_one(folder: &Path, name: &str, images: usize) -> Result<Images> {
    let folder = &DataFolder::named("CIFAR-10", folder, &[], |_| Vec::new(), "")?;
    let mut read = black(images);
    read_file(folder, name, "", &mut read.pixels, &mut read.labels)?;
    Ok(read)
}

/// Reads the images of the file `name` into `pixels` and `labels`, in one pass; gives whether the file is the published one.
fn read_file(
    folder: &DataFolder,
    name: &str,
    sha256: &str,
    pixels: &mut [u8],
    labels: &mut [u8],
) -> Result<bool> {
    /// As many as fit a processor's cache.
    const RECORDS: usize = 32;
    let path = folder.path.join(name);
    let unreadable = |e| folder.bad(&path, format!("cannot be read: {e}"));
    let mut file = File::open(&path).map_err(unreadable)?;
    let got = file.metadata().map_err(unreadable)?.len();
    let expected = (labels.len() * RECORD) as u64;
    if got != expected {
        let which = if got < expected { "truncated" } else { "of the wrong size" };
        let images = labels.len();
        let fault = format!("{which}: expected {expected} bytes, {images} images of {RECORD}, got {got}");
        return Err(folder.bad(&path, fault));
    }
    let mut buffer = vec![0; RECORDS * RECORD];
    let mut hash = Sha256::new();
    for (pixels, labels) in pixels.chunks_mut(RECORDS * IMAGE).zip(labels.chunks_mut(RECORDS)) {
        let records = &mut buffer[..labels.len() * RECORD];
        file.read_exact(records).map_err(unreadable)?;
        hash.update(&*records);
        let images = pixels.chunks_exact_mut(IMAGE).zip(labels);
        for (record, (pixels, label)) in records.chunks_exact(RECORD).zip(images) {
            *label = record[0];
            interleave(&record[1..], pixels);
        }
    }
    let published = folder.is_published(&path, checksum::check(sha256, &checksum::hex(hash)))?;
    check_labels(labels).map_err(|fault| folder.bad(&path, fault))?;
    Ok(published)
}

/// A plane of each colour to pixels of three bytes.
fn interleave(planes: &[u8], pixels: &mut [u8]) {
    let (red, rest) = planes.split_at(SIDE * SIDE);
    let (green, blue) = rest.split_at(SIDE * SIDE);
    let colours = red.iter().zip(green).zip(blue);
    for (pixel, ((&red, &green), &blue)) in pixels.chunks_exact_mut(CHANNELS).zip(colours) {
        pixel.copy_from_slice(&[red, green, blue]);
    }
}

#[cfg(test)]
mod tests;
