//! Training steps of the recipes on small images, and the making of an epoch's batches. Runs on CUDA if there is a GPU.
//!
//! `cargo bench --profile dev --bench step [-- NAME]`. `cargo xtask bench --sections step,data` compares the same with Python.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use d2l_ch7::data::{Batches, DataLoader, ImageSet, Images};
use d2l_ch7::experiments::bench::{Section, micro_benchmarks};
use tch::Device;

mod shared;

use shared::timed;

fn steps(criterion: &mut Criterion) {
    tch_extra::keep_freed_memory();
    let device = Device::cuda_if_available();
    let mut group = criterion.benchmark_group("step");
    for (name, images, mut job) in micro_benchmarks(Section::Step, device) {
        group.throughput(Throughput::Elements(images.map_or(1, |images| images as u64)));
        group.bench_function(&name, |bencher| timed(bencher, device, || job().unwrap()));
    }
}

fn batches(criterion: &mut Criterion) {
    let device = Device::cuda_if_available();
    const N: usize = 60_000;
    let (pixels, labels) = (vec![7; N * 28 * 28], vec![3; N]);
    let images = ImageSet::new(&Images { pixels, labels, rows: 28, cols: 28, channels: 1 });
    let loader = || DataLoader::new(&images, 256, true, device);
    let mut group = criterion.benchmark_group("an epoch's batches");
    group.throughput(Throughput::Elements(N as u64));
    for (name, loader) in [("from main memory", loader()), ("on the device", loader().resident())] {
        group.bench_function(name, |bencher| timed(bencher, device, || loader.iter().for_each(drop)));
    }
}

criterion_group!(benches, steps, batches);
criterion_main!(benches);
