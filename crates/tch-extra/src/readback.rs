//! Values that are read from a device while it goes on computing.

use std::ptr::NonNull;

use tch::{Device, Tensor};

use crate::Result;
use crate::ffi::{Handle, Made, Outcome};

/// `tchx_event`: `torch.cuda.Event`, recorded.
#[derive(Debug)]
#[repr(C)]
struct Event([u8; 0]);

unsafe extern "C" {
    safe fn tchx_event_record(cuda_index: i64, event: &mut Made<Event>) -> Outcome;
    safe fn tchx_event_is_over(event: &Event, over: &mut bool) -> Outcome;
    fn tchx_event_free(event: NonNull<Event>);
}

/// Tensors as they are at one moment of their device's work, on their way to the CPU. Nobody waits: the host goes on, and asks
/// [`arrived`](Self::arrived) later.
#[derive(Debug)]
pub struct Readback {
    values: Vec<Tensor>,
    /// After the copies; a CPU's are made at once.
    event: Option<Handle<Event>>,
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
            Device::Cuda(index) => {
                Some(Handle::new(tchx_event_free, |event| tchx_event_record(index as i64, event)))
            }
            _ => None,
        });
        Ok(Self { values, event: event.transpose()? })
    }

    /// The tensors, once they are here.
    ///
    /// # Errors
    /// If the device failed meanwhile.
    pub fn arrived(&self) -> Result<Option<&[Tensor]>> {
        let mut over = true;
        if let Some(event) = &self.event {
            tchx_event_is_over(event, &mut over).check()?;
        }
        Ok(over.then_some(&self.values))
    }
}
