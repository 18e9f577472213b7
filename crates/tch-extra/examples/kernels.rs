//! Times the kernels of `tch_extra::kernels` against libtorch's, on images of the size of LeNet's first layer.

use std::time::Instant;

use tch::{Device, Kind, Tensor};
use tch_extra::kernels;

/// Median microseconds of a call, of 101.
fn microseconds(mut call: impl FnMut()) -> u128 {
    let mut times: Vec<u128> = (0..101)
        .map(|_| {
            let begun = Instant::now();
            call();
            begun.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    times[50]
}

/// Forward and backward, with one kind of kernels.
fn time(f: impl Fn(&Tensor) -> Tensor, x: &Tensor, own: bool) -> [u128; 2] {
    kernels::set_enabled(own);
    let forward = microseconds(|| drop(f(x)));
    let y = f(x);
    let grad = Tensor::ones_like(&y);
    let sum = (&y * &grad).sum(Kind::Float);
    let backward = microseconds(|| drop(Tensor::run_backward(&[&sum], &[x], true, false)));
    [forward, backward]
}

fn show(name: &str, x: &Tensor, f: impl Fn(&Tensor) -> Tensor) {
    println!("{name:16} {:?} {:?}", time(&f, x, false), time(&f, x, true));
}

/// d2l's batch norm, operation by operation.
fn by_hand(x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Tensor {
    let mean_of_batch = |t: &Tensor| t.mean_dim([0i64, 2, 3].as_slice(), true, None);
    let mean = mean_of_batch(x);
    let var = mean_of_batch(&(x - &mean).pow_tensor_scalar(2));
    gamma * ((x - &mean) / (var + 1e-5).sqrt()) + beta
}

fn main() {
    let images = Tensor::randn([256, 6, 24, 24], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let features = Tensor::randn([256, 120], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let [weight, var] = [(); 2].map(|()| Tensor::ones([6], (Kind::Float, Device::Cpu)));
    let [bias, mean] = [(); 2].map(|()| Tensor::zeros([6], (Kind::Float, Device::Cpu)));
    let [kernel, offset] =
        [&[6, 1, 5, 5][..], &[6]].map(|shape| Tensor::randn(shape, (Kind::Float, Device::Cpu)));
    let (digits, kernel) =
        (Tensor::randn([256, 1, 28, 28], (Kind::Float, Device::Cpu)), kernel.set_requires_grad(true));
    println!("microseconds, forward and backward: libtorch's kernels, then those of this crate");
    show("convolution", &kernel, |kernel| kernels::conv2d(&digits, kernel, &offset, 0));
    show("average pooling", &images, |x| kernels::avg_pool2d(x, 2));
    show("max pooling", &images, |x| kernels::max_pool2d(x, 2, 2, 0));
    show("after ReLU", &images, |x| kernels::relu_max_pool2d(x, 2, 2, 0));
    show("batch norm", &images, |x| kernels::batch_norm_training(x, &weight, &bias, &mean, &var, 0.1, 1e-5));
    let [gamma, beta, moving_mean, moving_var] =
        [&weight, &bias, &mean, &var].map(|of_channels| of_channels.reshape([1, 6, 1, 1]));
    show("d2l's batch norm", &images, |x| {
        kernels::batch_norm_formula(x, &gamma, &beta, &moving_mean, &moving_var, 0.9, 1e-5)
            .unwrap_or_else(|| by_hand(x, &gamma, &beta))
    });
    show("dropout", &features, |x| kernels::dropout(x, 0.5, true));
}
