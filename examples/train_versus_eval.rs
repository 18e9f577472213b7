//! Why one layer gives other outputs in evaluation than in training, and when the difference goes away:
//! `cargo run --example train_versus_eval`

use d2l_ch7::norm::{Dims, native::BatchNorm};
use tch::nn::{ModuleT, VarStore};
use tch::{Device, Kind, Tensor};

fn main() {
    tch_extra::manual_seed(0);
    let vs = VarStore::new(Device::Cpu);
    let layer = BatchNorm::new(&vs.root(), 1, Dims::Two);
    // Batches of 1,000 numbers with mean 5 and standard deviation 2.
    let batch = || Tensor::randn([1000, 1], (Kind::Float, Device::Cpu)) * 2 + 5;
    let fixed = batch();

    // Training normalizes a batch by its own statistics, evaluation by the running ones. These start at mean 0 and variance 1,
    // and every batch moves them a tenth of the way to its own.
    println!("batches  running mean  running var  mean of the output in evaluation");
    let mut seen = 0;
    for until in [0, 1, 10, 100] {
        while seen < until {
            let _ = layer.forward_t(&batch(), true);
            seen += 1;
        }
        let before = statistics(&vs);
        let evaluated = mean(&layer.forward_t(&fixed, false));
        assert_eq!(before, statistics(&vs), "evaluation changes nothing");
        println!("{seen:7}  {:12.4}  {:11.4}  {evaluated:32.4}", before.0, before.1);
    }
    assert!(
        mean(&layer.forward_t(&fixed, false)).abs() < 0.1,
        "after many batches, evaluation is like training"
    );

    // In training, the output for a number depends on the other numbers of its batch. In evaluation it does not.
    let alone = fixed.narrow(0, 0, 1);
    let in_half = layer.forward_t(&fixed.narrow(0, 0, 500), false).narrow(0, 0, 1);
    assert!(layer.forward_t(&alone, false) == in_half, "evaluation takes each example by itself");
    let with = |n| layer.forward_t(&fixed.narrow(0, 0, n), true).double_value(&[0, 0]);
    let (with_one_more, with_all) = (with(2), with(1000));
    println!(
        "the first number in training: {with_one_more:.4} in a batch of 2, {with_all:.4} in one of 1,000"
    );
    println!("the same in evaluation:       {:.4} in any batch", in_half.double_value(&[0, 0]));
    assert_ne!(with_one_more, with_all);
}

/// The running mean and variance.
fn statistics(vs: &VarStore) -> (f64, f64) {
    let value = |name| vs.variables()[name].double_value(&[0]);
    (value("running_mean"), value("running_var"))
}

fn mean(tensor: &Tensor) -> f64 {
    tensor.mean(Kind::Float).double_value(&[])
}

// Output:
// batches  running mean  running var  mean of the output in evaluation
//       0        0.0000       1.0000                            5.0578
//       1        0.5059       1.2774                            4.0276
//      10        3.2485       2.9671                            1.0504
//     100        4.9936       3.9670                            0.0323
// the first number in training: 0.9930 in a batch of 2, -1.1231 in one of 1,000
// the same in evaluation:       -1.1273 in any batch
