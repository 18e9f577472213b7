//! A residual block gives relu(g(x) + x). Where g is zero, x and its gradient pass through the block unchanged. That is why deep
//! stacks of them train.
//!
//! `cargo run --example residual_block`

use d2l_ch7::nets::Net;
use d2l_ch7::nets::residual::Residual;
use d2l_ch7::norm::Norm;
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};

fn main() {
    tch_extra::manual_seed(0);
    let x = Tensor::rand([4, 3, 6, 6], (Kind::Float, Device::Cpu)).set_requires_grad(true);

    let block = Net::new(|p| Residual::new(p, &Norm::Native, 3));
    println!("x {:?}, block(x) {:?}", x.size(), block.forward_t(&x, true).size());

    // g ends with the batch norm bn2. With the scale 0 of bn2, g(x) is 0 for every x.
    let _ = tch::no_grad(|| block.vs.variables()["bn2.weight"].shallow_clone().zero_());
    let y = block.forward_t(&x, true);
    println!("without g, block(x) is x: {}", y == x);
    y.sum(Kind::Float).backward();
    println!("and the gradient of its sum is 1 everywhere: {}", x.grad() == Tensor::ones_like(&x));

    // If g changes the shape, a 1x1 convolution changes the shape of x too.
    let halving = Net::new(|p| Residual::with_1x1conv(p, &Norm::Native, 3, 6, 2));
    println!("with a 1x1 convolution {:?}", halving.forward_t(&x, true).size());
    println!("made of {}", children(&halving).join(", "));
}

/// The names of the block's layers, sorted: the first parts of the names of its variables.
fn children(net: &Net) -> Vec<String> {
    let first = |(name, _): (String, Tensor)| name.split('.').next().map(str::to_owned);
    let mut children: Vec<_> = net.state().into_iter().filter_map(first).collect();
    children.dedup();
    children
}

// Output:
// x [4, 3, 6, 6], block(x) [4, 3, 6, 6]
// without g, block(x) is x: true
// and the gradient of its sum is 1 everywhere: true
// with a 1x1 convolution [4, 6, 3, 3]
// made of bn1, bn2, conv1, conv2, conv3
