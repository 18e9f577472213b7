//! What a `DataLoader` draws from libtorch's default generator, and the orders of several processes.

use d2l_ch7::data::DefaultGenerator;
use serde_json::Value;
use tch::{Device, Tensor};
use tch_extra::GeneratorState;
use torchvision_exact::loader::{DistributedSampler, EpochDraws};
use torchvision_exact::random::Draws;

use crate::live::{python_side, succeed};
use crate::support::{Stored, exact_stored, libtorch};

const SEEDS: [u64; 3] = [0, 1, 12345];
const SIZES: [usize; 5] = [1, 2, 10, 1000, 60_000];

/// Compares an order with the stored one: a long one by its ends and its checksum.
fn assert_order(stored: &Stored, name: &str, order: &[i64]) {
    if order.len() <= 1000 {
        return stored.assert_equal(name, &Tensor::from_slice(order));
    }
    stored.assert_equal(&format!("{name}.first"), &Tensor::from_slice(&order[..64]));
    stored.assert_equal(&format!("{name}.last"), &Tensor::from_slice(&order[order.len() - 64..]));
    let checksum: i64 = order.iter().enumerate().map(|(i, &index)| i as i64 * index).sum();
    assert_eq!(stored.int(&format!("{name}.checksum")), checksum, "{name}");
}

/// Three epochs, each followed by an evaluation: both must draw their seeds from the generator, in the same order. The Python that
/// stored the numbers stands in `crates/torchvision-exact/tests/order.rs`.
#[test]
fn epochs_draw_what_a_data_loader_draws() {
    let _turn = libtorch();
    let stored = exact_stored("sampler");
    for seed in SEEDS {
        for n in SIZES {
            tch_extra::manual_seed(seed);
            for epoch in 0..3 {
                let name = format!("{seed}.{n}.epoch{epoch}");
                let draw = |n, shuffle| EpochDraws::new(n, shuffle, &mut DefaultGenerator).order;
                assert_order(&stored, &format!("{name}.order"), &draw(n, true));
                assert_eq!(draw(3, false), [0, 1, 2], "a loader that does not shuffle");
            }
            assert_eq!(tch_extra::random_i64(), stored.int(&format!("{seed}.{n}.next_seed")), "{seed} {n}");
        }
    }
}

#[test]
fn a_restored_state_draws_the_same_numbers_again() {
    let _turn = libtorch();
    let state = GeneratorState::capture(Device::Cpu).unwrap();
    let first = [tch_extra::random_i64(), tch_extra::random_i64()];
    state.restore().unwrap();
    assert_eq!([tch_extra::random_i64(), tch_extra::random_i64()], first);
    assert_ne!(first[0], first[1]);
}

/// libtorch draws the int64 itself, the crate from libtorch's 32-bit numbers.
#[test]
fn the_default_generators_int64_are_pytorchs() {
    let _turn = libtorch();
    for seed in SEEDS {
        tch_extra::manual_seed(seed);
        let libtorchs = [(); 1000].map(|()| tch_extra::random_i64());
        tch_extra::manual_seed(seed);
        assert_eq!([(); 1000].map(|()| DefaultGenerator.random_i64()), libtorchs);
    }
}

/// Lengths that do and do not divide evenly among the ranks, fewer images than ranks, and seeds whose sum with the epoch
/// overflows 32 bits. The Python is in the test.
#[test]
fn orders_of_several_processes_are_the_distributed_samplers() {
    let Some(python) = python_side("DistributedSampler's orders") else { return };
    let program = "\
import json, torch
from torch.utils.data.distributed import DistributedSampler
orders = {}
for n in (1, 2, 3, 5, 7, 12, 100, 1001):
    for ranks in (1, 2, 3, 4, 8):
        for seed in (0, 7, 123456789, 2**32 - 1, 2**63):
            for epoch in (0, 1, 5):
                for rank in range(ranks):
                    sampler = DistributedSampler(range(n), ranks, rank, shuffle=True, seed=seed)
                    sampler.set_epoch(epoch)
                    orders[f'{n} {ranks} {seed} {epoch} {rank}'] = list(sampler)
print(json.dumps(orders))";
    let orders = succeed(std::process::Command::new(python).args(["-c", program]));
    let orders: Value = serde_json::from_str(&orders).unwrap();
    let orders = orders.as_object().unwrap();
    assert_eq!(orders.len(), 8 * (1 + 2 + 3 + 4 + 8) * 5 * 3);
    for (name, order) in orders {
        let numbers: Vec<u64> = name.split(' ').map(|number| number.parse().unwrap()).collect();
        let [n, ranks, seed, epoch, rank] = numbers[..] else { panic!("{name}") };
        let sampler = DistributedSampler { rank: rank as usize, num_replicas: ranks as usize, seed };
        let training = sampler.training(n as usize, epoch as usize);
        assert_eq!(*order, Value::from(training.clone()), "{name}");
        assert_eq!(sampler.examples(n as usize, true), training.len(), "{name}");
    }
}
