//! Python loads weights that Rust trained, and Rust loads weights from Python: `cargo run --example weights_with_python`
//!
//! Writes `rust.safetensors` and prints what to type in Python, which writes `python.safetensors`. Run again, it loads that
//! file.

use std::path::Path;

use d2l_ch7::layers::{linear, relu, sequential};
use d2l_ch7::nets::Net;
use d2l_ch7::norm::{Dims, Norm};
use d2l_ch7::{Result, weights};
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};
use tch_extra::optim::{Optimizer, Sgd};

/// The same modules in the same order as in Python. Their numbers begin the names of the weights.
fn net() -> Net {
    Net::new(|p| {
        sequential(p)
            .then(|p| linear(p, 3, 8))
            .then_optional(|p| Norm::Native.batch_norm(p, 8, Dims::Two))
            .then(|_| relu())
            .then(|p| linear(p, 8, 1))
            .done()
    })
}

fn main() -> Result<()> {
    tch_extra::manual_seed(0);
    let trained = net();
    let mut optimizer = Sgd::new(trained.vs.trainable_variables(), 0.1);
    let x = Tensor::rand([64, 3], (Kind::Float, Device::Cpu));
    let y = x.sum_dim_intlist(1i64, true, None::<Kind>);
    for _ in 0..50 {
        let loss = trained.forward_t(&x, true).mse_loss(&y, tch::Reduction::Mean);
        optimizer.zero_grad();
        loss.backward();
        optimizer.step();
    }
    weights::save(Path::new("rust.safetensors"), &trained.state())?;
    println!("rust.safetensors holds");
    for (name, tensor) in trained.state() {
        println!("  {name:21} {:?}", tensor.size());
    }
    println!("In Python:\n{PYTHON}");

    // A new net loads Python's file, or this program's own if Python has written none yet.
    let python = Path::new("python.safetensors");
    let file = if python.exists() { python } else { Path::new("rust.safetensors") };
    let loaded = net();
    weights::load_into(&loaded.vs, file)?;
    let same = loaded.forward_t(&x, false) == trained.forward_t(&x, false);
    println!("Loaded {}: the same outputs to the last bit: {same}", file.display());
    assert!(same || file == python, "what was saved is what is loaded");
    Ok(())
}

const PYTHON: &str = "
  from safetensors.torch import load_file, save_file
  from torch import nn
  net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
  net.load_state_dict(load_file('rust.safetensors'))
  save_file(net.state_dict(), 'python.safetensors')
";

// Output:
// rust.safetensors holds
//   0.bias                [8]
//   0.weight              [8, 3]
//   1.bias                [8]
//   1.num_batches_tracked []
//   1.running_mean        [8]
//   1.running_var         [8]
//   1.weight              [8]
//   3.bias                [1]
//   3.weight              [1, 8]
// In Python:
//
//   from safetensors.torch import load_file, save_file
//   from torch import nn
//   net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
//   net.load_state_dict(load_file('rust.safetensors'))
//   save_file(net.state_dict(), 'python.safetensors')
//
// Loaded rust.safetensors: the same outputs to the last bit: true
