//! The notebooks' networks; parameter names are the keys of their `state_dict()`.

pub mod lenet;
pub mod residual;
pub mod resnet18;
