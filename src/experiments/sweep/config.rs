//! The options of `d2l_ch7 sweep`, its grid of cells, and its `config.json`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Arg, Args};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tch::Device;
use tch_extra::Signature;

use crate::experiments::compare::check_last_batch;
use crate::experiments::description::{DataUsed, to_json};
use crate::experiments::options::{CommonOptions, check_each_once, check_variants};
use crate::experiments::recipes::{RECIPES, Recipe, recipe};
use crate::experiments::values::{at_least_one, device, learning_rate};
use crate::norm::Variant;
use crate::report::short;
use crate::{CellRecord, CellStatus, Error, Result};

/// The most cells that a sweep takes.
pub const MOST_CELLS: usize = 10_000;

/// The options of `d2l_ch7 sweep`. Every combination of a recipe, a variant, a learning rate, a batch size and a seed is a cell.
#[derive(Args, Serialize, Clone, Debug)]
#[command(allow_negative_numbers = true, mut_arg("threads", one_thread))]
pub struct Sweep {
    /// What to train, separated by commas
    #[arg(long, default_value = RECIPES[0].name, value_delimiter = ',', value_parser = recipe())]
    #[serde(skip)]
    pub recipes: Vec<&'static Recipe>,
    /// Batch norms to train with, separated by commas; `none` trains the network without any
    #[arg(long, default_value = "scratch,native", value_delimiter = ',')]
    #[serde(skip)]
    pub variants: Vec<Variant>,
    /// Learning rates, separated by commas [default: the recipe's]
    #[arg(long, value_delimiter = ',', value_parser = learning_rate)]
    pub lr: Vec<f64>,
    /// Numbers of images a step, separated by commas [default: the recipe's]
    #[arg(long, value_delimiter = ',', value_parser = at_least_one)]
    pub batch_size: Vec<usize>,
    /// How many seeds: N stands for the seeds 0 to N - 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub seeds: usize,
    /// Passes over the training images [default: the recipe's]
    #[arg(long, value_parser = at_least_one)]
    pub epochs: Option<usize>,
    /// Train on the first N training images only
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    #[serde(skip)]
    pub train_examples: Option<usize>,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "cpu", value_parser = device)]
    #[serde(skip)]
    pub device: Device,
    /// Cells to train at once; no bit depends on it [default: processors divided by --threads]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    #[serde(skip)]
    pub jobs: Option<usize>,
    /// The directory to create for the results [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Go on with the sweep in this directory. It keeps the options that it was started with; --epochs may be raised, to train on
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

/// Cells side by side share the processors.
fn one_thread(arg: Arg) -> Arg {
    arg.default_value("1").help("Threads of libtorch's CPU kernels in each cell; they decide bits")
}

impl Sweep {
    /// The cells of the grid, none of which is trained: the seeds of each follow each other.
    ///
    /// # Errors
    /// A usage error for a value that is named twice, for the variant `fused` on a CPU, and for more than [`MOST_CELLS`].
    pub(super) fn cells(&self) -> Result<Vec<CellRecord>> {
        let names: Vec<&str> = self.recipes.iter().map(|recipe| recipe.name).collect();
        check_each_once("--recipes", &names)?;
        check_variants(&self.variants, self.device)?;
        check_each_once("--lr", &self.lr)?;
        check_each_once("--batch-size", &self.batch_size)?;
        let sizes = [
            names.len(),
            self.variants.len(),
            self.lr.len().max(1),
            self.batch_size.len().max(1),
            self.seeds,
        ];
        let count = sizes.into_iter().fold(1, usize::saturating_mul);
        if count > MOST_CELLS {
            return Err(Error::usage(
                format!("the grid has {count} cells, and a sweep takes {MOST_CELLS} at most"),
                "name fewer values, or fewer --seeds",
            ));
        }
        let mut cells = Vec::with_capacity(count);
        for recipe in &self.recipes {
            let lrs = if self.lr.is_empty() { &[recipe.lr][..] } else { &self.lr };
            let batch_sizes =
                if self.batch_size.is_empty() { &[recipe.batch_size][..] } else { &self.batch_size };
            for variant in &self.variants {
                for &lr in lrs {
                    for &batch_size in batch_sizes {
                        cells.extend((0..self.seeds as u64).map(|seed| CellRecord {
                            recipe: recipe.name.to_owned(),
                            variant: variant.to_string(),
                            lr,
                            batch_size,
                            seed,
                            status: CellStatus::Open,
                            epochs: 0,
                        }));
                    }
                }
            }
        }
        Ok(cells)
    }

    /// Refuses cells whose batch norms cannot be trained on so many images.
    pub(super) fn check_last_batches(&self, cells: &[CellRecord], train_examples: usize) -> Result<()> {
        let refused = |cell: &&CellRecord| {
            cell.variant != Variant::None.name() && check_last_batch(train_examples, cell.batch_size).is_err()
        };
        let refused: Vec<&CellRecord> = cells.iter().filter(refused).collect();
        let Some(first) = refused.first() else { return Ok(()) };
        let sizes: BTreeSet<usize> = refused.iter().map(|cell| cell.batch_size).collect();
        let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        let which =
            format!("{} of the {} cells (batch size {})", refused.len(), cells.len(), sizes.join(", "));
        check_last_batch(train_examples, first.batch_size).map_err(|error| error.of(&which))
    }

    /// The epochs of a cell.
    pub(super) fn epochs_of(&self, cell: &CellRecord) -> usize {
        let of_recipe = || Recipe::named(&cell.recipe).map_or(0, |recipe| recipe.epochs);
        self.epochs.unwrap_or_else(of_recipe)
    }

    /// How many cells are trained at once.
    pub(super) fn jobs(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.jobs.unwrap_or(processors / self.common.threads.unwrap_or(1)).max(1)
    }

    /// `config.json`: every option under its name, with a value that the command line takes, and what it was given for.
    pub(super) fn config(&self, data: &DataUsed, signature: &Signature) -> Map<String, Value> {
        let mut config = to_json(self);
        let found = json!({
            "recipes": self.recipes.iter().map(|recipe| recipe.name).collect::<Vec<_>>(),
            "variants": self.variants.iter().map(|variant| variant.name()).collect::<Vec<_>>(),
            "device": signature.device,
            "threads": signature.threads,
            "d2l_ch7": env!("CARGO_PKG_VERSION"),
            "signature": signature,
        });
        config.extend([to_json(data), to_json(&found)].into_iter().flatten());
        config
    }

    /// What the figures are of, in a line.
    pub(super) fn setting(&self) -> String {
        let seeds = if self.seeds == 1 { "1 seed".to_owned() } else { format!("{} seeds", self.seeds) };
        let images =
            self.train_examples.map(|count| format!(", {count} training images")).unwrap_or_default();
        format!("{seeds} on Fashion-MNIST{images}")
    }

    /// What the report says was chosen.
    pub(super) fn chosen(&self, data: &DataUsed) -> Vec<(&'static str, String)> {
        let listed = |values: Vec<String>| match values.is_empty() {
            true => "each recipe's".to_owned(),
            false => values.join(", "),
        };
        vec![
            ("recipes", listed(self.recipes.iter().map(|recipe| recipe.name.to_owned()).collect())),
            ("variants", listed(self.variants.iter().map(ToString::to_string).collect())),
            ("learning rates", listed(self.lr.iter().map(|&lr| short(lr)).collect())),
            ("batch sizes", listed(self.batch_size.iter().map(ToString::to_string).collect())),
            ("seeds", if self.seeds == 1 { "0".to_owned() } else { format!("0 to {}", self.seeds - 1) }),
            ("epochs", self.epochs.map_or_else(|| "each recipe's".to_owned(), |epochs| epochs.to_string())),
            ("training images", data.train_examples.to_string()),
            ("test images", data.test_examples.to_string()),
        ]
    }
}
