//! Sums over ranks and `DistributedDataParallel` against `stored/ddp.safetensors`, which `make_references.py` made with
//! `torch.distributed`: every bit must be the same, on every processor.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tch::nn::{self, ModuleT, VarStore};
use tch::{Device, Kind, Tensor};
use tch_c10d::{DistributedDataParallel, ranks_in_threads};
use tch_extra::optim::{Optimizer, Sgd};
use tch_extra::state_dict::{buffers, named_parameters, state};

const TIMEOUT: Duration = Duration::from_secs(60);
const RANKS: usize = 3;
const LR: f64 = 0.125;
const FEATURES: usize = 7;
const OUT: usize = 300_000;
const BULK: usize = 7_000_000;

struct Stored(HashMap<String, Tensor>);

impl Stored {
    fn open() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stored/ddp.safetensors");
        Self(Tensor::read_safetensors(file).unwrap().into_iter().collect())
    }

    fn get(&self, name: &str) -> &Tensor {
        self.0.get(name).unwrap_or_else(|| panic!("no reference {name}"))
    }

    fn assert_same(&self, name: &str, actual: &Tensor) {
        let actual_bytes = bytes(actual);
        if let Some(digest) = self.0.get(&format!("{name}.sha256")) {
            assert_eq!(Sha256::digest(actual_bytes).as_slice(), bytes(digest), "{name}: other bits");
            return;
        }
        let expected = self.get(name);
        assert_eq!((actual.size(), actual.kind()), (expected.size(), expected.kind()), "{name}");
        let difference = (actual - expected).abs().max().double_value(&[]);
        assert!(actual_bytes == bytes(expected), "{name}: bits differ, by {difference:e}");
    }
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    Vec::try_from(tensor.detach().reshape([-1]).view_dtype(Kind::Uint8)).unwrap()
}

/// As in `make_references.py`.
fn inexact(elements: usize, salt: usize) -> Tensor {
    let number = |i| ((i * 7919 + salt * 104_729) % 1009) as f32 - 504.0;
    Tensor::from_slice(&(0..elements).map(|i| number(i) / 337.0).collect::<Vec<_>>())
}

#[derive(Debug)]
struct BatchNorm {
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

impl BatchNorm {
    fn new(p: &nn::Path) -> Self {
        let running = |name: &str, begin: f64| {
            p.add(name, Tensor::full([FEATURES as i64], begin, (Kind::Float, Device::Cpu)), false)
        };
        Self {
            weight: p.var_copy("weight", &inexact(FEATURES, 4)),
            bias: p.var_copy("bias", &inexact(FEATURES, 5)),
            running_mean: running("running_mean", 0.0),
            running_var: running("running_var", 1.0),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let mean = |x: &Tensor| x.mean_dim(0, false, None::<Kind>);
        let update = |running: &Tensor, new: Tensor| {
            tch::no_grad(|| {
                let mut running = running.shallow_clone();
                running *= 0.875;
                running += new * 0.125;
            });
        };
        let centred = x - mean(x);
        let var = mean(&(&centred * &centred));
        update(&self.running_mean, mean(x));
        update(&self.running_var, var.shallow_clone());
        centred / (var + 1e-5).sqrt() * &self.weight + &self.bias
    }
}

#[derive(Debug)]
struct Net {
    bulk: Tensor,
    scale: Tensor,
    out: Tensor,
    norm: BatchNorm,
}

impl Net {
    /// Parameters in the order of Python's `net.parameters()`.
    fn new(p: &nn::Path) -> Self {
        Self {
            bulk: p.var_copy("bulk", &inexact(BULK, 1)),
            scale: p.var_copy("scale", &inexact(FEATURES, 2)),
            out: p.var_copy("out", &inexact(OUT, 3)),
            norm: BatchNorm::new(&(p / "norm")),
        }
    }
}

impl ModuleT for Net {
    fn forward_t(&self, x: &Tensor, _train: bool) -> Tensor {
        let y = self.norm.forward(&(x * &self.scale)).reshape([-1]);
        Tensor::cat(&[y, &self.bulk * x.get(0).get(0), &self.out * x.get(1).get(1)], 0)
    }
}

/// Gloo begins to add at another rank for each part of a tensor. The references tell the three orders apart.
#[test]
fn sums_are_added_in_pytorchs_order() {
    ranks_in_threads(RANKS, TIMEOUT, |rank, _, group| {
        let stored = Stored::open();
        for elements in [1, 2, 3, 5, 64, 1000, 4097] {
            let mut tensor = inexact(elements, 10 + rank);
            let sum = group.sum(&tensor).unwrap();
            group.all_reduce(&mut tensor).unwrap();
            for sum in [sum, tensor] {
                stored.assert_same(&format!("sum.{elements}"), &sum);
            }
        }
    });
}

/// Four steps: the first with one bucket, the others with three. Ranks 1 and 2 begin with another network than rank 0.
#[test]
fn training_is_distributed_data_parallels() {
    ranks_in_threads(RANKS, TIMEOUT, |rank, _, group| {
        let stored = Stored::open();
        let vs = VarStore::new(Device::Cpu);
        let net = Net::new(&vs.root());
        for (name, parameter) in named_parameters(&vs) {
            stored.assert_same(&format!("initial.{name}"), &parameter);
        }
        if rank > 0 {
            state(&vs).iter_mut().for_each(|(_, tensor)| drop(tensor.zero_()));
        }
        let ddp = DistributedDataParallel::new(group, &vs, None).unwrap();
        let net = ddp.around(Box::new(net));
        let mut optimizer = Sgd::new(vs.trainable_variables(), LR);
        for (step, x) in (1..).zip(stored.get(&format!("x.{rank}")).unbind(0)) {
            optimizer.zero_grad();
            let y = net.forward_t(&x, true);
            (&y * &y).sum(None::<Kind>).backward();
            optimizer.step();
            for (name, parameter) in named_parameters(&vs) {
                stored.assert_same(&format!("step.{step}.grad.{name}"), &parameter.grad());
                stored.assert_same(&format!("step.{step}.after.{name}"), &parameter);
            }
            for (name, running) in ["running_mean", "running_var"].iter().zip(buffers(&vs)) {
                stored.assert_same(&format!("step.{step}.rank.{rank}.norm.{name}"), &running);
            }
        }
        stored.assert_same("buckets", &bytes_of_buckets(&ddp.layout().unwrap(), &vs));
    });
}

/// How many bytes of gradients each bucket has.
fn bytes_of_buckets(layout: &Tensor, vs: &VarStore) -> Tensor {
    let buckets = Vec::<i64>::try_from(layout.select(1, 0)).unwrap();
    let mut sizes = vec![0; *buckets.iter().max().unwrap() as usize + 1];
    for (bucket, parameter) in buckets.into_iter().zip(vs.trainable_variables()) {
        sizes[bucket as usize] += 4 * parameter.numel() as i64;
    }
    Tensor::from_slice(&sizes)
}
