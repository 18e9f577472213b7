//! A network in several processes: PyTorch's `DistributedDataParallel`.

use std::sync::Arc;

use tch::Tensor;

use crate::Result;
use crate::layers::{Module, Slot, parameters, state, visit, visit_synchronized};
use crate::torch::{ExchangeTimes, ProcessGroup, Reducer};

/// PyTorch's `DistributedDataParallel(net)` with its defaults: every rank has the same parameters and steps by
/// the mean of the ranks' gradients, which are exchanged while the backward pass goes on. Running statistics are rank 0's:
/// its buffers replace the others' before each forward pass in training.
///
/// It is used beside the network, which stays its owner's. The names of the weights are the network's, without PyTorch's
/// prefix `module.`.
#[derive(Debug)]
pub struct DistributedDataParallel<'a> {
    group: &'a ProcessGroup,
    reducer: Reducer,
}

impl<'a> DistributedDataParallel<'a> {
    /// Gives every rank's `net` rank 0's parameters and buffers, hooks to the parameters, and lets synchronized batch norms
    /// join the ranks. `layout` is what
    /// [`layout`](Self::layout) gave, where training goes on.
    ///
    /// # Errors
    /// If the ranks' networks differ in shape, if `layout` is another network's, or if a rank is gone.
    pub fn new(group: &'a Arc<ProcessGroup>, net: &mut dyn Module, layout: Option<&Tensor>) -> Result<Self> {
        let params = parameters(net);
        group.verify_shapes(&params)?;
        group.broadcast(&state(net).into_iter().map(|(_, tensor)| tensor).collect::<Vec<_>>())?;
        visit_synchronized(net, &mut |_, layer| layer.join(group));
        Ok(Self { group, reducer: Reducer::new(group, &params, layout)? })
    }

    /// The network's output in training, which a backward pass must follow.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn forward(&self, net: &mut dyn Module, x: &Tensor) -> Result<Tensor> {
        self.reducer.before_forward()?;
        self.broadcast_buffers(net)?;
        let y = net.forward(x, true);
        self.reducer.after_forward()?;
        Ok(y)
    }

    /// Gives every rank's `net` rank 0's running statistics.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn broadcast_buffers(&self, net: &mut dyn Module) -> Result<()> {
        let mut buffers = Vec::new();
        visit(net, &mut |_, slot, tensor| {
            if slot == Slot::Buffer {
                buffers.push(tensor.detach());
            }
        });
        if buffers.is_empty() { Ok(()) } else { self.group.broadcast(&buffers) }
    }

    /// What exchanging gradients takes a step; `None` before the second.
    ///
    /// # Errors
    /// None is known.
    pub fn times(&self) -> Result<Option<ExchangeTimes>> {
        self.reducer.times()
    }

    /// Which gradients are exchanged together, and in what order: with three ranks and more, it decides bits. Called between
    /// two steps, on every rank.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn layout(&self) -> Result<Tensor> {
        self.reducer.layout()
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;
    use crate::layers::{Linear, Sequential};
    use crate::norm::{Dims, Variant};
    use crate::torch::c10d::tests::{TIMEOUT, ranks};

    /// A network whose tensors differ from rank to rank.
    fn net(variant: Variant, rank: usize) -> Sequential {
        let mut net = Sequential::new().then(Linear::new(3, 2)).then_boxed(variant.batch_norm(2, Dims::Two));
        fill(&mut net, rank);
        net
    }

    fn fill(net: &mut dyn Module, rank: usize) {
        tch::no_grad(|| {
            visit(net, &mut |_, _, tensor| {
                let _ = tensor.fill_(rank as f64 + 1.0);
            });
        });
    }

    fn floats(tensors: Vec<(String, Tensor)>) -> Vec<Vec<f64>> {
        let floats = |tensor: Tensor| Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap();
        tensors.into_iter().map(|(_, tensor)| floats(tensor)).collect()
    }

    #[test]
    fn ranks_begin_with_rank_0s_tensors_and_take_its_statistics_in_training() {
        for variant in Variant::NOTEBOOKS {
            let got = ranks(2, TIMEOUT, |rank, _, group| {
                let mut net = net(variant, rank);
                let ddp = DistributedDataParallel::new(group, &mut net, None).unwrap();
                let begun = floats(state(&mut net));
                let x = Tensor::from_slice(&[0.0f32, 1.0, 2.0, 3.0, 4.0, 9.0]).reshape([2, 3])
                    * (rank as f64 + 1.0);
                let _ = ddp.forward(&mut net, &x).unwrap();
                let moved = floats(state(&mut net));
                // In the next step they move from rank 0's: what another rank has by then does not matter.
                if rank == 1 {
                    spoil_buffers(&mut net);
                }
                let _ = ddp.forward(&mut net, &x).unwrap();
                (begun, moved, floats(state(&mut net)))
            });
            let [(begun0, moved0, after0), (begun1, moved1, after1)] = &got[..] else { unreachable!() };
            assert!(begun0.iter().flatten().all(|&value| value == 1.0), "{begun0:?}");
            assert_eq!(begun0, begun1);
            assert_ne!(moved0, moved1, "each moves them by its own batch");
            assert_ne!(after0, after1);
            assert!(after1.iter().flatten().all(|value| value.is_finite()), "{after1:?}");
        }
    }

    fn spoil_buffers(net: &mut dyn Module) {
        visit(net, &mut |_, slot, tensor| {
            if slot == Slot::Buffer && tensor.kind() == Kind::Float {
                *tensor = tensor.full_like(f64::NAN);
            }
        });
    }
}
