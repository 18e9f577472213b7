//! Operations on lists of tensors, which on CUDA are one launch for all parameters of a network: `torch._foreach_*` and
//! `torch._fused_*`. Lists run side by side: the first tensor of each belongs together, and so on.
//!
//! Which of them `torch.optim` takes decides bits. On CUDA it is `_foreach_*`, on a CPU neither, and `_fused_*` with
//! `fused=True`. On a CPU `_foreach_*` is a loop over the plain operations and gives their bits; `_fused_*` has kernels of its
//! own: they gave SGD's bits without momentum, other ones with it, and other ones for Adam in a few elements of ten thousand.
//!
//! All but [`foreach_sqrt`] work in place. Each panics where `tch`'s operations would: on lists of different lengths, on shapes
//! or devices that do not fit; and if one of `tensors` is a leaf that requires a gradient, outside of `tch::no_grad`.

use tch::Tensor;
use torch_sys::C_tensor;

use crate::ffi::{Outcome, TensorRef, references};

unsafe extern "C" {
    safe fn tchx_fused_sgd_(
        params: Tensors,
        grads: Tensors,
        momentum_buffers: Tensors,
        options: &FusedSgd,
    ) -> Outcome;
    safe fn tchx_fused_adam_(
        params: Tensors,
        grads: Tensors,
        exp_avgs: Tensors,
        exp_avg_sqs: Tensors,
        steps: Tensors,
        options: &FusedAdam,
    ) -> Outcome;
    safe fn tchx_fused_adamw_(
        params: Tensors,
        grads: Tensors,
        exp_avgs: Tensors,
        exp_avg_sqs: Tensors,
        steps: Tensors,
        options: &FusedAdam,
    ) -> Outcome;

    safe fn tchx_foreach_add_scalar_(this: Tensors, scalar: f64) -> Outcome;
    safe fn tchx_foreach_add_(this: Tensors, others: Tensors, alpha: f64) -> Outcome;
    safe fn tchx_foreach_mul_(this: Tensors, scalar: f64) -> Outcome;
    fn tchx_foreach_div_(this: Tensors, scalars: *const f64) -> Outcome;
    safe fn tchx_foreach_lerp_(this: Tensors, ends: Tensors, weight: f64) -> Outcome;
    safe fn tchx_foreach_addcmul_(this: Tensors, a: Tensors, b: Tensors, value: f64) -> Outcome;
    fn tchx_foreach_addcdiv_(this: Tensors, a: Tensors, b: Tensors, scalars: *const f64) -> Outcome;
    fn tchx_foreach_sqrt(this: Tensors, results: *mut *mut C_tensor) -> Outcome;
}

/// The tensors of a slice, as C++ takes them.
struct List<'a>(Vec<TensorRef<'a>>);

/// `tchx_tensors`: a [`List`] that lives during the call.
#[repr(C)]
struct Tensors<'a> {
    tensors: *const TensorRef<'a>,
    size: i64,
}

impl<'a> List<'a> {
    fn new(tensors: &'a [Tensor]) -> Self {
        Self(references(tensors))
    }

    fn get(&self) -> Tensors<'_> {
        Tensors { tensors: self.0.as_ptr(), size: self.0.len() as i64 }
    }
}

/// What `torch.optim.SGD(params, lr, momentum=, dampening=, weight_decay=, nesterov=, fused=True)` was made with. In memory
/// it is the `tchx_fused_sgd_options` of `csrc/`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FusedSgd {
    /// Learning rate.
    pub lr: f64,
    /// Share of the old direction that is kept; 0: none is remembered.
    pub momentum: f64,
    /// Share of the gradient that does not enter the direction.
    pub dampening: f64,
    /// L2 penalty.
    pub weight_decay: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
    /// Whether the momentum buffers hold nothing yet and are written only.
    pub is_first_step: bool,
}

/// What `torch.optim.Adam(params, lr, betas=, eps=, weight_decay=, fused=True)` was made with. In memory it is the
/// `tchx_fused_adam_options` of `csrc/`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FusedAdam {
    /// Learning rate.
    pub lr: f64,
    /// Shares of the running means of gradients and of their squares that are kept.
    pub betas: [f64; 2],
    /// Added to the denominator.
    pub eps: f64,
    /// For [`fused_adam_`] an L2 penalty, for [`fused_adamw_`] the share (times `lr`) by which a parameter shrinks.
    pub weight_decay: f64,
}

/// One step of `torch._fused_sgd_`. `momentum_buffers` is empty without momentum.
pub fn fused_sgd_(
    params: &mut [Tensor],
    grads: &[Tensor],
    momentum_buffers: &mut [Tensor],
    options: FusedSgd,
) {
    let [params, grads, momentum_buffers] = [&*params, grads, &*momentum_buffers].map(List::new);
    tchx_fused_sgd_(params.get(), grads.get(), momentum_buffers.get(), &options).unwrap();
}

/// One step of `torch._fused_adam_`, without amsgrad. `steps` are f32 scalars on the parameters' device, which say the number of
/// this step: the caller adds 1 beforehand.
pub fn fused_adam_(
    params: &mut [Tensor],
    grads: &[Tensor],
    exp_avgs: &mut [Tensor],
    exp_avg_sqs: &mut [Tensor],
    steps: &[Tensor],
    options: FusedAdam,
) {
    let lists = [&*params, grads, &*exp_avgs, &*exp_avg_sqs, steps].map(List::new);
    let [params, grads, exp_avgs, exp_avg_sqs, steps] = lists.each_ref().map(List::get);
    tchx_fused_adam_(params, grads, exp_avgs, exp_avg_sqs, steps, &options).unwrap();
}

/// One step of `torch._fused_adamw_`; as [`fused_adam_`], with the other weight decay.
pub fn fused_adamw_(
    params: &mut [Tensor],
    grads: &[Tensor],
    exp_avgs: &mut [Tensor],
    exp_avg_sqs: &mut [Tensor],
    steps: &[Tensor],
    options: FusedAdam,
) {
    let lists = [&*params, grads, &*exp_avgs, &*exp_avg_sqs, steps].map(List::new);
    let [params, grads, exp_avgs, exp_avg_sqs, steps] = lists.each_ref().map(List::get);
    tchx_fused_adamw_(params, grads, exp_avgs, exp_avg_sqs, steps, &options).unwrap();
}

/// `torch._foreach_add_(tensors, scalar)`.
pub fn foreach_add_scalar_(tensors: &mut [Tensor], scalar: f64) {
    tchx_foreach_add_scalar_(List::new(tensors).get(), scalar).unwrap();
}

/// `torch._foreach_add_(tensors, others, alpha=alpha)`: each `+= alpha * other`.
pub fn foreach_add_(tensors: &mut [Tensor], others: &[Tensor], alpha: f64) {
    tchx_foreach_add_(List::new(tensors).get(), List::new(others).get(), alpha).unwrap();
}

/// `torch._foreach_mul_(tensors, scalar)`.
pub fn foreach_mul_(tensors: &mut [Tensor], scalar: f64) {
    tchx_foreach_mul_(List::new(tensors).get(), scalar).unwrap();
}

/// `torch._foreach_div_(tensors, scalars)`: each by a number of its own.
pub fn foreach_div_(tensors: &mut [Tensor], scalars: &[f64]) {
    check_length(tensors, scalars.len());
    // SAFETY: there is a scalar for each tensor.
    unsafe { tchx_foreach_div_(List::new(tensors).get(), scalars.as_ptr()) }.unwrap();
}

/// `torch._foreach_lerp_(tensors, ends, weight)`: each `+= weight * (end - it)`.
pub fn foreach_lerp_(tensors: &mut [Tensor], ends: &[Tensor], weight: f64) {
    tchx_foreach_lerp_(List::new(tensors).get(), List::new(ends).get(), weight).unwrap();
}

/// `torch._foreach_addcmul_(tensors, a, b, value)`: each `+= value * a * b`.
pub fn foreach_addcmul_(tensors: &mut [Tensor], a: &[Tensor], b: &[Tensor], value: f64) {
    let [tensors, a, b] = [&*tensors, a, b].map(List::new);
    tchx_foreach_addcmul_(tensors.get(), a.get(), b.get(), value).unwrap();
}

/// `torch._foreach_addcdiv_(tensors, a, b, values)`: each `+= value * a / b`, with a value of its own.
pub fn foreach_addcdiv_(tensors: &mut [Tensor], a: &[Tensor], b: &[Tensor], values: &[f64]) {
    check_length(tensors, values.len());
    let [tensors, a, b] = [&*tensors, a, b].map(List::new);
    // SAFETY: there is a value for each tensor.
    unsafe { tchx_foreach_addcdiv_(tensors.get(), a.get(), b.get(), values.as_ptr()) }.unwrap();
}

/// `torch._foreach_sqrt(tensors)`: new tensors.
pub fn foreach_sqrt(tensors: &[Tensor]) -> Vec<Tensor> {
    let mut roots = vec![std::ptr::null_mut(); tensors.len()];
    // SAFETY: `roots` has a place for as many pointers.
    unsafe { tchx_foreach_sqrt(List::new(tensors).get(), roots.as_mut_ptr()) }.unwrap();
    // SAFETY: on success csrc/ put a new tensor in each place; no one else has the pointers.
    roots.into_iter().map(|root| unsafe { Tensor::from_ptr(root) }).collect()
}

/// libtorch checks the lengths of lists of tensors itself, but sees only where numbers begin.
fn check_length(tensors: &[Tensor], numbers: usize) {
    assert_eq!(tensors.len(), numbers, "a number for each tensor");
}
