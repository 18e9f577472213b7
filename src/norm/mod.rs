//! Batch normalization (Ioffe and Szegedy, 2015; d2l section 7.5): [`scratch`] is the book's formula written out over tensors,
//! [`native`] is libtorch's own, [`scratch_sync`] is the book's formula over the batches of several processes, and [`fused`] is the book's
//! formula and the activation after it in one CUDA kernel. The first two differ in more than speed:
//!
//! | | scratch | native |
//! |---|---|---|
//! | momentum | 0.9, the share of the old statistics kept | 0.1, the share of the new taken |
//! | running variance | biased (divided by n) | unbiased (divided by n - 1) |
//! | tensors | gamma, beta, moving_mean, moving_var | weight, bias, running_mean, running_var |
//!
//! [`Variant::None`] leaves the layers out.

pub mod fused;
pub mod native;
pub mod scratch;
pub mod scratch_sync;

use std::fmt;
use std::sync::Arc;

use clap::ValueEnum;
use tch::nn;

use crate::layers::Layer;
pub use scratch_sync::Ranks;

/// Added to the variance before the square root, in every variant.
pub const EPS: f64 = 1e-5;

/// Whether a layer normalizes features or channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dims {
    /// Input (N, C), after a dense layer: statistics over the batch.
    Two,
    /// Input (N, C, H, W), after a convolution: statistics over batch, height and width.
    Four,
}

/// The name of a batch norm, or of none: what `d2l_ch7 compare` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Variant {
    /// The book's formula, [`scratch::BatchNorm`].
    #[value(help = "batch norm by hand, the book's formula")]
    Scratch,
    /// libtorch's kernels, [`native::BatchNorm`].
    #[value(help = "libtorch's batch norm")]
    Native,
    /// The book's formula over the batches of all processes, [`scratch_sync::BatchNorm`].
    #[value(help = "by hand, over the batches of all processes (torchrun)")]
    ScratchSync,
    /// The book's formula and the activation after it in one CUDA kernel, [`fused::BatchNorm`].
    #[value(help = "by hand, in one CUDA kernel with the activation after it")]
    Fused,
    /// No batch norm: the network without these layers.
    #[value(help = "no batch norm: the network without these layers")]
    None,
}

impl Variant {
    /// The batch norms that the notebooks have, in the order in which they are compared.
    pub const NOTEBOOKS: [Self; 2] = [Self::Scratch, Self::Native];

    /// The variants that Python has too: `NORMS` in `notebooks_ref/norms.py`.
    pub const IN_PYTHON: [Self; 3] = [Self::Scratch, Self::Native, Self::None];

    /// Whether its networks have batch norms.
    pub fn has_batch_norm(self) -> bool {
        self != Self::None
    }

    /// What the command line calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scratch => "scratch",
            Self::Native => "native",
            Self::ScratchSync => "scratch-sync",
            Self::Fused => "fused",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Which batch norm a network is built with: an argument of every network in [`crate::nets`].
#[derive(Clone, Debug)]
pub enum Norm {
    /// [`scratch::BatchNorm`].
    Scratch,
    /// [`native::BatchNorm`].
    Native,
    /// [`scratch_sync::BatchNorm`] over the batches of these processes.
    ScratchSync(Arc<Ranks>),
    /// [`fused::BatchNorm`].
    Fused,
    /// No batch norm.
    None,
}

/// The batch norm for a single process.
impl From<Variant> for Norm {
    fn from(variant: Variant) -> Self {
        match variant {
            Variant::Scratch => Self::Scratch,
            Variant::Native => Self::Native,
            Variant::ScratchSync => Self::ScratchSync(Arc::default()),
            Variant::Fused => Self::Fused,
            Variant::None => Self::None,
        }
    }
}

impl Norm {
    /// A batch norm over `num_features` features or channels; its variables are below the path `p`. `None` for [`Norm::None`].
    pub fn batch_norm(&self, p: &nn::Path, num_features: i64, dims: Dims) -> Option<Box<dyn Layer>> {
        Some(match self {
            Self::Scratch => Box::new(scratch::BatchNorm::new(p, num_features, dims)),
            Self::Native => Box::new(native::BatchNorm::new(p, num_features, dims)),
            Self::ScratchSync(ranks) => Box::new(scratch_sync::BatchNorm::new(p, num_features, dims, ranks)),
            Self::Fused => Box::new(fused::BatchNorm::new(p, num_features, dims)),
            Self::None => return None,
        })
    }
}

#[cfg(test)]
mod tests;
