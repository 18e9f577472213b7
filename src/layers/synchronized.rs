//! Layers whose forward pass exchanges with the other processes.

use std::sync::Arc;

use tch::Tensor;

use super::Module;
use crate::torch::ProcessGroup;

/// A batch norm over the batches of all ranks.
pub trait Synchronized {
    /// From now on, its forward passes in training exchange over `group`, and so do their backward passes.
    fn join(&mut self, group: &Arc<ProcessGroup>);

    /// What the last batch of training had here and on all ranks; `None` before the first.
    fn statistics(&self) -> Option<BatchStatistics>;
}

/// Mean and biased variance of each channel over a batch: tensors of one shape each, which no gradient flows through.
#[derive(Debug)]
pub struct BatchStatistics {
    /// Of this rank's part of the batch.
    pub own: [Tensor; 2],
    /// Of all ranks' parts, as the layer normalized by.
    pub all: [Tensor; 2],
}

/// Calls `f` with the dotted name of every such layer of `module`, in the order of construction.
pub fn visit_synchronized(module: &mut dyn Module, f: &mut dyn FnMut(&str, &mut dyn Synchronized)) {
    visit_below("", module, f);
}

fn visit_below(name: &str, module: &mut dyn Module, f: &mut dyn FnMut(&str, &mut dyn Synchronized)) {
    if let Some(layer) = module.synchronized() {
        f(name, layer);
    }
    let dot = if name.is_empty() { "" } else { "." };
    for (child_name, child) in module.children() {
        visit_below(&format!("{name}{dot}{child_name}"), child, f);
    }
}
