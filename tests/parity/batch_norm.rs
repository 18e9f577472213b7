//! Both batch norms: output, every gradient, moving statistics, evaluation.

use d2l_ch7::layers::{Module, state};
use d2l_ch7::norm::{Dims, Variant};
use tch::{Kind, Tensor};

use crate::support::{Stored, libtorch};

/// The input that the case's stored `base` stands for.
fn view(case: &str, base: &Tensor) -> Tensor {
    match case {
        "dense_transposed" => base.transpose(0, 1),
        "conv_channels_last" => base.permute([0, 3, 1, 2]),
        "conv_strided" => base.slice(3, 0, None, 2),
        _ => base.shallow_clone(),
    }
}

/// A layer with the case's gamma and beta.
fn layer(stored: &Stored, case: &str, variant: Variant, dims: Dims) -> Box<dyn Module> {
    let gamma = stored.get(&format!("{case}.gamma"));
    let mut layer = variant.batch_norm(gamma.size()[0], dims);
    let tensors = state(layer.as_mut());
    for (tensor, value) in tensors.iter().zip([gamma, stored.get(&format!("{case}.beta"))]) {
        tensor.1.shallow_clone().copy_(&value.reshape(tensor.1.size()));
    }
    layer
}

fn check(case: &str, variant: Variant) {
    let stored = Stored::open("batch_norm");
    let of_case = |name: &str| stored.get(&format!("{case}.{name}"));
    let assert =
        |name: &str, actual: &Tensor| stored.assert_floats(&format!("{case}.{variant}.{name}"), actual);
    let dims = if case.starts_with("dense") { Dims::Two } else { Dims::Four };
    let mut layer = layer(&stored, case, variant, dims);
    let x = view(case, of_case("base0")).set_requires_grad(true);

    let y = layer.forward(&x, true);
    assert("Y", &y.detach());
    let [gamma, beta] = &d2l_ch7::layers::parameters(layer.as_mut())[..] else { panic!("two parameters") };
    let sum = (&y * of_case("W")).sum(Kind::Float);
    let grads = Tensor::run_backward(&[sum], &[&x, gamma, beta], false, false);
    for (name, grad) in ["grad_X", "grad_gamma", "grad_beta"].iter().zip(&grads) {
        assert(name, &grad.contiguous());
    }
    let statistics = |layer: &mut dyn Module| {
        let state = state(layer);
        [state[2].1.copy(), state[3].1.copy()]
    };
    let [mean, var] = statistics(layer.as_mut());
    assert("mean1", &mean);
    assert("var1", &var);
    for base in ["base1", "base2"] {
        let _ = layer.forward(&view(case, of_case(base)), true);
    }
    let [mean, var] = statistics(layer.as_mut());
    assert("mean3", &mean);
    assert("var3", &var);
    assert("evaluated", &tch::no_grad(|| layer.forward(&x, false)).contiguous());
    assert!(
        statistics(layer.as_mut()) == [mean, var],
        "{case} {variant}: evaluation leaves the statistics alone"
    );
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
    let mut layer = Variant::Native.batch_norm(3, Dims::Two);
    let x = Tensor::randn([4, 3], (Kind::Float, tch::Device::Cpu));
    for train in [true, false, true] {
        let _ = layer.forward(&x, train);
    }
    let (name, count) = state(layer.as_mut()).pop().unwrap();
    assert_eq!(
        (name.as_str(), count.kind(), count.int64_value(&[])),
        ("num_batches_tracked", Kind::Int64, 2)
    );
}
