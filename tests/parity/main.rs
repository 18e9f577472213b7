//! Parity with Python's PyTorch. Each file opens with the Python that made its numbers.
//!
//! Some numbers are stored in `notebooks_ref/stored`. Integers, permutations and masks must be equal on every machine. Floats
//! must be equal bit for bit if this machine's signature is the stored one; else they may differ by a tolerance, which
//! `support` states and explains. Other tests are live: they run the Python on this machine and compare bits.
//!
//! The Python leaves out its imports. `recipes`, `loops`, `cifar10` and the like are files of `notebooks_ref`.

mod cuda;
mod data {
    mod sampler;
    mod transforms;
}
mod distributed;
mod experiments {
    mod augment;
    mod basics;
    mod bench;
    pub mod cifar;
    mod compare;
    mod shapes;
}
mod init;
mod layers {
    mod dropout;
}
#[path = "../../crates/torchvision-exact/tests/common/listed.rs"]
mod listed;
mod live;
mod nets {
    mod chapter;
    mod resnet;
}
mod norm {
    mod batch_norm;
}
mod optim;
mod porting;
mod signature;
#[path = "../place/skipped.rs"]
mod skipped;
mod support;
mod train {
    mod data_parallel;
    mod epoch;
    pub mod first_step;
}
mod weights;
