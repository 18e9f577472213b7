//! What can go wrong.

use crate::MOST_THREADS;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// libtorch refused a call, for this reason: the first line of its message.
    #[error("libtorch: {0}")]
    Torch(String),
    /// The device cannot capture CUDA graphs.
    #[error("no CUDA graph can be captured on {device}: {why}")]
    NoGraphs {
        /// PyTorch's name of the device, `cuda:0`.
        device: String,
        /// The reason.
        why: &'static str,
    },
    /// The device cannot compute the fused batch norm.
    #[error("the fused batch norm cannot be computed on {device}: {why}")]
    NoFused {
        /// PyTorch's name of the device, `cuda:0`.
        device: String,
        /// The reason, such as what the compiler says.
        why: String,
    },
    /// libtorch finds fewer CUDA devices.
    #[error("libtorch has no device {device}: it finds {count} CUDA devices")]
    NoDevice {
        /// PyTorch's name of the device, `cuda:0`.
        device: String,
        /// How many there are.
        count: i64,
    },
    /// Generator states were saved for another kind of device.
    #[error("the random generators that were saved are not those of a run on {0}")]
    OtherGenerators(String),
    /// No thread, or more than [`MOST_THREADS`].
    #[error("{0} threads are not 1 to {MOST_THREADS}")]
    Threads(usize),
    /// An environment variable keeps libgomp from starting as many threads. oneDNN would wait for them for ever.
    #[error("{variable} is {value}: training with {threads} threads would wait for ever")]
    ThreadLimit {
        /// The variable's name.
        variable: &'static str,
        /// The variable's value.
        value: String,
        /// The number of threads.
        threads: usize,
        /// The most threads that the variable allows.
        most: usize,
    },
    /// Tensors do not fit a network's variables.
    #[error("{origin}: {why}")]
    StateDict {
        /// Where the tensors came from.
        origin: String,
        /// The first thing that does not fit.
        why: String,
    },
    /// An optimizer's state does not fit its parameters.
    #[error("the optimizer's state does not fit its parameters: {0}")]
    OptimizerState(String),
}
