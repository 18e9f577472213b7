//! LeNet with batch norm after every layer but the last, as the notebooks build it (d2l section 7.5.4).

use crate::layers::{AvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, Sigmoid};
use crate::norm::{Dims, Variant};

/// The book's LeNet for (N, 1, 28, 28): sigmoid, average pooling. Gives (N, 10) logits.
pub fn lenet(norm: Variant) -> Sequential {
    lenet_sigmoid(norm, 2, 16 * 4 * 4)
}

/// The LeNet for (N, 1, 224, 224): as [`lenet`], but the second pooling is over squares of 5 x 5, which leaves
/// 16 x 21 x 21 = 7056 features. Gives (N, 10) logits.
pub fn lenet224(norm: Variant) -> Sequential {
    lenet_sigmoid(norm, 5, 16 * 21 * 21)
}

/// What the two share: the sides of the second pooling's squares, and how many features come out of it, differ.
fn lenet_sigmoid(norm: Variant, second_pool: i64, features: i64) -> Sequential {
    Sequential::new()
        .then(Conv2d::new(1, 6, 5))
        .then_boxed(norm.batch_norm(6, Dims::Four))
        .then(Sigmoid)
        .then(AvgPool2d { size: 2 })
        .then(Conv2d::new(6, 16, 5))
        .then_boxed(norm.batch_norm(16, Dims::Four))
        .then(Sigmoid)
        .then(AvgPool2d { size: second_pool })
        .then(Flatten)
        .then(Linear::new(features, 120))
        .then_boxed(norm.batch_norm(120, Dims::Two))
        .then(Sigmoid)
        .then(Linear::new(120, 84))
        .then_boxed(norm.batch_norm(84, Dims::Two))
        .then(Sigmoid)
        .then(Linear::new(84, 10))
}

/// The LeNet with ReLU, max pooling and a padded first convolution, for (N, 1, 28, 28). `dropout` is the
/// probability of the dropout layer after each dense batch norm; `None` leaves those layers out.
pub fn lenet_relu(norm: Variant, dropout: Option<f64>) -> Sequential {
    let max_pool = || MaxPool2d { size: 2, stride: 2, padding: 0 };
    let drop = |net: Sequential| match dropout {
        Some(p) => net.then(Dropout { p }),
        None => net,
    };
    let net = Sequential::new()
        .then(Conv2d::new(1, 6, 5).padding(2))
        .then_boxed(norm.batch_norm(6, Dims::Four))
        .then(ReLU)
        .then(max_pool())
        .then(Conv2d::new(6, 16, 5))
        .then_boxed(norm.batch_norm(16, Dims::Four))
        .then(ReLU)
        .then(max_pool())
        .then(Flatten)
        .then(Linear::new(16 * 5 * 5, 120))
        .then_boxed(norm.batch_norm(120, Dims::Two));
    let net = drop(net).then(ReLU).then(Linear::new(120, 84)).then_boxed(norm.batch_norm(84, Dims::Two));
    drop(net).then(ReLU).then(Linear::new(84, 10))
}
