//! Batches of images that are transformed one by one, as a PyTorch `DataLoader` with worker processes gives them.
//!
//! Its workers are threads here. Each has a generator of its own, seeded as PyTorch seeds its process, and prepares
//! its batches ahead of the training step, which waits only where preparing takes longer than training.

use std::panic;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

use tch::{Device, Tensor};

use super::transforms::{Compose, Image, ToTensor, Transform};
use super::{Batch, Batches, DefaultGenerator, Draws, Epoch, EpochDraws, Images, Mt19937, Sampler, Share};

/// Batches that a worker has ready besides the one it prepares: `DataLoader`'s `prefetch_factor`.
const PREFETCH_FACTOR: usize = 2;

/// `DataLoader(dataset, batch_size, shuffle, num_workers)` over a data set of images with a transform.
pub struct ImageLoader {
    source: Arc<Source>,
    sampler: Sampler,
    workers: usize,
}

/// What every worker works from.
struct Source {
    images: Arc<Images>,
    transform: Compose,
    device: Device,
}

impl ImageLoader {
    /// A loader whose batches are put on `device`; `batch_size` is positive. Each image passes through `transform`,
    /// then `ToTensor`.
    ///
    /// With `workers`, batches w, w + workers, ... draw from the stream of worker w. Without, all draw from the
    /// default generator, in one thread ahead of training: a network that draws from it too while it is trained, for
    /// dropout, must have workers.
    pub fn new(
        images: Arc<Images>,
        transform: Compose,
        batch_size: usize,
        shuffle: bool,
        workers: usize,
        device: Device,
    ) -> Self {
        let sampler = Sampler::new(images.len(), batch_size, shuffle);
        Self { source: Arc::new(Source { images, transform, device }), sampler, workers }
    }

    /// The loader of one process of several; each has batches of `batch_size`, and workers of its own.
    #[must_use]
    pub fn shared(self, share: Option<Share>) -> Self {
        Self { sampler: self.sampler.shared(share), ..self }
    }

    /// Starts the workers on an epoch of which some batches are done: they are transformed again, for what that draws.
    fn ahead(&self, EpochDraws { base_seed, order }: EpochDraws, done: usize) -> Ahead {
        let order: Arc<[i64]> = order.into();
        let (batch_size, step) = (self.batch_size(), self.workers.max(1));
        let worker = |first: usize| {
            let (sender, batches) = sync_channel(PREFETCH_FACTOR);
            let (source, order) = (Arc::clone(&self.source), Arc::clone(&order));
            let mut draws: Box<dyn Draws + Send> = match self.workers {
                0 => Box::new(DefaultGenerator),
                _ => Box::new(Mt19937::new(base_seed.wrapping_add(first as u64))),
            };
            let thread = thread::spawn(move || {
                let batches = order.chunks(batch_size).enumerate();
                for (i, indices) in batches.skip(first).step_by(step) {
                    let batch = source.batch(indices, draws.as_mut());
                    // Nobody receives any more when training was interrupted.
                    if i >= done && sender.send(batch).is_err() {
                        return;
                    }
                }
            });
            Worker { batches, thread }
        };
        Ahead { workers: (0..step).map(worker).collect(), next: done, batches: self.batches() }
    }
}

impl Batches for ImageLoader {
    fn iter_from(&self, done: usize) -> Epoch<'_> {
        Epoch::of_batches(self.batch_size(), self.ahead(self.sampler.draw(), done))
    }

    fn draws_ahead(&self) -> bool {
        self.workers == 0
    }

    fn sampler(&self) -> &Sampler {
        &self.sampler
    }
}

impl Source {
    /// The images at `indices`, transformed, with their labels.
    fn batch(&self, indices: &[i64], draws: &mut dyn Draws) -> Batch {
        let at = |&index: &i64| index as usize;
        let transformed = |index| self.transform.transform(self.images.image(at(index)), draws);
        let images: Vec<Image> = indices.iter().map(transformed).collect();
        let x = ToTensor.batch(&images).expect("images of one size, which every transform keeps alike");
        let labels: Vec<i64> = indices.iter().map(|i| self.images.labels[at(i)].into()).collect();
        Batch { x: x.to_device(self.device), y: Tensor::from_slice(&labels).to_device(self.device) }
    }
}

/// A thread that prepares every so-many-th batch of an epoch: worker w of n has batches w, w + n, ...
struct Worker {
    batches: Receiver<Batch>,
    thread: JoinHandle<()>,
}

/// The batches in their order, and the workers that prepare them; they are waited for when dropped.
struct Ahead {
    workers: Vec<Worker>,
    next: usize,
    batches: usize,
}

impl Iterator for Ahead {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        if self.next == self.batches {
            return None;
        }
        let worker = self.next % self.workers.len();
        self.next += 1;
        let batch = self.workers[worker].batches.recv();
        Some(batch.unwrap_or_else(|_| match self.workers.swap_remove(worker).thread.join() {
            Err(panic) => panic::resume_unwind(panic),
            Ok(()) => unreachable!("a worker ends early only by a panic"),
        }))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        for Worker { batches, thread } in self.workers.drain(..) {
            drop(batches);
            // A panic was passed on already, or concerns a batch that nobody wants.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::transforms::RandomHorizontalFlip;

    /// Ten images of one row, whose two bytes tell the image's label.
    fn loader(workers: usize, shuffle: bool) -> ImageLoader {
        let labels: Vec<u8> = (0..10).collect();
        let pixels = labels.iter().flat_map(|&label| [label, label + 100]).collect();
        let images = Images { pixels, labels, rows: 1, cols: 2, channels: 1 };
        let flip = Compose::new().then(RandomHorizontalFlip::default());
        ImageLoader::new(Arc::new(images), flip, 3, shuffle, workers, Device::Cpu)
    }

    fn floats(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.reshape([-1])).unwrap()
    }

    #[test]
    fn every_image_comes_once_with_its_label_whoever_prepares_it() {
        for (workers, shuffle) in [(0, true), (1, false), (2, true), (3, false), (7, true)] {
            let mut seen = Vec::new();
            let mut sizes = Vec::new();
            for Batch { x, y } in loader(workers, shuffle).iter() {
                let labels = Vec::<i64>::try_from(&y).unwrap();
                for (pixels, label) in floats(&x).chunks(2).zip(&labels) {
                    let mut pixels = [pixels[0], pixels[1]];
                    pixels.sort_by(f32::total_cmp);
                    assert_eq!(pixels, [*label as f32 / 255.0, (label + 100) as f32 / 255.0]);
                }
                sizes.push(labels.len());
                seen.extend(labels);
            }
            assert_eq!(sizes, [3, 3, 3, 1]);
            if shuffle {
                seen.sort_unstable();
            }
            assert_eq!(seen, (0..10).collect::<Vec<_>>());
        }
    }

    /// Batch i comes from worker i % workers, whose generator goes on from batch to batch.
    #[test]
    fn a_workers_stream_goes_through_its_batches() {
        let images = loader(2, false);
        let order: Vec<i64> = (0..10).rev().collect();
        let batches: Vec<Batch> =
            images.ahead(EpochDraws { base_seed: 3, order: order.clone() }, 0).collect();
        for worker in 0..2 {
            let mut draws = Mt19937::new(3 + worker);
            for (indices, batch) in order.chunks(3).zip(&batches).skip(worker as usize).step_by(2) {
                assert_eq!(floats(&images.source.batch(indices, &mut draws).x), floats(&batch.x));
            }
        }
    }

    #[test]
    fn what_is_left_of_an_epoch_is_as_in_the_whole() {
        for workers in [1, 2, 3] {
            let images = loader(workers, false);
            let draws = || EpochDraws { base_seed: 8, order: (0..10).collect() };
            let whole: Vec<Batch> = images.ahead(draws(), 0).collect();
            for done in 0..=whole.len() {
                let rest: Vec<Batch> = images.ahead(draws(), done).collect();
                assert_eq!(rest.len(), whole.len() - done);
                for (rest, whole) in rest.iter().zip(&whole[done..]) {
                    assert_eq!(floats(&rest.x), floats(&whole.x), "{workers} workers, {done} done");
                }
            }
        }
    }

    #[test]
    fn an_epoch_that_breaks_off_leaves_no_thread_behind() {
        let images = loader(2, true);
        let mut batches = images.iter();
        batches.next();
        drop(batches);
        assert_eq!(Arc::strong_count(&images.source), 1);
    }
}
