//! The loops by CUDA graph: a step is recorded once, and then each step is one launch. On a GPU, a small network's step mostly waits
//! for its many launches. The bits are those of the plain loops.

use tch::nn::ModuleT;
use tch::{Device, Tensor};
use tch_extra::optim::Optimizer;
use tch_extra::{Recording, set_grad};

use super::{AfterBatch, Loss, Metric, Totals};
use crate::Result;
use crate::data::{Batch, Batches, Drawn, Epoch};
use crate::nets::Net;

/// The number of whole batches that run as they are before a step is recorded: cuDNN chooses its kernels, gradients get their memory.
pub const WARM_UP: usize = 3;

/// Training and evaluation of a network, each by a recorded step.
///
/// A recording works on the memory that it was made with, and keeps it. Another network or data set, with tensors elsewhere, gets a new
/// recording. The optimizer must stay the same, because the recording holds its learning rate. A batch of another size, such as an
/// epoch's last, runs as it is.
#[derive(Debug)]
pub struct Graphed {
    training: Step,
    evaluation: Step,
}

impl Graphed {
    /// Loops for batches on `device`, with nothing recorded yet.
    pub fn new(device: Device) -> Self {
        Self { training: Step::new(device), evaluation: Step::new(device) }
    }

    /// Trains as [`ch6::train_epoch`](super::ch6::train_epoch) or [`ch13::train_epoch`](super::ch13::train_epoch) does, as the `loss`
    /// says, on the rest of an `epoch` whose sums so far are `done`. Gives the sums, or `None` if `after_batch` ended the epoch.
    ///
    /// # Errors
    /// Those of `after_batch`; or if the device cannot record or repeat a step.
    pub fn train_epoch(
        &mut self,
        net: &Net,
        mut epoch: Epoch,
        loss: Loss,
        optimizer: &mut dyn Optimizer,
        done: Totals,
        after_batch: AfterBatch,
    ) -> Result<Option<Totals>> {
        let mut metric = self.training.begin(net, &epoch, done);
        let params = net.vs.trainable_variables();
        // An update with numbers that the host computes cannot be recorded; it follows the recorded part.
        let update_is_recorded = optimizer.can_be_recorded();
        while let Some(drawn) = epoch.draw() {
            self.training.run(&epoch, &drawn, &params, &mut metric, |Batch { x, y }, metric| {
                optimizer.zero_grad();
                let y_hat = net.forward_t(&x, true);
                let l = loss.of(&y_hat, &y);
                l.backward();
                if update_is_recorded {
                    optimizer.step();
                }
                metric.add(&loss.total(&l, y.size()[0]), &y_hat, &y);
            })?;
            if !update_is_recorded {
                optimizer.step();
            }
            if after_batch(drawn.images(), &metric, optimizer)?.is_break() {
                return Ok(None);
            }
        }
        Ok(Some(metric.totals()))
    }

    /// Evaluates as [`evaluate`](super::evaluate()) does.
    ///
    /// # Errors
    /// If the device cannot record or repeat a step.
    pub fn evaluate(&mut self, net: &Net, test_iter: &dyn Batches) -> Result<Totals> {
        let _no_grad = tch::no_grad_guard();
        let mut epoch = test_iter.iter();
        let mut metric = self.evaluation.begin(net, &epoch, Totals::default());
        while let Some(drawn) = epoch.draw() {
            self.evaluation.run(&epoch, &drawn, &[], &mut metric, |Batch { x, y }, metric| {
                let y_hat = net.forward_t(&x, false);
                let l = Loss::Mean.of(&y_hat, &y);
                metric.add(&Loss::Mean.total(&l, y.size()[0]), &y_hat, &y);
            })?;
        }
        Ok(metric.totals())
    }
}

/// A step of training or evaluation, which is recorded once it has run a few times.
#[derive(Debug)]
struct Step {
    device: Device,
    /// The tensors of the network and of the data set.
    memory: Vec<Tensor>,
    /// Whole batches before the recording.
    runs: usize,
    /// The sums that the recording adds to.
    metric: Metric,
    recorded: Option<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    recording: Recording,
    /// The memory from which the recording reads its batch.
    drawn: Drawn,
    /// Parameters, and the gradients that the recording gives them.
    gradients: Vec<(Tensor, Tensor)>,
}

impl Step {
    fn new(device: Device) -> Self {
        let metric = Metric::on_device(device, Totals::default());
        Self { device, memory: Vec::new(), runs: 0, metric, recorded: None }
    }

    /// Begins an epoch of `net`. Gives sums that go on from `done`.
    fn begin(&mut self, net: &Net, epoch: &Epoch, done: Totals) -> Metric {
        let memory: Vec<_> = net.state().into_iter().map(|(_, tensor)| tensor).chain(epoch.set()).collect();
        let places = |tensors: &[Tensor]| tensors.iter().map(Tensor::data_ptr).collect::<Vec<_>>();
        if places(&self.memory) != places(&memory) {
            (self.memory, self.runs, self.recorded) = (memory, 0, None);
        }
        self.metric.restart(done)
    }

    /// Does `step` on the batch that was `drawn` from `epoch`. `metric` came from [`begin`](Self::begin). Afterwards `params` have
    /// this step's gradients.
    fn run(
        &mut self,
        epoch: &Epoch,
        drawn: &Drawn,
        params: &[Tensor],
        metric: &mut Metric,
        mut step: impl FnMut(Batch, &mut Metric),
    ) -> Result<()> {
        if let Some(recorded) = self.recorded.as_mut().filter(|recorded| recorded.drawn.fits(drawn)) {
            recorded.replay(drawn)?;
            metric.count(drawn.images());
            return Ok(());
        }
        let may_be_recorded = self.recorded.is_none() && drawn.images() == epoch.batch_size();
        if !may_be_recorded || self.runs < WARM_UP {
            self.runs += usize::from(may_be_recorded);
            step(epoch.gather(drawn), metric);
            return Ok(());
        }
        let drawn = drawn.copy();
        let (recording, ()) = Recording::of(self.device, || step(epoch.gather(&drawn), metric))?;
        let gradient = |param: &Tensor| (param.shallow_clone(), param.grad());
        let gradients = params.iter().map(gradient).filter(|(_, grad)| grad.defined()).collect();
        self.recorded = Some(Recorded { recording, drawn, gradients });
        Ok(())
    }
}

impl Recorded {
    fn replay(&mut self, drawn: &Drawn) -> Result<()> {
        self.drawn.copy_from(drawn);
        self.recording.replay()?;
        // A batch that ran as it is has left other gradients.
        self.gradients.iter_mut().for_each(|(param, grad)| set_grad(param, grad));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataLoader, ImageSet, Images};
    use crate::layers::{flatten, linear, sequential};
    use crate::train::evaluate;

    /// A network or a data set in other memory is not replayed with the recording of the one before.
    #[test]
    fn other_memory_is_recorded_anew() {
        let images = |shift: usize| {
            let pixels: Vec<u8> = (0..20 * 4).map(|i| (i * i + 50 * shift) as u8).collect();
            ImageSet::new(&Images { pixels, labels: [[0, 1]; 10].concat(), rows: 2, cols: 2, channels: 1 })
        };
        let sets = [images(0), images(1)];
        let loaders = sets.each_ref().map(|set| DataLoader::new(set, 2, false, Device::Cpu).resident());
        let nets = [(); 2]
            .map(|()| Net::new(|p| sequential(p).then(|_| flatten()).then(|p| linear(p, 4, 2)).done()));
        let mut graphed = Graphed::new(Device::Cpu);
        let mut seen = Vec::new();
        for (net, loader) in [(0, 0), (0, 0), (1, 0), (1, 1), (0, 1)] {
            let (net, loader) = (&nets[net], &loaders[loader]);
            let eager = evaluate(net, loader, Metric::new(Device::Cpu, Totals::default()));
            let replayed = graphed.evaluate(net, loader).unwrap();
            assert_eq!(replayed.to_bits(), eager.to_bits());
            assert!(graphed.evaluation.recorded.is_some(), "ten batches are enough");
            seen.push(eager.loss());
        }
        assert!(seen[1..].windows(2).all(|pair| pair[0] != pair[1]), "they differ: {seen:?}");
    }
}
