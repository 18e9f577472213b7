//! A moment of training on disk: everything that decides the bits to come, in one safetensors file.
//!
//! Beside the tensors it holds a `state` (JSON as bytes) and, over all of them, a `sha256`: safetensors has no
//! checksum of its own, and a damaged checkpoint must not be taken for a sound one.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::{Error, Result, weights};

/// The version of what a checkpoint holds; another is refused.
const VERSION: u32 = 2;

const STATE: &str = "state";
const SHA256: &str = "sha256";

/// Named tensors, and what there is beside them.
#[derive(Debug)]
pub struct Checkpoint {
    tensors: BTreeMap<String, Tensor>,
}

/// The `state` of a file.
#[derive(Serialize, serde::Deserialize)]
struct Versioned<S> {
    version: u32,
    state: S,
}

impl Checkpoint {
    /// A checkpoint without tensors.
    ///
    /// # Panics
    /// If `state` cannot be JSON.
    pub fn new(state: &impl Serialize) -> Self {
        let json =
            serde_json::to_vec(&Versioned { version: VERSION, state }).expect("plain fields serialize");
        Self { tensors: BTreeMap::from([(STATE.to_owned(), Tensor::from_slice(&json))]) }
    }

    /// Adds tensors under `group.name`. Those on the CPU are not copied, which would double the memory of a large network: the
    /// checkpoint is saved before training goes on.
    #[must_use]
    pub fn with(mut self, group: &str, tensors: Vec<(String, Tensor)>) -> Self {
        for (name, tensor) in tensors {
            self.tensors.insert(format!("{group}.{name}"), tensor.detach().to_device(tch::Device::Cpu));
        }
        self
    }

    /// The tensors of a group, under the names that [`with`](Self::with) was given.
    pub fn group(&self, group: &str) -> Vec<(String, Tensor)> {
        let of_group = |(name, tensor): (&String, &Tensor)| {
            let name = name.strip_prefix(group)?.strip_prefix('.')?;
            Some((name.to_owned(), tensor.shallow_clone()))
        };
        self.tensors.iter().filter_map(of_group).collect()
    }

    /// Writes the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        weights::save(path, &self.sealed())
    }

    /// The tensors of the file: all, and the checksum over them.
    fn sealed(&self) -> Vec<(String, Tensor)> {
        let sha256 = (SHA256.to_owned(), Tensor::from_slice(&digest(&self.tensors)));
        let tensors = self.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        tensors.chain([sha256]).collect()
    }

    /// The tensors of a file whose checksum is right, and whose state is `json`, whatever that is.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn forged(json: &[u8], mut tensors: BTreeMap<String, Tensor>) -> Vec<(String, Tensor)> {
        tensors.insert(STATE.to_owned(), Tensor::from_slice(json));
        Self { tensors }.sealed()
    }

    /// Reads the file, and the state in it.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, or was written by another version.
    pub fn load<S: DeserializeOwned>(path: &Path) -> Result<(Self, S)> {
        Self::decode(&Self::read_bytes(path)?, &path.display().to_string())
    }

    /// The bytes of the file, for [`decode`](Self::decode) on every process that goes on from it.
    ///
    /// # Errors
    /// If it cannot be read, or is larger than any checkpoint.
    pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
        weights::read_bytes(path).map_err(|fault| refused(&path.display().to_string(), &fault.to_string()))
    }

    /// What [`load`](Self::load) gives of a file with these bytes; `origin` names it in an error.
    ///
    /// # Errors
    /// If it is damaged, or was written by another version.
    pub fn decode<S: DeserializeOwned>(bytes: &[u8], origin: &str) -> Result<(Self, S)> {
        let tensors = weights::decode(bytes).map_err(|fault| fault.to_string());
        tensors.and_then(Self::of_tensors).map_err(|reason| refused(origin, &reason))
    }

    /// What a file with these tensors holds; an error is the reason why it is no checkpoint.
    pub(crate) fn of_tensors<S: DeserializeOwned>(
        tensors: Vec<(String, Tensor)>,
    ) -> Result<(Self, S), String> {
        let mut tensors: BTreeMap<String, Tensor> = tensors.into_iter().collect();
        let sha256 = tensors.remove(SHA256).ok_or("it is no checkpoint")?;
        if sha256.kind() != Kind::Uint8 || bytes(&sha256) != digest(&tensors) {
            return Err("it is damaged: its SHA-256 is another".to_owned());
        }
        let json = tensors.get(STATE).map(bytes).ok_or("it is no checkpoint")?;
        let Versioned::<IgnoredAny> { version, .. } =
            serde_json::from_slice(&json).map_err(|e| e.to_string())?;
        if version != VERSION {
            return Err(format!("its version is {version}, and this program reads {VERSION}"));
        }
        let Versioned { state, .. } = serde_json::from_slice(&json).map_err(|e| e.to_string())?;
        Ok((Self { tensors }, state))
    }
}

fn refused(origin: &str, reason: &str) -> Error {
    Error::failed(
        format!("cannot resume from {origin}: {reason}"),
        "start the run anew, in another directory",
    )
}

/// Of names, kinds, shapes and elements.
fn digest(tensors: &BTreeMap<String, Tensor>) -> [u8; 32] {
    let mut sha256 = Sha256::new();
    for (name, tensor) in tensors {
        sha256.update(format!("{name}\n{:?} {:?}\n", tensor.kind(), tensor.size()));
        sha256.update(bytes(tensor));
    }
    sha256.finalize().into()
}

/// The elements as they lie in memory, row by row.
fn bytes(tensor: &Tensor) -> Vec<u8> {
    // A scalar has no dimension to view as bytes.
    let bytes = tensor.contiguous().reshape([-1]).view_dtype(Kind::Uint8);
    Vec::try_from(bytes).expect("bytes of one dimension on the CPU")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let tensors = vec![
            ("a.weight".to_owned(), Tensor::from_slice(&[0.1f32, f32::NAN, -0.0]).reshape([3, 1])),
            ("count".to_owned(), Tensor::from(7i64)),
        ];
        Checkpoint::new(&("state", 5)).with("net", tensors).with("network", Vec::new())
    }

    #[test]
    fn what_was_saved_comes_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        checkpoint().save(&path).unwrap();
        let (loaded, state): (_, (String, i32)) = Checkpoint::load(&path).unwrap();
        assert_eq!(state, ("state".to_owned(), 5));
        let (saved, loaded) = (checkpoint().group("net"), loaded.group("net"));
        assert_eq!(saved.len(), 2);
        for ((saved_name, saved), (name, tensor)) in saved.iter().zip(&loaded) {
            assert_eq!((saved_name, saved.kind(), saved.size()), (name, tensor.kind(), tensor.size()));
            assert_eq!(bytes(saved), bytes(tensor));
        }
    }

    #[test]
    fn no_damaged_byte_is_overlooked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        checkpoint().save(&path).unwrap();
        let sound = std::fs::read(&path).unwrap();
        for i in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[i] ^= 4;
            std::fs::write(&path, &damaged).unwrap();
            assert!(Checkpoint::load::<(String, i32)>(&path).is_err(), "byte {i}");
        }
        for length in 0..sound.len() {
            std::fs::write(&path, &sound[..length]).unwrap();
            assert!(Checkpoint::load::<(String, i32)>(&path).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let json = serde_json::to_vec(&Versioned { version: VERSION + 1, state: 0 }).unwrap();
        let tensors = BTreeMap::from([(STATE.to_owned(), Tensor::from_slice(&json))]);
        Checkpoint { tensors }.save(&path).unwrap();
        let error = Checkpoint::load::<i32>(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("its version is {}", VERSION + 1)), "{error}");
    }
}
