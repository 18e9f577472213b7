//! The seconds that a checkpoint takes, compared with the epoch of `book` after which it is saved.
//!
//! `cargo bench --profile dev --bench checkpoint -- --data-dir FOLDER`: FOLDER is Fashion-MNIST's. Without the option the data
//! is found or fetched. The file goes to cargo's target folder. The time includes the write to the disk (fsync).

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use d2l_ch7::checkpoint::Checkpoint;
use d2l_ch7::data::{Batches, DataLoader, FashionMnist, ImageSet};
use d2l_ch7::experiments::recipes::RECIPES;
use d2l_ch7::nets::Net;
use d2l_ch7::norm::Variant;
use d2l_ch7::train::{Metric, Totals, ch6, evaluate};
use tch::Device;
use tch_extra::optim::Optimizer;
use tch_extra::{self, GeneratorState};

mod shared;

use shared::{data_dir, median};

const ROUNDS: usize = 5;

/// The number of checkpoints to measure after an epoch. A run saves one.
const CHECKPOINTS: usize = 20;

fn main() {
    tch_extra::keep_freed_memory();
    let data = FashionMnist::load(data_dir().as_deref(), true).unwrap_or_else(|error| panic!("{error}"));
    let (train_images, test_images) = (ImageSet::new(&data.train), ImageSet::new(&data.test));
    let recipe = &RECIPES[0];
    let loader = |images, shuffle| DataLoader::new(images, recipe.batch_size, shuffle, Device::Cpu);
    let (train_iter, test_iter) = (loader(&train_images, true), loader(&test_images, false));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-checkpoint.safetensors");
    for variant in Variant::NOTEBOOKS {
        tch_extra::manual_seed(0);
        let net = recipe.initial_net(&variant.into());
        let mut optimizer = recipe.optimizer.over(net.vs.trainable_variables(), recipe.lr);
        let (mut epochs, mut checkpoints) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            epochs.push(seconds(|| epoch(&net, optimizer.as_mut(), &train_iter, &test_iter)));
            let save = |_| seconds(|| save(&net, optimizer.as_ref(), &file));
            checkpoints.extend((0..CHECKPOINTS).map(save));
        }
        let (epoch, checkpoint) = (median(epochs), median(checkpoints));
        println!(
            "{} {variant}: an epoch {epoch:.3} s, a checkpoint {:.1} ms: {:.2}% (medians of {ROUNDS} and {})",
            recipe.name,
            checkpoint * 1e3,
            checkpoint / epoch * 100.0,
            ROUNDS * CHECKPOINTS
        );
    }
    // If the file cannot be removed, it stays in the target folder.
    let _ = std::fs::remove_file(file);
}

fn seconds(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64()
}

/// An epoch: training and evaluation.
fn epoch(net: &Net, optimizer: &mut dyn Optimizer, train_iter: &DataLoader, test_iter: &DataLoader) {
    let mut metric = Metric::new(Device::Cpu, Totals::default());
    let go_on = &mut |_: usize, _: &Metric, _: &dyn Optimizer| Ok(ControlFlow::Continue(()));
    let outcome = ch6::train_epoch(net, train_iter.iter(), optimizer, &mut metric, go_on);
    assert!(outcome.is_ok_and(|went_on| went_on.is_continue()));
    evaluate(net, test_iter, Metric::new(Device::Cpu, Totals::default()));
}

/// The checkpoint that a run saves after an epoch: network, optimizer, random generators, and the records so far.
fn save(net: &Net, optimizer: &dyn Optimizer, file: &Path) {
    let generators = GeneratorState::capture(Device::Cpu).expect("the CPU has a generator");
    let checkpoint = Checkpoint::new(&"records, which are short")
        .with("net", net.state())
        .with("optimizer", optimizer.state())
        .with("generators", generators.tensors());
    checkpoint.save(file).unwrap_or_else(|error| panic!("{error}"));
}
