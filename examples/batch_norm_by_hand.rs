//! Batch norm by hand on four examples of two features, every step printed:
//! `cargo run --example batch_norm_by_hand`

use tch::{Kind, Tensor};

const EPS: f64 = 1e-5; // keeps the root away from zero
const KEPT: f64 = 0.9; // the share of the old moving statistics that stays

fn main() {
    // Four examples (rows) of two features (columns) on different scales.
    let x = Tensor::from_slice(&[1.0f32, 100.0, 2.0, 300.0, 3.0, 500.0, 6.0, 700.0]).reshape([4, 2]);
    show("x", &x);

    // Mean and variance of each feature in this batch.
    let mean = x.mean_dim(0i64, false, None::<Kind>);
    show("mean over the batch", &mean);
    let centred = &x - &mean;
    show("x - mean", &centred);
    let var = centred.square().mean_dim(0i64, false, None::<Kind>); // divided by 4, not by 3
    show("variance over the batch", &var);

    // Both features on the same scale: mean 0, variance 1.
    let x_hat = &centred / (&var + EPS).sqrt();
    show("x_hat = (x - mean) / sqrt(variance + eps)", &x_hat);

    // A scale and a shift for each feature. Training would learn them; here they are given.
    let (gamma, beta) = (Tensor::from_slice(&[1.0f32, 2.0]), Tensor::from_slice(&[0.0f32, 10.0]));
    let y = &gamma * &x_hat + &beta;
    show("y = gamma * x_hat + beta, with gamma (1, 2) and beta (0, 10)", &y);

    // Evaluation uses moving averages over all batches so far, not the statistics of its own batch.
    let moving_mean = KEPT * mean.zeros_like() + (1.0 - KEPT) * &mean;
    let moving_var = KEPT * var.ones_like() + (1.0 - KEPT) * &var;
    show("moving mean, a tenth of the way from 0", &moving_mean);
    show("moving variance, a tenth of the way from 1", &moving_var);

    let near = |t: &Tensor, expected: [f32; 2]| t.allclose(&Tensor::from_slice(&expected), 0.0, 1e-3, false);
    assert!(near(&y.mean_dim(0i64, false, None::<Kind>), [0.0, 10.0]), "beta is the mean of y");
    assert!(near(&y.std_dim(0i64, false, false), [1.0, 2.0]), "gamma is its standard deviation");
    println!("The features of y have means beta and standard deviations gamma, whatever x was.");
}

fn show(what: &str, tensor: &Tensor) {
    println!("{what}\n{}", tensor.to_string(80).expect("a small tensor prints"));
}

// Output:
// x
//    1  100
//    2  300
//    3  500
//    6  700
// [ CPUFloatType{4,2} ]
// mean over the batch
//    3
//  400
// [ CPUFloatType{2} ]
// x - mean
//   -2 -300
//   -1 -100
//    0  100
//    3  300
// [ CPUFloatType{4,2} ]
// variance over the batch
//      3.5000
//  50000.0000
// [ CPUFloatType{2} ]
// x_hat = (x - mean) / sqrt(variance + eps)
// -1.0690 -1.3416
// -0.5345 -0.4472
//  0.0000  0.4472
//  1.6036  1.3416
// [ CPUFloatType{4,2} ]
// y = gamma * x_hat + beta, with gamma (1, 2) and beta (0, 10)
//  -1.0690   7.3167
//  -0.5345   9.1056
//   0.0000  10.8944
//   1.6036  12.6833
// [ CPUFloatType{4,2} ]
// moving mean, a tenth of the way from 0
//   0.3000
//  40.0000
// [ CPUFloatType{2} ]
// moving variance, a tenth of the way from 1
//     1.2500
//  5000.8999
// [ CPUFloatType{2} ]
// The features of y have means beta and standard deviations gamma, whatever x was.
