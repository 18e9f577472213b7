//! The residual block and both ResNet-18: initial weights, forward, every gradient, running statistics, a step of Adam.
//!
//! `fixtures.residual` and `fixtures.resnets` store the numbers of this Python, here for d2l's ResNet-18; a live test has the
//! Python of this machine make them again:
//!
//! ```python
//! torch.manual_seed(2024)
//! images, labels = torch.rand(4, 3, 32, 32), torch.randint(0, 10, (4,))
//! torch.manual_seed(0)
//! net = d2l.resnet18(10, 3)
//! net.apply(init_weights)  # Xavier, as in init.rs
//! logits = net(images)
//! loss = nn.functional.cross_entropy(logits, labels, reduction="none").sum()
//! loss.backward()
//! with torch.no_grad():
//!     evaluated = net.eval()(images)
//! torch.optim.Adam(net.parameters(), lr=1e-3).step()
//! ```

use d2l_ch7::experiments::networks::Network;
use d2l_ch7::init::xavier_weights;
use d2l_ch7::nets::Net;
use d2l_ch7::nets::residual::Residual;
use d2l_ch7::norm::{Norm, Variant};
use tch::nn::{ModuleT, Path};
use tch::{Device, Kind, Reduction, Tensor};
use tch_extra::optim::{Adam, Optimizer};
use tch_extra::state_dict::named_parameters;

use crate::live::{python_side, succeed};
use crate::support::{ADAM_EITHER_WAY, ROUNDING, Stored, libtorch, notebooks_ref};

const SEED: u64 = 0;
const DATA_SEED: u64 = 2024;

/// The tolerance for the gradient of a bias before a batch norm, which subtracts the bias again: its terms cancel, and the
/// rounding that is left differs from kernel to kernel. Observed between AVX2 and AVX-512: 9e-6 at most.
const CANCELLED: f64 = 3e-5;

/// The tolerance for logits and losses after eighteen layers. Observed between AVX2 and AVX-512: 4e-6 at most.
const NETWORK_ROUNDING: f64 = 2e-5;

/// The tolerance for gradients after eighteen layers, on few images: where the input of a ReLU is nearly zero, its sign, and so
/// the gradient, depends on the kernel. Observed between SSE4.1 and AVX-512: 1.9e-2 at most.
const FLIPPED: f64 = 6e-2;

/// The blocks of `fixtures.BLOCKS`.
fn block(p: &Path, name: &str, norm: &Norm) -> Residual {
    match name {
        "identity" => Residual::new(p, norm, 3),
        "1x1conv" => Residual::with_1x1conv(p, norm, 3, 6, 1),
        "1x1conv_halving" => Residual::with_1x1conv(p, norm, 3, 6, 2),
        _ => panic!("no block {name}"),
    }
}

fn check_block(stored: &Stored, name: &str, variant: Variant) {
    let prefix = format!("{name}.{variant}");
    let part = |part: &str| format!("{prefix}.{part}");
    tch_extra::manual_seed(SEED);
    let block = Net::new(|p| block(p, name, &variant.into()));
    let initial = block.state();
    assert_eq!(initial.len(), stored.below(&part("initial.")).len(), "{prefix}: tensors");
    for (key, tensor) in initial {
        stored.assert_number(&part(&format!("initial.{key}")), &tensor);
    }

    let x = stored.get("X").copy().set_requires_grad(true);
    let y = block.forward_t(&x, true);
    stored.assert_floats(&part("Y"), &y.detach());
    (&y * stored.get(&format!("{name}.W"))).sum(Kind::Float).backward();
    stored.assert_floats(&part("grad_X"), &x.grad());
    let parameters = named_parameters(&block.vs);
    for (key, parameter) in &parameters {
        let grad = part(&format!("grad.{key}"));
        match key.as_str() {
            "conv1.bias" | "conv2.bias" => stored.assert_near(&grad, &parameter.grad(), CANCELLED),
            _ => stored.assert_floats(&grad, &parameter.grad()),
        }
    }
    let is_buffer = |key: &str| parameters.iter().all(|(parameter, _)| parameter != key);
    let buffers: Vec<_> = block.state().into_iter().filter(|(key, _)| is_buffer(key)).collect();
    let moved = if variant.has_batch_norm() { stored.below(&part("moved.")).len() } else { 0 };
    assert_eq!(buffers.len(), moved, "{prefix}: buffers");
    for (key, buffer) in buffers {
        stored.assert_number(&part(&format!("moved.{key}")), &buffer);
    }
    stored.assert_floats(&part("evaluated"), &tch::no_grad(|| block.forward_t(&x.detach(), false)));
    Adam::new(block.vs.trainable_variables(), 1e-3).step();
    for (key, parameter) in &parameters {
        stored.assert_digest(&part(&format!("adam.{key}")), parameter, ADAM_EITHER_WAY);
    }
}

fn check_network(stored: &Stored, name: &str, shape: [i64; 4], variant: Variant) {
    let part = |part: &str| format!("{name}.{variant}.{part}");
    tch_extra::manual_seed(DATA_SEED);
    let images = Tensor::rand(shape, (Kind::Float, Device::Cpu));
    let labels = Tensor::randint(10, &shape[..1], (Kind::Int64, Device::Cpu));
    stored.assert_digest(&format!("{name}.images"), &images, ROUNDING);
    stored.assert_equal(&format!("{name}.labels"), &labels);

    tch_extra::manual_seed(SEED);
    let net = Net::new(|p| (Network::named(name).unwrap().build)(p, &variant.into()));
    if name == "resnet18-cifar" {
        xavier_weights(&net.vs);
    }
    let initial = net.state();
    assert_eq!(initial.len(), stored.below(&part("initial.")).len(), "{name} {variant}: tensors");
    for (key, tensor) in initial {
        stored.assert_digest(&part(&format!("initial.{key}")), &tensor, ROUNDING);
    }
    let near = |name: &str, actual: &Tensor| stored.assert_near(&part(name), actual, NETWORK_ROUNDING);
    let mut optimizer = Adam::new(net.vs.trainable_variables(), 1e-3);
    let logits = net.forward_t(&images, true);
    near("logits", &logits.detach());
    let loss = logits.cross_entropy_loss(&labels, None::<Tensor>, Reduction::None, -100, 0.0);
    let loss = loss.sum(Kind::Float);
    near("loss", &loss.detach());
    loss.backward();
    for (key, parameter) in named_parameters(&net.vs) {
        stored.assert_digest(&part(&format!("grad.{key}")), &parameter.grad(), FLIPPED);
    }
    near("evaluated", &tch::no_grad(|| net.forward_t(&images, false)));
    optimizer.step();
    for (key, tensor) in net.state() {
        stored.assert_digest(&part(&format!("after.{key}")), &tensor, ADAM_EITHER_WAY);
    }
}

fn check_blocks(stored: &Stored) {
    for name in ["identity", "1x1conv", "1x1conv_halving"] {
        Variant::IN_PYTHON.into_iter().for_each(|variant| check_block(stored, name, variant));
    }
}

fn check_networks(stored: &Stored) {
    for (name, shape) in [("resnet18", [2, 1, 64, 64]), ("resnet18-cifar", [4, 3, 32, 32])] {
        Variant::IN_PYTHON.into_iter().for_each(|variant| check_network(stored, name, shape, variant));
    }
}

/// `fixtures.residual`, here for the block that halves its images:
///
/// ```python
/// torch.manual_seed(0)
/// block = Residual(native_norm, 3, 6, 2)  # as in d2l: Residual(3, 6, use_1x1conv=True, strides=2)
/// Y = block(X)
/// (Y * W).sum().backward()
/// with torch.no_grad():
///     evaluated = block.eval()(X)
/// torch.optim.Adam(block.parameters(), lr=1e-3).step()
/// ```
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

/// Bit for bit, on every machine.
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
