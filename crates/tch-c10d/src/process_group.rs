//! A group of processes that exchange tensors.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::time::Duration;

use tch::{Device, Tensor};
use tch_extra::ffi::{Handle, Made, Outcome, TensorRef, new_tensor, references};
use torch_sys::C_tensor;

use super::store::{Connection, Store, milliseconds};
use crate::{Error, Result};

/// `tchx_group`.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Group([u8; 0]);

unsafe extern "C" {
    safe fn tchx_group_gloo(
        store: &Connection,
        rank: c_int,
        size: c_int,
        timeout_ms: i64,
        group: &mut Made<Group>,
    ) -> Outcome;
    fn tchx_group_free(group: NonNull<Group>);
    safe fn tchx_group_barrier(group: &Group) -> Outcome;
    safe fn tchx_group_all_reduce(group: &Group, tensor: TensorRef) -> Outcome;
    safe fn tchx_group_sum(group: &Group, tensor: TensorRef, sum: &mut Made<C_tensor>) -> Outcome;
    fn tchx_group_broadcast(group: &Group, tensors: *const TensorRef, count: usize) -> Outcome;
    fn tchx_group_verify(group: &Group, params: *const TensorRef, count: usize) -> Outcome;

    safe fn tchx_has_nccl() -> bool;
    safe fn tchx_group_add_nccl(
        group: &Group,
        store: &Connection,
        rank: c_int,
        size: c_int,
        cuda_index: i64,
        timeout_ms: i64,
    ) -> Outcome;
}

/// The processes of a job, ranks 0 to size - 1 (PyTorch: `dist.init_process_group("cpu:gloo,cuda:nccl")`).
///
/// Every rank calls the same collectives in the same order. One that fails, because a rank is gone or does not come in
/// time, leaves the group unusable.
#[derive(Debug)]
pub struct ProcessGroup(pub(super) Handle<Group>);

// SAFETY: c10d's ProcessGroup reads tables that are filled when it is made, and csrc's backends take a lock where a
// collective begins; neither belongs to a thread.
unsafe impl Send for ProcessGroup {}
// SAFETY: as above.
unsafe impl Sync for ProcessGroup {}

impl ProcessGroup {
    /// Joins the group of `size` ranks that meet at `store` to exchange tensors on `device`, where that is a CUDA device, and on
    /// the CPU. A collective that takes longer than `timeout` fails; one on a CUDA device ends the process by then.
    ///
    /// # Errors
    /// If not every rank comes in time; for a CUDA device, if this was compiled without NCCL.
    pub fn new(store: &Store, rank: usize, size: usize, device: Device, timeout: Duration) -> Result<Self> {
        let (Ok(rank), Ok(c_size)) = (c_int::try_from(rank), c_int::try_from(size)) else {
            return Err(Error::TooManyRanks(size));
        };
        let timeout = milliseconds(timeout);
        let join = |group: &mut _| tchx_group_gloo(&store.0, rank, c_size, timeout, group);
        let group = Handle::new(tchx_group_free, join)?;
        if let Device::Cuda(index) = device {
            if !tchx_has_nccl() {
                return Err(Error::NoNccl);
            }
            tchx_group_add_nccl(&group, &store.0, rank, c_size, index as i64, timeout).check()?;
        }
        Ok(Self(group))
    }

    /// `dist.barrier()`: waits until every rank is here.
    ///
    /// # Errors
    /// If one does not come in time.
    pub fn barrier(&self) -> Result<()> {
        tchx_group_barrier(&self.0).check()?;
        Ok(())
    }

    /// `dist.all_reduce(tensor)`: replaces it by its sum over the ranks, elementwise, the same bits on each. It is
    /// contiguous, and of the same shape and kind on each.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn all_reduce(&self, tensor: &mut Tensor) -> Result<()> {
        tchx_group_all_reduce(&self.0, (&*tensor).into()).check()?;
        Ok(())
    }

    /// `torch.distributed.nn.functional.all_reduce(tensor)`: its sum over the ranks, elementwise, through which gradients
    /// flow. The backward pass sums the ranks' gradients: every rank makes one, or none does.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time; in the backward pass, libtorch throws.
    pub fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(new_tensor(|sum| tchx_group_sum(&self.0, tensor.into(), sum))?)
    }

    /// Replaces the tensors by rank 0's, as `DistributedDataParallel` does with parameters and buffers.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn broadcast(&self, tensors: &[Tensor]) -> Result<()> {
        let tensors: Vec<Tensor> = tensors.iter().map(Tensor::detach).collect();
        let tensors = references(&tensors);
        // SAFETY: there are as many tensors.
        unsafe { tchx_group_broadcast(&self.0, tensors.as_ptr(), tensors.len()) }.check()?;
        Ok(())
    }

    /// Checks that every rank's parameters have the number and shapes of rank 0's.
    ///
    /// # Errors
    /// If they have not, or if a rank is gone or does not come in time.
    pub fn verify_shapes(&self, params: &[Tensor]) -> Result<()> {
        let params = references(params);
        // SAFETY: there are as many parameters.
        unsafe { tchx_group_verify(&self.0, params.as_ptr(), params.len()) }.check()?;
        Ok(())
    }
}
