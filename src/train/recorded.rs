//! Steps that are recorded and then repeated at once: on CUDA, what a small network's step waits for is its launches.

use tch::{Device, Tensor};

use super::sums::DeviceSums;
use super::{Metric, Sums, Tally};
use crate::Result;
use crate::data::{Batch, Drawn, Epoch};
use crate::layers::{Module, state};
use crate::torch::{Recording, set_grad};

/// So many whole batches run as they are before a step is recorded: cuDNN chooses its kernels, gradients get their memory.
pub const WARM_UP: usize = 3;

/// How the steps of an epoch are done. The bits are the same.
#[derive(Debug)]
pub enum Steps<'a> {
    /// Operation by operation, with the sums in this place.
    Run(Tally),
    /// By a recording, with the sums on the device.
    Recorded(&'a mut RecordedStep),
}

impl From<Tally> for Steps<'_> {
    fn from(tally: Tally) -> Self {
        Self::Run(tally)
    }
}

impl<'a> Steps<'a> {
    /// How training and evaluation of an epoch are done: by recordings, if there are any.
    pub fn of_epoch(recorded: Option<&'a mut [RecordedStep; 2]>, tally: Tally) -> [Self; 2] {
        recorded.map_or([Self::Run(tally), Self::Run(tally)], |steps| steps.each_mut().map(Self::Recorded))
    }

    /// Begins an epoch of `net`: sums that go on from `done`.
    pub(super) fn begin(&mut self, net: &mut dyn Module, epoch: &Epoch, done: Metric) -> Sums {
        match self {
            Self::Run(tally) => Sums::after(done, *tally),
            Self::Recorded(recorded) => recorded.begin(net, epoch, done),
        }
    }

    /// Does `step` on the batch that was `drawn` from `epoch`. `sums` came from [`begin`](Self::begin); afterwards the gradients
    /// of `params` are this step's.
    pub(super) fn run(
        &mut self,
        epoch: &Epoch,
        drawn: &Drawn,
        params: &[Tensor],
        sums: &mut Sums,
        step: impl FnMut(&Batch, &mut Sums) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Run(_) => run(step, epoch, drawn, sums),
            Self::Recorded(recorded) => recorded.run(epoch, drawn, params, sums, step),
        }
    }
}

/// What is done with a batch of training or of evaluation; recorded, once it has been done a few times.
///
/// A recording works on the memory that it was made with, and keeps it. For a network or a data set whose tensors are elsewhere a
/// new one is made; the optimizer, whose learning rate it has, must stay the same. Batches of another size than the recorded one's,
/// an epoch's last, run as they are.
#[derive(Debug)]
pub struct RecordedStep {
    device: Device,
    /// Of the network and the data set.
    memory: Vec<Tensor>,
    /// Whole batches so far, until the recording.
    runs: usize,
    /// Where the recording adds.
    sums: DeviceSums,
    recorded: Option<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    recording: Recording,
    /// Where the recording reads its batch.
    drawn: Drawn,
    /// Parameters, and the gradients that the recording gives them.
    gradients: Vec<(Tensor, Tensor)>,
}

impl RecordedStep {
    /// Nothing recorded yet; batches will be on `device`.
    pub fn new(device: Device) -> Self {
        Self { device, memory: Vec::new(), runs: 0, sums: DeviceSums::on(device), recorded: None }
    }

    /// That of training, and that of evaluation.
    pub fn pair(device: Device) -> [Self; 2] {
        [Self::new(device), Self::new(device)]
    }

    fn begin(&mut self, net: &mut dyn Module, epoch: &Epoch, done: Metric) -> Sums {
        let memory: Vec<_> = state(net).into_iter().map(|(_, tensor)| tensor).chain(epoch.set()).collect();
        let places = |tensors: &[Tensor]| tensors.iter().map(Tensor::data_ptr).collect::<Vec<_>>();
        if places(&self.memory) != places(&memory) {
            (self.memory, self.runs, self.recorded) = (memory, 0, None);
        }
        self.sums.restart(done)
    }

    fn run(
        &mut self,
        epoch: &Epoch,
        drawn: &Drawn,
        params: &[Tensor],
        sums: &mut Sums,
        mut step: impl FnMut(&Batch, &mut Sums) -> Result<()>,
    ) -> Result<()> {
        if let Some(recorded) = self.recorded.as_mut().filter(|recorded| recorded.drawn.fits(drawn)) {
            recorded.replay(drawn)?;
            sums.count(drawn.images());
            return Ok(());
        }
        let is_whole = self.recorded.is_none() && drawn.images() == epoch.batch_size();
        if !is_whole || self.runs < WARM_UP {
            self.runs += usize::from(is_whole);
            return run(step, epoch, drawn, sums);
        }
        let drawn = drawn.copy();
        let (recording, outcome) = Recording::of(self.device, || run(&mut step, epoch, &drawn, sums))?;
        outcome?;
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
        // A batch that ran as it is left others.
        self.gradients.iter_mut().for_each(|(param, grad)| set_grad(param, grad));
        Ok(())
    }
}

fn run(
    mut step: impl FnMut(&Batch, &mut Sums) -> Result<()>,
    epoch: &Epoch,
    drawn: &Drawn,
    sums: &mut Sums,
) -> Result<()> {
    step(&epoch.gather(drawn), sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataLoader, ImageSet};
    use crate::layers::{Flatten, Linear, Sequential};
    use crate::train::evaluate;

    /// A network or a data set in other memory is not tried with the recording of the one before.
    #[test]
    fn other_memory_is_recorded_anew() {
        let images = |shift: usize| {
            let pixels: Vec<u8> = (0..20 * 4).map(|i| (i * i + 50 * shift) as u8).collect();
            ImageSet::new(&pixels, &[[0, 1]; 10].concat(), 2, 2, None)
        };
        let sets = [images(0), images(1)];
        let loaders = sets.each_ref().map(|set| DataLoader::new(set, 2, false, Device::Cpu).resident());
        let mut nets = [(); 2].map(|()| Sequential::new().then(Flatten).then(Linear::new(4, 2)));
        let mut recorded = RecordedStep::new(Device::Cpu);
        let mut seen = Vec::new();
        for (net, loader) in [(0, 0), (0, 0), (1, 0), (1, 1), (0, 1)] {
            let (net, loader) = (&mut nets[net], &loaders[loader]);
            let eager = evaluate(net, loader, Tally::Host).unwrap();
            let replayed = evaluate(net, loader, Steps::Recorded(&mut recorded)).unwrap();
            assert_eq!(replayed.to_bits(), eager.to_bits());
            assert!(recorded.recorded.is_some(), "ten batches are enough");
            seen.push(eager.loss());
        }
        assert!(seen[1..].windows(2).all(|pair| pair[0] != pair[1]), "they differ: {seen:?}");
    }
}
