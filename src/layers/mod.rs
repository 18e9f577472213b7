//! The layers that the notebooks take from `torch.nn`, with PyTorch's defaults, and the trait they share with
//! the batch norms of [`crate::norm`] and the networks of [`crate::nets`].

mod conv;
mod linear;
mod misfit;
mod module;
mod sequential;
mod simple;
mod synchronized;

pub use conv::Conv2d;
pub use linear::Linear;
pub use misfit::Misfit;
pub use module::{Module, Slot, load_state, load_state_dict, parameters, state, to_device, visit};
pub use sequential::Sequential;
pub use simple::{AdaptiveAvgPool2d, AvgPool2d, Dropout, Flatten, MaxPool2d, ReLU, Sigmoid};
pub use synchronized::{BatchStatistics, Synchronized, visit_synchronized};
