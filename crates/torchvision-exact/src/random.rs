//! Random numbers as PyTorch draws them on the CPU: MT19937, and what `torch.rand`, `randint`, `uniform_`, `random_` and `randperm`
//! make of its 32-bit outputs.

use std::sync::LazyLock;

use rand_mt::Mt;

/// The most numbers for which `torch.randperm` draws 32 bits each; from there on it draws 64.
const MAX_PERMUTED: usize = (u32::MAX / 20) as usize;
/// The range from which on `torch.randint` draws 64 bits.
const MAX_RANGE: usize = 1 << 28;

/// A stream of PyTorch's random numbers. Implement it over libtorch's default generator to draw from that one.
pub trait Draws {
    /// The generator's next 32 bits.
    fn next_u32(&mut self) -> u32;

    /// `torch.empty((), dtype=torch.int64).random_()`: 63 random bits. A `DataLoader` draws its seeds so.
    fn random_i64(&mut self) -> i64 {
        let high = u64::from(self.next_u32());
        let bits = (high << 32) | u64::from(self.next_u32());
        (bits & (u64::MAX >> 1)).cast_signed()
    }

    /// `torch.empty(1).uniform_(from, to)`: one float32 from 24 random bits, in [from, to).
    fn uniform(&mut self, from: f64, to: f64) -> f32 {
        const BITS: u32 = f32::MANTISSA_DIGITS;
        let (from, to) = (from as f32, to as f32);
        let unit = (self.next_u32() & ((1 << BITS) - 1)) as f32 / (1 << BITS) as f32;
        if *FUSES { unit.mul_add(to - from, from) } else { unit * (to - from) + from }
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

/// Whether libtorch's CPU kernels compute `a * b + c` with one rounding here, or with two. They fuse with AVX2 and more, which libtorch
/// uses where the processor has it and the environment does not say `ATEN_CPU_CAPABILITY=default`.
static FUSES: LazyLock<bool> = LazyLock::new(|| {
    #[cfg(target_arch = "x86_64")]
    return std::env::var_os("ATEN_CPU_CAPABILITY").is_none_or(|capability| capability != "default")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    true
});

/// A generator of its own, as `torch.manual_seed` leaves the default one in a fresh process: worker `w` of a
/// `DataLoader` has it with the seed `base_seed + w`.
///
/// ```
/// use torchvision_exact::random::{Draws, Mt19937};
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

/// `torch.randperm(n, generator=torch.Generator().manual_seed(seed))` on the CPU: [`Draws::randperm`].
///
/// ```
/// use torchvision_exact::random::randperm;
///
/// let order = randperm(5, 0);
/// let mut sorted = order.clone();
/// sorted.sort();
/// assert_eq!(sorted, [0, 1, 2, 3, 4]);
/// assert_eq!(order, randperm(5, 1 << 32)); // the high bits do not matter
/// ```
///
/// # Panics
/// For `n` of 214,748,364 and more, where PyTorch draws otherwise.
pub fn randperm(n: usize, seed: u64) -> Vec<i64> {
    Mt19937::new(seed).randperm(n)
}
