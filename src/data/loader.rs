//! Batches of images, as `torch.utils.data.DataLoader` with `ToTensor`, perhaps after `Resize`, gives them.

use tch::{Device, Kind, Tensor};

use super::sampler::Order;
use super::transforms::{Resample, Resize};
use super::{Batch, Batches, Epoch, Share};

/// Images in memory as bytes (N, 1, rows, cols), and their labels (N,) as int64.
#[derive(Debug)]
pub struct ImageSet {
    pixels: Tensor,
    labels: Tensor,
}

impl ImageSet {
    /// The first `limit` of the images whose `pixels` (row by row, `rows` x `cols` bytes each) and `labels` are
    /// given; all without a limit.
    pub fn new(pixels: &[u8], labels: &[u8], rows: usize, cols: usize, limit: Option<usize>) -> Self {
        let n = limit.map_or(labels.len(), |limit| limit.min(labels.len()));
        let size = [n as i64, 1, rows as i64, cols as i64];
        Self {
            pixels: Tensor::from_data_size(&pixels[..n * rows * cols], &size, Kind::Uint8),
            labels: Tensor::from_slice(&labels[..n]).to_kind(Kind::Int64),
        }
    }

    /// The same images on `device`.
    fn to_device(&self, device: Device) -> Self {
        Self { pixels: self.pixels.to_device(device), labels: self.labels.to_device(device) }
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.labels.numel()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// `DataLoader(images, batch_size, shuffle)` over images that only `Resize` and `ToTensor` change.
#[derive(Debug)]
pub struct DataLoader<'a> {
    images: &'a ImageSet,
    /// The same images on the device.
    resident: Option<ImageSet>,
    batch_size: usize,
    order: Order,
    device: Device,
    /// 255, on the device.
    white: Tensor,
    resample: Option<Resample>,
}

impl<'a> DataLoader<'a> {
    /// A loader whose batches are put on `device`. `batch_size` is positive.
    pub fn new(images: &'a ImageSet, batch_size: usize, shuffle: bool, device: Device) -> Self {
        let order = Order::new(images.len(), shuffle);
        let white = Tensor::full([], 255, (Kind::Float, device));
        Self { images, resident: None, batch_size, order, device, white, resample: None }
    }

    /// The loader of one process of several; each has batches of `batch_size`.
    #[must_use]
    pub fn shared(self, share: Option<Share>) -> Self {
        Self { order: self.order.shared(share), ..self }
    }

    /// The loader with `Resize` before `ToTensor`. Images are resized as their batch is drawn: in memory they stay
    /// as they are, and one batch is large at a time.
    #[must_use]
    pub fn resize(mut self, resize: Option<Resize>) -> Self {
        self.resample = resize.map(|resize| {
            let [_, _, rows, cols] = self.images.pixels.size()[..] else {
                unreachable!("(N, 1, rows, cols)")
            };
            let from = (rows as usize, cols as usize);
            Resample::new(from, resize.output_size(from), 1)
        });
        self
    }

    /// The loader with the images, as bytes, and each epoch's order on its device: a batch is gathered and scaled there, and
    /// nothing of it comes from the host. With `Resize`, which is the CPU's work, the loader stays as it is.
    #[must_use]
    pub fn resident(mut self) -> Self {
        self.resident = self.resample.is_none().then(|| self.images.to_device(self.device));
        self
    }

    /// Where batches are gathered from.
    fn source(&self) -> &ImageSet {
        self.resident.as_ref().unwrap_or(self.images)
    }

    /// The first image alone, as a batch of one.
    pub fn first_image(&self) -> Tensor {
        self.gather(&Tensor::from_slice(&[0i64]).to_device(self.source().pixels.device())).x
    }

    fn gather(&self, indices: &Tensor) -> Batch {
        let ImageSet { pixels, labels } = self.source();
        let pixels = pixels.index_select(0, indices);
        let pixels = match &self.resample {
            Some(resample) => resampled(&pixels, resample),
            None => pixels,
        };
        Batch { x: self.to_tensor(&pixels), y: labels.index_select(0, indices).to_device(self.device) }
    }

    /// torchvision's `ToTensor`: bytes as f32 in [0, 1]; it divides in f32, on the CPU. By a number, libtorch's kernel for CUDA
    /// would multiply by 1/255 instead, which rounds otherwise; by an f32 on the device it makes f32 of the bytes, and divides.
    fn to_tensor(&self, pixels: &Tensor) -> Tensor {
        pixels.to_device(self.device).g_div(&self.white)
    }
}

impl Batches for DataLoader<'_> {
    fn iter_from(&self, done: usize) -> Epoch<'_> {
        let order = Tensor::from_slice(&self.order.draw().order);
        let order = order.to_device(self.source().pixels.device());
        let places = (done..self.batches()).map(move |i| {
            let start = i * self.batch_size;
            let size = self.batch_size.min(self.examples() - start);
            order.narrow(0, start as i64, size as i64)
        });
        let Some(ImageSet { pixels, labels }) = &self.resident else {
            return Epoch::of_batches(self.batch_size, places.map(|places| self.gather(&places)));
        };
        let set = [pixels, labels, &self.white].map(Tensor::shallow_clone).into();
        Epoch::of_places(self.batch_size, places, set, |places| self.gather(places))
    }

    fn set_epoch(&self, epoch: usize) {
        self.order.set_epoch(epoch);
    }

    fn examples(&self) -> usize {
        self.order.examples()
    }

    fn batch_size(&self) -> usize {
        self.batch_size
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
        let images = ImageSet::new(&pixels, &labels, 2, 2, None);
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
        let images = ImageSet::new(&[1, 2, 3], &[7, 8, 9], 1, 1, Some(2));
        let batches: Vec<Batch> = DataLoader::new(&images, 5, false, Device::Cpu).iter().collect();
        assert_eq!(Vec::<i64>::try_from(&batches[0].y).unwrap(), [7, 8]);
    }
}
