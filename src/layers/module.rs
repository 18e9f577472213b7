//! What every layer and network is: PyTorch's `nn.Module`, as far as the notebooks use it.

use tch::{Device, Tensor};

use super::{Misfit, Synchronized};
use crate::{Error, Result};

/// A layer or network (PyTorch: `nn.Module`). It may be used from another thread than the one that made it.
pub trait Module: Send {
    /// The class name that PyTorch prints: `Conv2d`, `BatchNorm`.
    fn name(&self) -> &'static str;

    /// The layer's output for a batch `x`. `train` is the notebook's `net.train()` and gradient mode in one:
    /// with it, batch norm uses the batch's statistics and dropout drops.
    fn forward(&mut self, x: &Tensor, train: bool) -> Tensor;

    /// [`forward`](Self::forward), where the shape of `x` is a user's choice and may not fit: a refusal names the layer.
    ///
    /// # Errors
    /// What libtorch refused. The statistics of the layers before it may have moved in training.
    fn try_forward(&mut self, x: &Tensor, train: bool) -> Result<Tensor, Misfit> {
        Misfit::caught(self.name(), x, || self.forward(x, train))
    }

    /// The layer's own tensors in the order of its `state_dict`: parameters, then buffers; not its children's.
    fn tensors(&mut self) -> Vec<(&'static str, Slot, &mut Tensor)> {
        Vec::new()
    }

    /// The modules this one is made of, in the order in which they were constructed.
    fn children(&mut self) -> Vec<(String, &mut dyn Module)> {
        Vec::new()
    }

    /// The weight that the book's `init_weights` redraws: that of `Conv2d` and `Linear`.
    fn xavier_weight(&mut self) -> Option<&mut Tensor> {
        None
    }

    /// This layer, if it exchanges with other processes in its forward pass.
    fn synchronized(&mut self) -> Option<&mut dyn Synchronized> {
        None
    }
}

/// What a tensor is to its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Trained: `module.parameters()` has it.
    Parameter,
    /// State that no gradient reaches: running statistics.
    Buffer,
}

/// Calls `f` with the dotted name (`1.gamma`) of every tensor of `module`, in the order of `state_dict()`.
pub fn visit(module: &mut dyn Module, f: &mut dyn FnMut(&str, Slot, &mut Tensor)) {
    visit_below("", module, f);
}

fn visit_below(prefix: &str, module: &mut dyn Module, f: &mut dyn FnMut(&str, Slot, &mut Tensor)) {
    for (name, slot, tensor) in module.tensors() {
        f(&format!("{prefix}{name}"), slot, tensor);
    }
    for (name, child) in module.children() {
        visit_below(&format!("{prefix}{name}."), child, f);
    }
}

/// `list(module.parameters())`: handles that share the module's memory.
pub fn parameters(module: &mut dyn Module) -> Vec<Tensor> {
    let mut found = Vec::new();
    visit(module, &mut |_, slot, tensor| {
        if slot == Slot::Parameter {
            found.push(tensor.shallow_clone());
        }
    });
    found
}

/// `module.state_dict()`: names and detached handles that share the module's memory.
pub fn state(module: &mut dyn Module) -> Vec<(String, Tensor)> {
    let mut found = Vec::new();
    visit(module, &mut |name, _, tensor| found.push((name.to_owned(), tensor.detach())));
    found
}

/// `module.to(device)`: moves every parameter and buffer. Handles taken before no longer share memory with a
/// module that moved.
pub fn to_device(module: &mut dyn Module, device: Device) {
    visit(module, &mut |_, slot, tensor| {
        if tensor.device() != device {
            let trained = slot == Slot::Parameter && tensor.requires_grad();
            *tensor = tensor.detach().to_device(device).set_requires_grad(trained);
        }
    });
}

/// `module.load_state_dict(values)`, strict: copies `values` into the module's tensors. Nothing is changed
/// unless every name and shape fits.
///
/// `origin` names where the values came from, for the message.
///
/// # Errors
/// If a name is missing or unknown, or if a tensor has another shape or kind than the module's.
pub fn load_state(module: &mut dyn Module, values: &[(String, Tensor)], origin: &str) -> Result<()> {
    let remedy = "give the weights that a run of the same recipe and variant saved";
    let mut expected = Vec::new();
    visit(module, &mut |name, _, tensor| expected.push((name.to_owned(), tensor.size(), tensor.kind())));
    for (name, size, kind) in &expected {
        let Some((_, value)) = values.iter().find(|(n, _)| n == name) else {
            return Err(Error::failed(
                format!("{origin}: no tensor {name}; these are another network's weights"),
                remedy,
            ));
        };
        if value.size() != *size || value.kind() != *kind {
            return Err(Error::failed(
                format!(
                    "{origin}: {name} is {:?} {:?}, this network's is {kind:?} {size:?}",
                    value.kind(),
                    value.size()
                ),
                remedy,
            ));
        }
    }
    if let Some((name, _)) = values.iter().find(|(name, _)| !expected.iter().any(|(n, ..)| n == name)) {
        return Err(Error::failed(format!("{origin}: this network has no tensor {name}"), remedy));
    }
    tch::no_grad(|| {
        visit(module, &mut |name, _, tensor| {
            for (_, value) in values.iter().filter(|(n, _)| n == name) {
                tensor.copy_(value);
            }
        });
    });
    Ok(())
}
