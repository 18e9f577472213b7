//! The declarations of `csrc/d2l_multi_tensor.h`.

use std::ffi::c_char;

use torch_sys::C_tensor;

/// `d2l_tensors`: a list that the caller keeps alive.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Tensors {
    pub tensors: *const *const C_tensor,
    pub size: i64,
}

/// `d2l_fused_sgd_options`.
#[repr(C)]
pub struct FusedSgdOptions {
    pub lr: f64,
    pub momentum: f64,
    pub dampening: f64,
    pub weight_decay: f64,
    pub nesterov: bool,
    pub is_first_step: bool,
}

/// `d2l_fused_adam_options`.
#[repr(C)]
pub struct FusedAdamOptions {
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
}

unsafe extern "C" {
    pub fn d2l_fused_sgd_(
        params: Tensors,
        grads: Tensors,
        momentum_buffers: Tensors,
        options: *const FusedSgdOptions,
    ) -> *mut c_char;
    pub fn d2l_fused_adam_(
        params: Tensors,
        grads: Tensors,
        exp_avgs: Tensors,
        exp_avg_sqs: Tensors,
        steps: Tensors,
        options: *const FusedAdamOptions,
    ) -> *mut c_char;
    pub fn d2l_fused_adamw_(
        params: Tensors,
        grads: Tensors,
        exp_avgs: Tensors,
        exp_avg_sqs: Tensors,
        steps: Tensors,
        options: *const FusedAdamOptions,
    ) -> *mut c_char;

    pub fn d2l_foreach_add_scalar_(this: Tensors, scalar: f64) -> *mut c_char;
    pub fn d2l_foreach_add_(this: Tensors, others: Tensors, alpha: f64) -> *mut c_char;
    pub fn d2l_foreach_mul_(this: Tensors, scalar: f64) -> *mut c_char;
    pub fn d2l_foreach_div_(this: Tensors, scalars: *const f64) -> *mut c_char;
    pub fn d2l_foreach_lerp_(this: Tensors, ends: Tensors, weight: f64) -> *mut c_char;
    pub fn d2l_foreach_addcmul_(this: Tensors, a: Tensors, b: Tensors, value: f64) -> *mut c_char;
    pub fn d2l_foreach_addcdiv_(this: Tensors, a: Tensors, b: Tensors, scalars: *const f64) -> *mut c_char;
    pub fn d2l_foreach_sqrt(this: Tensors, results: *mut *mut C_tensor) -> *mut c_char;
}
