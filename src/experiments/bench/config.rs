//! The options of `d2l_ch7 bench`, and what they choose.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tch::Device;

use super::jobs::DataSets;
use super::subject::{CIFAR, Section, Subject, Training, measured_recipe, subjects, usual_recipes};
use crate::Result;
use crate::data::{Cifar10, FashionMnist};
use crate::experiments::cifar;
use crate::experiments::compare::check_last_batch;
use crate::experiments::options::check_graph_device;
use crate::experiments::recipes::Recipe;
use crate::experiments::values::{at_least_one, check_devices, device};

/// The options of `d2l_ch7 bench`.
#[derive(Args, Clone, Debug)]
#[command(allow_negative_numbers = true)]
pub struct Bench {
    /// What to measure, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Section::value_variants().to_vec(), hide_default_value = true)]
    pub sections: Vec<Section>,
    /// Recipes to measure, separated by commas; `cifar` is the training of `d2l_ch7 cifar`, whose images are not fetched for this
    /// [default: those with a LeNet, and `cifar`]
    #[arg(long, value_delimiter = ',', default_values = usual_recipes(), hide_default_value = true, value_parser = measured_recipe())]
    pub recipes: Vec<&'static str>,
    /// How often each is measured, here and in Python in turn
    #[arg(long, default_value_t = 5, value_parser = at_least_one)]
    pub rounds: usize,
    /// Training images of an epoch, the first N [default: all on CUDA; on a CPU 6400, of large networks 320]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub train_examples: Option<usize>,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "auto", value_parser = device)]
    pub device: Device,
    /// Threads of libtorch's CPU kernels, here and in Python [default: libtorch's]
    #[arg(long, value_parser = at_least_one)]
    pub threads: Option<usize>,
    /// On CUDA: also measure epochs of this program with --graph
    #[arg(long)]
    pub graph: bool,
    /// Measure this program alone
    #[arg(long)]
    pub no_python: bool,
    /// The folder that holds Fashion-MNIST [default: found, else fetched into the cache]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The folder that holds CIFAR-10 [default: found]
    #[arg(long, value_name = "DIR")]
    pub cifar_dir: Option<PathBuf>,
    /// The directory to create [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the directory alone
    #[arg(long)]
    pub quiet: bool,
}

impl Bench {
    /// Refuses what clap cannot refuse, and sets libtorch's threads.
    ///
    /// # Errors
    /// A usage error for options that do not fit together; a failure for a device that is not there.
    pub fn set_up(&self) -> Result<()> {
        tch_extra::set_threads(self.threads)?;
        check_devices(&[self.device])?;
        check_graph_device(self.graph, self.device)
    }

    /// Whether images of a data set are read: CIFAR-10's, or Fashion-MNIST's.
    pub(super) fn reads(&self, cifar10: bool) -> bool {
        let reads_images = |section: &Section| matches!(section, Section::Epoch | Section::Data);
        let mut recipes = self.recipes.iter();
        self.sections.iter().any(reads_images) && recipes.any(|&recipe| (recipe == CIFAR) == cifar10)
    }

    /// The images of the recipes that are measured. CIFAR-10 is not fetched for it.
    pub(super) fn data_sets(&self) -> anyhow::Result<DataSets> {
        let fashion_mnist =
            self.reads(false).then(|| FashionMnist::load(self.data_dir.as_deref(), !self.quiet));
        let fashion_mnist = fashion_mnist.transpose().context("no epoch can be measured")?;
        let is_here = self.cifar_dir.is_some() || Cifar10::find().is_some();
        let cifar10 = (is_here && self.reads(true))
            .then(|| Cifar10::load(self.cifar_dir.as_deref(), !self.quiet))
            .transpose()
            .context("no epoch of cifar can be measured")?;
        for set in fashion_mnist.iter().chain(&cifar10) {
            set.train.check_limit(self.train_examples, "--train-examples")?;
        }
        Ok(DataSets { fashion_mnist, cifar10 })
    }

    /// What can be measured with the data that is at hand.
    pub(super) fn subjects(&self, data: &DataSets) -> Result<Vec<Subject>> {
        let training = |recipe, variant| self.training(recipe, variant, data);
        let mut all = subjects(&self.sections, &self.recipes, &training);
        all.retain(|subject| subject.reads().is_none_or(|training| data.of(training.recipe).is_some()));
        for subject in &all {
            if let Subject::Epoch(Training { train_examples, batch_size, .. }) = *subject {
                check_last_batch(train_examples, batch_size)?;
            }
        }
        Ok(all)
    }

    /// A variant of a recipe. A CPU takes minutes for an epoch of a large network, and its batches are smaller.
    fn training(&self, recipe: &'static str, variant: &'static str, data: &DataSets) -> Training {
        let named = Recipe::named(recipe);
        let is_large = named.is_none_or(|recipe| recipe.resize.is_some());
        let usual = named.map_or(cifar::BATCH_SIZE, |recipe| recipe.batch_size);
        let (few, batch_size) = match self.device {
            Device::Cpu if is_large => (320, 64),
            Device::Cpu => (6_400, usual),
            _ => (usize::MAX, usual),
        };
        let (train, test) = data.of(recipe).map_or((0, 0), |set| (set.train.len(), set.test.len()));
        let train_examples = self.train_examples.unwrap_or(few).min(train);
        // As many test images for each as in the data set.
        let test_examples = (train_examples * test).checked_div(train).unwrap_or(0).max(1);
        Training { recipe, variant, batch_size, train_examples, test_examples }
    }
}
