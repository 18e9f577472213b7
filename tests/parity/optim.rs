//! Steps of optimizers on CUDA. `crates/tch-extra` tests those on a CPU.
//!
//! `crates/tch-extra/tests/make_references.py`, run live, here for one of its optimizers:
//!
//! ```python
//! params = [tensors[f"initial.{i}"].to("cuda:0", copy=True).requires_grad_() for i in range(4)]
//! optimizer = torch.optim.AdamW(params, lr=1e-3, weight_decay=0.01, foreach=True)
//! for step in range(1, 11):
//!     for i, param in enumerate(params):
//!         param.grad = tensors[f"grad.{step}.{i}"].to("cuda:0", copy=True)
//!     optimizer.step()
//! ```

use std::path::Path;

use tch::{Device, Kind, Tensor};
use tch_extra::optim::{Adam, Optimizer, Sgd};

use crate::live::{python_side, succeed};
use crate::support::{Stored, has_cuda, libtorch};

/// Optimizers of `OPTIMIZERS` in the Python file, with its options.
type Make = fn(Vec<Tensor>) -> Box<dyn Optimizer>;
const OPTIMIZERS: [(&str, Make); 3] = [
    ("sgd", |params| Box::new(Sgd::new(params, 0.05))),
    ("adam", |params| Box::new(Adam::new(params, 1e-3))),
    ("adamw", |params| Box::new(Adam::decoupled(params, 1e-3, 0.01))),
];

#[test]
fn steps_on_cuda_are_pythons() {
    const CUDA: Device = Device::Cuda(0);
    let _turn = libtorch();
    let what = "steps of optimizers on CUDA";
    if !has_cuda(what) {
        return;
    }
    let Some(python) = python_side(what) else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("optim.safetensors");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/tch-extra/tests/make_references.py");
    succeed(std::process::Command::new(python).arg(script).arg("--cuda").arg(&out));
    let python = Stored::made_here(&out);
    let copy = |name: String| python.get(&name).copy().to_device(CUDA);
    for (name, make) in OPTIMIZERS {
        let params: Vec<_> = (0..4).map(|i| copy(format!("initial.{i}")).set_requires_grad(true)).collect();
        let mut optimizer = make(params.iter().map(Tensor::shallow_clone).collect());
        for step in 1..=10 {
            optimizer.zero_grad();
            for (i, param) in params.iter().enumerate() {
                // The gradient of this loss is 1 times the given one, which are the same bits.
                (param * copy(format!("grad.{step}.{i}"))).sum(Kind::Float).backward();
            }
            optimizer.step();
        }
        for (i, param) in params.iter().enumerate() {
            python.assert_floats(&format!("foreach.{name}.10.{i}"), &param.detach().to_device(Device::Cpu));
        }
    }
}
