//! Rows of a run's logs, which training makes and `report` writes.

use serde::{Deserialize, Serialize};

/// One epoch of one variant; the columns of `metrics.csv`, in their order.
///
/// Losses are mean cross entropies in nats per example, accuracies are shares in [0, 1].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// `scratch` or `native` for batch norm, `augmented` or `plain` for data.
    pub variant: String,
    /// Counted from 1.
    pub epoch: usize,
    /// Mean over the epoch while the weights were changing, as d2l's `train_ch6` accumulates it.
    pub train_loss: f64,
    /// Share of correct predictions while the weights were changing.
    pub train_acc: f64,
    /// Mean over the test images after the epoch.
    pub test_loss: f64,
    /// Share of correct predictions over the test images after the epoch.
    pub test_acc: f64,
    /// Seconds of wall clock of the training part, its data preparation included.
    pub train_seconds: f64,
    /// Seconds of wall clock of training and evaluation.
    pub epoch_seconds: f64,
    /// Training examples over `train_seconds`.
    pub examples_per_second: f64,
    /// The most bytes that tensors took on the devices at once, in training and evaluation; this includes what the other
    /// variants keep there. `None` on a CPU. If the epoch was resumed, from there on.
    pub peak_memory_bytes: Option<u64>,
}

impl EpochRecord {
    /// Those of a variant.
    pub fn of<'a>(records: &'a [Self], variant: &'a str) -> impl Iterator<Item = &'a Self> {
        records.iter().filter(move |record| record.variant == variant)
    }

    /// That of a variant's epoch.
    pub fn at<'a>(records: &'a [Self], variant: &str, epoch: usize) -> Option<&'a Self> {
        records.iter().find(|record| record.variant == variant && record.epoch == epoch)
    }
}

/// One epoch of one network of the chapter; the columns of `chapter.csv`, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChapterRecord {
    /// The recipe's name.
    pub network: String,
    /// As in [`EpochRecord`], as all but the times and peaks below.
    pub variant: String,
    /// Counted from 1.
    pub epoch: usize,
    /// Seconds of training until the epoch's end, without evaluation.
    pub seconds: f64,
    /// Mean over the epoch.
    pub train_loss: f64,
    /// Share of correct predictions over the epoch.
    pub train_acc: f64,
    /// Mean over the test images after the epoch.
    pub test_loss: f64,
    /// Share of correct predictions over the test images after the epoch.
    pub test_acc: f64,
    /// Training examples per second of this epoch.
    pub examples_per_second: f64,
    /// The most bytes of main memory that the network's process had until the epoch's end, libtorch itself included. `None` where the
    /// system does not say.
    pub peak_resident_bytes: Option<u64>,
    /// The most bytes that tensors took of a CUDA device in this epoch. `None` on a CPU.
    pub peak_device_bytes: Option<u64>,
}

/// One cell of a sweep; the columns of `cells.csv`, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// The recipe's name.
    pub recipe: String,
    /// As in [`EpochRecord`].
    pub variant: String,
    /// Learning rate.
    pub lr: f64,
    /// Images a step.
    pub batch_size: usize,
    /// Of the random streams.
    pub seed: u64,
    /// How far it is.
    pub status: CellStatus,
    /// The epochs that it has; the last one of a diverged cell is the one in which it diverged.
    pub epochs: usize,
}

/// How far a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CellStatus {
    /// It lacks epochs.
    Open,
    /// It has all epochs.
    Finished,
    /// Its training loss became infinite or NaN.
    Diverged,
}

/// The work of one of several processes in one epoch of one variant; the columns of `ranks.csv`, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankRecord {
    /// As in [`EpochRecord`].
    pub variant: String,
    /// Counted from 1.
    pub epoch: usize,
    /// Which process, from 0.
    pub rank: usize,
    /// Its training images, including those that pad its share.
    pub examples: usize,
    /// Seconds of wall clock of its training part, including the wait for others.
    pub train_seconds: f64,
    /// `examples` over `train_seconds`.
    pub examples_per_second: f64,
    /// Mean seconds of a step's exchange of gradients since the run began or was resumed, including the wait for others, over the
    /// steps that `DistributedDataParallel` samples. `None` after a first step alone.
    pub exchange_seconds: Option<f64>,
    /// How many of these seconds the backward pass was still computing.
    pub hidden_seconds: Option<f64>,
}

/// How far apart the running statistics of one batch norm layer are in two variants; the columns of
/// `statistics.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatisticsRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// The layer's name in the network: `1`.
    pub layer: String,
    /// Largest absolute difference of the running means over the channels.
    pub mean_difference: f64,
    /// Largest absolute difference of the running variances, both unbiased.
    pub var_difference: f64,
}

/// A figure of a claim; the columns of its CSV file, in their order.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Figure {
    /// A quantity's name.
    pub quantity: String,
    /// Of what: a variant, `with dropout`. A curve of the picture.
    pub subject: String,
    /// Where on the horizontal axis: an epoch, a layer, a batch size.
    pub at: String,
    /// The seed of the run.
    pub seed: u64,
    /// The value, in the quantity's unit.
    pub value: f64,
}
