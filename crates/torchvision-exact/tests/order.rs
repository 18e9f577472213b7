//! Shuffling: `torch.randperm`, and the random numbers that a `DataLoader` draws, in their order.
//!
//! `make_references.sampler` stores the numbers of this Python:
//!
//! ```python
//! torch.randperm(n, generator=torch.Generator().manual_seed(seed))
//! torch.manual_seed(seed)
//! train_loader = DataLoader(range(n), batch_size=256, shuffle=True)
//! test_loader = DataLoader(range(3), batch_size=2)
//! for epoch in range(3):
//!     batches = iter(train_loader)  # draws batches._base_seed; the first batch draws the sampler's seed
//!     order = torch.cat(list(batches))
//!     list(test_loader)  # draws a base seed too, though it does not shuffle
//! next_seed = torch.empty((), dtype=torch.int64).random_()
//! ```

mod common;

use common::Stored;
use torchvision_exact::loader::{DistributedSampler, EpochDraws};
use torchvision_exact::random::{Draws, Mt19937, randperm};

const SEEDS: [u64; 3] = [0, 1, 12345];
const SIZES: [usize; 5] = [1, 2, 10, 1000, 60_000];

/// Compares an order with the stored one: a long one by its ends and its checksum.
fn assert_order(stored: &Stored, name: &str, order: &[i64]) {
    let ints = |part: &str| stored.get(&format!("{name}{part}")).ints();
    if order.len() <= 1000 {
        return assert_eq!(order, ints(""), "{name}");
    }
    assert_eq!(order[..64], ints(".first"), "{name}");
    assert_eq!(order[order.len() - 64..], ints(".last"), "{name}");
    let checksum: i64 = order.iter().enumerate().map(|(i, &index)| i as i64 * index).sum();
    assert_eq!([checksum], ints(".checksum")[..], "{name}");
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

/// Three epochs, each followed by an evaluation: both must draw their seeds from the generator, in the same order.
#[test]
fn epochs_draw_what_a_data_loader_draws() {
    let stored = Stored::open("sampler");
    for seed in SEEDS {
        for n in SIZES {
            let mut draws = Mt19937::new(seed);
            for epoch in 0..3 {
                let name = format!("{seed}.{n}.epoch{epoch}");
                let base_seed = |of: &str| stored.get(&format!("{name}.{of}")).int() as u64;
                let EpochDraws { base_seed: training, order } = EpochDraws::new(n, true, &mut draws);
                assert_order(&stored, &format!("{name}.order"), &order);
                let test = EpochDraws::new(3, false, &mut draws);
                assert_eq!(test.order, [0, 1, 2], "a loader that does not shuffle");
                assert_eq!(
                    [training, test.base_seed],
                    ["base_seed", "test_base_seed"].map(base_seed),
                    "{name}"
                );
            }
            let next = stored.get(&format!("{seed}.{n}.next_seed")).int();
            assert_eq!(draws.random_i64(), next, "{seed} {n}");
        }
    }
}

/// `make_references.distributed`:
///
/// ```python
/// sampler = DistributedSampler(range(n), ranks, rank, shuffle=True, seed=seed)
/// sampler.set_epoch(epoch)
/// list(sampler)
/// ```
#[test]
fn orders_of_several_processes_are_the_distributed_samplers() {
    let stored = Stored::open("distributed");
    assert_eq!(stored.0.len(), 5 * 4 * 4 * 2);
    for (name, orders) in &stored.0 {
        let numbers: Vec<u64> = name.split('.').map(|number| number.parse().unwrap()).collect();
        let [n, ranks, seed, epoch] = numbers[..] else { panic!("{name}") };
        let training = (0..ranks as usize).flat_map(|rank| {
            let sampler = DistributedSampler { rank, num_replicas: ranks as usize, seed };
            let training = sampler.training(n as usize, epoch as usize);
            assert_eq!(sampler.examples(n as usize, true), training.len(), "{name}");
            training
        });
        assert_eq!(training.collect::<Vec<_>>(), orders.ints(), "{name}");
    }
}

#[test]
fn test_examples_are_divided_without_rest() {
    for n in [0, 1, 5, 9, 10] {
        for ranks in 1..5 {
            let parts: Vec<Vec<i64>> = (0..ranks)
                .map(|rank| {
                    let sampler = DistributedSampler { rank, num_replicas: ranks, seed: 3 };
                    assert_eq!(sampler.examples(n, false), sampler.test(n).len());
                    assert!(sampler.test(n).iter().all(|i| *i as usize % ranks == rank));
                    sampler.test(n)
                })
                .collect();
            let mut all = parts.concat();
            all.sort_unstable();
            assert_eq!(all, (0..n as i64).collect::<Vec<_>>());
        }
    }
}
