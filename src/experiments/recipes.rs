//! The table of recipes: a network with its optimizer, batch size, epochs and initialization, as a study note trains it.

use std::fmt;

use clap::builder::TypedValueParser;
use tch::Tensor;
use tch::nn::Path;
use tch_extra::optim::{Adam, Optimizer, Sgd};
use torchvision_exact::transforms::{Resize, Size};

use super::values::entry_of;
use crate::init;
use crate::layers::Sequential;
use crate::nets::Net;
use crate::nets::lenet::{lenet, lenet_relu, lenet224};
use crate::norm::Norm;

/// A network and how a note trains it on Fashion-MNIST.
#[derive(Debug)]
pub struct Recipe {
    /// Its name on the command line.
    pub name: &'static str,
    /// Where it comes from and what it is, in a line.
    pub about: &'static str,
    /// Every image is first resized so that its shorter edge has this length; `None`: images as they are.
    pub resize: Option<usize>,
    /// Builds the network with PyTorch's default initialization.
    pub net: fn(&Path, &Norm) -> Sequential,
    /// Whether d2l's `init_weights` redraws the weights.
    pub xavier: bool,
    /// How the weights are updated.
    pub optimizer: Algorithm,
    /// Learning rate.
    pub lr: f64,
    /// Images a step.
    pub batch_size: usize,
    /// Passes over the training images.
    pub epochs: usize,
}

/// An optimizer, without its learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    /// Plain stochastic gradient descent.
    Sgd,
    /// Adam with decoupled weight decay, of the given strength.
    AdamW(f64),
}

/// Every recipe. Another one is another entry here: the command line, `d2l_ch7 list`, the benchmark and the tests read this table.
/// The first is the default.
pub const RECIPES: [Recipe; 5] = [
    Recipe {
        name: "book",
        about: "d2l section 7.5: LeNet, sigmoid, average pooling, SGD",
        resize: None,
        net: lenet,
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 1.0,
        batch_size: 256,
        epochs: 10,
    },
    Recipe {
        name: "adamw",
        about: "the same network with AdamW and PyTorch's initialization",
        resize: None,
        net: lenet,
        xavier: false,
        optimizer: Algorithm::AdamW(0.01),
        lr: 1e-3,
        batch_size: 64,
        epochs: 10,
    },
    Recipe {
        name: "dropout",
        about: "LeNet, ReLU, max pooling, dropout after each dense batch norm, SGD",
        resize: None,
        net: |p, norm| lenet_relu(p, norm, Some(0.5)),
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 0.05,
        batch_size: 256,
        epochs: 50,
    },
    Recipe {
        name: "no-dropout",
        about: "the same without dropout",
        resize: None,
        net: |p, norm| lenet_relu(p, norm, None),
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 0.05,
        batch_size: 256,
        epochs: 50,
    },
    Recipe {
        name: "lenet224",
        about: "the book's network for images resized to 224x224",
        resize: Some(224),
        net: lenet224,
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 1.0,
        batch_size: 256,
        epochs: 10,
    },
];

/// How the command line reads a recipe's name.
pub fn recipe() -> impl TypedValueParser<Value = &'static Recipe> {
    entry_of(&RECIPES, |recipe| (recipe.name, recipe.about))
}

impl Recipe {
    /// The recipe of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        RECIPES.iter().find(|recipe| recipe.name == name)
    }

    /// The network as it is before the first step, on the CPU, drawn from the CPU's generator.
    pub fn initial_net(&self, norm: &Norm) -> Net {
        let net = Net::new(|p| (self.net)(p, norm));
        if self.xavier {
            init::xavier_weights(&net.vs);
        }
        net
    }

    /// What happens to an image before it becomes a tensor.
    pub fn resize(&self) -> Option<Resize> {
        self.resize.map(|edge| Resize::new(Size::ShorterEdge(edge)).expect("no recipe resizes to nothing"))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sgd => f.write_str("SGD"),
            Self::AdamW(weight_decay) => write!(f, "AdamW (weight decay {weight_decay})"),
        }
    }
}

impl Algorithm {
    /// This optimizer over `params`, a network's `trainable_variables()`.
    pub fn over(self, params: Vec<Tensor>, lr: f64) -> Box<dyn Optimizer> {
        match self {
            Self::Sgd => Box::new(Sgd::new(params, lr)),
            Self::AdamW(weight_decay) => Box::new(Adam::decoupled(params, lr, weight_decay)),
        }
    }
}
