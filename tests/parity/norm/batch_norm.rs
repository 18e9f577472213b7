//! Both batch norms: output, every gradient, moving statistics, evaluation.
//!
//! `fixtures.batch_norm` stores the numbers of this Python, here for images; the variant `scratch` has the notebooks'
//! `BatchNorm(C, num_dims=4)` (`norms.BatchNorm`) with `gamma`, `beta`, `moving_mean` and `moving_var` instead:
//!
//! ```python
//! X, X1, X2 = (torch.randn(4, C, 6, 5) * 2 + 3 for _ in range(3))
//! X.requires_grad_()
//! layer = nn.BatchNorm2d(C)
//! with torch.no_grad():
//!     layer.weight.copy_(gamma), layer.bias.copy_(beta)
//! Y = layer(X)
//! torch.autograd.grad((Y * W).sum(), (X, layer.weight, layer.bias))
//! print(layer.running_mean, layer.running_var)  # after one batch: mean1, var1
//! layer(X1), layer(X2)
//! print(layer.running_mean, layer.running_var)  # after three: mean3, var3
//! evaluated = layer.eval()(X)
//! ```

use d2l_ch7::norm::{Dims, Norm, Variant};
use tch::nn::{ModuleT, VarStore};
use tch::{Device, Kind, Tensor};
use tch_extra::state_dict::buffers;

use crate::support::{Stored, libtorch};

/// A case's input: a view of the stored tensor `base`, as in `fixtures.VIEWS`.
fn view(case: &str, base: &Tensor) -> Tensor {
    match case {
        "dense_transposed" => base.transpose(0, 1),
        "conv_channels_last" => base.permute([0, 3, 1, 2]),
        "conv_strided" => base.slice(3, 0, None, 2),
        _ => base.shallow_clone(),
    }
}

fn check(case: &str, variant: Variant) {
    let stored = Stored::open("batch_norm");
    let of_case = |name: &str| stored.get(&format!("{case}.{name}"));
    let assert =
        |name: &str, actual: &Tensor| stored.assert_floats(&format!("{case}.{variant}.{name}"), actual);
    let dims = if case.starts_with("dense") { Dims::Two } else { Dims::Four };
    let vs = VarStore::new(Device::Cpu);
    let layer = Norm::from(variant).batch_norm(&vs.root(), of_case("gamma").size()[0], dims).unwrap();
    let [gamma, beta] = &vs.trainable_variables()[..] else { panic!("two parameters") };
    for (parameter, name) in [(gamma, "gamma"), (beta, "beta")] {
        let value = of_case(name).reshape(parameter.size());
        tch::no_grad(|| parameter.shallow_clone().copy_(&value));
    }
    let x = view(case, of_case("base0")).set_requires_grad(true);

    let y = layer.forward_t(&x, true);
    assert("Y", &y.detach());
    let sum = (&y * of_case("W")).sum(Kind::Float);
    let grads = Tensor::run_backward(&[sum], &[&x, gamma, beta], false, false);
    for (name, grad) in ["grad_X", "grad_gamma", "grad_beta"].iter().zip(&grads) {
        assert(name, &grad.contiguous());
    }
    // Sorted by name: moving_mean, moving_var; or num_batches_tracked, running_mean, running_var.
    let statistics = || {
        let floats = buffers(&vs).into_iter().filter(|buffer| buffer.kind() == Kind::Float);
        floats.map(|buffer| buffer.copy()).collect::<Vec<_>>()
    };
    let after_one = statistics();
    assert("mean1", &after_one[0]);
    assert("var1", &after_one[1]);
    for base in ["base1", "base2"] {
        let _ = layer.forward_t(&view(case, of_case(base)), true);
    }
    let after_three = statistics();
    assert("mean3", &after_three[0]);
    assert("var3", &after_three[1]);
    assert("evaluated", &tch::no_grad(|| layer.forward_t(&x, false)).contiguous());
    assert!(statistics() == after_three, "{case} {variant}: evaluation leaves the statistics alone");
}

const CASES: [&str; 7] = [
    "dense",
    "dense_batch_of_2",
    "dense_transposed",
    "conv",
    "conv_batch_of_2",
    "conv_channels_last",
    "conv_strided",
];

#[test]
fn scratch_is_the_notebooks() {
    let _turn = libtorch();
    CASES.iter().for_each(|case| check(case, Variant::Scratch));
}

#[test]
fn native_is_pytorchs() {
    let _turn = libtorch();
    CASES.iter().for_each(|case| check(case, Variant::Native));
}

#[test]
fn native_counts_its_training_batches() {
    let _turn = libtorch();
    let vs = VarStore::new(Device::Cpu);
    let layer = Norm::Native.batch_norm(&vs.root(), 3, Dims::Two).unwrap();
    let x = Tensor::randn([4, 3], (Kind::Float, Device::Cpu));
    for train in [true, false, true] {
        let _ = layer.forward_t(&x, train);
    }
    let count = &vs.variables()["num_batches_tracked"];
    assert_eq!((count.kind(), count.int64_value(&[])), (Kind::Int64, 2));
}
