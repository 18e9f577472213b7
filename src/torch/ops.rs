//! In-place tensor operations whose scalar factor `tch` leaves out. Multiplying beforehand would round twice
//! where PyTorch's kernels round once, so the real ones are called.
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

/// As `tch`'s infallible operations: a failure here is a bug or a device out of memory; `main` turns the
/// panic into a message.
fn unwrap(message: *mut std::ffi::c_char) {
    if let Err(error) = ffi::check(message) {
        panic!("{error}");
    }
}
