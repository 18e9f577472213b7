//! Shuffling: `torch.randperm`, and what a `DataLoader` draws when.

use d2l_ch7::data::{epoch_order, randperm};
use d2l_ch7::torch::{self, GeneratorState};
use tch::{Device, Tensor};

use crate::support::{Stored, libtorch};

const SEEDS: [u64; 3] = [0, 1, 12345];
const SIZES: [usize; 5] = [1, 2, 10, 1000, 60_000];

/// Compares an order with the stored one, or with the ends and the checksum of a long one.
fn assert_order(stored: &Stored, name: &str, order: &[i64]) {
    if order.len() <= 1000 {
        return stored.assert_equal(name, &Tensor::from_slice(order));
    }
    stored.assert_equal(&format!("{name}.first"), &Tensor::from_slice(&order[..64]));
    stored.assert_equal(&format!("{name}.last"), &Tensor::from_slice(&order[order.len() - 64..]));
    let checksum: i64 = order.iter().enumerate().map(|(i, &index)| i as i64 * index).sum();
    assert_eq!(stored.int(&format!("{name}.checksum")), checksum, "{name}");
}

#[test]
fn randperm_is_pytorchs() {
    let stored = Stored::open("sampler");
    for seed in SEEDS {
        for n in SIZES {
            assert_order(&stored, &format!("{seed}.{n}.randperm"), &randperm(n, seed));
        }
    }
}

/// Three epochs, each followed by an evaluation: every seed must be drawn, at its place in the stream.
#[test]
fn epochs_draw_what_a_data_loader_draws() {
    let _turn = libtorch();
    let stored = Stored::open("sampler");
    for seed in SEEDS {
        for n in SIZES {
            torch::manual_seed(seed);
            for epoch in 0..3 {
                let name = format!("{seed}.{n}.epoch{epoch}");
                assert_order(&stored, &format!("{name}.order"), &epoch_order(n, true));
                assert_eq!(epoch_order(3, false), [0, 1, 2], "a loader that does not shuffle");
            }
            assert_eq!(torch::random_i64(), stored.int(&format!("{seed}.{n}.next_seed")), "{seed} {n}");
        }
    }
}

#[test]
fn a_restored_state_draws_the_same_numbers_again() {
    let _turn = libtorch();
    let state = GeneratorState::capture(Device::Cpu).unwrap();
    let first = [torch::random_i64(), torch::random_i64()];
    state.restore().unwrap();
    assert_eq!([torch::random_i64(), torch::random_i64()], first);
    assert_ne!(first[0], first[1]);
}
