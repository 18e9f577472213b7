//! Reading references and comparing with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use d2l_ch7::torch::{self, Determinism, Signature};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

pub use crate::skipped::skipped;

/// How far apart elementwise results of float32 kernels for different instruction sets may lie, relative to the
/// largest element. Observed between AVX2 and AVX-512 for every tensor of these tests: 5e-7 at most; between an Intel and an AMD
/// processor with AVX-512 both: 1.2e-6.
pub const ROUNDING: f64 = 2e-6;

/// How far apart parameters may lie after a first step of Adam with a learning rate of 1e-3: where a gradient is nothing but
/// rounding, the step goes by all of that either way.
pub const ADAM_EITHER_WAY: f64 = 2.1e-3;

/// The threads that the stored references were made with.
const THREADS: usize = 2;

/// Only one test at a time may use libtorch: random generators and thread counts belong to the process.
pub fn libtorch() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed while it held its turn has told so; the others go on.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    torch::set_threads(Some(THREADS)).unwrap();
    turn
}

/// The folder of the references and of the scripts that make them.
pub fn notebooks_ref() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("notebooks_ref")
}

/// Says that something was not tested, as a part of the set-up is missing; with D2L_REQUIRE_LIVE=1, as CI has it, fails. What a
/// machine cannot have, such as a GPU, is [`skipped`].
pub fn missing(what: &str, why: &str) {
    let required = std::env::var_os("D2L_REQUIRE_LIVE").is_some_and(|value| value == "1");
    assert!(!required, "D2L_REQUIRE_LIVE=1, and {what} is not tested: {why}");
    skipped(what, why);
}

/// Lets libtorch choose its kernels by default again when a test ends, however it does.
pub struct DefaultKernels;

impl Drop for DefaultKernels {
    fn drop(&mut self) {
        Determinism::default().set().unwrap();
    }
}

/// Whether libtorch can use a GPU; if not, says what is not tested.
pub fn has_cuda(what: &str) -> bool {
    let has_cuda = tch::Cuda::is_available();
    if !has_cuda {
        skipped(what, "libtorch finds no CUDA device");
    }
    has_cuda
}

/// One file of stored references.
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
        Self { same_signature, ..Self::made_here(&folder.join(format!("{name}.safetensors"))) }
    }

    /// A file that the Python of this machine wrote just now: its floats hold to the last bit.
    pub fn made_here(path: &Path) -> Self {
        let tensors = Tensor::read_safetensors(path).unwrap();
        let file = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        Self { file, tensors: tensors.into_iter().collect(), same_signature: true }
    }

    /// Whether floats made here must be the stored ones to the last bit.
    pub fn same_signature(&self) -> bool {
        self.same_signature
    }

    pub fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: no reference {name}", self.file))
    }

    /// The names that begin with `prefix`, without it; not those of samples, which a digest has each.
    pub fn below(&self, prefix: &str) -> Vec<&str> {
        let names = self.tensors.keys().filter_map(|name| name.strip_prefix(prefix));
        let names: Vec<&str> = names.filter(|name| !name.ends_with(".sample")).collect();
        assert!(!names.is_empty(), "{}: no reference {prefix}*", self.file);
        names
    }

    pub fn int(&self, name: &str) -> i64 {
        self.get(name).int64_value(&[])
    }

    /// Integers, bytes and masks: equal.
    pub fn assert_equal(&self, name: &str, actual: &Tensor) {
        let expected = self.get(name);
        assert_eq!(actual.size(), expected.size(), "{name}: shape");
        assert_eq!(actual.kind(), expected.kind(), "{name}: kind");
        assert!(actual == expected, "{}: {name}: got {actual} expected {expected}", self.file);
    }

    /// Floats: the same bits under the same signature, else within [`ROUNDING`].
    pub fn assert_floats(&self, name: &str, actual: &Tensor) {
        self.assert_near(name, actual, ROUNDING);
    }

    /// Floats: the same bits under the same signature, else within `tolerance` of the largest element, or of 1.
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

    /// Floats or integers, as their kind says.
    pub fn assert_number(&self, name: &str, actual: &Tensor) {
        match actual.kind() {
            Kind::Float => self.assert_floats(name, actual),
            _ => self.assert_equal(name, actual),
        }
    }

    /// Tensors too large to keep. Under the same signature, and of integers, `NAME.sha256`: the same bits. Of floats also
    /// `NAME.sample`: within `tolerance` of its largest element, or of 1.
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
}

/// `fixtures.sample`: sixteen elements, evenly spaced from the first to the last, and the mean of all.
fn sample(tensor: &Tensor) -> Tensor {
    let elements = tensor.detach().reshape([-1]).to_kind(Kind::Double);
    let last = elements.size()[0] - 1;
    let places: Vec<i64> = (0..16).map(|i| i * last / 15).collect();
    let mean = elements.mean_dim(0, true, None::<Kind>);
    Tensor::cat(&[elements.index_select(0, &Tensor::from_slice(&places)), mean], 0)
}

/// Whether the stored signature is that of the CPU computing here.
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

/// The elements as they lie in memory, row by row.
pub fn bytes(tensor: &Tensor) -> Vec<u8> {
    // A scalar has no dimension to view as bytes.
    let bytes = tensor.detach().contiguous().reshape([-1]).view_dtype(Kind::Uint8);
    Vec::try_from(bytes).unwrap()
}
