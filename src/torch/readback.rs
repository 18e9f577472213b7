//! Values that are read from a device while it goes on computing.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use tch::{Device, Tensor};

use super::ffi;
use super::ffi_cuda::{d2l_event_free, d2l_event_is_over, d2l_event_record};
use crate::Result;

/// Tensors as they are at one moment of their device's work, on their way to the CPU. Nobody waits: the host goes on, and asks
/// [`arrived`](Self::arrived) later.
#[derive(Debug)]
pub struct Readback {
    values: Vec<Tensor>,
    /// After the copies; a CPU's are made at once.
    event: Option<Event>,
}

impl Readback {
    /// Begins to read `tensors`.
    ///
    /// # Errors
    /// If the device does not take it.
    ///
    /// # Panics
    /// If they are on several devices.
    pub fn begin(tensors: &[&Tensor]) -> Result<Self> {
        assert!(tensors.windows(2).all(|pair| pair[0].device() == pair[1].device()), "tensors of one device");
        // Into pinned memory, as torch.Tensor.to("cpu", non_blocking=True).
        let copy = |tensor: &&Tensor| tensor.to_device_(Device::Cpu, tensor.kind(), true, true);
        let values = tensors.iter().map(copy).collect();
        let event = tensors.iter().find_map(|tensor| match tensor.device() {
            Device::Cuda(index) => Some(Event::record(index as i64)),
            _ => None,
        });
        Ok(Self { values, event: event.transpose()? })
    }

    /// The tensors, once they are here.
    ///
    /// # Errors
    /// If the device failed meanwhile.
    pub fn arrived(&self) -> Result<Option<&[Tensor]>> {
        let is_here = self.event.as_ref().map_or(Ok(true), Event::is_over)?;
        Ok(is_here.then_some(&self.values))
    }
}

/// `torch.cuda.Event`, recorded.
#[derive(Debug)]
struct Event(NonNull<c_void>);

impl Event {
    fn record(cuda_index: i64) -> Result<Self> {
        let mut event = ptr::null_mut();
        // SAFETY: `event` is a valid place for one pointer.
        ffi::check(unsafe { d2l_event_record(cuda_index, &mut event) })?;
        Ok(Self(NonNull::new(event).expect("csrc/ gives an event or an error")))
    }

    fn is_over(&self) -> Result<bool> {
        let mut over = false;
        // SAFETY: the event lives; `over` is a valid place for the result.
        ffi::check(unsafe { d2l_event_is_over(self.0.as_ptr(), &mut over) })?;
        Ok(over)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: from `d2l_event_record`, freed once.
        unsafe { d2l_event_free(self.0.as_ptr()) };
    }
}
