//! Steps that are recorded and then repeated at once: on CUDA, what a small network's step waits for is its launches.

use tch::{Device, Tensor};

use super::sums::DeviceSums;
use super::{Metric, Sums, Tally};
use crate::Result;
use crate::data::{Batch, Drawn, Epoch};
use crate::torch::{Recording, set_grad};

/// So often a step runs before it is recorded: cuDNN chooses its kernels, gradients get their memory.
const WARM_UP: usize = 3;

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

    /// Sums that go on from `done`.
    pub(super) fn sums(&mut self, done: Metric) -> Sums {
        match self {
            Self::Run(tally) => Sums::after(done, *tally),
            Self::Recorded(recorded) => recorded.sums.restart(done),
        }
    }

    /// Does `step` on the batch that was `drawn` from `epoch`. `sums` came from [`sums`](Self::sums); afterwards the gradients
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
/// The recording works on the memory that it was made with: it is for one network, one loader and one optimizer, whose
/// tensors stay where they are, and which live as long. Batches of another size than the recorded one's, an epoch's last, run
/// as they are.
#[derive(Debug)]
pub struct RecordedStep {
    device: Device,
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
        Self { device, runs: 0, sums: DeviceSums::on(device), recorded: None }
    }

    /// That of training, and that of evaluation.
    pub fn pair(device: Device) -> [Self; 2] {
        [Self::new(device), Self::new(device)]
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
        let gradient = |param: &Tensor| Some((param.shallow_clone(), param.grad()));
        let gradients = params.iter().filter_map(gradient).filter(|(_, grad)| grad.defined()).collect();
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
