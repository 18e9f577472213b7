//! PyTorch's `state_dict` for a `tch` variable store: parameters in order, names in order, strict loading.

use std::collections::HashMap;

use tch::Tensor;
use tch::nn::VarStore;

use crate::{Error, Result};

/// `list(net.named_parameters())`, in the order of construction. The store gives the order without names, and the names without order.
pub fn named_parameters(vs: &VarStore) -> Vec<(String, Tensor)> {
    let mut names: HashMap<_, _> = vs.variables().into_iter().map(|(name, t)| (t.data_ptr(), name)).collect();
    let named = |t: Tensor| (names.remove(&t.data_ptr()).expect("every variable has a name"), t);
    vs.trainable_variables().into_iter().map(named).collect()
}

/// `net.state_dict()`, sorted by name. The tensors are detached and share the network's memory.
pub fn state(vs: &VarStore) -> Vec<(String, Tensor)> {
    // The hash map has another order at each call.
    let mut state: Vec<_> = vs.variables().into_iter().map(|(name, t)| (name, t.detach())).collect();
    state.sort_by(|(a, _), (b, _)| a.cmp(b));
    state
}

/// `net.buffers()`, sorted by name: running statistics, which have no gradient.
pub fn buffers(vs: &VarStore) -> Vec<Tensor> {
    let mut buffers: Vec<_> = vs.variables().into_iter().filter(|(_, t)| !t.requires_grad()).collect();
    buffers.sort_by(|(a, _), (b, _)| a.cmp(b));
    buffers.into_iter().map(|(_, t)| t).collect()
}

/// Prefixes that PyTorch's `DataParallel`, `DistributedDataParallel` and `torch.compile` put before every name.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];

/// `net.load_state_dict(values)`, strict. It takes what Python takes: numbers of any type, which are converted to the network's; a
/// scalar of shape (1); old files without `num_batches_tracked`. It also takes names that all begin with `module.` or `_orig_mod.`.
///
/// `origin` says in the error message where the values came from.
///
/// # Errors
/// If a name is missing or unknown, or if a tensor has another shape than the network's. Nothing is changed then.
pub fn load_state_dict(vs: &VarStore, mut values: Vec<(String, Tensor)>, origin: &str) -> Result<()> {
    let common = |values: &[(String, Tensor)]| {
        let starts_all = |prefix: &&str| values.iter().all(|(name, _)| name.starts_with(prefix));
        PREFIXES.into_iter().find(starts_all).filter(|_| !values.is_empty())
    };
    while let Some(prefix) = common(&values) {
        values.iter_mut().for_each(|(name, _)| *name = name.split_off(prefix.len()));
    }
    for (name, own) in state(vs) {
        match values.iter_mut().find(|(n, _)| *n == name) {
            Some((_, value)) => {
                let size = if value.size() == [1] && own.dim() == 0 { Vec::new() } else { value.size() };
                *value = value.reshape(size).to_kind(own.kind());
            }
            None if name.ends_with("num_batches_tracked") => values.push((name, own)),
            None => {}
        }
    }
    load_state(vs, &values, origin)
}

/// Copies `values` into the network's tensors, bit for bit. Nothing is changed unless every name, shape and kind fits; `VarStore::load`
/// would cast and broadcast tensors, ignore unknown names and stop half-way.
///
/// `origin` says in the error message where the values came from.
///
/// # Errors
/// If a name is missing or unknown, or if a tensor has another shape or kind than the network's.
pub fn load_state(vs: &VarStore, values: &[(String, Tensor)], origin: &str) -> Result<()> {
    let expected = state(vs);
    if let Some(why) = misfit(&expected, values) {
        return Err(Error::StateDict { origin: origin.to_owned(), why });
    }
    for (name, mut tensor) in expected {
        for (_, value) in values.iter().filter(|(n, _)| *n == name) {
            tensor.copy_(value);
        }
    }
    Ok(())
}

/// Why `values` do not fit a network whose state is `expected`, in one line.
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

/// A shape as PyTorch writes it: `(100, 16)`.
pub fn shape(size: &[i64]) -> String {
    format!("({})", size.iter().map(i64::to_string).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, nn};

    use super::*;

    /// The variables of `nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))`.
    fn net() -> VarStore {
        let vs = VarStore::new(Device::Cpu);
        let (linear, norm) = (vs.root() / 0, vs.root() / 1);
        let _ = nn::linear(&linear, 3, 2, nn::LinearConfig::default());
        let _ = nn::batch_norm1d(&norm, 2, nn::BatchNormConfig::default());
        let _ = norm.add("num_batches_tracked", Tensor::from(0i64), false);
        vs
    }

    /// The state of a network like [`net`], with every number a seven.
    fn sevens() -> Vec<(String, Tensor)> {
        state(&net()).into_iter().map(|(name, tensor)| (name, tensor.full_like(7))).collect()
    }

    /// The state of a network after loading `values`, or why they were refused.
    fn loaded(values: Vec<(String, Tensor)>) -> Result<Vec<(String, Tensor)>, String> {
        let net = net();
        let before = state(&net).into_iter().map(|(name, tensor)| (name, tensor.copy())).collect::<Vec<_>>();
        match load_state_dict(&net, values, "the file") {
            Ok(()) => Ok(state(&net)),
            Err(error) => {
                assert!(state(&net) == before, "a refusal changes nothing");
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
    fn numbers_of_any_kind_become_the_networks() {
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
        let weight = loaded(between).unwrap()[1].1.double_value(&[0, 0]);
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
        let error = load_state(&net(), &doubles, "the checkpoint").unwrap_err().to_string();
        assert_eq!(error, "the checkpoint: 0.weight has numbers of another kind than this network's");
    }
}
