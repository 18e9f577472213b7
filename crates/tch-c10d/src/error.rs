//! What can go wrong.

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// libtorch refused a call: among other reasons, because a rank is gone or did not come in time.
    #[error(transparent)]
    Torch(#[from] tch_extra::Error),
    /// A text for C++ has a NUL in it.
    #[error("{0:?} has a NUL in it")]
    Nul(String),
    /// More ranks than c10d's type for their number holds.
    #[error("{0} ranks are more than torch.distributed knows")]
    TooManyRanks(usize),
    /// This crate was compiled without the headers of NCCL and CUDA.
    #[error("processes on CUDA devices exchange gradients through NCCL, and this build is without")]
    NoNccl,
}
