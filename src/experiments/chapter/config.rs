//! The options of `d2l_ch7 chapter`, the networks that it trains, and its `config.json`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tch::Device;
use tch_extra::Signature;

use crate::Result;
use crate::experiments::compare::check_last_batch;
use crate::experiments::description::{DataUsed, to_json};
use crate::experiments::list::Cost;
use crate::experiments::options::{CommonOptions, check_each_once, check_variants};
use crate::experiments::recipes::{RECIPES, Recipe, recipe};
use crate::experiments::values::{at_least_one, device, minutes, seed};
use crate::norm::Variant;
use crate::report::{ChapterNetwork, short};

/// The book's recipes, in its order.
const NETWORKS: &str = "alexnet,vgg,nin,googlenet,book,resnet18,densenet";

/// Images in an epoch of a large network on a CPU, which takes some 10 to 40 seconds on two cores.
const TRAIN_EXAMPLES_ON_CPU: usize = 512;

/// Images a step of a large network on a CPU. With the book's 128 or 256 it would take some ten steps in a minute.
const BATCH_SIZE_ON_CPU: usize = 32;

/// The options of `d2l_ch7 chapter`.
#[derive(Args, Serialize, Clone, Debug)]
#[command(allow_negative_numbers = true, mut_arg("test_examples", |arg| arg.default_value("512")))]
pub struct Chapter {
    /// Minutes of training for each network; evaluation takes more
    #[arg(long, default_value_t = 1.5, value_parser = minutes)]
    pub minutes: f64,
    /// What to train, separated by commas
    #[arg(long, value_name = "RECIPES", default_value = NETWORKS, value_delimiter = ',', value_parser = recipe())]
    #[serde(skip)]
    pub networks: Vec<&'static Recipe>,
    /// Batch norms to train each network with, separated by commas; `none` trains it without any [default: as the book has the network,
    /// `none` or `native`]
    #[arg(long, value_delimiter = ',')]
    #[serde(skip)]
    pub variants: Vec<Variant>,
    /// Seed of each network's random streams, as torch.manual_seed takes it
    #[arg(long, default_value_t = 0, value_parser = seed)]
    pub seed: u64,
    /// Images in an epoch of a large network, the first N; LeNets, which are hundreds of times as fast, take all [default: 512 on a CPU,
    /// all on CUDA]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    #[serde(skip)]
    pub train_examples: Option<usize>,
    /// Images a step of a large network [default: 32 on a CPU, the recipe's on CUDA]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub batch_size: Option<usize>,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "auto", value_parser = device)]
    #[serde(skip)]
    pub device: Device,
    /// The directory to create for the results [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Go on with the run in this directory. It keeps the options that it was started with; --minutes may be raised, to train on
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    #[serde(skip)]
    pub resume: Option<PathBuf>,
    /// Show neither progress nor results; they are in the directory that is printed last
    #[arg(long)]
    #[serde(skip)]
    pub quiet: bool,
    /// The options that `compare` has too.
    #[command(flatten)]
    #[serde(flatten)]
    pub common: CommonOptions,
}

impl Chapter {
    /// The networks before their first epoch, in the order of the book's sections, each with every variant, for a data set of so many
    /// training images. Each is built and run on one image.
    ///
    /// # Errors
    /// A usage error for a value that is named twice, and for a last batch that batch norm cannot be trained on; an interruption.
    pub(super) fn networks(&self, images: usize) -> Result<Vec<ChapterNetwork>> {
        let mut recipes = self.networks.clone();
        recipes.sort_by_key(|recipe| recipe.section);
        check_each_once("--networks", &recipes.iter().map(|recipe| recipe.name).collect::<Vec<_>>())?;
        check_variants(&self.variants, self.device)?;
        let of_recipe = |recipe: &'static Recipe| {
            let book = vec![recipe.variant_of_book()];
            let variants = if self.variants.is_empty() { book } else { self.variants.clone() };
            variants.into_iter().map(move |variant| (recipe, variant))
        };
        let network = |(recipe, variant): (&'static Recipe, Variant)| {
            let (train_examples, batch_size) = match recipe.is_lenet() {
                true => (images, recipe.batch_size),
                false => (self.share_of(images), self.batch_size_of(recipe)),
            };
            if variant.has_batch_norm() {
                check_last_batch(train_examples, batch_size).map_err(|error| error.of(recipe.name))?;
            }
            let Cost { parameters, multiply_adds } = Cost::of(recipe.net, &variant.into(), recipe.input())?;
            let Recipe { name, section, network, .. } = *recipe;
            // The LeNets of several recipes may be there.
            let title = match recipe.is_lenet() && name != RECIPES[0].name {
                true => format!("{network} ({name})"),
                false => network.to_owned(),
            };
            let (recipe, variant, epochs) = (name, variant.name(), Vec::new());
            Ok(ChapterNetwork {
                recipe,
                section,
                title,
                variant,
                parameters,
                multiply_adds,
                train_examples,
                batch_size,
                epochs,
            })
        };
        recipes.into_iter().flat_map(of_recipe).map(network).collect()
    }

    /// How many images a large network takes at a step.
    fn batch_size_of(&self, recipe: &Recipe) -> usize {
        let default = if self.device.is_cuda() { recipe.batch_size } else { BATCH_SIZE_ON_CPU };
        self.batch_size.unwrap_or(default)
    }

    /// How many of so many images a large network takes.
    fn share_of(&self, images: usize) -> usize {
        let default = if self.device.is_cuda() { images } else { images.min(TRAIN_EXAMPLES_ON_CPU) };
        self.train_examples.unwrap_or(default)
    }

    /// `config.json`: every option under its name, with a value that the command line takes, and what it was given for.
    pub(super) fn config(&self, data: &DataUsed, signature: &Signature) -> Map<String, Value> {
        let mut config = to_json(self);
        let found = json!({
            "networks": self.networks.iter().map(|recipe| recipe.name).collect::<Vec<_>>(),
            "variants": self.variants.iter().map(|variant| variant.name()).collect::<Vec<_>>(),
            // Not that of `data`, which has every image.
            "train_examples": self.train_examples,
            "device": signature.device,
            "threads": signature.threads,
            "d2l_ch7": env!("CARGO_PKG_VERSION"),
            "signature": signature,
        });
        config.extend([to_json(data), to_json(&found)].into_iter().flatten());
        config
    }

    /// What the report says was chosen.
    pub(super) fn chosen(&self, data: &DataUsed) -> Vec<(&'static str, String)> {
        vec![
            ("minutes of training", short(self.minutes)),
            ("seed", self.seed.to_string()),
            ("training images, large networks", self.share_of(data.train_examples).to_string()),
            ("training images, LeNets", data.train_examples.to_string()),
            ("test images", data.test_examples.to_string()),
        ]
    }
}
