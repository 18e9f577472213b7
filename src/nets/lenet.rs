//! LeNet with batch norm after every layer but the last, as the notebooks build it (d2l section 7.5.4), or without any.

use tch::nn::{ConvConfig, Path};

use crate::layers::{
    Sequential, avg_pool2d, conv2d, dropout, flatten, linear, max_pool2d, relu, sequential, sigmoid,
};
use crate::norm::{Dims, Norm};

/// The book's LeNet for (N, 1, 28, 28): sigmoid, average pooling. Gives (N, 10) logits.
pub fn lenet(p: &Path, norm: &Norm) -> Sequential {
    lenet_sigmoid(p, norm, 2, 16 * 4 * 4)
}

/// Note 004's LeNet for (N, 1, 224, 224): [`lenet`] with a second pooling over squares of 5 x 5, which leaves
/// 16 x 21 x 21 = 7056 features. Gives (N, 10) logits.
pub fn lenet224(p: &Path, norm: &Norm) -> Sequential {
    lenet_sigmoid(p, norm, 5, 16 * 21 * 21)
}

/// Both of them: `second_pool` is the width of the second pooling's squares, `features` the number of values that it leaves.
fn lenet_sigmoid(p: &Path, norm: &Norm, second_pool: i64, features: i64) -> Sequential {
    sequential(p)
        .then(|p| conv2d(p, 1, 6, 5, ConvConfig::default()))
        .then_optional(|p| norm.batch_norm(p, 6, Dims::Four))
        .then(|_| sigmoid())
        .then(|_| avg_pool2d(2))
        .then(|p| conv2d(p, 6, 16, 5, ConvConfig::default()))
        .then_optional(|p| norm.batch_norm(p, 16, Dims::Four))
        .then(|_| sigmoid())
        .then(|_| avg_pool2d(second_pool))
        .then(|_| flatten())
        .then(|p| linear(p, features, 120))
        .then_optional(|p| norm.batch_norm(p, 120, Dims::Two))
        .then(|_| sigmoid())
        .then(|p| linear(p, 120, 84))
        .then_optional(|p| norm.batch_norm(p, 84, Dims::Two))
        .then(|_| sigmoid())
        .then(|p| linear(p, 84, 10))
        .done()
}

/// Note 000's LeNet with ReLU, max pooling and a padded first convolution, for (N, 1, 28, 28). `p_dropout` is the probability of
/// the dropout layer after each dense batch norm; `None` leaves those layers out. Gives (N, 10) logits.
pub fn lenet_relu(p: &Path, norm: &Norm, p_dropout: Option<f64>) -> Sequential {
    sequential(p)
        .then(|p| conv2d(p, 1, 6, 5, ConvConfig { padding: 2, ..Default::default() }))
        .then_optional(|p| norm.batch_norm(p, 6, Dims::Four))
        .then(|_| relu())
        .then(|_| max_pool2d(2, 2, 0))
        .then(|p| conv2d(p, 6, 16, 5, ConvConfig::default()))
        .then_optional(|p| norm.batch_norm(p, 16, Dims::Four))
        .then(|_| relu())
        .then(|_| max_pool2d(2, 2, 0))
        .then(|_| flatten())
        .then(|p| linear(p, 16 * 5 * 5, 120))
        .then_optional(|p| norm.batch_norm(p, 120, Dims::Two))
        .then_optional(|_| p_dropout.map(dropout))
        .then(|_| relu())
        .then(|p| linear(p, 120, 84))
        .then_optional(|p| norm.batch_norm(p, 84, Dims::Two))
        .then_optional(|_| p_dropout.map(dropout))
        .then(|_| relu())
        .then(|p| linear(p, 84, 10))
        .done()
}
