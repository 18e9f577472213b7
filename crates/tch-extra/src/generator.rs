//! libtorch's default random generators: seeds, single draws, and their state, so that two variants can take turns in one process
//! and each still draw the stream it would draw alone.

use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;

use crate::ffi::{Made, Outcome, TensorRef, new_tensor};
use crate::memory::cuda_index;
use crate::{Error, Result};

unsafe extern "C" {
    safe fn tchx_generator_state(cuda_index: i64, state: &mut Made<C_tensor>) -> Outcome;
    safe fn tchx_set_generator_state(cuda_index: i64, state: TensorRef) -> Outcome;
    safe fn tchx_random_u32(number: &mut u32) -> Outcome;
}

/// csrc's name for the CPU's generator.
const CPU: i64 = -1;

/// Seeds libtorch's default generators, CPU and CUDA, as `torch.manual_seed` does.
pub fn manual_seed(seed: u64) {
    // libtorch takes the 64 bits unsigned again.
    tch::manual_seed(seed.cast_signed());
}

/// One draw of `torch.empty((), dtype=torch.int64).random_()` from the CPU's default generator: how a
/// PyTorch `DataLoader` gets its seeds.
pub fn random_i64() -> i64 {
    Tensor::zeros([], (Kind::Int64, Device::Cpu)).random_().int64_value(&[])
}

/// The next 32 bits of the CPU's default generator.
pub fn random_u32() -> u32 {
    let mut number = 0;
    tchx_random_u32(&mut number).unwrap();
    number
}

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
        let state_of = |index| new_tensor(|state| tchx_generator_state(index, state));
        let cuda = match (device, cuda_index(device)?) {
            (Device::Cuda(index), Some(number)) => Some((index, state_of(number)?)),
            _ => None,
        };
        Ok(Self { cpu: state_of(CPU)?, cuda })
    }

    /// `torch.set_rng_state` with what [`GeneratorState::capture`] found.
    ///
    /// # Errors
    /// If libtorch does not take the state.
    pub fn restore(&self) -> Result<()> {
        tchx_set_generator_state(CPU, (&self.cpu).into()).check()?;
        let Some((index, state)) = &self.cuda else { return Ok(()) };
        tchx_set_generator_state(*index as i64, state.into()).check()
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
            _ => Err(Error::OtherGenerators(format!("{device:?}"))),
        }
    }
}
