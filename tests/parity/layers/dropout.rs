//! Dropout's masks come from integers of the random generator, so they are equal on every machine.
//!
//! `fixtures.dropout` stores the numbers of this Python:
//!
//! ```python
//! torch.manual_seed(seed)
//! layer = nn.Dropout(0.5)
//! kept = layer(torch.ones(256, 120)) != 0
//! kept = layer(torch.ones(256, 84)) != 0
//! X = torch.linspace(-1.0, 1.1, 21).reshape(7, 3).requires_grad_()
//! Y = layer(X)
//! (grad_X,) = torch.autograd.grad(Y.sum(), X)
//! next_seed = torch.empty((), dtype=torch.int64).random_()
//! ```

use d2l_ch7::layers::dropout;
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};

use crate::support::{Stored, libtorch};

#[test]
fn masks_outputs_and_gradients_are_pytorchs() {
    let _turn = libtorch();
    let stored = Stored::open("dropout");
    let layer = dropout(0.5);
    for seed in [0, 1] {
        tch_extra::manual_seed(seed);
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
        assert_eq!(
            tch_extra::random_i64(),
            stored.int(&format!("{seed}.next_seed")),
            "draws as many numbers"
        );
        assert!(layer.forward_t(&x, false) == x, "evaluation drops nothing");
    }
}
