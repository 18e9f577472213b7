//! The generator that PyTorch draws from where none is named.

use torchvision_exact::random::Draws;

/// libtorch's default CPU generator, which the whole process draws from: what transforms draw from in a
/// `DataLoader` without workers.
#[derive(Clone, Copy, Debug)]
pub struct DefaultGenerator;

impl Draws for DefaultGenerator {
    fn next_u32(&mut self) -> u32 {
        tch_extra::random_u32()
    }
}
