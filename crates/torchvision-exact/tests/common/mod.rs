//! Reads `tests/stored`, which `make_references.py` writes.

// No test binary uses all of this module.
#![allow(dead_code)]

pub mod listed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use torchvision_exact::image::{Image, Mode};

/// A tensor of a stored file: its elements in row-major order, little-endian.
#[derive(Debug)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Tensor {
    /// The elements of a tensor of int64.
    pub fn ints(&self) -> Vec<i64> {
        self.bytes.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect()
    }

    /// The element of a scalar of int64.
    pub fn int(&self) -> i64 {
        let [int] = self.ints()[..] else { panic!("{:?} is no scalar", self.shape) };
        int
    }

    /// The images of a tensor (n, height, width, channels), or (height, width, channels), of bytes.
    pub fn images(&self) -> Vec<Image> {
        let [.., height, width, channels] = self.shape[..] else { panic!("{:?} are no images", self.shape) };
        let mode = if channels == 1 { Mode::L } else { Mode::Rgb };
        let images = self.bytes.chunks_exact(height * width * channels);
        images.map(|pixels| Image::new(mode, height, width, pixels.to_vec()).unwrap()).collect()
    }
}

/// The tensors of a stored file by name.
pub struct Stored(pub BTreeMap<String, Tensor>);

impl Stored {
    pub fn open(name: &str) -> Self {
        let file = std::fs::read(folder().join("stored").join(format!("{name}.safetensors"))).unwrap();
        let tensors = SafeTensors::deserialize(&file).unwrap();
        let owned = |view: safetensors::tensor::TensorView| Tensor {
            shape: view.shape().to_vec(),
            bytes: view.data().to_vec(),
        };
        Self(tensors.iter().map(|(name, view)| (name.to_owned(), owned(view))).collect())
    }

    pub fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("no reference {name}"))
    }
}

/// The folder of the tests.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}
