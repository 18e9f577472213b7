//! What a user runs, one file a notebook or question: hyperparameters and wiring only.

pub mod augment;
pub mod basics;
pub mod bench;
pub mod chapter;
mod child;
pub mod cifar;
pub mod claims;
pub mod compare;
mod description;
pub mod evaluate;
mod inspector;
pub mod list;
pub mod networks;
pub mod options;
mod ranks;
pub mod recipes;
pub(crate) mod resumed_config;
mod run_log;
pub(crate) mod saved;
pub mod shapes;
pub mod sweep;
mod thumbnail;
mod trainer;
pub mod values;
