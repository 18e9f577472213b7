//! A network in several processes: PyTorch's `DistributedDataParallel`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tch::Tensor;
use tch::nn::{ModuleT, VarStore};

use crate::nets::Net;
use crate::state_dict::{buffers, state};
use crate::torch::{ExchangeTimes, ProcessGroup, Reducer};
use crate::{Result, panics};

/// PyTorch's `DistributedDataParallel(net)` with its defaults. Every rank has the same parameters and steps by the mean of the ranks'
/// gradients, which are exchanged while the backward pass goes on. Running statistics are rank 0's: its buffers replace those of the
/// other ranks before each forward pass in training.
///
/// The names of the weights are the network's, without PyTorch's prefix `module.`.
#[derive(Clone, Debug)]
pub struct DistributedDataParallel(Arc<Mutex<Ranks>>);

#[derive(Debug)]
struct Ranks {
    group: Arc<ProcessGroup>,
    reducer: Reducer,
    /// The network's running statistics.
    buffers: Vec<Tensor>,
}

impl DistributedDataParallel {
    /// Copies rank 0's parameters and buffers to every rank, and adds hooks to the parameters. A run that goes on passes the `layout`
    /// that [`layout`](Self::layout) gave.
    ///
    /// # Errors
    /// If the ranks' networks differ in shape, if `layout` is another network's, or if a rank is gone.
    pub fn new(group: &Arc<ProcessGroup>, vs: &VarStore, layout: Option<&Tensor>) -> Result<Self> {
        let params = vs.trainable_variables();
        group.verify_shapes(&params)?;
        group.broadcast(&state(vs).into_iter().map(|(_, tensor)| tensor).collect::<Vec<_>>())?;
        let reducer = Reducer::new(group, &params, layout)?;
        Ok(Self(Arc::new(Mutex::new(Ranks { group: Arc::clone(group), reducer, buffers: buffers(vs) }))))
    }

    /// Wraps `net`, whose variables [`new`](Self::new) was given. A backward pass must follow each forward pass in training.
    ///
    /// If a rank is gone or does not come in time, a forward pass panics with the crate's error, as libtorch's backward pass does.
    #[must_use]
    pub fn around(&self, net: Net) -> Net {
        Net { module: Box::new(Around { ranks: self.clone(), module: net.module }), vs: net.vs }
    }

    /// Copies rank 0's running statistics to every rank.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn broadcast_buffers(&self) -> Result<()> {
        self.ranks().broadcast_buffers()
    }

    /// How long a step's exchange of gradients takes; `None` before the second step.
    ///
    /// # Errors
    /// None is known.
    pub fn times(&self) -> Result<Option<ExchangeTimes>> {
        self.ranks().reducer.times()
    }

    /// Which gradients are exchanged together, and in which order. With three ranks or more this decides bits. All ranks must call it
    /// between the same two steps.
    ///
    /// # Errors
    /// If a rank is gone or does not come in time.
    pub fn layout(&self) -> Result<Tensor> {
        self.ranks().reducer.layout()
    }

    fn ranks(&self) -> MutexGuard<'_, Ranks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ranks {
    fn broadcast_buffers(&self) -> Result<()> {
        if self.buffers.is_empty() { Ok(()) } else { self.group.broadcast(&self.buffers) }
    }
}

#[derive(Debug)]
struct Around {
    ranks: DistributedDataParallel,
    module: Box<dyn ModuleT>,
}

impl Around {
    fn forward_in_training(&self, x: &Tensor) -> Result<Tensor> {
        let ranks = self.ranks.ranks();
        ranks.reducer.before_forward()?;
        ranks.broadcast_buffers()?;
        let y = self.module.forward_t(x, true);
        ranks.reducer.after_forward()?;
        Ok(y)
    }
}

impl ModuleT for Around {
    fn forward_t(&self, x: &Tensor, train: bool) -> Tensor {
        if !train {
            return self.module.forward_t(x, false);
        }
        self.forward_in_training(x).unwrap_or_else(|error| panics::raise(error))
    }
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;
    use crate::layers::{linear, sequential};
    use crate::norm::{Dims, Norm, Variant};
    use crate::torch::c10d::tests::{TIMEOUT, ranks};

    /// A network whose tensors differ from rank to rank.
    fn net(variant: Variant, rank: usize) -> Net {
        let norm = Norm::from(variant);
        let net = Net::new(|p| {
            sequential(p).then(|p| linear(p, 3, 2)).then(|p| norm.batch_norm(p, 2, Dims::Two)).done()
        });
        for (_, mut tensor) in net.state() {
            let _ = tensor.fill_(rank as f64 + 1.0);
        }
        net
    }

    fn floats(tensors: Vec<(String, Tensor)>) -> Vec<Vec<f64>> {
        let floats = |tensor: Tensor| Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap();
        tensors.into_iter().map(|(_, tensor)| floats(tensor)).collect()
    }

    #[test]
    fn ranks_begin_with_rank_0s_tensors_and_take_its_statistics_in_training() {
        for variant in Variant::NOTEBOOKS {
            let got = ranks(2, TIMEOUT, |rank, _, group| {
                let net = net(variant, rank);
                let net = DistributedDataParallel::new(group, &net.vs, None).unwrap().around(net);
                let begun = floats(net.state());
                let x = Tensor::from_slice(&[0.0f32, 1.0, 2.0, 3.0, 4.0, 9.0]).reshape([2, 3])
                    * (rank as f64 + 1.0);
                let _ = net.forward_t(&x, true);
                let moved = floats(net.state());
                // In the next step they move from rank 0's: what another rank has by then does not matter.
                if rank == 1 {
                    spoil_buffers(&net);
                }
                let _ = net.forward_t(&x, true);
                (begun, moved, floats(net.state()))
            });
            let [(begun0, moved0, after0), (begun1, moved1, after1)] = &got[..] else { unreachable!() };
            assert!(begun0.iter().flatten().all(|&value| value == 1.0), "{begun0:?}");
            assert_eq!(begun0, begun1);
            assert_ne!(moved0, moved1, "each moves them by its own batch");
            assert_ne!(after0, after1);
            assert!(after1.iter().flatten().all(|value| value.is_finite()), "{after1:?}");
        }
    }

    fn spoil_buffers(net: &Net) {
        for mut buffer in buffers(&net.vs).into_iter().filter(|buffer| buffer.kind() == Kind::Float) {
            let _ = buffer.fill_(f64::NAN);
        }
    }
}
