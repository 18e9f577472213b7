//! Runs a network layer by layer and prints the shape after each layer. From stage to stage ResNet-18 halves the image and
//! doubles the channels. Its average pooling leaves one pixel, so the dense layer fits images of every size.
//!
//! `cargo run --example network_shapes`

use d2l_ch7::layers::Sequential;
use d2l_ch7::nets::resnet18::resnet18;
use d2l_ch7::norm::Norm;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};

fn main() {
    let vs = VarStore::new(Device::Cpu);
    let net = resnet18(&vs.root(), &Norm::Native);
    walk(&net, 224);
    walk(&net, 96);
}

/// Python: `for layer in net: X = layer(X)`.
fn walk(net: &Sequential, side: i64) {
    let mut x = Tensor::rand([1, 1, side, side], (Kind::Float, Device::Cpu));
    println!("{:18} {:?}", "image", x.size());
    for (_, layer) in net.layers() {
        // In evaluation: the statistics of one image would mean little.
        x = tch::no_grad(|| layer.forward_t(&x, false));
        println!("{:18} {:?}", layer.class(), x.size());
    }
}

// Output:
// image              [1, 1, 224, 224]
// Sequential         [1, 64, 56, 56]
// Sequential         [1, 64, 56, 56]
// Sequential         [1, 128, 28, 28]
// Sequential         [1, 256, 14, 14]
// Sequential         [1, 512, 7, 7]
// AdaptiveAvgPool2d  [1, 512, 1, 1]
// Flatten            [1, 512]
// Linear             [1, 10]
// image              [1, 1, 96, 96]
// Sequential         [1, 64, 24, 24]
// Sequential         [1, 64, 24, 24]
// Sequential         [1, 128, 12, 12]
// Sequential         [1, 256, 6, 6]
// Sequential         [1, 512, 3, 3]
// AdaptiveAvgPool2d  [1, 512, 1, 1]
// Flatten            [1, 512]
// Linear             [1, 10]
