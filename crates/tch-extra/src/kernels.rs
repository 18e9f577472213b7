//! Kernels of our own for a CPU, in place of libtorch's that take longer than they need. Each does libtorch's operations on every
//! element in libtorch's order: results, gradients and the generator's state have the same bits.
//!
//! They take 32-bit floats on an x86-64 processor in PyTorch's usual layout: pooling over windows of 2 x 2 in rows of 8 pixels or more,
//! the forward pass of a convolution of images with one channel (digits, clothes), batch norm after a convolution, dropout. Everything
//! else goes to libtorch's own kernels: other devices, kinds, layouts and sizes, and gradients of gradients. So does dropout on processors
//! for which libtorch draws with MKL (Intel's), and a convolution whose first result for some sizes is not libtorch's.
//!
//! They are operators of libtorch's dispatcher. So autograd, `tch::no_grad`, autocast and a [`Recording`](crate::Recording) treat
//! them as libtorch's.
//!
//! Each panics where `tch`'s operations would: on shapes and numbers that do not fit.

use tch::Tensor;
use torch_sys::C_tensor;

use crate::ffi::{Made, Outcome, TensorRef, new_tensor, optional_tensor};

unsafe extern "C" {
    safe fn tchx_set_kernels_enabled(enabled: bool);
    safe fn tchx_kernel_calls() -> u64;
    safe fn tchx_conv2d(
        x: TensorRef,
        weight: TensorRef,
        bias: TensorRef,
        padding: i64,
        result: &mut Made<C_tensor>,
    ) -> Outcome;
    safe fn tchx_avg_pool2d(x: TensorRef, size: i64, result: &mut Made<C_tensor>) -> Outcome;
    safe fn tchx_max_pool2d(
        x: TensorRef,
        size: i64,
        stride: i64,
        padding: i64,
        result: &mut Made<C_tensor>,
    ) -> Outcome;
    safe fn tchx_relu_max_pool2d(
        x: TensorRef,
        size: i64,
        stride: i64,
        padding: i64,
        result: &mut Made<C_tensor>,
    ) -> Outcome;
    safe fn tchx_batch_norm_training(
        x: TensorRef,
        weight: TensorRef,
        bias: TensorRef,
        running_mean: TensorRef,
        running_var: TensorRef,
        momentum: f64,
        eps: f64,
        result: &mut Made<C_tensor>,
    ) -> Outcome;
    safe fn tchx_batch_norm_formula(
        x: TensorRef,
        gamma: TensorRef,
        beta: TensorRef,
        moving_mean: TensorRef,
        moving_var: TensorRef,
        momentum: f64,
        eps: f64,
        result: &mut Made<C_tensor>,
    ) -> Outcome;
    safe fn tchx_dropout(x: TensorRef, p: f64, train: bool, result: &mut Made<C_tensor>) -> Outcome;
}

/// Whether the process computes with the kernels of this module, as it does from the start, or with libtorch's: to compare them.
pub fn set_enabled(enabled: bool) {
    tchx_set_kernels_enabled(enabled);
}

/// How many times the process has computed with kernels of this module, forward and backward passes. It tells whether an operation takes
/// them here.
pub fn calls() -> u64 {
    tchx_kernel_calls()
}

fn made(make: impl FnOnce(&mut Made<C_tensor>) -> Outcome) -> Tensor {
    new_tensor(make).unwrap_or_else(|error| panic!("{error}"))
}

/// `F.conv2d(x, weight, bias, padding=padding)`: (N, C, H, W) with a weight of (O, C, h, w) and a bias of (O,) to
/// (N, O, H + 2 padding - h + 1, W + 2 padding - w + 1). Own kernel: the forward pass of one channel, C = 1, with windows of 5 x 5,
/// 16 columns of outputs or more, and O N H W below 8.4 million.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: &Tensor, padding: i64) -> Tensor {
    made(|result| tchx_conv2d(x.into(), weight.into(), bias.into(), padding, result))
}

/// `F.avg_pool2d(x, size)`: the mean over squares of `size` x `size` pixels; (N, C, H, W) to (N, C, H / size, W / size), rounded
/// down. Own kernel: size 2.
pub fn avg_pool2d(x: &Tensor, size: i64) -> Tensor {
    made(|result| tchx_avg_pool2d(x.into(), size, result))
}

/// `F.max_pool2d(x, size, stride, padding)`: the largest value of each square of `size` x `size` pixels; (N, C, H, W) to
/// (N, C, (H + 2 padding - size) / stride + 1, likewise for W), rounded down. Padding never wins. Own kernel: size 2, stride 2, no
/// padding.
pub fn max_pool2d(x: &Tensor, size: i64, stride: i64, padding: i64) -> Tensor {
    made(|result| tchx_max_pool2d(x.into(), size, stride, padding, result))
}

/// `F.max_pool2d(F.relu(x), size, stride, padding)`, as [`max_pool2d`]: in one pass, where that has a kernel of its own.
pub fn relu_max_pool2d(x: &Tensor, size: i64, stride: i64, padding: i64) -> Tensor {
    made(|result| tchx_relu_max_pool2d(x.into(), size, stride, padding, result))
}

/// `F.dropout(x, p, train)` (Srivastava et al., 2014) for any shape: in training, it zeroes each element with probability `p` and divides
/// the others by 1 - p. It draws from the device's default generator.
pub fn dropout(x: &Tensor, p: f64, train: bool) -> Tensor {
    made(|result| tchx_dropout(x.into(), p, train, result))
}

/// `F.batch_norm(x, running_mean, running_var, weight, bias, training=True, momentum, eps)` (Ioffe and Szegedy, 2015) for (N, C, ...),
/// with the other tensors of shape (C,). It moves the running statistics by the share `momentum` towards the batch's mean and unbiased
/// variance. Own kernel: (N, C, H, W).
pub fn batch_norm_training(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    running_mean: &Tensor,
    running_var: &Tensor,
    momentum: f64,
    eps: f64,
) -> Tensor {
    made(|result| {
        let [weight, bias, mean, var] = [weight, bias, running_mean, running_var].map(TensorRef::from);
        tchx_batch_norm_training(x.into(), weight, bias, mean, var, momentum, eps, result)
    })
}

/// `batch_norm(x, gamma, beta, moving_mean, moving_var, eps, momentum)` of "Dive into Deep Learning" (section 7.5.3) in training, for
/// (N, C) or (N, C, H, W), with the other tensors of shape (1, C) or (1, C, 1, 1): gamma * ((x - mean) / sqrt(var + eps)) + beta, with
/// the batch's mean and biased variance. The moving statistics keep the share `momentum` and take the rest from the batch's.
///
/// Results and gradients have the bits of the formula's operations one by one, which [`batch_norm_training`] has not. Gradients of
/// gradients differ from autograd's by rounding.
///
/// `None`, and nothing is moved, where there is no kernel of our own: compute the operations one by one there. There is one on processors
/// with AVX2 for two channels or more: for (N, C, H, W) with eight pixels or more, and for (N, C) with N > 1, C > 7 and, unless there is
/// one thread, N * C < 32,768.
pub fn batch_norm_formula(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    moving_mean: &Tensor,
    moving_var: &Tensor,
    momentum: f64,
    eps: f64,
) -> Option<Tensor> {
    let made = optional_tensor(|result| {
        let [gamma, beta, mean, var] = [gamma, beta, moving_mean, moving_var].map(TensorRef::from);
        tchx_batch_norm_formula(x.into(), gamma, beta, mean, var, momentum, eps, result)
    });
    made.unwrap_or_else(|error| panic!("{error}"))
}
