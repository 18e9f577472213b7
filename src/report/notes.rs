//! What the study notes report of their own runs: facts to set beside ours, in the notes' own units.
//!
//! Those runs set no seed, one says `cuda:0` of its device and the other nothing, so nothing here can be met to the
//! digit. Where a note's unit is not ours, a method converts; the data keep the figure as printed.

/// Images in the training set of Fashion-MNIST.
pub const TRAIN_IMAGES: usize = 60_000;
/// Images in the test set of Fashion-MNIST.
pub const TEST_IMAGES: usize = 10_000;

/// What there is to compare with.
#[derive(Clone, Copy, Debug)]
pub enum Figures {
    /// The notes train this recipe without reporting a figure, or not at all.
    None,
    /// A remark without figures: the gap between training and test is clear to see.
    Overfits,
    /// The figures after the last epoch.
    Final(Final),
    /// Figures after every epoch.
    EveryEpoch(EveryEpoch),
}

/// What d2l's `train_ch6` prints at the end, of the hand-written variant.
#[derive(Clone, Copy, Debug)]
pub struct Final {
    /// Passes over the training images.
    pub epochs: usize,
    /// In nats per example, weighted as ours.
    pub train_loss: f64,
    /// Share of correct predictions while the weights were changing, in [0, 1].
    pub train_acc: f64,
    /// Share of correct predictions over the test images, in [0, 1].
    pub test_acc: f64,
    /// Of training alone: d2l's timer does not run while a batch is prepared.
    pub examples_per_second: f64,
}

/// A note's own training loop, of both variants.
#[derive(Clone, Copy, Debug)]
pub struct EveryEpoch {
    /// Images a step.
    pub batch_size: usize,
    /// The epochs of batch norm by hand.
    pub scratch: &'static [NoteEpoch],
    /// The epochs of PyTorch's.
    pub native: &'static [NoteEpoch],
}

/// One epoch as printed.
#[derive(Clone, Copy, Debug)]
pub struct NoteEpoch {
    /// The mean of the batch means, in nats; the last, smaller batch counts as much as any.
    pub train_loss: f64,
    /// In %.
    pub train_acc: f64,
    /// The sum of the batch means over the number of images.
    pub test_loss: f64,
    /// In %.
    pub test_acc: f64,
    /// Training batches per second, data preparation included.
    pub batches_per_second: f64,
}

impl EveryEpoch {
    /// The epochs of a variant; none for one that the note does not train.
    pub fn of(&self, variant: &str) -> &'static [NoteEpoch] {
        match variant {
            "scratch" => self.scratch,
            "native" => self.native,
            _ => &[],
        }
    }

    /// The mean of the batch means, in nats: the printed sum over images, times images over batches.
    pub fn test_loss(&self, epoch: &NoteEpoch) -> f64 {
        epoch.test_loss * TEST_IMAGES as f64 / self.test_batches() as f64
    }

    /// Training examples per second: batches per second times the mean batch.
    pub fn examples_per_second(&self, epoch: &NoteEpoch) -> f64 {
        epoch.batches_per_second * TRAIN_IMAGES as f64 / self.train_batches() as f64
    }

    /// Batches of an epoch of training, the last one smaller.
    pub fn train_batches(&self) -> usize {
        TRAIN_IMAGES.div_ceil(self.batch_size)
    }

    /// Batches of the test set, the last one smaller.
    pub fn test_batches(&self) -> usize {
        TEST_IMAGES.div_ceil(self.batch_size)
    }
}

/// What the notes report of `recipe`.
pub fn figures(recipe: &str) -> Figures {
    match recipe {
        "dropout" => Figures::Final(DROPOUT),
        "no-dropout" => Figures::Overfits,
        "adamw" => Figures::EveryEpoch(ADAMW),
        _ => Figures::None,
    }
}

const DROPOUT: Final =
    Final { epochs: 50, train_loss: 0.277, train_acc: 0.904, test_acc: 0.898, examples_per_second: 39_096.3 };

// In the columns' order: train loss, train acc, test loss, test acc, batches per second.
#[rustfmt::skip]
const ADAMW: EveryEpoch = EveryEpoch {
    batch_size: 64,
    scratch: &[
        note_epoch(0.7096558342070214, 80.07, 0.008006558230519295, 82.3, 84.05),
        note_epoch(0.41396947328978256, 85.52166666666666, 0.008126352483034133, 81.6, 110.78),
        note_epoch(0.35643584684713053, 87.21666666666667, 0.0059641113802790646, 86.64, 119.78),
        note_epoch(0.3280871064185715, 88.155, 0.006109306104481221, 86.09, 108.63),
        note_epoch(0.3099025943433679, 88.66166666666666, 0.0068259724974632265, 84.63000000000001, 115.69),
        note_epoch(0.293259441113866, 89.36666666666666, 0.0056387895554304126, 86.72999999999999, 110.74),
        note_epoch(0.2826578642990289, 89.625, 0.005060989627242088, 88.29, 106.50),
        note_epoch(0.26813640620217905, 90.085, 0.005220098730176688, 87.79, 113.53),
        note_epoch(0.25900316415533325, 90.46666666666667, 0.00508926648274064, 88.28, 108.26),
        note_epoch(0.2525282779386811, 90.7, 0.005327409267425537, 87.15, 103.73),
    ],
    native: &[
        note_epoch(0.7142524112230425, 80.33, 0.0075736663520336155, 82.99, 167.27),
        note_epoch(0.4138561901030764, 85.49833333333333, 0.007367620442807674, 82.89999999999999, 148.60),
        note_epoch(0.3629363060061103, 86.96833333333333, 0.006311663088202477, 85.53, 159.99),
        note_epoch(0.3349387014169556, 87.98333333333333, 0.005541987027227879, 87.15, 155.53),
        note_epoch(0.3139982062663986, 88.525, 0.005664476057887077, 86.88, 151.02),
        note_epoch(0.29805169513484814, 89.10166666666667, 0.005693399979174137, 86.8, 149.38),
        note_epoch(0.2861076091874891, 89.39166666666667, 0.004979297122359276, 88.19, 152.21),
        note_epoch(0.27498836208508215, 89.84, 0.005116794270277023, 88.17, 148.34),
        note_epoch(0.26491802209603, 90.16666666666667, 0.005244582363218069, 87.83999999999999, 148.71),
        note_epoch(0.25522983417327977, 90.47833333333334, 0.00473815803155303, 89.27000000000001, 163.15),
    ],
};

const fn note_epoch(
    train_loss: f64,
    train_acc: f64,
    test_loss: f64,
    test_acc: f64,
    batches_per_second: f64,
) -> NoteEpoch {
    NoteEpoch { train_loss, train_acc, test_loss, test_acc, batches_per_second }
}
