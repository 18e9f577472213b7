//! Reads the references and compares tensors with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};
use tch_extra::{self, Determinism, Signature};

pub use crate::skipped::skipped;

/// The largest difference, relative to the largest element, between float32 results of kernels for different instruction
/// sets. Observed in these tests between AVX2 and AVX-512: 5e-7 at most; between an Intel and an AMD processor, both with
/// AVX-512: 1.2e-6.
pub const ROUNDING: f64 = 2e-6;

/// The largest difference between parameters after a first step of Adam with a learning rate of 1e-3. Where a gradient is
/// only rounding, its sign depends on the kernel, and the parameter moves by 1e-3 up or down.
pub const ADAM_EITHER_WAY: f64 = 2.1e-3;

/// The number of threads with which Python made the stored references.
const THREADS: usize = 2;

/// Lets one test at a time use libtorch, whose random generator and thread count belong to the process.
pub fn libtorch() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that fails while it holds the lock poisons it. The other tests run nevertheless.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    tch_extra::set_threads(Some(THREADS)).unwrap();
    turn
}

/// The folder of the references and of the scripts that make them.
pub fn notebooks_ref() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("notebooks_ref")
}

/// A stored file of torchvision-exact's tests: integers and pixels, which are the same on every machine.
pub fn exact_stored(name: &str) -> Stored {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/torchvision-exact/tests/stored");
    Stored::made_here(&folder.join(format!("{name}.safetensors")))
}

/// Reports that something was not tested because a part of the set-up is missing. With D2L_REQUIRE_LIVE=1, as in CI, fails. For
/// what a machine cannot have, such as a GPU, see [`skipped`].
pub fn missing(what: &str, why: &str) {
    let required = std::env::var_os("D2L_REQUIRE_LIVE").is_some_and(|value| value == "1");
    assert!(!required, "D2L_REQUIRE_LIVE=1, and {what} is not tested: {why}");
    skipped(what, why);
}

/// Resets libtorch's choice of kernels when a test ends, also when it fails.
pub struct DefaultKernels;

impl Drop for DefaultKernels {
    fn drop(&mut self) {
        Determinism::default().set().unwrap();
    }
}

/// Whether libtorch can use a GPU. If not, reports that `what` was not tested.
pub fn has_cuda(what: &str) -> bool {
    let has_cuda = tch::Cuda::is_available();
    if !has_cuda {
        skipped(what, "libtorch finds no CUDA device");
    }
    has_cuda
}

/// The tensors of one file of references.
pub struct Stored {
    file: String,
    tensors: BTreeMap<String, Tensor>,
    same_signature: bool,
}

impl Stored {
    pub fn open(name: &str) -> Self {
        let folder = notebooks_ref().join("stored");
        let manifest = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let same_signature = is_this_machine(&manifest["signature"]);
        let path = folder.join(format!("{name}.safetensors"));
        assert!(path.exists(), "notebooks_ref/make_references.py has not made {}", path.display());
        Self { same_signature, ..Self::made_here(&path) }
    }

    /// A file that the Python of this machine wrote just now: its floats must be equal bit for bit.
    pub fn made_here(path: &Path) -> Self {
        let tensors = Tensor::read_safetensors(path).unwrap();
        let file = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        Self { file, tensors: tensors.into_iter().collect(), same_signature: true }
    }

    /// Whether floats must be equal bit for bit: the stored signature is this machine's.
    pub fn same_signature(&self) -> bool {
        self.same_signature
    }

    pub fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no reference {name}", self.file))
    }

    /// The names that begin with `prefix`, without the prefix. The samples beside the digests are left out.
    pub fn below(&self, prefix: &str) -> Vec<&str> {
        let names = self.tensors.keys().filter_map(|name| name.strip_prefix(prefix));
        let names: Vec<&str> = names.filter(|name| !name.ends_with(".sample")).collect();
        assert!(!names.is_empty(), "{}: no reference {prefix}*", self.file);
        names
    }

    pub fn int(&self, name: &str) -> i64 {
        self.get(name).int64_value(&[])
    }

    /// Integers, bytes and masks must be equal.
    pub fn assert_equal(&self, name: &str, actual: &Tensor) {
        let expected = self.get(name);
        assert_eq!(actual.size(), expected.size(), "{name}: shape");
        assert_eq!(actual.kind(), expected.kind(), "{name}: kind");
        assert!(actual == expected, "{}: {name}: got {actual} expected {expected}", self.file);
    }

    /// Floats must have the same bits under the same signature, else they may differ by [`ROUNDING`].
    pub fn assert_floats(&self, name: &str, actual: &Tensor) {
        self.assert_near(name, actual, ROUNDING);
    }

    /// Floats must have the same bits under the same signature, else they may differ by `tolerance` times the largest element, or
    /// times 1 if that is larger.
    pub fn assert_near(&self, name: &str, actual: &Tensor, tolerance: f64) {
        let expected = self.get(name);
        assert_eq!(actual.size(), expected.size(), "{name}: shape");
        assert_eq!(actual.kind(), expected.kind(), "{name}: kind");
        let difference = (actual - expected).abs().max().double_value(&[]);
        if self.same_signature {
            assert!(
                bytes(actual) == bytes(expected),
                "{}: {name}: bits differ, by {difference:e}",
                self.file
            );
        } else {
            let scale = expected.abs().max().double_value(&[]).max(1.0);
            assert!(difference <= tolerance * scale, "{}: {name}: differs by {difference:e}", self.file);
        }
    }

    /// [`Self::assert_floats`] or [`Self::assert_equal`], by the tensor's kind.
    pub fn assert_number(&self, name: &str, actual: &Tensor) {
        match actual.kind() {
            Kind::Float => self.assert_floats(name, actual),
            _ => self.assert_equal(name, actual),
        }
    }

    /// Compares a tensor that is too large to be stored. Its SHA-256 must be `NAME.sha256`, of floats only under the same
    /// signature. For floats, [`sample`] must also be near `NAME.sample`, as in [`Self::assert_near`].
    pub fn assert_digest(&self, name: &str, actual: &Tensor, tolerance: f64) {
        let is_float = actual.kind() == Kind::Float;
        if is_float {
            self.assert_near(&format!("{name}.sample"), &sample(actual), tolerance);
        }
        let digest = Tensor::from_slice(Sha256::digest(bytes(actual)).as_slice());
        if self.same_signature || !is_float {
            assert!(digest == *self.get(&format!("{name}.sha256")), "{}: {name}: other bits", self.file);
        }
    }
    /// Compares many tensors, in order, each with its row: under the same signature of the digests `NAME.sha256`, else of the
    /// samples `NAME.sample`, as in [`Self::assert_near`]. They are `fixtures.rows`.
    pub fn assert_rows(&self, name: &str, actual: &[(String, Tensor)], tolerance: f64) {
        let expected = self.get(&format!("{name}.{}", if self.same_signature { "sha256" } else { "sample" }));
        assert_eq!(expected.size()[0], actual.len() as i64, "{}: {name}: tensors", self.file);
        for (i, (key, tensor)) in (0..).zip(actual) {
            let expected = expected.get(i);
            if self.same_signature {
                let digest = Tensor::from_slice(Sha256::digest(bytes(tensor)).as_slice());
                assert!(digest == expected, "{}: {name}.{key}: other bits", self.file);
            } else {
                let difference = (sample(tensor) - &expected).abs().max().double_value(&[]);
                let scale = expected.abs().max().double_value(&[]).max(1.0);
                assert!(
                    difference <= tolerance * scale,
                    "{}: {name}.{key}: differs by {difference:e}",
                    self.file
                );
            }
        }
    }
}

/// Sixteen elements, evenly spaced from the first to the last, and the mean of all, as in `fixtures.sample`.
fn sample(tensor: &Tensor) -> Tensor {
    let elements = tensor.detach().reshape([-1]).to_kind(Kind::Double);
    let last = elements.size()[0] - 1;
    let places: Vec<i64> = (0..16).map(|i| i * last / 15).collect();
    let mean = elements.mean_dim(0, true, None::<Kind>);
    Tensor::cat(&[elements.index_select(0, &Tensor::from_slice(&places)), mean], 0)
}

/// Whether the stored signature is that of this machine's CPU. If not, reports once which parts differ.
fn is_this_machine(stored: &Value) -> bool {
    static SAID: Once = Once::new();
    let here = Signature { threads: THREADS, ..Signature::of(Device::Cpu) };
    let here = serde_json::to_value(here).unwrap();
    let facts = here.as_object().unwrap();
    let differ: Vec<&str> =
        facts.keys().map(String::as_str).filter(|key| stored[*key] != here[*key]).collect();
    if !differ.is_empty() {
        let why =
            format!("they were made with another {}, and are compared within a tolerance", differ.join(", "));
        SAID.call_once(|| skipped("stored floats to the last bit", &why));
    }
    differ.is_empty()
}

/// The bytes of all elements, in row-major order.
pub fn bytes(tensor: &Tensor) -> Vec<u8> {
    // `view_dtype` needs a dimension, which a scalar lacks.
    let bytes = tensor.detach().contiguous().reshape([-1]).view_dtype(Kind::Uint8);
    Vec::try_from(bytes).unwrap()
}
