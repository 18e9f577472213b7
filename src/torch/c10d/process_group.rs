//! A group of processes that exchange tensors.

use std::ffi::{c_int, c_void};
use std::time::Duration;

use tch::{Device, Tensor};
use torch_sys::C_tensor;

use super::store::milliseconds;
use super::{Store, ffi, ffi_nccl};
use crate::torch::ffi::check;
use crate::{Error, Result};

/// The processes of a job, ranks 0 to size - 1 (PyTorch: `dist.init_process_group("cpu:gloo,cuda:nccl")`).
///
/// Every rank calls the same collectives in the same order. One that fails, because a rank is gone or does not come in
/// time, leaves the group unusable.
#[derive(Debug)]
pub struct ProcessGroup(*mut c_void);

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
        let [rank, size] = [rank, size].map(c_int::try_from);
        let (Ok(rank), Ok(size)) = (rank, size) else {
            return Err(Error::usage("more ranks than torch.distributed knows", "start fewer processes"));
        };
        let mut group = std::ptr::null_mut();
        // SAFETY: the store is alive, and csrc/ takes a reference of its own; `group` is a valid place for one pointer.
        check(unsafe { ffi::d2l_group_gloo(store.as_ptr(), rank, size, milliseconds(timeout), &mut group) })?;
        let group = Self(group);
        if let Device::Cuda(index) = device {
            if !ffi_nccl::d2l_has_nccl() {
                return Err(Error::failed(
                    "processes on CUDA devices exchange gradients through NCCL, and this build is without",
                    "build where PyTorch is installed by pip, which brings the headers of NCCL and CUDA; or give --device cpu",
                ));
            }
            // SAFETY: group and store are alive, and csrc/ takes references of its own.
            check(unsafe {
                ffi_nccl::d2l_group_add_nccl(
                    group.0,
                    store.as_ptr(),
                    rank,
                    size,
                    index as i64,
                    milliseconds(timeout),
                )
            })?;
        }
        Ok(group)
    }

    /// `dist.barrier()`: waits until every rank is here.
    ///
    /// # Errors
    /// If one does not come in time.
    pub fn barrier(&self) -> Result<()> {
        // SAFETY: the group is alive.
        check(unsafe { ffi::d2l_group_barrier(self.0) })
    }

    /// `dist.all_reduce(tensor)`: replaces it by its sum over the ranks, elementwise, the same bits on each. It is
    /// contiguous, and of the same shape and kind on each.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn all_reduce(&self, tensor: &mut Tensor) -> Result<()> {
        // SAFETY: group and tensor are alive during the call, which ends when the exchange has.
        check(unsafe { ffi::d2l_group_all_reduce(self.0, tensor.as_mut_ptr()) })
    }

    /// `torch.distributed.nn.functional.all_reduce(tensor)`: its sum over the ranks, elementwise, through which gradients
    /// flow. The backward pass sums the ranks' gradients: every rank makes one, or none does.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time; in the backward pass, libtorch throws.
    pub fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        let mut sum = std::ptr::null_mut();
        // SAFETY: group and tensor are alive during the call; `sum` is a valid place for one pointer.
        check(unsafe { ffi::d2l_group_sum(self.0, tensor.as_ptr().cast_mut(), &mut sum) })?;
        // SAFETY: on success csrc/ put a new tensor there; no one else has the pointer.
        Ok(unsafe { Tensor::from_ptr(sum) })
    }

    /// Replaces the tensors by rank 0's, as `DistributedDataParallel` does with parameters and buffers.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn broadcast(&self, tensors: &[Tensor]) -> Result<()> {
        let tensors: Vec<Tensor> = tensors.iter().map(Tensor::detach).collect();
        let pointers = pointers(&tensors);
        // SAFETY: group and tensors are alive during the call, which ends when the exchange has.
        check(unsafe { ffi::d2l_group_broadcast(self.0, pointers.as_ptr(), pointers.len()) })
    }

    /// Checks that every rank's parameters have the number and shapes of rank 0's.
    ///
    /// # Errors
    /// If they have not, or if a rank is gone or does not come in time.
    pub fn verify_shapes(&self, params: &[Tensor]) -> Result<()> {
        let pointers = pointers(params);
        // SAFETY: group and tensors are alive during the call.
        check(unsafe { ffi::d2l_group_verify(self.0, pointers.as_ptr(), pointers.len()) })
    }

    /// For the reducer, which takes a reference of its own.
    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.0
    }
}

/// What csrc/ takes for a list of tensors.
pub(super) fn pointers(tensors: &[Tensor]) -> Vec<*mut C_tensor> {
    tensors.iter().map(|tensor| tensor.as_ptr().cast_mut()).collect()
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // SAFETY: csrc/ made it, and it is freed once; who needs it longer has a reference.
        unsafe { ffi::d2l_group_free(self.0) };
    }
}
