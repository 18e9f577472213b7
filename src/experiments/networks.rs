//! The table of the networks, without how a note or a section of the book trains them.

use clap::builder::TypedValueParser;
use tch::nn::Path;

use super::values::entry_of;
use crate::layers::Sequential;
use crate::nets::alexnet::alexnet;
use crate::nets::densenet::densenet;
use crate::nets::googlenet::googlenet;
use crate::nets::lenet::{lenet, lenet_relu, lenet224};
use crate::nets::nin::nin;
use crate::nets::resnet18::{resnet18, resnet18_cifar};
use crate::nets::vgg::vgg;
use crate::norm::{Norm, Variant};

/// A network of the notes or of the chapter.
#[derive(Debug)]
pub struct Network {
    /// What the command line calls it.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// The section of d2l (0.17) that has it.
    pub section: [u8; 2],
    /// Channels, height and width of its note's or section's images.
    pub input: [i64; 3],
    /// The batch norm that its note or section builds it with.
    pub variant: Variant,
    /// Builds it with PyTorch's default initialization.
    pub build: fn(&Path, &Norm) -> Sequential,
}

/// Every network.
pub const NETWORKS: [Network; 11] = [
    Network {
        name: "lenet",
        about: "LeNet: sigmoid, average pooling",
        section: [7, 5],
        input: [1, 28, 28],
        variant: Variant::Scratch,
        build: lenet,
    },
    Network {
        name: "lenet-relu",
        about: "the recipe `dropout`'s: ReLU, max pooling, dropout",
        section: [7, 5],
        input: [1, 28, 28],
        variant: Variant::Scratch,
        build: |p, norm| lenet_relu(p, norm, Some(0.5)),
    },
    Network {
        name: "lenet224",
        about: "the LeNet for large images",
        section: [7, 5],
        input: [1, 224, 224],
        variant: Variant::Scratch,
        build: lenet224,
    },
    Network {
        name: "resnet18",
        about: "ResNet-18: 7x7 stem, max pooling",
        section: [7, 6],
        input: [1, 224, 224],
        variant: Variant::Native,
        build: resnet18,
    },
    Network {
        name: "resnet18-cifar",
        about: "d2l's resnet18(10, 3): 3x3 stem, no max pooling",
        section: [12, 6],
        input: [3, 32, 32],
        variant: Variant::Native,
        build: |p, norm| resnet18_cifar(p, norm, 10, 3),
    },
    Network {
        name: "alexnet",
        about: "AlexNet: five convolutions, dropout",
        section: [7, 1],
        input: [1, 224, 224],
        variant: Variant::None,
        build: alexnet,
    },
    Network {
        name: "vgg11",
        about: "VGG-11 with the paper's channels",
        section: [7, 2],
        input: [1, 224, 224],
        variant: Variant::None,
        build: |p, norm| vgg(p, norm, 1),
    },
    Network {
        name: "vgg",
        about: "VGG-11 with a quarter of them",
        section: [7, 2],
        input: [1, 224, 224],
        variant: Variant::None,
        build: |p, norm| vgg(p, norm, 4),
    },
    Network {
        name: "nin",
        about: "NiN: convolutions of 1x1",
        section: [7, 3],
        input: [1, 224, 224],
        variant: Variant::None,
        build: nin,
    },
    Network {
        name: "googlenet",
        about: "GoogLeNet: Inception blocks",
        section: [7, 4],
        input: [1, 96, 96],
        variant: Variant::None,
        build: googlenet,
    },
    Network {
        name: "densenet",
        about: "DenseNet: dense blocks",
        section: [7, 7],
        input: [1, 96, 96],
        variant: Variant::Native,
        build: densenet,
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
