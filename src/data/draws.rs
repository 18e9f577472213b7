//! Random numbers as PyTorch draws them on the CPU: MT19937, and what `torch.rand`, `randint`, `uniform_` and
//! `randperm` make of its 32-bit outputs.

use rand_mt::Mt;

/// The most numbers for which `torch.randperm` draws 32 bits each; from there on it draws 64.
const MAX_PERMUTED: usize = (u32::MAX / 20) as usize;
/// The range from which on `torch.randint` draws 64 bits.
const MAX_RANGE: usize = 1 << 28;

/// A stream of random numbers of PyTorch's.
pub trait Draws {
    /// The generator's next 32 bits.
    fn next_u32(&mut self) -> u32;

    /// `torch.empty(1).uniform_(from, to)`: one float32 from 24 random bits, in [from, to).
    fn uniform(&mut self, from: f64, to: f64) -> f32 {
        const BITS: u32 = f32::MANTISSA_DIGITS;
        let (from, to) = (from as f32, to as f32);
        let unit = (self.next_u32() & ((1 << BITS) - 1)) as f32 / (1 << BITS) as f32;
        if tch_extra::fuses_multiply_add() {
            unit.mul_add(to - from, from)
        } else {
            unit * (to - from) + from
        }
    }

    /// `torch.rand(1)`.
    fn rand(&mut self) -> f32 {
        self.uniform(0.0, 1.0)
    }

    /// `torch.randint(0, high, (1,))`, `high` from 1 to 2^28 - 1; panics beyond, where PyTorch draws otherwise.
    fn randint(&mut self, high: usize) -> usize {
        assert!((1..MAX_RANGE).contains(&high), "randint below {high}");
        self.next_u32() as usize % high
    }

    /// `torch.randperm(n)`: a Fisher-Yates shuffle of 0..n.
    ///
    /// Panics for `n` of 214,748,364 and more, where PyTorch draws otherwise.
    fn randperm(&mut self, n: usize) -> Vec<i64> {
        assert!(n < MAX_PERMUTED, "randperm of {n}: PyTorch draws 64 bits an index from {MAX_PERMUTED} on");
        let mut order: Vec<i64> = (0..n as i64).collect();
        for i in 0..n.saturating_sub(1) {
            let offset = self.next_u32() as usize % (n - i);
            order.swap(i, i + offset);
        }
        order
    }
}

/// A generator of its own, as `torch.manual_seed` leaves the default one in a fresh process: worker `w` of a
/// `DataLoader` has it with the seed `base_seed + w`.
///
/// ```
/// use d2l_ch7::data::{Draws, Mt19937};
///
/// let draws = |seed| Mt19937::new(seed).rand();
/// assert_eq!(draws(0), draws(1 << 32)); // PyTorch uses the seed's low 32 bits
/// assert_ne!(draws(0), draws(1));
/// ```
#[derive(Clone, Debug)]
pub struct Mt19937(Mt);

impl Mt19937 {
    /// The generator after `torch.manual_seed(seed)`.
    pub fn new(seed: u64) -> Self {
        Self(Mt::new(seed as u32))
    }
}

impl Draws for Mt19937 {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }
}

/// libtorch's default CPU generator, which the whole process draws from: what transforms draw from in a
/// `DataLoader` without workers.
#[derive(Clone, Copy, Debug)]
pub struct DefaultGenerator;

impl Draws for DefaultGenerator {
    fn next_u32(&mut self) -> u32 {
        tch_extra::random_u32()
    }
}
