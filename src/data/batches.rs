//! What training and evaluation take their images from: loaders, the epochs that these give, and an epoch's batches. A batch is drawn by
//! the loader, which knows the order, and gathered by the loop that takes it, so that gathering can belong to a step that is recorded.

use tch::Tensor;
use torchvision_exact::loader::Sampler;

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

    /// Whether batches to come may have drawn from the default generator already.
    fn draws_ahead(&self) -> bool {
        false
    }

    /// Which images its batches have.
    fn sampler(&self) -> &Sampler;

    /// `sampler.set_epoch(epoch)`, counted from 0: what the order depends on where several processes share it.
    fn set_epoch(&self, epoch: usize) {
        self.sampler().set_epoch(epoch);
    }

    /// How many images an epoch has.
    fn examples(&self) -> usize {
        self.sampler().examples()
    }

    /// How many images a batch has, the last one excepted.
    fn batch_size(&self) -> usize {
        self.sampler().batch_size
    }

    /// How many batches an epoch has.
    fn batches(&self) -> usize {
        self.examples().div_ceil(self.batch_size())
    }
}

/// The next batch of an epoch.
#[derive(Debug)]
pub enum Drawn {
    /// The batch itself.
    Batch(Batch),
    /// Where its images are in a data set on the device, (B,) as int64: the loop that takes the batch gathers it.
    Places(Tensor),
}

impl Drawn {
    /// The tensors that tell this batch from another.
    fn tensors(&self) -> Vec<&Tensor> {
        match self {
            Self::Batch(Batch { x, y }) => vec![x, y],
            Self::Places(places) => vec![places],
        }
    }

    /// How many images.
    pub fn images(&self) -> usize {
        match self {
            Self::Batch(Batch { y, .. }) => y.numel(),
            Self::Places(places) => places.numel(),
        }
    }

    /// Whether the other has tensors of the same sizes.
    pub fn fits(&self, other: &Self) -> bool {
        let [mine, others] = [self, other].map(|drawn| drawn.tensors().into_iter().map(Tensor::size));
        mine.eq(others)
    }

    /// The same in memory of its own.
    pub fn copy(&self) -> Self {
        match self {
            Self::Batch(Batch { x, y }) => Self::Batch(Batch { x: x.copy(), y: y.copy() }),
            Self::Places(places) => Self::Places(places.copy()),
        }
    }

    /// Makes this the same as `other`, which [`fits`](Self::fits), in the memory that it has.
    pub fn copy_from(&mut self, other: &Self) {
        for (mine, others) in self.tensors().into_iter().zip(other.tensors()) {
            mine.shallow_clone().copy_(others);
        }
    }
}

/// The batches of an epoch, one after the other.
pub struct Epoch<'a> {
    batch_size: usize,
    drawn: Box<dyn Iterator<Item = Drawn> + 'a>,
    /// The data set on the device that places are in.
    set: Vec<Tensor>,
    gather: Box<dyn Fn(&Tensor) -> Batch + 'a>,
}

impl<'a> Epoch<'a> {
    /// Batches that are made elsewhere, of `batch_size` images each, the last one excepted.
    pub fn of_batches(batch_size: usize, batches: impl Iterator<Item = Batch> + 'a) -> Self {
        let gather = Box::new(|_: &Tensor| unreachable!("a batch is drawn itself"));
        Self { batch_size, drawn: Box::new(batches.map(Drawn::Batch)), set: Vec::new(), gather }
    }

    /// Batches whose images `gather` takes from `places` in a data set on the device, which is in the tensors of `set`.
    pub fn of_places(
        batch_size: usize,
        places: impl Iterator<Item = Tensor> + 'a,
        set: Vec<Tensor>,
        gather: impl Fn(&Tensor) -> Batch + 'a,
    ) -> Self {
        Self { batch_size, drawn: Box::new(places.map(Drawn::Places)), set, gather: Box::new(gather) }
    }

    /// Images of a batch, the last one excepted.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The next batch, before it is gathered.
    pub fn draw(&mut self) -> Option<Drawn> {
        self.drawn.next()
    }

    /// The batch that was drawn.
    pub fn gather(&self, drawn: &Drawn) -> Batch {
        match drawn {
            Drawn::Batch(Batch { x, y }) => Batch { x: x.shallow_clone(), y: y.shallow_clone() },
            Drawn::Places(places) => (self.gather)(places),
        }
    }

    /// Handles of the tensors that [`gather`](Self::gather) reads besides.
    pub fn set(&self) -> Vec<Tensor> {
        self.set.iter().map(Tensor::shallow_clone).collect()
    }
}

impl Iterator for Epoch<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let drawn = self.draw()?;
        Some(self.gather(&drawn))
    }
}
