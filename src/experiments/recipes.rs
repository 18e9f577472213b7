//! The table of recipes: a network with its optimizer, batch size, epochs and initialization, as a study note or a section of the
//! book trains it.

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
use crate::nets::alexnet::alexnet;
use crate::nets::densenet::densenet;
use crate::nets::googlenet::googlenet;
use crate::nets::lenet::{lenet, lenet_relu, lenet224};
use crate::nets::nin::nin;
use crate::nets::resnet18::resnet18;
use crate::nets::vgg::vgg;
use crate::norm::{Norm, Variant};

/// A network and how a note or a section of the book trains it on Fashion-MNIST.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name on the command line.
    pub name: &'static str,
    /// Where it comes from and what it is, in a line.
    pub about: &'static str,
    /// The section of d2l (0.17) that has the network.
    pub section: [u8; 2],
    /// The network's name, in titles.
    pub network: &'static str,
    /// The variants that are compared unless `--variants` names others.
    pub variants: &'static [Variant],
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

/// For a network that has batch norm in the book.
const BOTH: [Variant; 2] = [Variant::Scratch, Variant::Native];

/// For a network that has none there.
const WITH_AND_WITHOUT: [Variant; 3] = [Variant::None, Variant::Scratch, Variant::Native];

/// Every recipe. Another one is another entry here: the command line, `d2l_ch7 list`, the benchmark and the tests read this table.
/// The first is the default.
pub const RECIPES: [Recipe; 11] = [
    Recipe {
        name: "book",
        about: "LeNet, sigmoid, average pooling, SGD",
        section: [7, 5],
        network: "LeNet",
        variants: &BOTH,
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
        section: [7, 5],
        network: "LeNet",
        variants: &BOTH,
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
        section: [7, 5],
        network: "LeNet",
        variants: &BOTH,
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
        section: [7, 5],
        network: "LeNet",
        variants: &BOTH,
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
        section: [7, 5],
        network: "LeNet",
        variants: &BOTH,
        resize: Some(224),
        net: lenet224,
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 1.0,
        batch_size: 256,
        epochs: 10,
    },
    Recipe {
        name: "alexnet",
        about: "AlexNet, images resized to 224x224, SGD",
        section: [7, 1],
        network: "AlexNet",
        variants: &WITH_AND_WITHOUT,
        resize: Some(224),
        net: alexnet,
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 0.01,
        batch_size: 128,
        epochs: 10,
    },
    Recipe {
        name: "vgg",
        about: "VGG-11 with a quarter of the channels, images resized to 224x224, SGD",
        section: [7, 2],
        network: "VGG-11",
        variants: &WITH_AND_WITHOUT,
        resize: Some(224),
        net: |p, norm| vgg(p, norm, 4),
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 0.05,
        batch_size: 128,
        epochs: 10,
    },
    Recipe {
        name: "nin",
        about: "NiN, images resized to 224x224, SGD",
        section: [7, 3],
        network: "NiN",
        variants: &WITH_AND_WITHOUT,
        resize: Some(224),
        net: nin,
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 0.1,
        batch_size: 128,
        epochs: 10,
    },
    Recipe {
        name: "googlenet",
        about: "GoogLeNet, images resized to 96x96, SGD",
        section: [7, 4],
        network: "GoogLeNet",
        variants: &WITH_AND_WITHOUT,
        resize: Some(96),
        net: googlenet,
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 0.1,
        batch_size: 128,
        epochs: 10,
    },
    Recipe {
        name: "resnet18",
        about: "ResNet-18, images resized to 96x96, SGD",
        section: [7, 6],
        network: "ResNet-18",
        variants: &BOTH,
        resize: Some(96),
        net: resnet18,
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 0.05,
        batch_size: 256,
        epochs: 10,
    },
    Recipe {
        name: "densenet",
        about: "DenseNet, images resized to 96x96, SGD",
        section: [7, 7],
        network: "DenseNet",
        variants: &BOTH,
        resize: Some(96),
        net: densenet,
        xavier: true,
        optimizer: Algorithm::Sgd,
        lr: 0.1,
        batch_size: 256,
        epochs: 10,
    },
];

/// How the command line reads a recipe's name.
pub fn recipe() -> impl TypedValueParser<Value = &'static Recipe> {
    entry_of(&RECIPES, |recipe| (recipe.name, recipe.about))
}

impl Recipe {
    /// Whether a note trains it: a LeNet. The others are the chapter's large networks.
    pub fn is_lenet(&self) -> bool {
        self.network == "LeNet"
    }

    /// The recipe of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        RECIPES.iter().find(|recipe| recipe.name == name)
    }

    /// Its variants, as the command line takes them.
    pub fn variant_names(&self) -> String {
        self.variants.iter().map(|variant| variant.name()).collect::<Vec<_>>().join(",")
    }

    /// Channels, height and width of its images.
    pub fn input(&self) -> [i64; 3] {
        let edge = self.resize.unwrap_or(28) as i64;
        [1, edge, edge]
    }

    /// The network as the book has it: with libtorch's batch norm, or with none.
    pub fn variant_of_book(&self) -> Variant {
        if self.variants.contains(&Variant::None) { Variant::None } else { Variant::Native }
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
