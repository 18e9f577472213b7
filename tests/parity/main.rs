//! Parity with Python's PyTorch: the references of `notebooks_ref/stored` are computed again here and compared.
//!
//! Integers, permutations and masks always compare exactly. Floats compare bit for bit if this machine has the stored signature,
//! and otherwise within a tolerance; `support` states each with its reason. Whole runs on other machines are left to `live`, which
//! runs Python on this machine and compares bits.

mod augment;
mod basics;
mod batch_norm;
mod bench;
mod cifar;
mod cuda;
mod determinism;
mod distributed;
mod dropout;
mod epoch;
mod first_step;
mod init;
mod live;
mod multi_tensor;
mod optim;
mod parallel;
mod resnet;
mod round_trip;
mod sampler;
mod signature;
#[path = "../place/skipped.rs"]
mod skipped;
mod support;
mod transforms;
