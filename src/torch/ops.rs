//! Tensor operations that `tch` lacks, most of them in place, with a scalar factor. Multiplying beforehand would round
//! twice where PyTorch's kernels round once, so the real ones are called.
//!
//! Each panics where `tch`'s own operations would: on shapes or devices that do not fit.

use tch::Tensor;

use super::ffi;

/// `tensor.add_(other, alpha=alpha)`: `tensor += alpha * other`.
pub fn add_alpha_(tensor: &mut Tensor, other: &Tensor, alpha: f64) {
    // SAFETY: both tensors are alive during the call.
    unwrap(unsafe { ffi::d2l_add_alpha_(tensor.as_ptr(), other.as_ptr(), alpha) });
}

/// `tensor.addcmul_(a, b, value=value)`: `tensor += value * a * b`.
pub fn addcmul_value_(tensor: &mut Tensor, a: &Tensor, b: &Tensor, value: f64) {
    // SAFETY: all tensors are alive during the call.
    unwrap(unsafe { ffi::d2l_addcmul_value_(tensor.as_ptr(), a.as_ptr(), b.as_ptr(), value) });
}

/// `tensor.addcdiv_(a, b, value=value)`: `tensor += value * a / b`.
pub fn addcdiv_value_(tensor: &mut Tensor, a: &Tensor, b: &Tensor, value: f64) {
    // SAFETY: all tensors are alive during the call.
    unwrap(unsafe { ffi::d2l_addcdiv_value_(tensor.as_ptr(), a.as_ptr(), b.as_ptr(), value) });
}

/// `tensor.grad = None`, which is what `optimizer.zero_grad()` does: the next backward pass then hands its
/// buffer over instead of adding to zeros.
pub fn clear_grad(tensor: &mut Tensor) {
    // SAFETY: the tensor is alive during the call.
    unwrap(unsafe { ffi::d2l_clear_grad(tensor.as_ptr()) });
}

/// `tensor.grad = grad`: the same memory from now on.
pub fn set_grad(tensor: &mut Tensor, grad: &Tensor) {
    // SAFETY: both tensors are alive during the call.
    unwrap(unsafe { ffi::d2l_set_grad(tensor.as_ptr(), grad.as_ptr()) });
}

/// `tensor.to(memory_format=torch.channels_last)`, for a tensor of four dimensions: the same values, (N, C, H, W), lying
/// in memory as (N, H, W, C). Differentiable; the tensor itself if it lies so already.
pub fn channels_last(tensor: &Tensor) -> Tensor {
    let mut result = std::ptr::null_mut();
    // SAFETY: the tensor is alive during the call; `result` is a valid place for one pointer.
    unwrap(unsafe { ffi::d2l_channels_last(tensor.as_ptr(), &mut result) });
    // SAFETY: on success csrc/ put a new tensor there; no one else has the pointer.
    unsafe { Tensor::from_ptr(result) }
}

/// As `tch`'s infallible operations: a failure here is a bug or a device out of memory; `main` turns the
/// panic into a message.
pub(super) fn unwrap(message: *mut std::ffi::c_char) {
    if let Err(error) = ffi::check(message) {
        panic!("{error}");
    }
}
