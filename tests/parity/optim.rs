//! One and ten steps of every optimizer, with given gradients.

use d2l_ch7::optim::{Adam, Optimizer, Sgd};
use tch::{Kind, Tensor};

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
            // A loss whose gradient is the given one, to the bit: 1 times it.
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
