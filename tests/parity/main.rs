//! Parity with Python's PyTorch: what `notebooks_ref/stored` holds, computed again here and compared.
//!
//! Integers, permutations and masks compare exactly, always. Floats compare bit for bit where this machine's
//! signature is the stored one; elsewhere within a tolerance that stands beside its reason in `support`, and
//! whole runs are left to `live`, which runs the Python reference on this machine and compares bits.

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
