//! One and ten steps of every optimizer, with given gradients.
//!
//! `fixtures.optim` stores the numbers of this Python, here for one of its optimizers:
//!
//! ```python
//! generator = torch.Generator().manual_seed(0)
//! shapes = (6, 1, 5, 5), (6,), (1, 6, 1, 1), (17, 13)
//! parameters = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
//! grads = [[torch.randn(shape, generator=generator) for shape in shapes] for _ in range(10)]
//! optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.01)
//! for step in range(10):
//!     for parameter, grad in zip(parameters, grads[step]):
//!         parameter.grad = grad.clone()
//!     optimizer.step()
//! ```

use tch::{Kind, Tensor};
use tch_extra::optim::{Adam, Optimizer, Sgd};

use crate::support::{Stored, libtorch};

fn check(name: &str, optimizer: impl FnOnce(Vec<Tensor>) -> Box<dyn Optimizer>) {
    let _turn = libtorch();
    let stored = Stored::open("optim");
    let params: Vec<Tensor> =
        (0..4).map(|i| stored.get(&format!("initial.{i}")).copy().set_requires_grad(true)).collect();
    let mut optimizer = optimizer(params.iter().map(Tensor::shallow_clone).collect());
    for step in 1..=10 {
        optimizer.zero_grad();
        for (i, param) in params.iter().enumerate() {
            // The gradient of this loss is 1 times the given one, which are the same bits.
            (param * stored.get(&format!("grad.{step}.{i}"))).sum(Kind::Float).backward();
        }
        optimizer.step();
        if [1, 10].contains(&step) {
            for (i, param) in params.iter().enumerate() {
                stored.assert_floats(&format!("{name}.step{step}.{i}"), &param.detach());
            }
        }
    }
}

#[test]
fn sgd() {
    check("sgd_1.0", |params| Box::new(Sgd::new(params, 1.0)));
    check("sgd_0.05", |params| Box::new(Sgd::new(params, 0.05)));
}

#[test]
fn adam() {
    check("adam", |params| Box::new(Adam::new(params, 1e-3)));
}

#[test]
fn adamw() {
    check("adamw", |params| Box::new(Adam::decoupled(params, 1e-3, 0.01)));
}
