//! A step that is recorded and repeated, on whatever device.

use std::ptr::NonNull;

use tch::Device;

use crate::ffi::{Handle, Made, Outcome};
use crate::graph::until_end;
use crate::{CudaGraph, Result};

/// `tchx_tape`.
#[derive(Debug)]
#[repr(C)]
pub struct Operations([u8; 0]);

unsafe extern "C" {
    safe fn tchx_tape_begin(tape: &mut Made<Operations>) -> Outcome;
    safe fn tchx_tape_end(tape: &Operations) -> Outcome;
    safe fn tchx_tape_replay(tape: &Operations) -> Outcome;
    fn tchx_tape_free(tape: NonNull<Operations>);
}

/// What a step computes, to be computed again at once.
#[derive(Debug)]
pub enum Recording {
    /// Of a CUDA device.
    Graph(CudaGraph),
    /// Of a CPU: the operations of the step, written down as they were done.
    ///
    /// A replay does them again, on the memory that they were done on, as a CUDA graph does: results lie where the recorded step
    /// left them, numbers of the host are those of that step, and random numbers go on from where the generator stands. Much of
    /// what keeps a step from being repeated so is seen without a GPU: numbers that change, tensors that are replaced, values that
    /// are read. Copies from the host, streams and the graph's own memory are a GPU's alone. A replay is slower than the step
    /// itself; the tape keeps all its tensors.
    Tape(Handle<Operations>),
}

impl Recording {
    /// Whether something can be recorded on `device`.
    ///
    /// # Errors
    /// If it is a CUDA device without graphs.
    pub fn check_available(device: Device) -> Result<()> {
        if device == Device::Cpu { Ok(()) } else { CudaGraph::check_available(device) }
    }

    /// Runs `step` once, on `device`, and records it. What `step` gives is handed on.
    ///
    /// What must be done before, and what must not be done in `step`, is said at [`CudaGraph::capture`]. If `step` panics, as where
    /// it reads a value (`double_value`), the recording ends, and the panic goes on.
    ///
    /// # Errors
    /// If the device has no graphs, a graph does not take what was recorded, or a step is being recorded in this thread already.
    pub fn of<T>(device: Device, step: impl FnOnce() -> T) -> Result<(Self, T)> {
        if device == Device::Cpu {
            let tape = Handle::new(tchx_tape_free, |tape| tchx_tape_begin(tape))?;
            let outcome = until_end(step, || tchx_tape_end(&tape).check())?;
            return Ok((Self::Tape(tape), outcome));
        }
        let (graph, outcome) = CudaGraph::capture(device, step)?;
        graph.replay()?;
        Ok((Self::Graph(graph), outcome))
    }

    /// Runs it again, on the memory of the first time.
    ///
    /// # Errors
    /// If the device does not take it.
    pub fn replay(&self) -> Result<()> {
        match self {
            Self::Graph(graph) => graph.replay(),
            Self::Tape(tape) => tchx_tape_replay(tape).check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};

    use tch::{Kind, Tensor};

    use super::*;
    use crate::{clear_grad, manual_seed};

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn floats(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.detach().reshape([-1])).unwrap()
    }

    /// A step with views, lists, random numbers, a backward pass, and changes in place.
    fn step(weight: &mut Tensor, total: &mut Tensor, x: &Tensor) -> Tensor {
        clear_grad(weight);
        let parts = x.matmul(weight).sigmoid().dropout(0.5, true).chunk(2, 1);
        let loss = (Tensor::cat(&parts, 0).transpose(0, 1) * Tensor::arange(6, CPU)).sum(Kind::Float);
        loss.backward();
        tch::no_grad(|| {
            let _ = weight.g_sub_(&(weight.grad() * 0.1));
            *total += &loss;
        });
        loss.detach()
    }

    /// Of four steps on changing inputs: losses, gradients, weights, sums of losses, and the generator's next number.
    fn steps(replay: bool) -> Vec<[Vec<f32>; 5]> {
        manual_seed(1);
        let mut weight = Tensor::rand([5, 4], CPU).set_requires_grad(true);
        let mut total = Tensor::zeros([], CPU);
        let mut x = Tensor::empty([3, 5], CPU);
        let mut recorded: Option<(Recording, Tensor)> = None;
        (0..4)
            .map(|i| {
                let _ = x.fill_(i);
                let loss = match &recorded {
                    Some((tape, loss)) => {
                        tape.replay().unwrap();
                        loss.shallow_clone()
                    }
                    None if replay => {
                        let made = Recording::of(Device::Cpu, || step(&mut weight, &mut total, &x)).unwrap();
                        recorded.insert(made).1.shallow_clone()
                    }
                    None => step(&mut weight, &mut total, &x),
                };
                [&loss, &weight.grad(), &weight, &total, &Tensor::rand([1], CPU)].map(floats)
            })
            .collect()
    }

    #[test]
    fn a_replay_does_what_the_step_does() {
        let eager = steps(false);
        assert_eq!(steps(true), eager);
        assert!(eager.windows(2).all(|pair| pair[0][0] != pair[1][0]), "the losses of the steps differ");
    }

    /// What a CUDA graph would freeze is frozen here too.
    #[test]
    fn numbers_of_the_host_are_those_of_the_recorded_step() {
        let mut sum = Tensor::zeros([], CPU);
        let (tape, ()) = Recording::of(Device::Cpu, || sum += 3).unwrap();
        tape.replay().unwrap();
        assert_eq!(floats(&sum), [6.0]);
    }

    #[test]
    fn reading_a_value_ends_the_recording() {
        let x = Tensor::from(2.0f32);
        let refused =
            panic::catch_unwind(AssertUnwindSafe(|| Recording::of(Device::Cpu, || x.double_value(&[]))));
        let message = refused.unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert!(message.contains("_local_scalar_dense depends on values"), "{message}");
        assert_eq!(x.double_value(&[]), 2.0, "the thread records no longer");
        let nested = Recording::of(Device::Cpu, || Recording::of(Device::Cpu, || ()).unwrap_err()).unwrap().1;
        assert!(nested.to_string().contains("being recorded"), "{nested}");
    }
}
