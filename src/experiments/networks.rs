//! The table of the notes' networks, without how a note trains them.

use clap::builder::TypedValueParser;
use tch::nn::Path;

use super::values::entry_of;
use crate::layers::Sequential;
use crate::nets::lenet::{lenet, lenet_relu, lenet224};
use crate::nets::resnet18::{resnet18, resnet18_cifar};
use crate::norm::{Norm, Variant};

/// A network of the notes.
#[derive(Debug)]
pub struct Network {
    /// What the command line calls it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// Channels, height and width of its note's images.
    pub input: [i64; 3],
    /// The batch norm that its note builds it with.
    pub variant: Variant,
    /// Builds it with PyTorch's default initialization.
    pub build: fn(&Path, &Norm) -> Sequential,
}

/// Every network.
pub const NETWORKS: [Network; 5] = [
    Network {
        name: "lenet",
        about: "d2l section 7.5: sigmoid, average pooling",
        input: [1, 28, 28],
        variant: Variant::Scratch,
        build: lenet,
    },
    Network {
        name: "lenet-relu",
        about: "the recipe `dropout`'s: ReLU, max pooling, dropout",
        input: [1, 28, 28],
        variant: Variant::Scratch,
        build: |p, norm| lenet_relu(p, norm, Some(0.5)),
    },
    Network {
        name: "lenet224",
        about: "the LeNet for large images",
        input: [1, 224, 224],
        variant: Variant::Scratch,
        build: lenet224,
    },
    Network {
        name: "resnet18",
        about: "d2l section 7.6: 7x7 stem, max pooling",
        input: [1, 224, 224],
        variant: Variant::Native,
        build: resnet18,
    },
    Network {
        name: "resnet18-cifar",
        about: "d2l's resnet18(10, 3): 3x3 stem, no max pooling",
        input: [3, 32, 32],
        variant: Variant::Native,
        build: |p, norm| resnet18_cifar(p, norm, 10, 3),
    },
];

/// How the command line reads a network's name.
pub fn network() -> impl TypedValueParser<Value = &'static Network> {
    entry_of(&NETWORKS, |network| (network.name, network.about))
}

impl Network {
    /// The network of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        NETWORKS.iter().find(|network| network.name == name)
    }
}
