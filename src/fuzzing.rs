//! What is fuzzed: every reader of files that someone else may have written, given any bytes. It gives what they say or
//! refuses them with a reason; it neither panics nor hangs, nor takes memory for what a forged header claims.
//!
//! `cargo xtask fuzz` tries millions of inputs (`fuzz/`). The tests below try those of `fuzz/corpus/`: sound files of
//! every kind, and inputs that found something.

use std::path::Path;
use std::sync::LazyLock;

use tch_extra::state_dict::load_state_dict;
use tempfile::TempDir;
use torchvision_exact::image::Image;

use crate::checkpoint::Checkpoint;
use crate::data::{cifar10, idx};
use crate::experiments::saved::Saved;
use crate::layers::{linear, sequential};
use crate::nets::Net;
use crate::norm::{Dims, Norm};
use crate::weights;

/// A reader's name, and its function below.
pub type Reader = (&'static str, fn(&[u8]) -> bool);

/// All of them. Each says whether it took the bytes.
pub const READERS: [Reader; 5] = [
    ("idx", idx),
    ("cifar10", cifar10),
    ("safetensors", safetensors),
    ("checkpoint", checkpoint),
    ("image", image),
];

/// [`idx::read`]: labels and images, gzipped or not.
pub fn idx(bytes: &[u8]) -> bool {
    let read = [idx::Kind::Labels, idx::Kind::Images].map(|kind| idx::decode(bytes, kind));
    for idx in read.iter().flatten() {
        assert_eq!(idx.shape.iter().product::<usize>(), idx.data.len());
    }
    read.iter().any(Result::is_ok)
}

/// A file of [`Cifar10`](cifar10::Cifar10), of as many images as it has room for.
pub fn cifar10(bytes: &[u8]) -> bool {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("room for a file"));
    const NAME: &str = "data_batch_1.bin";
    let (folder, images): (&Path, _) = (FOLDER.path(), bytes.len() / cifar10::RECORD);
    std::fs::write(folder.join(NAME), bytes).expect("room for a file");
    let read = cifar10::read_one(folder, NAME, images);
    if let Ok(images) = &read {
        assert!(images.labels.iter().all(|&label| usize::from(label) < cifar10::LABELS.len()));
    }
    read.is_ok()
}

/// [`weights::load`], and [`load_state_dict`] into a network for which a file may or may not be.
pub fn safetensors(bytes: &[u8]) -> bool {
    let Ok(read) = weights::decode(bytes) else { return false };
    for (_, tensor) in &read {
        assert!(tensor.size().iter().all(|&size| size >= 0));
        assert!(tensor.numel() * tensor.kind().elt_size_in_bytes() <= bytes.len());
    }
    let net = Net::new(|p| {
        sequential(p)
            .then(|p| linear(p, 3, 2))
            .then_optional(|p| Norm::Native.batch_norm(p, 2, Dims::Two))
            .done()
    });
    let _ = load_state_dict(&net.vs, read, "a file");
    assert_eq!(net.state().iter().map(|(_, tensor)| tensor.numel()).sum::<usize>(), 17);
    true
}

/// [`Checkpoint::load`] and what a run makes of it. No chance finds a right SHA-256, so the bytes are also taken for the
/// state, up to a first byte of 0, and a generator's, behind it, of a checkpoint that has one.
pub fn checkpoint(bytes: &[u8]) -> bool {
    let take_over = |tensors| {
        let (checkpoint, state) = Checkpoint::of_tensors::<Saved>(tensors).ok()?;
        state.take_over(&checkpoint).ok()
    };
    let read = weights::decode(bytes).ok().and_then(take_over);
    let mut parts = bytes.splitn(2, |&byte| byte == 0);
    let [json, generator] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let generators = ["generators.cpu", "generators_within.cpu"];
    let forged = generators.map(|name| (name.to_owned(), tch::Tensor::from_slice(generator)));
    let forged = take_over(Checkpoint::forged(json, forged.into()));
    read.or(forged).is_some()
}

/// [`Image::decode`].
pub fn image(bytes: &[u8]) -> bool {
    let read = Image::decode(bytes);
    if let Ok(image) = &read {
        assert_eq!(image.pixels().len(), 3 * image.width() * image.height());
    }
    read.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files whose names begin with `sound` are taken, all others refused.
    #[test]
    fn every_reader_judges_its_corpus() {
        for (name, reader) in READERS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
            let mut sound = 0;
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let expected = path.file_name().unwrap().to_str().unwrap().starts_with("sound");
                assert_eq!(reader(&std::fs::read(&path).unwrap()), expected, "{}", path.display());
                sound += usize::from(expected);
            }
            assert!(sound > 0, "{name} has no sound file");
        }
    }
}
