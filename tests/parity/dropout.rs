//! Dropout's masks are made of integers from the generator, and so equal on every machine.

use d2l_ch7::layers::dropout;
use d2l_ch7::torch;
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};

use crate::support::{Stored, libtorch};

#[test]
fn masks_outputs_and_gradients_are_pytorchs() {
    let _turn = libtorch();
    let stored = Stored::open("dropout");
    let layer = dropout(0.5);
    for seed in [0, 1] {
        torch::manual_seed(seed);
        for (rows, columns) in [(256, 120), (256, 84)] {
            let kept =
                layer.forward_t(&Tensor::ones([rows, columns], (Kind::Float, Device::Cpu)), true).ne(0);
            stored.assert_equal(&format!("{seed}.{rows}x{columns}.kept"), &kept.to_kind(Kind::Uint8));
        }
        let name = |part: &str| format!("{seed}.7x3.{part}");
        let x = stored.get(&name("X")).copy().set_requires_grad(true);
        let y = layer.forward_t(&x, true);
        y.sum(Kind::Float).backward();
        stored.assert_equal(&name("kept"), &x.grad().ne(0).to_kind(Kind::Uint8));
        stored.assert_floats(&name("Y"), &y.detach());
        stored.assert_floats(&name("grad_X"), &x.grad());
        assert_eq!(torch::random_i64(), stored.int(&format!("{seed}.next_seed")), "draws as many numbers");
        assert!(layer.forward_t(&x, false) == x, "evaluation drops nothing");
    }
}
