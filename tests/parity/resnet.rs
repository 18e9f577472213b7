//! The residual block and both ResNet-18: initial weights, forward, every gradient, running statistics, a step of Adam.
//!
//! The references are the stored ones, and, live, the same made anew by the Python of this machine.

use d2l_ch7::experiments::networks::Network;
use d2l_ch7::init::xavier_weights;
use d2l_ch7::layers::{Module, Slot, parameters, state, visit};
use d2l_ch7::nets::residual::Residual;
use d2l_ch7::norm::Variant;
use d2l_ch7::optim::{Adam, Optimizer};
use d2l_ch7::torch;
use tch::{Device, Kind, Reduction, Tensor};

use crate::live::{python_side, succeed};
use crate::support::{ADAM_EITHER_WAY, ROUNDING, Stored, libtorch, notebooks_ref};

const SEED: u64 = 0;
const DATA_SEED: u64 = 2024;

/// For the gradient of a bias that a batch norm takes away again: terms cancel to nothing but their rounding, which
/// differs from one kernel to another. Observed between AVX2 and AVX-512: 9e-6 at most.
const CANCELLED: f64 = 3e-5;

/// For logits and losses after eighteen layers. Observed as above: 4e-6 at most.
const NETWORK_ROUNDING: f64 = 2e-5;

/// For gradients of such a network on four images: a ReLU whose input is nearly zero lets its gradient pass with some kernels and not
/// with others. Observed between SSE4.1 and AVX-512: 1.9e-2 at most.
const FLIPPED: f64 = 6e-2;

/// The blocks of `fixtures.residual`.
fn block(name: &str, variant: Variant) -> Residual {
    match name {
        "identity" => Residual::new(variant, 3),
        "1x1conv" => Residual::with_1x1conv(variant, 3, 6, 1),
        "1x1conv_halving" => Residual::with_1x1conv(variant, 3, 6, 2),
        _ => panic!("no block {name}"),
    }
}

fn check_block(stored: &Stored, name: &str, variant: Variant) {
    let prefix = format!("{name}.{variant}");
    let part = |part: &str| format!("{prefix}.{part}");
    torch::manual_seed(SEED);
    let mut block = block(name, variant);
    let initial = state(&mut block);
    assert_eq!(initial.len(), stored.below(&part("initial.")).len(), "{prefix}: tensors");
    for (key, tensor) in initial {
        stored.assert_number(&part(&format!("initial.{key}")), &tensor);
    }

    let x = stored.get("X").copy().set_requires_grad(true);
    let y = block.forward(&x, true);
    stored.assert_floats(&part("Y"), &y.detach());
    (&y * stored.get(&format!("{name}.W"))).sum(Kind::Float).backward();
    stored.assert_floats(&part("grad_X"), &x.grad());
    visit(&mut block, &mut |key, slot, tensor| {
        let grad = part(&format!("grad.{key}"));
        match (slot, key) {
            (Slot::Buffer, _) => stored.assert_number(&part(&format!("moved.{key}")), tensor),
            (_, "conv1.bias" | "conv2.bias") => stored.assert_near(&grad, &tensor.grad(), CANCELLED),
            _ => stored.assert_floats(&grad, &tensor.grad()),
        }
    });
    stored.assert_floats(&part("evaluated"), &tch::no_grad(|| block.forward(&x.detach(), false)));
    Adam::new(parameters(&mut block), 1e-3).step();
    visit(&mut block, &mut |key, slot, tensor| {
        if slot == Slot::Parameter {
            stored.assert_digest(&part(&format!("adam.{key}")), tensor, ADAM_EITHER_WAY);
        }
    });
}

fn check_network(stored: &Stored, name: &str, shape: [i64; 4], variant: Variant) {
    let part = |part: &str| format!("{name}.{variant}.{part}");
    torch::manual_seed(DATA_SEED);
    let images = Tensor::rand(shape, (Kind::Float, Device::Cpu));
    let labels = Tensor::randint(10, &shape[..1], (Kind::Int64, Device::Cpu));
    stored.assert_digest(&format!("{name}.images"), &images, ROUNDING);
    stored.assert_equal(&format!("{name}.labels"), &labels);

    torch::manual_seed(SEED);
    let mut net = (Network::named(name).unwrap().build)(variant);
    if name == "resnet18-cifar" {
        xavier_weights(&mut net);
    }
    let initial = state(&mut net);
    assert_eq!(initial.len(), stored.below(&part("initial.")).len(), "{name} {variant}: tensors");
    for (key, tensor) in initial {
        stored.assert_digest(&part(&format!("initial.{key}")), &tensor, ROUNDING);
    }
    let near = |name: &str, actual: &Tensor| stored.assert_near(&part(name), actual, NETWORK_ROUNDING);
    let mut optimizer = Adam::new(parameters(&mut net), 1e-3);
    let logits = net.forward(&images, true);
    near("logits", &logits.detach());
    let loss = logits.cross_entropy_loss(&labels, None::<Tensor>, Reduction::None, -100, 0.0);
    let loss = loss.sum(Kind::Float);
    near("loss", &loss.detach());
    loss.backward();
    visit(&mut net, &mut |key, slot, tensor| {
        if slot == Slot::Parameter {
            stored.assert_digest(&part(&format!("grad.{key}")), &tensor.grad(), FLIPPED);
        }
    });
    near("evaluated", &tch::no_grad(|| net.forward(&images, false)));
    optimizer.step();
    for (key, tensor) in state(&mut net) {
        stored.assert_digest(&part(&format!("after.{key}")), &tensor, ADAM_EITHER_WAY);
    }
}

fn check_blocks(stored: &Stored) {
    for name in ["identity", "1x1conv", "1x1conv_halving"] {
        Variant::NOTEBOOKS.into_iter().for_each(|variant| check_block(stored, name, variant));
    }
}

fn check_networks(stored: &Stored) {
    for (name, shape) in [("resnet18", [2, 1, 64, 64]), ("resnet18-cifar", [4, 3, 32, 32])] {
        Variant::NOTEBOOKS.into_iter().for_each(|variant| check_network(stored, name, shape, variant));
    }
}

#[test]
fn residual_blocks_are_the_notebooks() {
    let _turn = libtorch();
    check_blocks(&Stored::open("residual"));
}

#[test]
fn both_resnet18_are_the_notebooks() {
    let _turn = libtorch();
    check_networks(&Stored::open("resnets"));
}

/// On whatever machine this is, bit for bit.
#[test]
fn they_are_pythons_of_this_machine() {
    let _turn = libtorch();
    let Some(python) = python_side("residual blocks and ResNet-18 against Python") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(python);
    command.arg(notebooks_ref().join("make_references.py"));
    succeed(command.args(["--only", "residual", "--only", "resnets", "--out"]).arg(folder.path()));
    check_blocks(&Stored::made_here(&folder.path().join("residual.safetensors")));
    check_networks(&Stored::made_here(&folder.path().join("resnets.safetensors")));
}
