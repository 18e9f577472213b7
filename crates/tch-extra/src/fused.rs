//! Batch norm and the activation after it in one CUDA kernel for each direction. `csrc/fused.cu` has the kernels and states their
//! arithmetic; NVRTC, which comes with libtorch for CUDA, compiles them at run time.
//!
//! Two runs have the same bits on the same GPU. They are not those of libtorch's operations: sums are in 64 bits, and the order of
//! additions is the kernels' own.
//!
//! ```no_run
//! use tch::{Device, Kind, Tensor};
//! use tch_extra::fused::{Activation, batch_norm_act, prepare};
//!
//! let device = Device::Cuda(0);
//! prepare(device)?;
//! let x = Tensor::randn([64, 6, 28, 28], (Kind::Float, device));
//! let [gamma, moving_var] = [(); 2].map(|()| Tensor::ones([1, 6, 1, 1], (Kind::Float, device)));
//! let [beta, moving_mean] = [(); 2].map(|()| Tensor::zeros([1, 6, 1, 1], (Kind::Float, device)));
//! let y = batch_norm_act(&x, &gamma, &beta, &moving_mean, &moving_var, 0.9, 1e-5, Activation::Relu)?;
//! # Ok::<(), tch_extra::Error>(())
//! ```

use std::ffi::CStr;

use tch::{Device, Tensor};
use torch_sys::C_tensor;

use crate::ffi::{Made, Outcome, TensorRef, Text, new_tensor};
use crate::{Error, Result, device_name};

unsafe extern "C" {
    safe fn tchx_fused_prepare(cuda_index: i64, source: Text) -> Outcome;
    safe fn tchx_batch_norm_act(
        x: TensorRef,
        gamma: TensorRef,
        beta: TensorRef,
        moving_mean: TensorRef,
        moving_var: TensorRef,
        momentum: f64,
        eps: f64,
        activation: i32,
        result: &mut Made<C_tensor>,
    ) -> Outcome;
}

const SOURCE: &CStr =
    match CStr::from_bytes_with_nul(concat!(include_str!("../csrc/fused.cu"), "\0").as_bytes()) {
        Ok(source) => source,
        Err(_) => panic!("the source has no NUL"),
    };

/// What follows the batch norm, element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Activation {
    /// z itself.
    None = 0,
    /// max(z, 0).
    Relu = 1,
    /// 1 / (1 + exp(-z)).
    Sigmoid = 2,
}

/// Compiles the kernels for `device`, once in a process; [`batch_norm_act`] does the same when it is first called. A CUDA graph cannot
/// capture this: prepare the device before.
///
/// # Errors
/// If `device` is no CUDA device that is there, or its kernels cannot be compiled or loaded.
pub fn prepare(device: Device) -> Result<()> {
    let fault = |why: String| Error::NoFused { device: device_name(device), why };
    match device {
        Device::Cuda(index) if (index as i64) < tch::Cuda::device_count() => {
            tchx_fused_prepare(index as i64, SOURCE.into()).check().map_err(|error| match error {
                Error::Torch(why) => fault(why),
                other => other,
            })
        }
        Device::Cuda(_) => Err(fault("libtorch finds no such device".to_owned())),
        _ => Err(fault("it needs CUDA".to_owned())),
    }
}

/// `batch_norm(x, gamma, beta, moving_mean, moving_var, eps, momentum)` of "Dive into Deep Learning" (section 7.5.3) in training, and
/// `activation` of it: activation(gamma * (x - mean) / sqrt(var + eps) + beta), with the batch's mean and biased variance, for (N, C) or
/// (N, C, H, W) of up to 2,147,483,647 floats. The other tensors have C floats each. The moving statistics keep the share `momentum`,
/// and take the rest from the batch's.
///
/// Gradients flow to `x`, `gamma` and `beta`; they have no gradients themselves. For the backward pass it keeps `x` and four floats for
/// each channel.
///
/// # Errors
/// As [`prepare`]; or if the tensors do not fit, or memory runs out.
#[allow(clippy::too_many_arguments)] // the book's signature and the activation
pub fn batch_norm_act(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    moving_mean: &Tensor,
    moving_var: &Tensor,
    momentum: f64,
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    prepare(x.device())?;
    new_tensor(|result| {
        let [gamma, beta, mean, var] = [gamma, beta, moving_mean, moving_var].map(TensorRef::from);
        tchx_batch_norm_act(x.into(), gamma, beta, mean, var, momentum, eps, activation as i32, result)
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;

    use super::*;

    unsafe extern "C" {
        safe fn tchx_fused_compile(source: Text, architecture: Text, bytes: &mut u64) -> Outcome;
    }

    fn compiled(source: &CStr, architecture: &str) -> Result<u64> {
        let (architecture, mut bytes) = (CString::new(architecture).unwrap(), 0);
        tchx_fused_compile(source.into(), architecture.as_c_str().into(), &mut bytes).check()?;
        Ok(bytes)
    }

    /// NVRTC needs no GPU to compile for one.
    #[test]
    fn nvrtc_compiles_the_kernels_and_says_what_is_wrong_with_others() {
        if !crate::LINKED_WITH_CUDA {
            return eprintln!("SKIPPED the fused batch norm's compilation: libtorch has no CUDA");
        }
        for architecture in ["sm_75", "sm_80", "sm_90", "sm_120"] {
            assert!(compiled(SOURCE, architecture).unwrap() > 1000, "{architecture}");
        }
        let error = compiled(c"__global__ void f() { return 1; }", "sm_90").unwrap_err().to_string();
        assert!(error.contains("NVRTC, status 6, for sm_90: fused.cu(1): error"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    #[test]
    fn without_cuda_it_is_refused() {
        // No machine has so many GPUs.
        for (device, why) in [(Device::Cpu, "cpu: it needs CUDA"), (Device::Cuda(99), "no such device")] {
            let error = prepare(device).unwrap_err().to_string();
            assert!(error.ends_with(why) && error.contains("fused batch norm cannot"), "{error}");
        }
        let x = Tensor::ones([4, 2], tch::kind::FLOAT_CPU);
        let [gamma, beta, mean, var] = [(); 4].map(|()| Tensor::ones([1, 2], tch::kind::FLOAT_CPU));
        batch_norm_act(&x, &gamma, &beta, &mean, &var, 0.9, 1e-5, Activation::None).unwrap_err();
    }
}
