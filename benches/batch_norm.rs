//! Batch norm alone, by hand and libtorch's own, at the sizes of LeNet and of ResNet-18; on CUDA where there is one.
//!
//! `cargo bench --bench batch_norm [-- NAME]`. `cargo xtask bench --sections batch-norm` sets it beside Python's.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use d2l_ch7::experiments::bench::SHAPES;
use d2l_ch7::layers::{parameters, to_device};
use d2l_ch7::norm::{Dims, Variant};
use d2l_ch7::torch;
use tch::{Device, Kind, Tensor};

mod shared;

use shared::timed;

fn batch_norms(criterion: &mut Criterion) {
    torch::keep_freed_memory();
    let device = Device::cuda_if_available();
    for pass in ["forward", "forward and backward"] {
        let mut group = criterion.benchmark_group(format!("batch norm, {pass}"));
        for shape in SHAPES {
            let dims = if shape.len() == 2 { Dims::Two } else { Dims::Four };
            let size = shape.iter().map(i64::to_string).collect::<Vec<_>>().join("x");
            group.throughput(Throughput::Elements(shape.iter().product::<i64>().cast_unsigned()));
            for variant in Variant::NOTEBOOKS {
                let mut layer = variant.batch_norm(shape[1], dims);
                to_device(layer.as_mut(), device);
                let mut leaves = parameters(layer.as_mut());
                let x = Tensor::rand(shape, (Kind::Float, device)).set_requires_grad(true);
                leaves.push(x.shallow_clone());
                group.bench_function(BenchmarkId::new(variant.name(), &size), |bencher| {
                    timed(bencher, device, || {
                        let y = layer.forward(&x, true);
                        if pass != "forward" {
                            leaves.iter_mut().for_each(torch::clear_grad);
                            y.sum(Kind::Float).backward();
                        }
                    });
                });
            }
        }
    }
}

criterion_group!(benches, batch_norms);
criterion_main!(benches);
