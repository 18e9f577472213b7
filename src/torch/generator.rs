//! The state of libtorch's default random generators, so that two variants can take turns in one process
//! and each still draw the stream it would draw alone.

use tch::{Device, Tensor};

use super::ffi;
use crate::{Error, Result};

/// A moment in the random streams that a run on one device draws from: the CPU's (initialization,
/// shuffling) and, on CUDA, the device's (dropout).
#[derive(Debug)]
pub struct GeneratorState {
    cpu: Tensor,
    cuda: Option<(usize, Tensor)>,
}

impl GeneratorState {
    /// `torch.get_rng_state()` and, for a CUDA device, `torch.cuda.get_rng_state(device)`.
    ///
    /// # Errors
    /// If libtorch has no such device.
    pub fn capture(device: Device) -> Result<Self> {
        let cuda = match device {
            Device::Cuda(index) => Some((index, state_of(index as i64)?)),
            _ => None,
        };
        Ok(Self { cpu: state_of(CPU)?, cuda })
    }

    /// `torch.set_rng_state` with what [`GeneratorState::capture`] found.
    ///
    /// # Errors
    /// If libtorch does not take the state.
    pub fn restore(&self) -> Result<()> {
        set_state_of(CPU, &self.cpu)?;
        self.cuda.as_ref().map_or(Ok(()), |(index, state)| set_state_of(*index as i64, state))
    }

    /// The states as byte tensors, under the names `cpu` and, if there is one, `cuda`.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let cuda = self.cuda.as_ref().map(|(_, state)| ("cuda".to_owned(), state.shallow_clone()));
        [("cpu".to_owned(), self.cpu.shallow_clone())].into_iter().chain(cuda).collect()
    }

    /// The states that [`tensors`](Self::tensors) gave, for a run on `device`.
    ///
    /// # Errors
    /// If there are those of another kind of device.
    pub fn from_tensors(device: Device, tensors: &[(String, Tensor)]) -> Result<Self> {
        let find = |name: &str| tensors.iter().find(|(n, _)| n == name).map(|(_, t)| t.shallow_clone());
        match (device, find("cpu"), find("cuda")) {
            (Device::Cuda(index), Some(cpu), Some(cuda)) => Ok(Self { cpu, cuda: Some((index, cuda)) }),
            (Device::Cpu, Some(cpu), None) => Ok(Self { cpu, cuda: None }),
            _ => Err(Error::failed(
                format!("the random generators that were saved are not those of a run on {device:?}"),
                "resume on the device that the run was started on",
            )),
        }
    }
}

/// csrc's name for the CPU's generator.
const CPU: i64 = -1;

fn state_of(cuda_index: i64) -> Result<Tensor> {
    let mut state = std::ptr::null_mut();
    // SAFETY: `state` is a valid place for one pointer; on success csrc/ puts a new tensor there that we own.
    ffi::check(unsafe { ffi::d2l_generator_state(cuda_index, &mut state) })?;
    // SAFETY: see above; no one else has the pointer.
    Ok(unsafe { Tensor::from_ptr(state) })
}

fn set_state_of(cuda_index: i64, state: &Tensor) -> Result<()> {
    // SAFETY: the tensor is alive during the call; csrc/ copies it.
    ffi::check(unsafe { ffi::d2l_set_generator_state(cuda_index, state.as_ptr()) })
}
