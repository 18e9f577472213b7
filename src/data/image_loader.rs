//! Batches of images that are transformed one by one, as a PyTorch `DataLoader` with worker processes gives them.
//!
//! Its workers are threads here. Each has a generator of its own, seeded as PyTorch seeds its process, and prepares
//! its batches ahead of the training step, which waits only where preparing takes longer than training.

use std::sync::Arc;

use tch::{Device, Tensor};
use torchvision_exact::image::Image;
use torchvision_exact::loader::{DistributedSampler, Prefetcher, Sampler};
use torchvision_exact::random::Draws;
use torchvision_exact::transforms::{Compose, ToTensor, Transform};

use super::{Batch, Batches, DefaultGenerator, Epoch, Images};

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
    pub fn distributed(self, part: Option<DistributedSampler>) -> Self {
        Self { sampler: self.sampler.distributed(part), ..self }
    }
}

impl Batches for ImageLoader {
    fn iter_from(&self, done: usize) -> Epoch<'_> {
        let epoch = self.sampler.draw(&mut DefaultGenerator);
        let (source, batch_size) = (Arc::clone(&self.source), self.batch_size());
        let prepare = move |indices: &[i64], draws: &mut dyn Draws| source.batch(indices, draws);
        let batches = match self.workers {
            0 => Prefetcher::new(epoch.order, batch_size, done, vec![DefaultGenerator], prepare),
            workers => {
                let streams = epoch.workers(workers);
                Prefetcher::new(epoch.order, batch_size, done, streams, prepare)
            }
        };
        Epoch::of_batches(batch_size, batches)
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

#[cfg(test)]
mod tests {
    use torchvision_exact::transforms::RandomHorizontalFlip;

    use super::*;

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

    #[test]
    fn an_epoch_that_breaks_off_leaves_no_thread_behind() {
        let images = loader(2, true);
        let mut batches = images.iter();
        batches.next();
        drop(batches);
        assert_eq!(Arc::strong_count(&images.source), 1);
    }
}
