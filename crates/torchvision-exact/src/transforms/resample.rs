//! Pillow's bilinear resampling (`Image.resize(size, BILINEAR)`): two passes, one along each axis, in fixed point.
//!
//! An output pixel is a weighted mean of the input pixels within reach of its centre. The weights fall off
//! linearly; scaling down stretches their reach by the scale, so that every input pixel counts: that is the
//! antialiasing. Weights are computed in double precision, normalized to the sum 1, and rounded to 22 bits after
//! the point. Each pass sums integers and rounds to a byte, so no order of summation can change a pixel.
//!
//! Crates that resample with narrower weights come close, but not to the same pixels: with 16 bits a weight, one
//! in nine pixels of Fashion-MNIST resized to 224x224 is another.

/// Bits after the point: a byte times a weight leaves 2 of 32 for overflow and sign.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// Half a unit of the result, so that shifting rounds.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// The resampling from one size to another: weights computed once, for any number of images.
#[derive(Clone, Debug)]
pub struct Resample {
    from: (usize, usize),
    to: (usize, usize),
    channels: usize,
    rows: Axis,
    columns: Axis,
}

/// Which input pixels make each output pixel along one axis.
#[derive(Clone, Debug)]
struct Axis {
    /// For each output pixel: the first input pixel, and where its weights begin.
    starts: Vec<(usize, usize)>,
    /// All weights, one output pixel's after the other's.
    weights: Vec<i32>,
}

impl Resample {
    /// From images of `from` to images of `to`, both (height, width) and positive, of `channels` bytes a pixel.
    pub fn new(from: (usize, usize), to: (usize, usize), channels: usize) -> Self {
        let (rows, columns) = (Axis::new(from.0, to.0), Axis::new(from.1, to.1));
        Self { from, to, channels, rows, columns }
    }

    /// Height and width of an output image.
    pub fn output_size(&self) -> (usize, usize) {
        self.to
    }

    /// Bytes of an input image.
    pub fn input_len(&self) -> usize {
        self.from.0 * self.from.1 * self.channels
    }

    /// Bytes of an output image.
    pub fn output_len(&self) -> usize {
        self.to.0 * self.to.1 * self.channels
    }

    /// Resamples `image` into `out`, both (height, width, channels).
    ///
    /// Panics if their lengths are not [`input_len`](Self::input_len) and [`output_len`](Self::output_len).
    pub fn image(&self, image: &[u8], out: &mut [u8]) {
        assert_eq!((image.len(), out.len()), (self.input_len(), self.output_len()), "lengths of the images");
        // A pass along an axis whose length stays would change nothing.
        match (self.from.0 != self.to.0, self.from.1 != self.to.1) {
            (false, false) => out.copy_from_slice(image),
            (false, true) => self.horizontally(image, out),
            (true, false) => self.vertically(image, self.from.1, out),
            (true, true) if self.vertical_first() => {
                let mut between = vec![0; self.to.0 * self.from.1 * self.channels];
                self.vertically(image, self.from.1, &mut between);
                self.horizontally(&between, out);
            }
            (true, true) => {
                let mut between = vec![0; self.from.0 * self.to.1 * self.channels];
                self.horizontally(image, &mut between);
                self.vertically(&between, self.to.1, out);
            }
        }
    }

    /// Resamples images that lie one after the other in `images`, on at most `threads` threads. Threads change no
    /// pixel.
    ///
    /// Panics if `images` does not hold whole images.
    pub fn batch(&self, images: &[u8], threads: usize) -> Vec<u8> {
        assert_eq!(images.len() % self.input_len(), 0, "bytes that are no whole image");
        let count = images.len() / self.input_len();
        let mut out = vec![0; count * self.output_len()];
        let share = count.div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            let shares = images.chunks(share * self.input_len());
            for (images, out) in shares.zip(out.chunks_mut(share * self.output_len())) {
                let mut resample = move || {
                    let images = images.chunks_exact(self.input_len());
                    for (image, out) in images.zip(out.chunks_exact_mut(self.output_len())) {
                        self.image(image, out);
                    }
                };
                if share == count { resample() } else { drop(scope.spawn(resample)) }
            }
        });
        out
    }

    /// Pillow 13 begins with the rows when their number falls more than twice as much as that of the columns.
    /// (Before 13.0, it began with the columns unless an image was over a hundred times as high as wide.)
    fn vertical_first(&self) -> bool {
        let falls = |from: usize, to: usize| from as i64 - to as i64;
        let (height, width) = (falls(self.from.0, self.to.0), falls(self.from.1, self.to.1));
        height > 0 && height > 2 * width
    }

    /// Every row of `image` to the output's width.
    fn horizontally(&self, image: &[u8], out: &mut [u8]) {
        let channels = self.channels;
        let rows = image.chunks_exact(self.from.1 * channels);
        for (row, out) in rows.zip(out.chunks_exact_mut(self.to.1 * channels)) {
            for (x, pixel) in out.chunks_exact_mut(channels).enumerate() {
                let (first, weights) = self.columns.of(x);
                for (channel, byte) in pixel.iter_mut().enumerate() {
                    let reached = row[first * channels + channel..].iter().step_by(channels);
                    let sum =
                        reached.zip(weights).map(|(&byte, weight)| i32::from(byte) * weight).sum::<i32>();
                    *byte = rounded(HALF + sum);
                }
            }
        }
    }

    /// Every column of `image`, which is `width` pixels wide, to the output's height.
    fn vertically(&self, image: &[u8], width: usize, out: &mut [u8]) {
        let stride = width * self.channels;
        let mut sums = vec![0; stride];
        for (y, out) in out.chunks_exact_mut(stride).enumerate() {
            let (first, weights) = self.rows.of(y);
            sums.fill(HALF);
            for (row, &weight) in image[first * stride..].chunks_exact(stride).zip(weights) {
                for (sum, &byte) in sums.iter_mut().zip(row) {
                    *sum += i32::from(byte) * weight;
                }
            }
            for (byte, &sum) in out.iter_mut().zip(&sums) {
                *byte = rounded(sum);
            }
        }
    }
}

/// A sum of weighted bytes, half a unit included, as a byte.
fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

impl Axis {
    /// The weights for `to` pixels made from `from`, in the order of Pillow's operations, each of which rounds.
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let reach = scale.max(1.0);
        let mut axis = Self { starts: Vec::with_capacity(to), weights: Vec::new() };
        for i in 0..to {
            let center = (i as f64 + 0.5) * scale;
            // As integers, rounded half up. The first may be negative; conversion to usize makes that 0.
            let first = (center - reach + 0.5) as usize;
            let end = ((center + reach + 0.5) as usize).min(from);
            let near = (first..end).map(|j| triangle((j as f64 - center + 0.5) * (1.0 / reach)));
            let near: Vec<f64> = near.collect();
            let sum: f64 = near.iter().sum();
            axis.starts.push((first, axis.weights.len()));
            axis.weights.extend(near.iter().map(|weight| fixed_point(weight / sum)));
        }
        axis
    }

    /// The first input pixel of output pixel `i`, and the weights from there on.
    fn of(&self, i: usize) -> (usize, &[i32]) {
        let (first, begin) = self.starts[i];
        let end = self.starts.get(i + 1).map_or(self.weights.len(), |next| next.1);
        (first, &self.weights[begin..end])
    }
}

/// The bilinear filter: 1 at the centre, 0 from a distance of 1 on.
fn triangle(distance: f64) -> f64 {
    (1.0 - distance.abs()).max(0.0)
}

/// A weight in [0, 1], rounded to `PRECISION_BITS`.
fn fixed_point(weight: f64) -> i32 {
    (0.5 + weight * f64::from(1 << PRECISION_BITS)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_change_no_pixel() {
        let resample = Resample::new((5, 4), (9, 3), 3);
        let images: Vec<u8> = (0..7 * resample.input_len()).map(|i| (i * 37 % 251) as u8).collect();
        let mut alone = vec![0; 7 * resample.output_len()];
        for (image, out) in
            images.chunks_exact(resample.input_len()).zip(alone.chunks_exact_mut(resample.output_len()))
        {
            resample.image(image, out);
        }
        for threads in [0, 1, 2, 3, 7, 50] {
            assert_eq!(resample.batch(&images, threads), alone, "{threads} threads");
        }
        assert!(resample.batch(&[], 2).is_empty());
    }

    #[test]
    fn an_even_image_stays_even() {
        for value in [0, 1, 128, 255] {
            for to in [(1, 1), (3, 50), (17, 13)] {
                let resample = Resample::new((13, 17), to, 1);
                let out = resample.batch(&[value; 13 * 17], 1);
                assert!(out.iter().all(|&byte| byte == value), "{value} to {to:?}");
            }
        }
    }
}
