//! Batch norm alone, by hand and libtorch's, at the sizes of LeNet and of ResNet-18. Runs on CUDA if there is a GPU.
//!
//! `cargo bench --profile dev --bench batch_norm [-- NAME]`. `cargo xtask bench --sections batch-norm` compares it with Python.

use criterion::{Criterion, criterion_group, criterion_main};
use d2l_ch7::experiments::bench::{Section, micro_benchmarks};
use tch::Device;

mod shared;

use shared::timed;

fn batch_norms(criterion: &mut Criterion) {
    tch_extra::keep_freed_memory();
    let device = Device::cuda_if_available();
    for (name, _, mut job) in micro_benchmarks(Section::BatchNorm, device) {
        criterion.bench_function(&name, |bencher| timed(bencher, device, || job().unwrap()));
    }
}

criterion_group!(benches, batch_norms);
criterion_main!(benches);
