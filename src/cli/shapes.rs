//! `d2l_ch7 shapes`.

use clap::Args;

use super::values::{format, image_size, network, variant};
use crate::experiments::networks::Network;
use crate::experiments::shapes::{Format, Shapes};
use crate::norm::Variant;

#[derive(Debug, Args)]
pub(super) struct ShapesArgs {
    /// lenet, lenet-relu, lenet224, resnet18 or resnet18-cifar; `d2l_ch7 list` tells what they are
    #[arg(value_parser = network)]
    network: &'static Network,
    /// The image it is given: channels x height x width [default: its note's, such as 1x224x224]
    #[arg(long, value_name = "CxHxW", value_parser = image_size)]
    input: Option<[i64; 3]>,
    /// The batch norm it is built with [default: its note's]
    #[arg(long, value_parser = variant)]
    variant: Option<Variant>,
    /// table, csv (a row a layer) or json
    #[arg(long, default_value = "table", value_parser = format)]
    format: Format,
}

impl ShapesArgs {
    pub(super) fn validated(self) -> Shapes {
        Shapes {
            network: self.network,
            variant: self.variant.unwrap_or(self.network.variant),
            input: self.input.unwrap_or(self.network.input),
            format: self.format,
        }
    }
}
