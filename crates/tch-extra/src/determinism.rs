//! The switches of libtorch that decide bits on CUDA, and whether a run gives them again: of the whole process.

use crate::Result;
use crate::ffi::Outcome;

unsafe extern "C" {
    safe fn tchx_get_determinism(now: &mut Determinism) -> Outcome;
    safe fn tchx_set_determinism(wanted: &Determinism) -> Outcome;
}

/// What `torch.use_deterministic_algorithms` and `torch.backends` set. libtorch begins with the settings of
/// [`Determinism::default`]. In memory it is the `tchx_determinism` of `csrc/`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Determinism {
    /// `torch.use_deterministic_algorithms`: an operation takes its deterministic kernel, or fails where it has none, with a
    /// message that names it. New memory is filled, so that nothing depends on what was in it.
    pub algorithms: bool,
    /// Its `warn_only`: a warning in place of the failure.
    pub warn_only: bool,
    /// `torch.backends.cudnn.deterministic`: convolutions take none of cuDNN's kernels that add in any order.
    pub cudnn_deterministic: bool,
    /// `torch.backends.cudnn.benchmark`: cuDNN tries its kernels on the first batch and keeps the fastest, which may be
    /// another one in the next run.
    pub cudnn_benchmark: bool,
    /// `torch.backends.cuda.matmul.allow_tf32`: matrix products may round their factors to ten bits of fraction.
    pub matmul_tf32: bool,
    /// `torch.backends.cudnn.allow_tf32`: so may cuDNN.
    pub cudnn_tf32: bool,
}

impl Default for Determinism {
    fn default() -> Self {
        Self {
            algorithms: false,
            warn_only: false,
            cudnn_deterministic: false,
            cudnn_benchmark: false,
            matmul_tf32: false,
            cudnn_tf32: true,
        }
    }
}

impl Determinism {
    /// What makes a run on CUDA give its bits again: `torch.use_deterministic_algorithms(True)` and
    /// `torch.backends.cudnn.deterministic = True`, the rest as PyTorch begins.
    pub fn reproducible() -> Self {
        Self { algorithms: true, cudnn_deterministic: true, ..Self::default() }
    }

    /// What is set now.
    ///
    /// # Errors
    /// If TF32 was set for matrix products and cuDNN in ways that libtorch finds contradictory.
    pub fn now() -> Result<Self> {
        let mut now = Self::default();
        tchx_get_determinism(&mut now).check()?;
        Ok(now)
    }

    /// Sets all of it. As in Python, `CUBLAS_WORKSPACE_CONFIG` stays what it is: since 2.11, libtorch does not ask for it. Where it is set,
    /// libtorch parses it at every matrix product.
    ///
    /// # Errors
    /// If libtorch does not take it.
    pub fn set(self) -> Result<()> {
        tchx_set_determinism(&self).check()
    }
}
