//! How many images per second this project's loader and a PyTorch `DataLoader` prepare for training.
//!
//! `cargo bench --profile dev --bench augmentation -- --data-dir FOLDER`: FOLDER is CIFAR-10's. Without the option the data is
//! found or fetched. The Python is `D2L_PYTHON`, else `python3`; it must import PyTorch and torchvision. Each round measures
//! both loaders with several numbers of workers. The report has the medians, and compares the best of each loader.

use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use d2l_ch7::data::{Batches, Cifar10, ImageLoader, Images};
use d2l_ch7::experiments::cifar::Augmentation;
use tch::Device;

mod shared;

use shared::{data_dir, median};

const WORKERS: [usize; 4] = [0, 1, 2, 4];
const ROUNDS: usize = 5;

fn main() {
    tch_extra::keep_freed_memory();
    let data = Cifar10::load(data_dir().as_deref(), true).unwrap_or_else(|error| panic!("{error}"));
    let folder = data.folder().to_owned();
    let images = Arc::new(data.train);
    for (augment, ours_count, python_count) in
        [(Augmentation::Flip, 50_000, 10_000), (Augmentation::FlipJitter, 20_000, 4_000)]
    {
        let images = Arc::new(images.as_ref().clone().first(Some(ours_count)));
        let mut ours = WORKERS.map(|_| Vec::new());
        let mut theirs = WORKERS.map(|_| Vec::new());
        for _ in 0..ROUNDS {
            for (workers, speeds) in WORKERS.into_iter().zip(&mut ours) {
                speeds.push(prepared_per_second(&images, augment, workers));
            }
            let examples = python_count.to_string();
            let output = Command::new(std::env::var("D2L_PYTHON").unwrap_or_else(|_| "python3".to_owned()))
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/notebooks_ref/bench_loader.py"))
                .args(["--augment", &augment.to_string(), "--examples", &examples, "--data-dir"])
                .arg(&folder)
                .output()
                .unwrap_or_else(|error| panic!("Python: {error}"));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let lines = String::from_utf8(output.stdout).expect("digits");
            for (line, speeds) in lines.lines().zip(&mut theirs) {
                let (_, speed) = line.split_once(' ').expect("workers and images per second");
                speeds.push(speed.parse().expect("a number"));
            }
        }
        report(augment, ours.map(median), theirs.map(median));
    }
}

/// Images per second in an epoch of the loader, without training.
fn prepared_per_second(images: &Arc<Images>, augment: Augmentation, workers: usize) -> f64 {
    let loader = ImageLoader::new(Arc::clone(images), augment.transforms(), 256, true, workers, Device::Cpu);
    let start = Instant::now();
    let count: usize = loader.iter().map(|batch| batch.y.numel()).sum();
    count as f64 / start.elapsed().as_secs_f64()
}

fn report(augment: Augmentation, ours: [f64; 4], theirs: [f64; 4]) {
    println!("{augment}, then ToTensor: images/s, medians of {ROUNDS} rounds");
    for ((workers, ours), theirs) in WORKERS.into_iter().zip(ours).zip(theirs) {
        println!("  {workers} workers: {ours:>10.0} ours, {theirs:>8.0} DataLoader");
    }
    let best = |speeds: [f64; 4]| speeds.into_iter().fold(0.0, f64::max);
    println!("  best against best: {:.1} times", best(ours) / best(theirs));
}
