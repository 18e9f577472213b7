//! Several ranks, each with a part of a batch, against one process with the whole of it, in float64.

use tch::{Device, Kind};

use super::*;
use crate::layers::{parameters, state, visit, visit_synchronized};
use crate::nets::lenet::lenet_relu;
use crate::norm::Variant;
use crate::torch::c10d::tests::{TIMEOUT, ranks};
use crate::torch::clear_grad;
use crate::train::{DistributedDataParallel, Loss};

/// Relative to the largest element of what is compared.
const TOLERANCE: f64 = 1e-12;

/// What a pass through a network gives, by name.
type Results = Vec<(String, Vec<f64>)>;

/// Waves of numbers, the same in every thread: all share libtorch's generator.
fn waves(size: &[i64], frequency: f64) -> Tensor {
    let n = size.iter().product::<i64>();
    (Tensor::arange(n, (Kind::Double, Device::Cpu)) * frequency).sin().reshape(size)
}

fn floats(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.detach().to_kind(Kind::Double).reshape([-1])).unwrap()
}

fn in_float64(net: &mut dyn Module) {
    visit(net, &mut |_, slot, tensor| {
        *tensor = tensor.detach().to_kind(Kind::Double).set_requires_grad(slot == Slot::Parameter);
    });
}

fn assert_close(what: &str, got: &[f64], expected: &[f64]) {
    let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    assert_eq!(got.len(), expected.len(), "{what}");
    for (got, expected) in got.iter().zip(expected) {
        assert!(
            (got - expected).abs() <= TOLERANCE * largest,
            "{what}: {got:e} for {expected:e} of {largest:e}"
        );
    }
}

/// Output, gradient of the input, gradients of the parameters and then the buffers of a layer that has seen `x`, whose output is
/// weighted by `weights` for the loss.
fn pass(layer: &mut dyn Module, x: &Tensor, weights: &Tensor) -> [Vec<f64>; 6] {
    in_float64(layer);
    let x = x.copy().set_requires_grad(true);
    let y = layer.forward(&x, true);
    (&y * &y * weights).sum(Kind::Double).backward();
    let [gamma, beta] = [0, 1].map(|i| floats(&parameters(layer)[i].grad()));
    let [mean, var] = [2, 3].map(|i| floats(&state(layer)[i].1));
    [floats(&y), floats(&x.grad()), gamma, beta, mean, var]
}

/// Parts of different sizes, whose values have different means.
fn check_layer(dims: Dims, size: &[i64]) {
    let x = || waves(size, 0.7) + waves(size, 0.3).cumsum(0, None);
    let weights = || waves(size, 2.1);
    let [y, x_grad, gamma, beta, mean, var] =
        pass(&mut scratch::BatchNorm::new(size[1], dims), &x(), &weights());
    let bounds = [0, 2, 3, size[0]];
    let part = |of: Tensor, rank: usize| of.narrow(0, bounds[rank], bounds[rank + 1] - bounds[rank]);
    let got = ranks(3, TIMEOUT, |rank, _, group| {
        let mut layer = BatchNorm::new(size[1], dims);
        layer.join(group);
        let passed = pass(&mut layer, &part(x(), rank), &part(weights(), rank));
        let BatchStatistics { own, all } = layer.statistics().unwrap();
        (passed, [own, all].map(|pair| pair.map(|tensor| floats(&tensor))))
    });
    let joined = |i: usize| got.iter().flat_map(|(passed, _)| passed[i].clone()).collect::<Vec<_>>();
    let summed = |i: usize| {
        let add = |a: Vec<f64>, b: &Vec<f64>| a.iter().zip(b).map(|(a, b)| a + b).collect();
        got.iter().map(|(passed, _)| &passed[i]).fold(vec![0.0; size[1] as usize], add)
    };
    assert_close("y", &joined(0), &y);
    assert_close("gradient of x", &joined(1), &x_grad);
    assert_close("gradient of gamma", &summed(2), &gamma);
    assert_close("gradient of beta", &summed(3), &beta);
    let mean_of = |t: &Tensor| floats(&t.transpose(0, 1).reshape([size[1], -1]).mean_dim(1i64, false, None));
    let var_of = |t: &Tensor| floats(&t.transpose(0, 1).reshape([size[1], -1]).var_dim(1i64, false, false));
    for (rank, (passed, [own, all])) in got.iter().enumerate() {
        assert_close("moving mean", &passed[4], &mean);
        assert_close("moving variance", &passed[5], &var);
        assert_close("own mean", &own[0], &mean_of(&part(x(), rank)));
        // A difference of two variances: as exact as they are.
        let own_var = var_of(&part(x(), rank));
        assert!(own[1].iter().zip(&own_var).all(|(a, b)| (a - b).abs() < 1e-10), "{:?} {own_var:?}", own[1]);
        assert_close("mean of all", &all[0], &mean_of(&x()));
        assert_close("variance of all", &all[1], &var_of(&x()));
        assert_eq!(all, &got[0].1[1], "the same bits on every rank");
    }
}

#[test]
fn layers_on_parts_are_one_layer_on_the_whole() {
    check_layer(Dims::Two, &[9, 4]);
    check_layer(Dims::Four, &[7, 3, 5, 2]);
}

/// Outputs, gradients and statistics of a network in float64 after a step on some of twelve images.
fn step(
    net: &mut dyn Module,
    forward: impl FnOnce(&mut dyn Module, &Tensor) -> Tensor,
    images: std::ops::Range<i64>,
) -> Results {
    // Images differ in brightness, so that the ranks' means do.
    let brightness = Tensor::arange(12, (Kind::Double, Device::Cpu)).reshape([12, 1, 1, 1]);
    let (x, y) = (
        waves(&[12, 1, 28, 28], 0.13) * brightness,
        Tensor::from_slice(&[3i64, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]),
    );
    let part = |t: &Tensor| t.narrow(0, images.start, images.end - images.start);
    let y_hat = forward(net, &part(&x));
    Loss::Mean.of(&y_hat, &part(&y)).backward();
    let mut results = vec![("y_hat".to_owned(), floats(&y_hat))];
    visit(net, &mut |name, slot, tensor| {
        let what = if slot == Slot::Parameter { tensor.grad() } else { tensor.shallow_clone() };
        results.push((name.to_owned(), floats(&what)));
        clear_grad(tensor);
    });
    results
}

/// The largest value among tensors of the same layer: a bias before a batch norm has a gradient of nothing but rounding.
fn largest_of_layer(results: &Results, name: &str) -> f64 {
    let layer = |name: &str| name.split('.').next().map(str::to_owned);
    let of_layer = results.iter().filter(|(other, _)| layer(other) == layer(name));
    of_layer.flat_map(|(_, values)| values).fold(0.0, |largest, value| largest.max(value.abs()))
}

#[test]
fn a_network_on_several_ranks_is_one_on_the_joined_batch() {
    let build = |variant| {
        let mut net = lenet_relu(variant, None);
        in_float64(&mut net);
        net
    };
    let initial: Results =
        state(&mut build(Variant::Scratch)).into_iter().map(|(n, t)| (n, floats(&t))).collect();
    let same = |net: &mut dyn Module| {
        let mut values = initial.iter();
        tch::no_grad(|| {
            visit(net, &mut |_, _, tensor| {
                let value = Tensor::from_slice(&values.next().unwrap().1).reshape(tensor.size());
                tensor.copy_(&value);
            });
        });
    };
    let mut whole = build(Variant::Scratch);
    same(&mut whole);
    let expected = step(&mut whole, |net, x| net.forward(x, true), 0..12);
    for size in [2, 3] {
        let got = ranks(size, TIMEOUT, |rank, _, group| {
            let mut net = build(Variant::ScratchSync);
            same(&mut net);
            let ddp = DistributedDataParallel::new(group, &mut net, None).unwrap();
            let n = 12 / size as i64;
            let part = n * rank as i64..n * (rank as i64 + 1);
            step(&mut net, |net, x| ddp.forward(net, x).unwrap(), part)
        });
        let outputs: Vec<f64> = got.iter().flat_map(|results| results[0].1.clone()).collect();
        assert_close("y_hat", &outputs, &expected[0].1);
        for (name, values) in &expected[1..] {
            let largest = largest_of_layer(&expected, name);
            for results in &got {
                let (_, got) = results.iter().find(|(other, _)| other == name).unwrap();
                let close = got.iter().zip(values).all(|(a, b)| (a - b).abs() <= TOLERANCE * largest);
                assert!(close, "{size} ranks, {name}: {got:?} for {values:?}");
            }
        }
    }
}

/// Without other ranks there is nothing to exchange, and no other order of addition.
#[test]
fn alone_it_is_scratch_to_the_last_bit() {
    let x = Tensor::randn([5, 3, 4, 4], tch::kind::FLOAT_CPU);
    let y = BatchNorm::new(3, Dims::Four).forward(&x, true);
    assert!(y == scratch::BatchNorm::new(3, Dims::Four).forward(&x, true));
    let mut count = 0;
    visit_synchronized(&mut lenet_relu(Variant::ScratchSync, None), &mut |name, layer| {
        assert!(["1", "5", "10", "13"].contains(&name), "{name}");
        assert!(layer.statistics().is_none());
        count += 1;
    });
    assert_eq!(count, 4);
}
