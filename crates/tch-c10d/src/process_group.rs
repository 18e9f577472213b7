//! A group of processes that exchange tensors.

use std::ffi::c_int;
use std::ptr::NonNull;
use std::time::Duration;

use tch::{Device, Kind, Tensor};
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
    safe fn tchx_group_all_gather(group: &Group, tensor: TensorRef, all: &mut Made<C_tensor>) -> Outcome;
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
/// time, leaves the group unusable. Tensors of other shapes or kinds than another rank's make Gloo end the process.
#[derive(Debug)]
pub struct ProcessGroup {
    pub(super) handle: Handle<Group>,
    rank: usize,
    size: usize,
}

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
        let (Ok(c_rank), Ok(c_size)) = (c_int::try_from(rank), c_int::try_from(size)) else {
            return Err(Error::TooManyRanks(size));
        };
        let timeout = milliseconds(timeout);
        let join = |group: &mut _| tchx_group_gloo(&store.0, c_rank, c_size, timeout, group);
        let handle = Handle::new(tchx_group_free, join)?;
        if let Device::Cuda(index) = device {
            if !tchx_has_nccl() {
                return Err(Error::NoNccl);
            }
            tchx_group_add_nccl(&handle, &store.0, c_rank, c_size, index as i64, timeout).check()?;
        }
        Ok(Self { handle, rank, size })
    }

    /// `dist.get_rank()`: this process's number, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// `dist.get_world_size()`: how many ranks there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// `dist.barrier()`: waits until every rank is here.
    ///
    /// # Errors
    /// If one does not come in time.
    pub fn barrier(&self) -> Result<()> {
        tchx_group_barrier(&self.handle).check()?;
        Ok(())
    }

    /// `dist.all_reduce(tensor)`: replaces it by its sum over the ranks, elementwise, the same bits on each. It is
    /// contiguous, and of the same shape and kind on each.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn all_reduce(&self, tensor: &mut Tensor) -> Result<()> {
        tchx_group_all_reduce(&self.handle, (&*tensor).into()).check()?;
        Ok(())
    }

    /// `torch.distributed.nn.functional.all_reduce(tensor)`: its sum over the ranks, elementwise, through which gradients
    /// flow. The backward pass sums the ranks' gradients: every rank makes one, or none does.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time; in the backward pass, libtorch throws.
    pub fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(new_tensor(|sum| tchx_group_sum(&self.handle, tensor.into(), sum))?)
    }

    /// `dist.all_gather(...)`: every rank's tensor, one after the other in a new first dimension. It is of the same shape and kind on
    /// each.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn all_gather(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(new_tensor(|all| tchx_group_all_gather(&self.handle, tensor.into(), all))?)
    }

    /// Replaces the tensors by rank 0's, as `DistributedDataParallel` does with parameters and buffers.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn broadcast(&self, tensors: &[Tensor]) -> Result<()> {
        let tensors: Vec<Tensor> = tensors.iter().map(Tensor::detach).collect();
        let tensors = references(&tensors);
        // SAFETY: there are as many tensors.
        unsafe { tchx_group_broadcast(&self.handle, tensors.as_ptr(), tensors.len()) }.check()?;
        Ok(())
    }

    /// Rank 0's bytes on every rank, or `None` if it gave none. What the others give is not looked at.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn broadcast_bytes(&self, bytes: Option<Vec<u8>>) -> Result<Option<Vec<u8>>> {
        const NONE: i64 = -1;
        let length = [Tensor::from(bytes.as_ref().map_or(NONE, |bytes| bytes.len() as i64))];
        self.broadcast(&length)?;
        let length = length[0].int64_value(&[]);
        if length <= 0 {
            return Ok((length == 0).then(Vec::new));
        }
        let content = match bytes.filter(|_| self.rank == 0) {
            Some(bytes) => Tensor::from_slice(&bytes),
            None => Tensor::zeros([length], (Kind::Uint8, Device::Cpu)),
        };
        let content = [content];
        self.broadcast(&content)?;
        Ok(Some(Vec::try_from(&content[0]).expect("bytes of one dimension on the CPU")))
    }

    /// Checks that every rank's parameters have the number and shapes of rank 0's.
    ///
    /// # Errors
    /// If they have not, or if a rank is gone or does not come in time.
    pub fn verify_shapes(&self, params: &[Tensor]) -> Result<()> {
        let params = references(params);
        // SAFETY: there are as many parameters.
        unsafe { tchx_group_verify(&self.handle, params.as_ptr(), params.len()) }.check()?;
        Ok(())
    }
}
