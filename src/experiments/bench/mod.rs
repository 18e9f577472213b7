//! `d2l_ch7 bench`: how long things take here and in Python. Both take turns, so that they meet the same machine.

mod jobs;
mod python;
mod rounds;
mod subject;

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tch::Device;

use super::cifar;
use super::compare::check_last_batch;
use super::description::facts;
use super::options::check_graph_device;
use super::recipes::{RECIPES, Recipe};
use super::values::{at_least_one, check_devices, device};
use crate::data::{Cifar10, DataSet, FashionMnist, Images};
use crate::report::{BENCH, Measurement, REPORT, RunDir, bench_to_csv, draw_ratios, render_bench};
use crate::torch::{self, Recording, Signature};
use crate::{Result, output};
pub use jobs::Job;
use jobs::{DataSets, SubjectImages, job};
use python::Folders;
use rounds::Rounds;
pub use subject::{CIFAR, Section, recipe_names};
use subject::{Size, Subject, measured_recipe, subjects};

/// The options of `d2l_ch7 bench`.
#[derive(Args, Clone, Debug)]
#[command(allow_negative_numbers = true)]
pub struct Bench {
    /// What to measure, separated by commas [default: all]
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Section::value_variants().to_vec(), hide_default_value = true)]
    pub sections: Vec<Section>,
    /// Recipes to measure, separated by commas; `cifar` is the training of `d2l_ch7 cifar`, whose images are not fetched for this
    /// [default: all]
    #[arg(long, value_delimiter = ',', default_values = recipe_names(), hide_default_value = true, value_parser = measured_recipe())]
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

/// Measures, and leaves `report.md`, `bench.csv` and `bench.png` in a new directory, which it gives.
///
/// # Errors
/// Data that cannot be had or read, a directory that cannot be made or written, an interruption.
pub fn run(config: &Bench) -> anyhow::Result<PathBuf> {
    if config.graph {
        Recording::check_available(config.device)?;
    }
    let (data, folders) = config.data_sets()?;
    let subjects = config.subjects(&data)?;
    let dir = RunDir::create(config.out.as_deref(), "bench")?;
    let folders = (!config.no_python).then_some(&folders);
    let mut rounds = Rounds::new(config.device, config.rounds, config.graph, folders);
    if config.reads_images() && config.recipes.contains(&CIFAR) && data.cifar10.is_none() {
        let remark =
            format!("no epoch of {CIFAR} was measured: no CIFAR-10 is here; --cifar-dir names its folder");
        rounds.remarks.insert(0, remark);
    }
    let mut printed = 0;
    let mut measurements = Vec::new();
    for subject in subjects {
        measurements.push(rounds.measure(&subject, &data)?);
        config.write(&dir, &measurements, &rounds)?;
        if !config.quiet {
            rounds.remarks[printed..].iter().for_each(output::complain);
            measurements.last().into_iter().for_each(output::say);
        }
        printed = rounds.remarks.len();
    }
    Ok(dir.path().to_owned())
}

/// What `cargo bench` measures: the subjects of a `section` without images, of the recipes that do not resize; their names, the images
/// that one takes, and their jobs on `device`, made as one comes to them.
///
/// # Panics
/// For a section whose subjects need images.
pub fn micro_benchmarks(
    section: Section,
    device: Device,
) -> impl Iterator<Item = (String, Option<usize>, Job<'static>)> {
    let small = RECIPES.iter().filter(|recipe| recipe.resize.is_none());
    let names: Vec<_> = small.map(|recipe| recipe.name).collect();
    let size = |name: &str| {
        let recipe = Recipe::named(name).expect("a name from above");
        Size { batch_size: recipe.batch_size, train_examples: 0, test_examples: 0 }
    };
    let all = subjects(&[section], &names, &size).into_iter();
    all.map(move |subject| (subject.name(), subject.images(), job(&subject, &SubjectImages::None, device)))
}

impl Bench {
    /// Refuses what clap cannot refuse, and sets libtorch's threads.
    ///
    /// # Errors
    /// A usage error for options that do not fit together; a failure for a device that is not there.
    pub fn set_up(&self) -> Result<()> {
        torch::set_threads(self.threads)?;
        check_devices(&[self.device])?;
        check_graph_device(self.graph, self.device)
    }

    fn reads_images(&self) -> bool {
        self.sections.iter().any(|section| matches!(section, Section::Epoch | Section::Data))
    }

    /// The images of the recipes that are measured. CIFAR-10 is not fetched for it.
    fn data_sets(&self) -> anyhow::Result<(DataSets, Folders)> {
        let mut folders = Folders::new();
        let mut images = |option, set: DataSet| {
            set.train.check_limit(self.train_examples, "--train-examples")?;
            folders.push((option, set.folder().to_owned()));
            anyhow::Ok([set.train, set.test])
        };
        let mut data = DataSets { fashion_mnist: None, cifar10: None };
        if self.reads_images() && self.recipes.iter().any(|&recipe| recipe != CIFAR) {
            let set = FashionMnist::load(self.data_dir.as_deref(), !self.quiet);
            let set = set.context("no epoch can be measured")?;
            data.fashion_mnist = Some(images("--fashion-mnist", set)?);
        }
        let is_here = self.cifar_dir.is_some() || Cifar10::find().is_some();
        if self.reads_images() && self.recipes.contains(&CIFAR) && is_here {
            let set = Cifar10::load(self.cifar_dir.as_deref(), !self.quiet);
            let set = set.context("no epoch of cifar can be measured")?;
            data.cifar10 = Some(images("--cifar10", set)?);
        }
        Ok((data, folders))
    }

    /// What can be measured with the data that is at hand.
    fn subjects(&self, data: &DataSets) -> Result<Vec<Subject>> {
        let mut all = subjects(&self.sections, &self.recipes, &|recipe| self.size(recipe, data));
        let of_cifar = |subject: &Subject| {
            matches!(subject, Subject::Epoch { recipe: CIFAR, .. } | Subject::Data { recipe: CIFAR, .. })
        };
        all.retain(|subject| data.cifar10.is_some() || !of_cifar(subject));
        for subject in &all {
            if let Subject::Epoch { size, .. } = subject {
                check_last_batch(size.train_examples, size.batch_size)?;
            }
        }
        Ok(all)
    }

    /// An epoch of a recipe. A CPU takes minutes for one of a large network, and its batches are smaller.
    fn size(&self, recipe: &str, data: &DataSets) -> Size {
        let named = Recipe::named(recipe);
        let is_large = named.is_none_or(|recipe| recipe.resize.is_some());
        let usual = named.map_or(cifar::BATCH_SIZE, |recipe| recipe.batch_size);
        let (few, batch_size) = match self.device {
            Device::Cpu if is_large => (320, 64),
            Device::Cpu => (6_400, usual),
            _ => (usize::MAX, usual),
        };
        let set = if recipe == CIFAR { &data.cifar10 } else { &data.fashion_mnist };
        let [train, test] = set.as_ref().map_or([0, 0], |set| set.each_ref().map(Images::len));
        let train_examples = self.train_examples.unwrap_or(few).min(train);
        // As many test images for each as in the data set.
        let test_examples = (train_examples * test).checked_div(train).unwrap_or(0);
        Size { batch_size, train_examples, test_examples: test_examples.max(1) }
    }

    fn write(&self, dir: &RunDir, measurements: &[Measurement], rounds: &Rounds) -> Result<()> {
        let mut chosen = vec![("rounds", self.rounds.to_string())];
        chosen.extend(rounds.torch_beside.as_ref().map(|torch| ("PyTorch beside", torch.clone())));
        let signature = Signature::of(self.device);
        let title = format!(
            "How many times as long as this program others take\n{}, {} threads, medians of {} rounds, least and greatest",
            if self.device.is_cuda() { signature.device.clone() } else { torch::processor_name() },
            signature.threads,
            self.rounds
        );
        let report = render_bench(&facts(chosen, &signature), measurements, &rounds.remarks);
        let picture = draw_ratios(&title, measurements)?;
        let table = bench_to_csv(measurements);
        let files = [(REPORT, report.as_bytes()), ("bench.csv", table.as_bytes()), (BENCH, &picture)];
        let write =
            |(name, content): (&str, &[u8])| dir.write_atomically(name, |file| file.write_all(content));
        files.into_iter().try_for_each(write)
    }
}
