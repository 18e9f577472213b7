//! Batch normalization (Ioffe and Szegedy, 2015; d2l section 7.5), twice: [`scratch`] is the book's formula
//! written out over tensors, [`native`] is libtorch's own. They differ in more than speed:
//!
//! | | scratch | native |
//! |---|---|---|
//! | momentum | 0.9, the share of the old statistics kept | 0.1, the share of the new taken |
//! | running variance | biased (divided by n) | unbiased (divided by n - 1) |
//! | tensors | gamma, beta, moving_mean, moving_var | weight, bias, running_mean, running_var |

pub mod native;
pub mod scratch;

use std::fmt;

use crate::layers::Module;

/// Added to the variance before the square root, here and there.
pub const EPS: f64 = 1e-5;

/// Whether a layer normalizes features or channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dims {
    /// Input (N, C), after a dense layer: statistics over the batch.
    Two,
    /// Input (N, C, H, W), after a convolution: statistics over batch, height and width.
    Four,
}

/// Which of the two implementations a network uses: what `d2l_ch7 compare` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The book's formula, [`scratch::BatchNorm`].
    Scratch,
    /// libtorch's kernels, [`native::BatchNorm`].
    Native,
}

impl Variant {
    /// Both, in the order in which they are compared.
    pub const ALL: [Self; 2] = [Self::Scratch, Self::Native];

    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scratch => "scratch",
            Self::Native => "native",
        }
    }

    /// A batch norm layer over `num_features` features or channels.
    pub fn batch_norm(self, num_features: i64, dims: Dims) -> Box<dyn Module> {
        match self {
            Self::Scratch => Box::new(scratch::BatchNorm::new(num_features, dims)),
            Self::Native => Box::new(native::BatchNorm::new(num_features, dims)),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
