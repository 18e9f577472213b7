//! A residual block gives relu(g(x) + x): where g contributes nothing, x and its gradient pass as if the block were
//! not there. That is why deep stacks of them train.
//!
//! `cargo run --example residual_block`

use d2l_ch7::layers::{Module, visit};
use d2l_ch7::nets::residual::Residual;
use d2l_ch7::norm::Variant;
use d2l_ch7::torch;
use tch::{Device, Kind, Tensor};

fn main() {
    torch::manual_seed(0);
    let x = Tensor::rand([4, 3, 6, 6], (Kind::Float, Device::Cpu)).set_requires_grad(true);

    let mut block = Residual::new(Variant::Native, 3);
    println!("x {:?}, block(x) {:?}", x.size(), block.forward(&x, true).size());

    // g ends in the batch norm bn2. With its scale at zero, g(x) is 0 for every x.
    visit(&mut block, &mut |name, _, tensor| {
        if name == "bn2.weight" {
            let _ = tch::no_grad(|| tensor.zero_());
        }
    });
    let y = block.forward(&x, true);
    println!("without g, block(x) is x: {}", y == x);
    y.sum(Kind::Float).backward();
    println!("and the gradient of its sum is 1 everywhere: {}", x.grad() == Tensor::ones_like(&x));

    // To change the shape, the shortcut takes a 1x1 convolution along.
    let mut halving = Residual::with_1x1conv(Variant::Native, 3, 6, 2);
    println!("with a 1x1 convolution {:?}", halving.forward(&x, true).size());
    let children: Vec<String> = halving.children().into_iter().map(|(name, _)| name).collect();
    println!("made of {}", children.join(", "));
}

// Output:
// x [4, 3, 6, 6], block(x) [4, 3, 6, 6]
// without g, block(x) is x: true
// and the gradient of its sum is 1 everywhere: true
// with a 1x1 convolution [4, 6, 3, 3]
// made of conv1, conv2, conv3, bn1, bn2
