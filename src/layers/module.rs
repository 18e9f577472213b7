//! What every layer and network is: PyTorch's `nn.Module`, as far as the notebooks use it.

use tch::{Device, Tensor};

use super::misfit::shape;
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

/// What `DataParallel`, `DistributedDataParallel` and `torch.compile` put before every name.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];

/// `module.load_state_dict(values)`, strict. It takes what Python takes: numbers of any kind, which become the module's; a scalar
/// of shape (1); no `num_batches_tracked`, which old files lack. It also takes names that all begin with `module.` or `_orig_mod.`.
///
/// `origin` names where the values came from, for the message.
///
/// # Errors
/// If a name is missing or unknown, or if a tensor has another shape than the module's; nothing is changed then.
pub fn load_state_dict(
    module: &mut dyn Module,
    mut values: Vec<(String, Tensor)>,
    origin: &str,
) -> Result<()> {
    let common = |values: &[(String, Tensor)]| {
        let starts_all = |prefix: &&str| values.iter().all(|(name, _)| name.starts_with(prefix));
        PREFIXES.into_iter().find(starts_all).filter(|_| !values.is_empty())
    };
    while let Some(prefix) = common(&values) {
        values.iter_mut().for_each(|(name, _)| *name = name.split_off(prefix.len()));
    }
    for (name, own) in state(module) {
        match values.iter_mut().find(|(n, _)| *n == name) {
            Some((_, value)) => {
                let size = if value.size() == [1] && own.dim() == 0 { Vec::new() } else { value.size() };
                *value = value.reshape(size).to_kind(own.kind());
            }
            None if name.ends_with("num_batches_tracked") => values.push((name, own)),
            None => {}
        }
    }
    load_state(module, &values, origin)
}

/// Copies `values` into the module's tensors, bit for bit. Nothing is changed unless every name, shape and kind fits.
///
/// `origin` names where the values came from, for the message.
///
/// # Errors
/// If a name is missing or unknown, or if a tensor has another shape or kind than the module's.
pub fn load_state(module: &mut dyn Module, values: &[(String, Tensor)], origin: &str) -> Result<()> {
    let expected = state(module);
    if let Some(why) = misfit(&expected, values) {
        return Err(Error::failed(
            format!("{origin}: {why}"),
            "give the weights that a run of the same recipe and variant saved",
        ));
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

/// Why `values` are not those of a module whose state is `expected`, in a line.
fn misfit(expected: &[(String, Tensor)], values: &[(String, Tensor)]) -> Option<String> {
    let [missing, unknown] = [(expected, values), (values, expected)].map(|(names, others)| {
        let is_alone = |name: &&str| others.iter().all(|(other, _)| other != name);
        let mut alone: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).filter(is_alone).collect();
        alone.sort_unstable();
        alone
    });
    let found =
        [("it lacks", missing), ("it has the unknown", unknown)].map(|(what, names)| match names[..] {
            [] => None,
            [name] => Some(format!("{what} {name}")),
            [name, ..] => Some(format!("{what} {name} and {} more", names.len() - 1)),
        });
    let found = found.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if !found.is_empty() {
        return Some(format!("these are another network's weights: {found}"));
    }
    expected.iter().find_map(|(name, own)| {
        let (_, value) = values.iter().find(|(n, _)| n == name)?;
        if value.size() != own.size() {
            let [got, size] = [value, own].map(|tensor| shape(&tensor.size()));
            return Some(format!("{name} has the shape {got}, this network's has {size}"));
        }
        (value.kind() != own.kind())
            .then(|| format!("{name} has numbers of another kind than this network's"))
    })
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::super::{Linear, Sequential};
    use super::*;
    use crate::norm::{Dims, Variant};

    fn net() -> Sequential {
        Sequential::new().then(Linear::new(3, 2)).then_boxed(Variant::Native.batch_norm(2, Dims::Two))
    }

    /// The state of a network like [`net`], in which everything is seven.
    fn sevens() -> Vec<(String, Tensor)> {
        state(&mut net()).into_iter().map(|(name, tensor)| (name, tensor.full_like(7))).collect()
    }

    /// The state of a network that took `values`, or why it did not.
    fn loaded(values: Vec<(String, Tensor)>) -> Result<Vec<(String, Tensor)>, String> {
        let mut net = net();
        let before =
            state(&mut net).into_iter().map(|(name, tensor)| (name, tensor.copy())).collect::<Vec<_>>();
        match load_state_dict(&mut net, values, "the file") {
            Ok(()) => Ok(state(&mut net)),
            Err(error) => {
                assert!(state(&mut net) == before, "a refusal changes nothing");
                Err(error.to_string())
            }
        }
    }

    fn changed(name: &str, change: impl Fn(&Tensor) -> Tensor) -> Vec<(String, Tensor)> {
        let change =
            |(n, tensor): (String, Tensor)| if n == name { (n, change(&tensor)) } else { (n, tensor) };
        sevens().into_iter().map(change).collect()
    }

    const COUNT: &str = "1.num_batches_tracked";

    #[test]
    fn numbers_of_any_kind_become_the_modules() {
        for kind in [Kind::Double, Kind::Half, Kind::BFloat16, Kind::Int, Kind::Uint8, Kind::Float8e4m3fn] {
            for name in ["0.weight", COUNT] {
                let values = changed(name, |tensor| tensor.to_kind(Kind::Float).to_kind(kind));
                assert!(loaded(values) == Ok(sevens()), "{name} {kind:?}");
            }
        }
        // Halfway between two float32: to the even one.
        let between = changed("0.weight", |_| {
            Tensor::full([2, 3], 7.0 + 1.5 * 2f64.powi(-21), (Kind::Double, Device::Cpu))
        });
        let weight = loaded(between).unwrap()[0].1.double_value(&[0, 0]);
        assert_eq!(weight, 7.0 + 2f64.powi(-20));
    }

    #[test]
    fn old_files_may_lack_the_count_of_batches_or_have_it_in_a_list() {
        assert!(loaded(changed(COUNT, |tensor| tensor.reshape([1]))) == Ok(sevens()));
        let without = sevens().into_iter().filter(|(name, _)| name != COUNT).collect();
        assert!(loaded(without) == Ok(changed(COUNT, Tensor::zeros_like)));
        let refused = loaded(changed(COUNT, |_| Tensor::from_slice(&[7i64, 7]))).unwrap_err();
        assert!(
            refused.contains("1.num_batches_tracked has the shape (2), this network's has ()"),
            "{refused}"
        );
    }

    #[test]
    fn prefixes_of_every_name_are_taken_off() {
        let prefixed = |prefix: &str| {
            sevens().into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect::<Vec<_>>()
        };
        for prefix in ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."] {
            assert!(loaded(prefixed(prefix)) == Ok(sevens()), "{prefix}");
        }
        let mut all_but_one = prefixed("module.");
        all_but_one[0].0 = "0.weight".to_owned();
        for values in [all_but_one, prefixed("model.")] {
            assert!(
                loaded(values).unwrap_err().contains("these are another network's weights: it lacks 0.bias")
            );
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut more = sevens();
        more.push(("2.weight".to_owned(), Tensor::from(0)));
        let cases = [
            (more.split_off(3), "it lacks 0.bias and 2 more, it has the unknown 2.weight"),
            (Vec::new(), "it lacks 0.bias and 5 more"),
            (
                changed("0.weight", |tensor| tensor.tr()),
                "0.weight has the shape (3, 2), this network's has (2, 3)",
            ),
            (changed("0.weight", |tensor| tensor.unsqueeze(0)), "has the shape (1, 2, 3)"),
        ];
        for (values, expected) in cases {
            let message = loaded(values).unwrap_err();
            assert!(message.starts_with("the file: ") && message.contains(expected), "{message}");
        }
        // A checkpoint comes back to the bit, or not at all.
        let doubles = changed("0.weight", |tensor| tensor.to_kind(Kind::Double));
        let error = load_state(&mut net(), &doubles, "the checkpoint").unwrap_err().to_string();
        assert_eq!(error, "the checkpoint: 0.weight has numbers of another kind than this network's");
    }
}
