//! Batches of images, as `torch.utils.data.DataLoader` with `ToTensor` gives them.

use tch::{Device, Kind, Tensor};

use super::epoch_order;

/// Images in memory as bytes (N, 1, rows, cols), and their labels (N,) as int64.
#[derive(Debug)]
pub struct ImageSet {
    pixels: Tensor,
    labels: Tensor,
}

/// Images (B, 1, rows, cols) as f32 in [0, 1], and labels (B,) as int64, on the device of training.
#[derive(Debug)]
pub struct Batch {
    /// Pixel values over 255.
    pub x: Tensor,
    /// Classes.
    pub y: Tensor,
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

    /// The first image alone (1, 1, rows, cols), as a batch would hold it.
    pub fn first(&self, device: Device) -> Tensor {
        to_tensor(&self.pixels.narrow(0, 0, 1), device)
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

/// `DataLoader(images, batch_size, shuffle)`: the last batch may be smaller.
#[derive(Debug)]
pub struct DataLoader<'a> {
    images: &'a ImageSet,
    batch_size: usize,
    shuffle: bool,
    device: Device,
}

impl<'a> DataLoader<'a> {
    /// A loader whose batches are put on `device`. `batch_size` is positive.
    pub fn new(images: &'a ImageSet, batch_size: usize, shuffle: bool, device: Device) -> Self {
        Self { images, batch_size, shuffle, device }
    }

    /// How many images an epoch has.
    pub fn examples(&self) -> usize {
        self.images.len()
    }

    /// How many batches an epoch has.
    pub fn batches(&self) -> usize {
        self.images.len().div_ceil(self.batch_size)
    }

    /// The batches of an epoch. Draws from the default generator what PyTorch's loader draws.
    pub fn iter(&self) -> impl Iterator<Item = Batch> {
        let order = Tensor::from_slice(&epoch_order(self.images.len(), self.shuffle));
        (0..self.batches()).map(move |i| {
            let start = i * self.batch_size;
            let size = self.batch_size.min(self.images.len() - start);
            self.gather(&order.narrow(0, start as i64, size as i64))
        })
    }

    fn gather(&self, indices: &Tensor) -> Batch {
        Batch {
            x: to_tensor(&self.images.pixels.index_select(0, indices), self.device),
            y: self.images.labels.index_select(0, indices).to_device(self.device),
        }
    }
}

/// torchvision's `ToTensor`: bytes as f32 in [0, 1]; it divides in f32.
fn to_tensor(pixels: &Tensor, device: Device) -> Tensor {
    pixels.to_device(device).to_kind(Kind::Float).g_div_scalar_(255)
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
