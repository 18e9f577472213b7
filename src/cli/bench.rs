//! `d2l_ch7 bench`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::device::{Choice, parse_device};
use super::values::{measured_recipe, section};
use crate::experiments::bench::{Bench, Section, recipe_names};
use crate::{Result, torch};

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// What to measure, separated by commas: batch-norm, step, epoch, data [default: all]
    #[arg(long, value_delimiter = ',', value_parser = section)]
    sections: Vec<Section>,
    /// Recipes to measure, separated by commas; `cifar` is the training of `d2l_ch7 cifar`, whose images are not fetched for this
    /// [default: all]
    #[arg(long, value_delimiter = ',', value_parser = measured_recipe)]
    recipes: Vec<&'static str>,
    /// How often each is measured, here and beside in turn
    #[arg(long, default_value = "5", allow_negative_numbers = true)]
    rounds: NonZeroUsize,
    /// Training images of an epoch, the first N [default: all on CUDA; on a CPU 6400, of large networks 320]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    train_examples: Option<NonZeroUsize>,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: Choice,
    /// Threads of libtorch's CPU kernels, here and in Python [default: libtorch's]
    #[arg(long, allow_negative_numbers = true)]
    threads: Option<NonZeroUsize>,
    /// Also measure epochs of this program with --graph
    #[arg(long)]
    graph: bool,
    /// Measure this program alone
    #[arg(long)]
    no_python: bool,
    /// The folder that holds Fashion-MNIST [default: found, else fetched into the cache]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The folder that holds CIFAR-10 [default: found]
    #[arg(long, value_name = "DIR")]
    cifar_dir: Option<PathBuf>,
    /// The directory to create [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the directory alone
    #[arg(long)]
    quiet: bool,
}

impl BenchArgs {
    pub(super) fn validated(self) -> Result<Bench> {
        torch::set_threads(self.threads)?;
        let all_unless = |chosen: Vec<_>, all| if chosen.is_empty() { all } else { chosen };
        Ok(Bench {
            sections: if self.sections.is_empty() { Section::ALL.to_vec() } else { self.sections },
            recipes: all_unless(self.recipes, recipe_names()),
            device: self.device.settle()?,
            graph: self.graph,
            rounds: self.rounds.get(),
            train_examples: self.train_examples.map(NonZeroUsize::get),
            beside_python: !self.no_python,
            data_dir: self.data_dir,
            cifar_dir: self.cifar_dir,
            out: self.out,
            quiet: self.quiet,
        })
    }
}
