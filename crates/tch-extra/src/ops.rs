//! Tensor operations that `tch` lacks.
//!
//! Each panics where `tch`'s own operations would: on shapes or devices that do not fit.

use tch::Tensor;
use torch_sys::C_tensor;

use crate::ffi::{Made, Outcome, TensorRef, new_tensor};

unsafe extern "C" {
    safe fn tchx_clear_grad(this: TensorRef) -> Outcome;
    safe fn tchx_set_grad(this: TensorRef, grad: TensorRef) -> Outcome;
    safe fn tchx_channels_last(this: TensorRef, result: &mut Made<C_tensor>) -> Outcome;
}

/// `tensor.grad = None`, which is what `optimizer.zero_grad()` does: the next backward pass then hands its
/// buffer over instead of adding to zeros.
pub fn clear_grad(tensor: &mut Tensor) {
    tchx_clear_grad((&*tensor).into()).unwrap();
}

/// `tensor.grad = grad`: the same memory from now on.
pub fn set_grad(tensor: &mut Tensor, grad: &Tensor) {
    tchx_set_grad((&*tensor).into(), grad.into()).unwrap();
}

/// `tensor.to(memory_format=torch.channels_last)`, for a tensor of four dimensions: the same values, (N, C, H, W), lying
/// in memory as (N, H, W, C). Differentiable; the tensor itself if it lies so already.
pub fn channels_last(tensor: &Tensor) -> Tensor {
    new_tensor(|result| tchx_channels_last(tensor.into(), result)).unwrap_or_else(|error| panic!("{error}"))
}
