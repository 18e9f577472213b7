//! Batches of images, as `torch.utils.data.DataLoader` with `ToTensor`, perhaps after `Resize`, gives them.

use tch::{Device, Kind, Tensor};
use torchvision_exact::loader::{DistributedSampler, Sampler};
use torchvision_exact::transforms::{Resample, Resize};

use super::{Batch, Batches, DefaultGenerator, Epoch, Images};

/// Gray images in memory as bytes (N, 1, rows, cols), and their labels (N,) as int64.
#[derive(Debug)]
pub struct ImageSet {
    pixels: Tensor,
    labels: Tensor,
}

impl ImageSet {
    /// A copy of `images`, which have one channel.
    pub fn new(images: &Images) -> Self {
        let size = [images.len(), images.channels, images.rows, images.cols].map(|n| n as i64);
        Self {
            pixels: Tensor::from_data_size(&images.pixels, &size, Kind::Uint8),
            labels: Tensor::from_slice(&images.labels).to_kind(Kind::Int64),
        }
    }

    /// The same images on `device`.
    fn to_device(&self, device: Device) -> Self {
        Self { pixels: self.pixels.to_device(device), labels: self.labels.to_device(device) }
    }
}

/// `DataLoader(images, batch_size, shuffle)` over images that only `Resize` and `ToTensor` change.
#[derive(Debug)]
pub struct DataLoader {
    images: ImageSet,
    /// Whether the images are on `device`, and a batch is gathered there by the loop that takes it.
    resident: bool,
    sampler: Sampler,
    device: Device,
    /// 255, on the device.
    white: Tensor,
    resample: Option<Resample>,
}

impl DataLoader {
    /// A loader whose batches are put on `device`. `batch_size` is positive.
    pub fn new(images: &ImageSet, batch_size: usize, shuffle: bool, device: Device) -> Self {
        let sampler = Sampler::new(images.labels.numel(), batch_size, shuffle);
        let white = Tensor::full([], 255, (Kind::Float, device));
        // The same memory: they are on the CPU.
        let images = images.to_device(Device::Cpu);
        Self { images, resident: false, sampler, device, white, resample: None }
    }

    /// The loader of one process of several; each has batches of `batch_size`.
    #[must_use]
    pub fn distributed(self, part: Option<DistributedSampler>) -> Self {
        Self { sampler: self.sampler.distributed(part), ..self }
    }

    /// The loader with `Resize` before `ToTensor`. Images are resized as their batch is drawn: in memory they stay
    /// as they are, and one batch is large at a time.
    #[must_use]
    pub fn resize(mut self, resize: Option<Resize>) -> Self {
        self.resample = resize.map(|resize| {
            let (_, _, rows, cols) = self.images.pixels.size4().expect("(N, 1, rows, cols)");
            let from = (rows as usize, cols as usize);
            Resample::new(from, resize.output_size(from), 1)
        });
        self
    }

    /// The loader with the images, as bytes, and each epoch's order on its device: a batch is gathered and scaled there, and
    /// nothing of it comes from the host. With `Resize`, which is the CPU's work, the loader stays as it is.
    #[must_use]
    pub fn resident(self) -> Self {
        if self.resample.is_some() {
            return self;
        }
        Self { images: self.images.to_device(self.device), resident: true, ..self }
    }

    /// The first image alone, as a batch of one.
    pub fn first_image(&self) -> Tensor {
        self.gather(&Tensor::from_slice(&[0i64]).to_device(self.images.pixels.device())).x
    }

    fn gather(&self, indices: &Tensor) -> Batch {
        let pixels = self.images.pixels.index_select(0, indices);
        let pixels = match &self.resample {
            Some(resample) => resampled(&pixels, resample),
            None => pixels,
        };
        let labels = self.images.labels.index_select(0, indices);
        Batch { x: self.to_tensor(&pixels), y: labels.to_device(self.device) }
    }

    /// torchvision's `ToTensor`: bytes as f32 in [0, 1]; it divides in f32, on the CPU. By a number, libtorch's kernel for CUDA
    /// would multiply by 1/255 instead, which rounds otherwise; by an f32 on the device it makes f32 of the bytes, and divides.
    fn to_tensor(&self, pixels: &Tensor) -> Tensor {
        pixels.to_device(self.device).g_div(&self.white)
    }
}

impl Batches for DataLoader {
    fn iter_from(&self, done: usize) -> Epoch<'_> {
        let ImageSet { pixels, labels } = &self.images;
        let order =
            Tensor::from_slice(&self.sampler.draw(&mut DefaultGenerator).order).to_device(pixels.device());
        let batch_size = self.batch_size();
        let places = (done..self.batches()).map(move |i| {
            let start = i * batch_size;
            let size = batch_size.min(self.examples() - start);
            order.narrow(0, start as i64, size as i64)
        });
        if !self.resident {
            return Epoch::of_batches(batch_size, places.map(|places| self.gather(&places)));
        }
        let set = [pixels, labels, &self.white].map(Tensor::shallow_clone).into();
        Epoch::of_places(batch_size, places, set, |places| self.gather(places))
    }

    fn sampler(&self) -> &Sampler {
        &self.sampler
    }
}

/// Images (B, 1, rows, cols) of bytes in their new size, by as many threads as libtorch has.
fn resampled(pixels: &Tensor, resample: &Resample) -> Tensor {
    let bytes = Vec::try_from(pixels.reshape([-1])).expect("contiguous bytes on the CPU");
    let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
    let (rows, cols) = resample.output_size();
    Tensor::from_slice(&resample.batch(&bytes, threads)).reshape([-1, 1, rows as i64, cols as i64])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_image_once_and_a_smaller_last_batch() {
        let labels: Vec<u8> = (0..10).collect();
        let pixels: Vec<u8> = labels.iter().flat_map(|&label| [label * 5; 4]).collect();
        let images = ImageSet::new(&Images { pixels, labels, rows: 2, cols: 2, channels: 1 });
        for shuffle in [false, true] {
            let loader = DataLoader::new(&images, 4, shuffle, Device::Cpu);
            let batches: Vec<Batch> = loader.iter().collect();
            assert_eq!(batches.iter().map(|batch| batch.x.size()[0]).collect::<Vec<_>>(), [4, 4, 2]);
            let mut seen = Vec::new();
            for Batch { x, y } in &batches {
                // An image keeps its label.
                assert!(x.select(1, 0).select(1, 1).select(1, 0) == y.to_kind(Kind::Float) * 5.0 / 255.0);
                seen.extend(Vec::<i64>::try_from(y).unwrap());
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..10).collect::<Vec<i64>>());
        }
    }

    #[test]
    fn a_limit_takes_the_first_images() {
        let (pixels, labels) = (vec![1, 2, 3], vec![7, 8, 9]);
        let images = Images { pixels, labels, rows: 1, cols: 1, channels: 1 }.first(Some(2));
        let images = ImageSet::new(&images);
        let batches: Vec<Batch> = DataLoader::new(&images, 5, false, Device::Cpu).iter().collect();
        assert_eq!(Vec::<i64>::try_from(&batches[0].y).unwrap(), [7, 8]);
    }
}
