//! What can go wrong.

use crate::launch::NEEDED;

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
    /// A launcher sets five variables, and the environment has some of them, but not these.
    #[error("of {}, the environment lacks {}", NEEDED.join(", "), .0.join(", "))]
    MissingVariables(Vec<&'static str>),
    /// A launcher's variable has a value that makes no sense.
    #[error("the environment's {variable} is {value}, expected {expected}")]
    BadVariable {
        /// The variable's name.
        variable: &'static str,
        /// The variable's value.
        value: String,
        /// What would make sense.
        expected: String,
    },
    /// A rank did not reach the store.
    #[error("rank {rank} cannot reach the store at {host}:{port} ({why})")]
    NoStore {
        /// The rank.
        rank: usize,
        /// The name or address of the store's host.
        host: String,
        /// The store's TCP port.
        port: u16,
        /// What libtorch says.
        why: tch_extra::Error,
    },
}
