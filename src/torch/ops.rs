//! Tensor operations that `tch` lacks, most of them in place, with a scalar factor. Multiplying beforehand would round
//! twice where PyTorch's kernels round once, so the real ones are called.
//!
//! Each panics where `tch`'s own operations would: on shapes or devices that do not fit.

use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;

use super::ffi::{Made, Outcome, TensorRef, new_tensor};

unsafe extern "C" {
    safe fn d2l_add_alpha_(this: TensorRef, other: TensorRef, alpha: f64) -> Outcome;
    safe fn d2l_addcmul_value_(this: TensorRef, a: TensorRef, b: TensorRef, value: f64) -> Outcome;
    safe fn d2l_addcdiv_value_(this: TensorRef, a: TensorRef, b: TensorRef, value: f64) -> Outcome;
    safe fn d2l_clear_grad(this: TensorRef) -> Outcome;
    safe fn d2l_set_grad(this: TensorRef, grad: TensorRef) -> Outcome;
    safe fn d2l_channels_last(this: TensorRef, result: &mut Made<C_tensor>) -> Outcome;
}

/// `tensor.add_(other, alpha=alpha)`: `tensor += alpha * other`.
pub fn add_alpha_(tensor: &mut Tensor, other: &Tensor, alpha: f64) {
    d2l_add_alpha_((&*tensor).into(), other.into(), alpha).unwrap();
}

/// `tensor.addcmul_(a, b, value=value)`: `tensor += value * a * b`.
pub fn addcmul_value_(tensor: &mut Tensor, a: &Tensor, b: &Tensor, value: f64) {
    d2l_addcmul_value_((&*tensor).into(), a.into(), b.into(), value).unwrap();
}

/// `tensor.addcdiv_(a, b, value=value)`: `tensor += value * a / b`.
pub fn addcdiv_value_(tensor: &mut Tensor, a: &Tensor, b: &Tensor, value: f64) {
    d2l_addcdiv_value_((&*tensor).into(), a.into(), b.into(), value).unwrap();
}

/// `tensor.grad = None`, which is what `optimizer.zero_grad()` does: the next backward pass then hands its
/// buffer over instead of adding to zeros.
pub fn clear_grad(tensor: &mut Tensor) {
    d2l_clear_grad((&*tensor).into()).unwrap();
}

/// `tensor.grad = grad`: the same memory from now on.
pub fn set_grad(tensor: &mut Tensor, grad: &Tensor) {
    d2l_set_grad((&*tensor).into(), grad.into()).unwrap();
}

/// `tensor.to(memory_format=torch.channels_last)`, for a tensor of four dimensions: the same values, (N, C, H, W), lying
/// in memory as (N, H, W, C). Differentiable; the tensor itself if it lies so already.
pub fn channels_last(tensor: &Tensor) -> Tensor {
    new_tensor(|result| d2l_channels_last(tensor.into(), result)).unwrap_or_else(|error| panic!("{error}"))
}

/// A new float32 tensor of `size` on the CPU, whose elements `fill` writes row by row.
///
/// # Panics
/// If it would have no element.
pub fn filled(size: &[i64], fill: impl FnOnce(&mut [f32])) -> Tensor {
    let tensor = Tensor::empty(size, (Kind::Float, Device::Cpu));
    assert!(tensor.numel() > 0, "a tensor of size {size:?} has nothing to fill");
    // SAFETY: a new tensor is contiguous, nobody else holds it yet, and every bit pattern is an f32.
    fill(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) });
    tensor
}
