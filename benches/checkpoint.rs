//! What a checkpoint costs, beside the epoch of `book` after which it is saved.
//!
//! `cargo bench --profile dev --bench checkpoint -- --data-dir FOLDER`: Fashion-MNIST's folder. Without it the data is found or fetched.
//! The file is written to cargo's target folder, and has reached the disk when the clock stops.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use d2l_ch7::checkpoint::Checkpoint;
use d2l_ch7::data::{Batches, DataLoader, FashionMnist, ImageSet, Images};
use d2l_ch7::experiments::recipes::RECIPES;
use d2l_ch7::layers::{Sequential, state};
use d2l_ch7::norm::Variant;
use d2l_ch7::optim::Optimizer;
use d2l_ch7::torch::{self, GeneratorState};
use d2l_ch7::train::{self, Loss, Progress, Tally, Training};
use tch::Device;

mod shared;

use shared::{data_dir, median};

const ROUNDS: usize = 5;

/// Checkpoints after an epoch, of which a run saves one.
const CHECKPOINTS: usize = 20;

fn main() {
    torch::keep_freed_memory();
    let data = FashionMnist::load(data_dir().as_deref(), true).unwrap_or_else(|error| panic!("{error}"));
    let images = |set: &Images| ImageSet::new(&set.pixels, &set.labels, set.rows, set.cols, None);
    let (train_images, test_images) = (images(&data.train), images(&data.test));
    let recipe = &RECIPES[0];
    let loader = |images, shuffle| DataLoader::new(images, recipe.batch_size, shuffle, Device::Cpu);
    let (train_iter, test_iter) = (loader(&train_images, true), loader(&test_images, false));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-checkpoint.safetensors");
    for variant in Variant::NOTEBOOKS {
        torch::manual_seed(0);
        let mut net = recipe.initial_net(variant);
        let mut optimizer = recipe.optimizer(&mut net, recipe.lr);
        let (mut epochs, mut checkpoints) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            epochs.push(seconds(|| epoch(&mut net, optimizer.as_mut(), &train_iter, &test_iter)));
            let save = |_| seconds(|| save(&mut net, optimizer.as_mut(), &file));
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
    // Nothing depends on whether it is gone.
    let _ = std::fs::remove_file(file);
}

fn seconds(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64()
}

/// Training and evaluation.
fn epoch(
    net: &mut Sequential,
    optimizer: &mut dyn Optimizer,
    train_iter: &DataLoader,
    test_iter: &DataLoader,
) {
    let (training, none) = (Training::alone(Loss::Mean), Progress::default());
    train::train_epoch(
        net,
        train_iter.iter(),
        optimizer,
        training,
        none,
        |_, _, _| ControlFlow::Continue(()),
    )
    .expect("one process alone")
    .expect("nobody interrupts");
    train::evaluate(net, test_iter, Tally::Host).expect("nothing is recorded");
}

/// What a run saves after an epoch: network, optimizer, random generators, and the records so far.
fn save(net: &mut Sequential, optimizer: &mut dyn Optimizer, file: &Path) {
    let generators = GeneratorState::capture(Device::Cpu).expect("the CPU has a generator");
    let checkpoint = Checkpoint::new(&"records, which are short")
        .with("net", state(net))
        .with("optimizer", optimizer.state())
        .with("generators", generators.tensors());
    checkpoint.save(file).unwrap_or_else(|error| panic!("{error}"));
}
