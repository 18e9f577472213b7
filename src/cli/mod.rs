//! The command line: one command of clap's a command of this program, whose options are its configuration.

mod resume;

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::experiments::augment::Augment;
use crate::experiments::basics::Basics;
use crate::experiments::bench::Bench;
use crate::experiments::chapter::Chapter;
use crate::experiments::cifar::Cifar;
use crate::experiments::claims::Claims;
use crate::experiments::compare::Compare;
use crate::experiments::evaluate::Evaluate;
use crate::experiments::shapes::Shapes;
use crate::experiments::sweep::Sweep;
use crate::{Error, Result, output};

/// LeNet with batch norm by hand and libtorch's own, trained side by side: PyTorch's numbers to the last bit.
#[derive(Debug, Parser)]
#[command(name = "d2l_ch7", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    compare: Compare,
}

/// A command with its options.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a recipe with each batch norm, epoch by epoch in turn (also without the word `compare`)
    Compare(Compare),
    /// Train ResNet-18 on CIFAR-10 with augmented images and with plain ones, epoch by epoch in turn
    Cifar(Cifar),
    /// Train every combination of recipes, variants, learning rates, batch sizes and seeds, several at once
    Sweep(Sweep),
    /// Train every network of the chapter for the same time, one after the other
    Chapter(Chapter),
    /// Measure what the study notes and the book claim about batch norm, and say which claims hold
    Claims(Claims),
    /// Try saved weights on the test images
    Evaluate(Evaluate),
    /// Batch norm's state after one forward pass, what evaluation changes, and feature scaling of images
    Basics(Basics),
    /// Draw what random transforms make of an image: the galleries of the note on image augmentation
    Augment(Augment),
    /// Show what every layer of a network makes of an image's shape, and how many parameters it has
    Shapes(Shapes),
    /// List recipes, variants and networks
    List,
    /// Measure how long things take here, and in Python too
    Bench(Bench),
    /// Say what would keep a run from starting, or from using the GPU, and what to do about it
    Doctor,
}

impl Command {
    /// Reads a command line, whose first argument is the program. With `--resume DIR`, options that it leaves out are the run's own.
    /// `None` where it asks for help or the version, which is printed.
    ///
    /// # Errors
    /// A usage error for a command line that cannot be; a failure for a run that cannot be resumed.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Option<Self>> {
        let args: Vec<OsString> = args.into_iter().collect();
        let matches = match matches(&args) {
            Err(help) if !help.use_stderr() => return output::printed(help.print()).map(|()| None),
            matches => matches.map_err(|error| usage_error(&error, &args))?,
        };
        let matches = resume::completed(&args, matches)?;
        let cli = Cli::from_arg_matches(&matches).map_err(|error| usage_error(&error, &args))?;
        Ok(Some(cli.command.unwrap_or(Self::Compare(cli.compare))))
    }

    /// Whether libtorch's threads will compute for longer than the program takes to start.
    pub fn computes(&self) -> bool {
        matches!(
            self,
            Self::Compare(_) | Self::Cifar(_) | Self::Claims(_) | Self::Evaluate(_) | Self::Bench(_)
        )
    }

    /// Refuses what clap cannot refuse, and sets libtorch's threads and kernels.
    ///
    /// # Errors
    /// A usage error for options that do not fit together; a failure for a device that is not there.
    pub fn set_up(&self) -> Result<()> {
        match self {
            Self::Compare(compare) => compare.set_up(),
            Self::Cifar(cifar) => cifar.set_up(),
            Self::Sweep(sweep) => sweep.common.set_up(&[sweep.device]),
            Self::Chapter(chapter) => chapter.common.set_up(&[chapter.device]),
            Self::Evaluate(evaluate) => evaluate.common.set_up(&[evaluate.device]),
            Self::Basics(basics) => Ok(tch_extra::set_threads(basics.threads)?),
            Self::Bench(bench) => bench.set_up(),
            // Claims train many small networks. With one thread their bits are the same on machines with more processors.
            Self::Claims(_) => Ok(tch_extra::set_threads(Some(1))?),
            Self::Augment(_) | Self::Shapes(_) | Self::List | Self::Doctor => Ok(()),
        }
    }
}

fn matches(args: &[OsString]) -> clap::error::Result<ArgMatches> {
    Cli::command().try_get_matches_from(args)
}

/// clap's error about `args` in our two lines: its first paragraph, and its tip if it has one.
fn usage_error(error: &clap::Error, args: &[OsString]) -> Error {
    let text = error.to_string();
    let mut paragraphs =
        text.split("\n\n").map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" "));
    let what = paragraphs.next().unwrap_or_default();
    let tip = paragraphs.find_map(|paragraph| paragraph.strip_prefix("tip: ").map(str::to_owned));
    Error::usage(what.trim_start_matches("error: "), tip.unwrap_or_else(|| where_options_are_listed(args)))
}

/// The help of the command that `args` name.
fn where_options_are_listed(args: &[OsString]) -> String {
    let cli = Cli::command();
    match args.get(1).and_then(|word| cli.find_subcommand(word)) {
        Some(command) => format!("`d2l_ch7 {} --help` lists every option", command.get_name()),
        None => "`d2l_ch7 --help` lists every command and option".to_owned(),
    }
}
