//! Training steps of the recipes on small images, operation by operation and recorded, and what a batch costs before its step; on
//! CUDA where there is one.
//!
//! `cargo bench --bench step [-- NAME]`. `cargo xtask bench --sections step,epoch,data` sets the like beside Python's.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use d2l_ch7::data::{Batches, DataLoader, ImageSet};
use d2l_ch7::experiments::recipes::{RECIPES, Recipe};
use d2l_ch7::layers::{Module, Sequential, to_device};
use d2l_ch7::norm::Variant;
use d2l_ch7::optim::Optimizer;
use d2l_ch7::torch::{self, Recording};
use d2l_ch7::train::Loss;
use tch::{Device, Kind, Tensor};

mod shared;

use shared::timed;

/// A network, how it is trained, and a batch of noise.
struct Step {
    net: Sequential,
    optimizer: Box<dyn Optimizer>,
    x: Tensor,
    y: Tensor,
}

impl Step {
    fn new(recipe: &Recipe, variant: Variant, device: Device) -> Self {
        torch::manual_seed(0);
        let mut net = recipe.initial_net(variant);
        to_device(&mut net, device);
        let optimizer = recipe.optimizer(&mut net, recipe.lr);
        let n = recipe.batch_size as i64;
        let x = Tensor::rand([n, 1, 28, 28], (Kind::Float, device));
        Self { net, optimizer, x, y: Tensor::randint(10, [n], (Kind::Int64, device)) }
    }

    fn gradients(&mut self) {
        self.optimizer.zero_grad();
        let y_hat = self.net.forward(&self.x, true);
        Loss::Mean.of(&y_hat, &self.y).backward();
    }

    fn run(&mut self) {
        self.gradients();
        self.optimizer.step();
    }
}

fn steps(criterion: &mut Criterion) {
    torch::keep_freed_memory();
    let device = Device::cuda_if_available();
    let mut group = criterion.benchmark_group("step");
    for recipe in RECIPES.iter().filter(|recipe| recipe.resize.is_none()) {
        group.throughput(Throughput::Elements(recipe.batch_size as u64));
        for variant in Variant::NOTEBOOKS {
            let name = format!("{}, {variant}", recipe.name);
            let mut step = Step::new(recipe, variant, device);
            group.bench_function(BenchmarkId::new("as it is", &name), |bencher| {
                timed(bencher, device, || step.run());
            });
            // On the network that the steps before have warmed up.
            let Ok((recording, ())) = Recording::of(device, || step.gradients()) else { continue };
            group.bench_function(BenchmarkId::new("recorded", &name), |bencher| {
                timed(bencher, device, || {
                    recording.replay().expect("it was recorded on this device");
                    step.optimizer.step();
                });
            });
        }
    }
}

fn batches(criterion: &mut Criterion) {
    let device = Device::cuda_if_available();
    const N: usize = 60_000;
    let images = ImageSet::new(&vec![7; N * 28 * 28], &vec![3; N], 28, 28, None);
    let loader = || DataLoader::new(&images, 256, true, device);
    let mut group = criterion.benchmark_group("an epoch's batches");
    group.throughput(Throughput::Elements(N as u64));
    for (name, loader) in [("from main memory", loader()), ("on the device", loader().resident())] {
        group.bench_function(name, |bencher| timed(bencher, device, || loader.iter().for_each(drop)));
    }
}

criterion_group!(benches, steps, batches);
criterion_main!(benches);
