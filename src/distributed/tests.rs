//! Ranks of one network; and, with synchronized batch norm, several ranks with a part of a batch each against one process with the
//! whole of it, in float64.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tch::nn::{ModuleT, VarStore};
use tch::{Device, Kind, Tensor};
use tch_c10d::{DistributedDataParallel, ranks_in_threads};
use tch_extra::clear_grad;
use tch_extra::state_dict::{buffers, named_parameters, state};

use super::difference;
use crate::layers::{linear, sequential};
use crate::nets::Net;
use crate::nets::lenet::lenet_relu;
use crate::norm::scratch_sync::BatchStatistics;
use crate::norm::{Dims, Norm, Ranks, Variant};
use crate::train::Loss;

const TIMEOUT: Duration = Duration::from_secs(20);

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

/// Output, gradient of the input, gradients of the parameters and then the buffers of a layer in float64 that has seen `x`, whose
/// output is weighted by `weights` for the loss.
fn pass(norm: &Norm, dims: Dims, x: &Tensor, weights: &Tensor) -> [Vec<f64>; 6] {
    let mut vs = VarStore::new(Device::Cpu);
    let layer = norm.batch_norm(&vs.root(), x.size()[1], dims).unwrap();
    vs.double();
    let x = x.copy().set_requires_grad(true);
    let y = layer.forward_t(&x, true);
    (&y * &y * weights).sum(Kind::Double).backward();
    let [gamma, beta] = [0, 1].map(|i| floats(&vs.trainable_variables()[i].grad()));
    let [mean, var] = [0, 1].map(|i| floats(&buffers(&vs)[i]));
    [floats(&y), floats(&x.grad()), gamma, beta, mean, var]
}

/// Parts of different sizes, whose values have different means.
fn check_layer(dims: Dims, size: &[i64]) {
    let x = || waves(size, 0.7) + waves(size, 0.3).cumsum(0, None);
    let weights = || waves(size, 2.1);
    let [y, x_grad, gamma, beta, mean, var] = pass(&Norm::Scratch, dims, &x(), &weights());
    let bounds = [0, 2, 3, size[0]];
    let part = |of: Tensor, rank: usize| of.narrow(0, bounds[rank], bounds[rank + 1] - bounds[rank]);
    let got = ranks_in_threads(3, TIMEOUT, |rank, _, group| {
        let normalized = Arc::new(Ranks::of(group));
        let norm = Norm::ScratchSync(Arc::clone(&normalized));
        let passed = pass(&norm, dims, &part(x(), rank), &part(weights(), rank));
        let (_, BatchStatistics { own, all }) = normalized.statistics().pop().unwrap();
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
fn step(net: &Net, images: std::ops::Range<i64>) -> Results {
    // Images differ in brightness, so that the ranks' means do.
    let brightness = Tensor::arange(12, (Kind::Double, Device::Cpu)).reshape([12, 1, 1, 1]);
    let (x, y) = (
        waves(&[12, 1, 28, 28], 0.13) * brightness,
        Tensor::from_slice(&[3i64, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]),
    );
    let part = |t: &Tensor| t.narrow(0, images.start, images.end - images.start);
    let y_hat = net.forward_t(&part(&x), true);
    Loss::Mean.of(&y_hat, &part(&y)).backward();
    let mut results = vec![("y_hat".to_owned(), floats(&y_hat))];
    for (name, mut parameter) in named_parameters(&net.vs) {
        results.push((name, floats(&parameter.grad())));
        clear_grad(&mut parameter);
    }
    let moving = net.state().into_iter().filter(|(name, _)| name.contains("moving"));
    results.extend(moving.map(|(name, tensor)| (name, floats(&tensor))));
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
    let build = |norm: &Norm| {
        let mut net = Net::new(|p| lenet_relu(p, norm, None));
        net.vs.double();
        net
    };
    let initial: Results = build(&Norm::Scratch).state().into_iter().map(|(n, t)| (n, floats(&t))).collect();
    let same = |net: &Net| {
        for ((_, mut tensor), (_, value)) in net.state().into_iter().zip(&initial) {
            tensor.copy_(&Tensor::from_slice(value).reshape(tensor.size()));
        }
    };
    let whole = build(&Norm::Scratch);
    same(&whole);
    let expected = step(&whole, 0..12);
    for size in [2, 3] {
        let got = ranks_in_threads(size, TIMEOUT, |rank, _, group| {
            let net = build(&Norm::ScratchSync(Arc::new(Ranks::of(group))));
            same(&net);
            let ddp = DistributedDataParallel::new(group, &net.vs, None).unwrap();
            let net = Net { module: ddp.around(net.module), vs: net.vs };
            let n = 12 / size as i64;
            step(&net, n * rank as i64..n * (rank as i64 + 1))
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
    let alone = Arc::new(Ranks::default());
    let y = |norm: &Norm| {
        let vs = VarStore::new(Device::Cpu);
        let y = norm.batch_norm(&vs.root(), 3, Dims::Four).unwrap().forward_t(&x, true);
        (y, state(&vs))
    };
    assert!(y(&Norm::ScratchSync(Arc::clone(&alone))) == y(&Norm::Scratch));
    assert!(alone.statistics().is_empty());
}

/// `synchronized.png` has them all.
#[test]
fn every_batch_norm_of_a_network_keeps_its_statistics() {
    let names = ranks_in_threads(2, TIMEOUT, |_, _, group| {
        let normalized = Arc::new(Ranks::of(group));
        let net = Net::new(|p| lenet_relu(p, &Norm::ScratchSync(Arc::clone(&normalized)), None));
        let _ = tch::no_grad(|| net.forward_t(&waves(&[2, 1, 28, 28], 0.13).to_kind(Kind::Float), true));
        normalized.statistics().into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    });
    assert_eq!(names[0], ["1", "5", "10", "13"]);
    assert_eq!(names[0], names[1]);
}

/// A network whose tensors differ from rank to rank.
fn small_net(variant: Variant, rank: usize) -> Net {
    let norm = Norm::from(variant);
    let net = Net::new(|p| {
        sequential(p).then(|p| linear(p, 3, 2)).then_optional(|p| norm.batch_norm(p, 2, Dims::Two)).done()
    });
    for (_, mut tensor) in net.state() {
        let _ = tensor.fill_(rank as f64 + 1.0);
    }
    net
}

fn floats_of(tensors: Vec<(String, Tensor)>) -> Vec<Vec<f64>> {
    let floats = |tensor: Tensor| Vec::try_from(tensor.to_kind(Kind::Double).reshape([-1])).unwrap();
    tensors.into_iter().map(|(_, tensor)| floats(tensor)).collect()
}

#[test]
fn ranks_begin_with_rank_0s_tensors_and_take_its_statistics_in_training() {
    for variant in Variant::NOTEBOOKS {
        let got = ranks_in_threads(2, TIMEOUT, |rank, _, group| {
            let net = small_net(variant, rank);
            let ddp = DistributedDataParallel::new(group, &net.vs, None).unwrap();
            let net = Net { module: ddp.around(net.module), vs: net.vs };
            let begun = floats_of(net.state());
            let x =
                Tensor::from_slice(&[0.0f32, 1.0, 2.0, 3.0, 4.0, 9.0]).reshape([2, 3]) * (rank as f64 + 1.0);
            let _ = net.forward_t(&x, true);
            let moved = floats_of(net.state());
            // In the next step they move from rank 0's: what another rank has by then does not matter.
            if rank == 1 {
                spoil_buffers(&net);
            }
            let _ = net.forward_t(&x, true);
            (begun, moved, floats_of(net.state()))
        });
        let [(begun0, moved0, after0), (begun1, moved1, after1)] = &got[..] else { unreachable!() };
        assert!(begun0.iter().flatten().all(|&value| value == 1.0), "{begun0:?}");
        assert_eq!(begun0, begun1);
        assert_ne!(moved0, moved1, "each moves them by its own batch");
        assert_ne!(after0, after1);
        assert!(after1.iter().flatten().all(|value| value.is_finite()), "{after1:?}");
    }
}

fn spoil_buffers(net: &Net) {
    for mut buffer in buffers(&net.vs).into_iter().filter(|buffer| buffer.kind() == Kind::Float) {
        let _ = buffer.fill_(f64::NAN);
    }
}

#[test]
fn a_difference_is_named_whichever_side_lacks_it() {
    let facts = |value: Value| value.as_object().unwrap().clone();
    let [a, b] = [json!({"lr": 1.0, "seed": 0}), json!({"lr": 1.0, "seed": 1})].map(facts);
    assert_eq!(difference(&a, &a), None);
    assert_eq!(difference(&a, &b).unwrap(), "its seed is 1, rank 0's is 0");
    let less = facts(json!({"seed": 0}));
    assert_eq!(difference(&a, &less).unwrap(), "its lr is null, rank 0's is 1.0");
    assert_eq!(difference(&less, &a).unwrap(), "its lr is 1.0, rank 0's is null");
}
