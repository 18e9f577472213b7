//! What training and evaluation take their images from.

use tch::Tensor;

use super::Epoch;

/// Images (B, channels, rows, cols) as f32 in [0, 1], and labels (B,) as int64, on the device of training.
#[derive(Debug)]
pub struct Batch {
    /// Pixel values over 255.
    pub x: Tensor,
    /// Classes.
    pub y: Tensor,
}

/// A PyTorch `DataLoader`: every image once an epoch, or this process's share of them, batch by batch; the last batch may be
/// smaller.
pub trait Batches {
    /// The batches of an epoch. Draws from the default generator what PyTorch's loader draws.
    fn iter(&self) -> Epoch<'_> {
        self.iter_from(0)
    }

    /// The batches of an epoch without the first `done`, drawing for all of them: what is left of an epoch that broke
    /// off.
    fn iter_from(&self, done: usize) -> Epoch<'_>;

    /// `sampler.set_epoch(epoch)`, counted from 0: what the order depends on where several processes share it.
    fn set_epoch(&self, _epoch: usize) {}

    /// Whether batches to come may have drawn from the default generator already.
    fn draws_ahead(&self) -> bool {
        false
    }

    /// How many images an epoch has.
    fn examples(&self) -> usize;

    /// How many images a batch has, the last one excepted.
    fn batch_size(&self) -> usize;

    /// How many batches an epoch has.
    fn batches(&self) -> usize {
        self.examples().div_ceil(self.batch_size())
    }
}
