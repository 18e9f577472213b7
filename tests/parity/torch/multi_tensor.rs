//! Kernels for lists of tensors: ten steps of `torch.optim` with `fused=True` and with `foreach=True`, with given gradients.
//!
//! `multi_tensor.trained`, run live, here for one optimizer of `multi_tensor.OPTIMIZERS`:
//!
//! ```python
//! tensors = load_file("notebooks_ref/stored/optim.safetensors")
//! params = [tensors[f"initial.{i}"].clone().requires_grad_() for i in range(4)]
//! optimizer = torch.optim.SGD(params, lr=0.05, momentum=0.9, nesterov=True, fused=True)
//! for step in range(1, 11):
//!     for i, param in enumerate(params):
//!         param.grad = tensors[f"grad.{step}.{i}"].clone()
//!     optimizer.step()
//! ```

use tch::{Device, Kind, Tensor};
use tch_extra::device_name;
use tch_extra::multi_tensor::{
    FusedAdam, FusedSgd, foreach_add_scalar_, fused_adam_, fused_adamw_, fused_sgd_,
};
use tch_extra::optim::{Adam, Optimizer, Sgd};

use crate::live::{python_side, succeed};
use crate::support::{Stored, has_cuda, libtorch, notebooks_ref};

/// The stored gradients are for so many steps.
const STEPS: usize = 10;

/// The parameters and gradients that both programs begin with, and the parameters that Python ends with.
struct Steps {
    device: Device,
    initial: Stored,
    python: Stored,
}

impl Steps {
    fn of_python(what: &str, device: Device) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("multi_tensor.safetensors");
        let mut python = std::process::Command::new(python_side(what)?);
        succeed(
            python
                .arg(notebooks_ref().join("multi_tensor.py"))
                .args(["--threads", "2", "--device", &device_name(device), "--out"])
                .arg(&out),
        );
        Some(Self { device, initial: Stored::open("optim"), python: Stored::made_here(&out) })
    }

    fn params(&self) -> Vec<Tensor> {
        (0..4).map(|i| self.initial.get(&format!("initial.{i}")).copy().to_device(self.device)).collect()
    }

    fn grads(&self, step: usize) -> Vec<Tensor> {
        (0..4).map(|i| self.initial.get(&format!("grad.{step}.{i}")).copy().to_device(self.device)).collect()
    }

    fn compare(&self, name: &str, params: &[Tensor]) {
        for (i, param) in params.iter().enumerate() {
            self.python.assert_floats(&format!("{name}.{i}"), &param.to_device(Device::Cpu));
        }
    }

    fn fused_sgd(&self, name: &str, options: FusedSgd) {
        let mut params = self.params();
        let mut buffers = match options.momentum {
            0.0 => Vec::new(),
            _ => params.iter().map(Tensor::empty_like).collect(),
        };
        for step in 1..=STEPS {
            let options = FusedSgd { is_first_step: step == 1, ..options };
            fused_sgd_(&mut params, &self.grads(step), &mut buffers, options);
        }
        self.compare(name, &params);
    }

    fn fused_adam(&self, name: &str, decoupled: bool, options: FusedAdam) {
        let mut params = self.params();
        let [mut exp_avgs, mut exp_avg_sqs] =
            [(); 2].map(|()| params.iter().map(Tensor::zeros_like).collect::<Vec<_>>());
        let mut steps: Vec<_> =
            params.iter().map(|_| Tensor::zeros([], (Kind::Float, self.device))).collect();
        for step in 1..=STEPS {
            foreach_add_scalar_(&mut steps, 1.0);
            let fused = if decoupled { fused_adamw_ } else { fused_adam_ };
            fused(&mut params, &self.grads(step), &mut exp_avgs, &mut exp_avg_sqs, &steps, options);
        }
        self.compare(name, &params);
    }

    fn foreach(&self, name: &str, optimizer: impl FnOnce(Vec<Tensor>) -> Box<dyn Optimizer>) {
        let params: Vec<_> = self.params().into_iter().map(|param| param.set_requires_grad(true)).collect();
        let mut optimizer = optimizer(params.iter().map(Tensor::shallow_clone).collect());
        for step in 1..=STEPS {
            optimizer.zero_grad();
            for (param, grad) in params.iter().zip(self.grads(step)) {
                // The gradient of this loss is 1 times the given one, which are the same bits.
                (param * grad).sum(Kind::Float).backward();
            }
            optimizer.step();
        }
        let params: Vec<_> = params.iter().map(Tensor::detach).collect();
        self.compare(name, &params);
    }
}

fn check_fused(steps: &Steps) {
    let sgd = FusedSgd { lr: 0.05, ..FusedSgd::default() };
    steps.fused_sgd("fused.sgd", sgd);
    steps.fused_sgd(
        "fused.sgd_momentum",
        FusedSgd { momentum: 0.9, dampening: 0.1, weight_decay: 0.01, ..sgd },
    );
    steps.fused_sgd("fused.sgd_nesterov", FusedSgd { momentum: 0.9, nesterov: true, ..sgd });
    let adam = FusedAdam { lr: 1e-3, betas: [0.8, 0.99], eps: 1e-6, weight_decay: 0.01 };
    steps.fused_adam("fused.adam", false, adam);
    steps.fused_adam("fused.adamw", true, FusedAdam { betas: [0.9, 0.999], eps: 1e-8, ..adam });
}

fn check_foreach(steps: &Steps) {
    steps.foreach("foreach.sgd", |params| Box::new(Sgd::new(params, 0.05)));
    steps.foreach("foreach.adamw", |params| Box::new(Adam::decoupled(params, 1e-3, 0.01)));
}

#[test]
fn steps_are_pythons() {
    let _turn = libtorch();
    let Some(steps) = Steps::of_python("fused and foreach steps", Device::Cpu) else { return };
    check_fused(&steps);
    check_foreach(&steps);
}

#[test]
fn steps_on_cuda_are_pythons() {
    let _turn = libtorch();
    let what = "fused and foreach steps on CUDA";
    if !has_cuda(what) {
        return;
    }
    let Some(steps) = Steps::of_python(what, Device::Cuda(0)) else { return };
    check_fused(&steps);
    check_foreach(&steps);
}

#[test]
#[should_panic(expected = "a number for each tensor")]
fn a_number_is_needed_for_each_tensor() {
    let mut tensors = [Tensor::from(1f32), Tensor::from(2f32)];
    tch_extra::multi_tensor::foreach_div_(&mut tensors, &[2.0]);
}
