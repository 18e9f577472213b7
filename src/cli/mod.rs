//! The command line: clap's arguments, turned once into configurations that hold. A file a command, and what they share.

mod augment;
mod basics;
mod bench;
mod cifar;
mod compare;
mod device;
mod evaluate;
mod resume;
mod shapes;
mod shared;
mod values;

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::experiments::augment::Augment;
use crate::experiments::basics::Basics;
use crate::experiments::bench::Bench;
use crate::experiments::cifar::Cifar;
use crate::experiments::compare::Compare;
use crate::experiments::evaluate::Evaluate;
use crate::experiments::shapes::Shapes;
use crate::{Error, Result, output};
use augment::AugmentArgs;
use basics::BasicsArgs;
use bench::BenchArgs;
use cifar::CifarArgs;
use compare::CompareArgs;
use evaluate::EvaluateArgs;
use shapes::ShapesArgs;

/// LeNet with batch norm by hand and libtorch's own, trained side by side: PyTorch's numbers to the last bit.
#[derive(Debug, Parser)]
#[command(name = "d2l_ch7", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Subcommands>,
    #[command(flatten)]
    compare: CompareArgs,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Train a recipe with each batch norm, epoch by epoch in turn (also without the word `compare`)
    Compare(CompareArgs),
    /// Train ResNet-18 on CIFAR-10 with augmented images and with plain ones, epoch by epoch in turn
    Cifar(CifarArgs),
    /// Try saved weights on the test images
    Evaluate(EvaluateArgs),
    /// Batch norm's state after one forward pass, what evaluation changes, and feature scaling of images
    Basics(BasicsArgs),
    /// Draw what random transforms make of an image: the galleries of the note on image augmentation
    Augment(AugmentArgs),
    /// Show what every layer of a network makes of an image's shape, and how many parameters it has
    Shapes(ShapesArgs),
    /// List recipes, variants and networks
    List,
    /// Measure how long things take here, and in Python beside it
    Bench(BenchArgs),
    /// Say what would keep a run from starting, or from using the GPU, and what to do about it
    Doctor,
}

/// What the command line asks for, checked.
#[derive(Debug)]
pub enum Command {
    /// Train and compare.
    Compare(Compare),
    /// Train on augmented and on plain images.
    Cifar(Cifar),
    /// Try saved weights.
    Evaluate(Evaluate),
    /// Show a network's shapes.
    Shapes(Shapes),
    /// Batch norm and feature scaling without training.
    Basics(Basics),
    /// Galleries of random transforms.
    Augment(Augment),
    /// List what there is.
    List,
    /// Measure, here and in Python.
    Bench(Bench),
    /// Look at this machine.
    Doctor,
}

impl Cli {
    /// Whether libtorch's threads will compute for longer than the program takes to start.
    pub fn computes(&self) -> bool {
        use Subcommands::{Bench, Cifar, Compare, Evaluate};
        matches!(self.command, None | Some(Compare(_) | Cifar(_) | Evaluate(_) | Bench(_)))
    }

    /// Reads a command line, whose first argument is the program. With `--resume DIR`, what it leaves out is the run's own.
    /// `None` where it asks for help or the version, which is printed.
    ///
    /// # Errors
    /// A usage error for a command line that cannot be; a failure for a run that cannot be resumed.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Option<Self>> {
        let args: Vec<OsString> = args.into_iter().collect();
        let matches = match matches(&args) {
            Err(help) if !help.use_stderr() => return output::printed(help.print()).map(|()| None),
            matches => matches.map_err(|error| complaint(&error))?,
        };
        let matches = resume::completed(&args, matches)?;
        Self::from_arg_matches(&matches).map(Some).map_err(|error| complaint(&error))
    }

    /// Checks what clap cannot, sets libtorch's threads, finds the device.
    ///
    /// # Errors
    /// A usage error for options that do not fit together; a failure for a device that is not there.
    pub fn validated(self) -> Result<Command> {
        match self.command {
            None => Ok(Command::Compare(self.compare.validated()?)),
            Some(Subcommands::Compare(args)) => Ok(Command::Compare(args.validated()?)),
            Some(Subcommands::Cifar(args)) => Ok(Command::Cifar(args.validated()?)),
            Some(Subcommands::Evaluate(args)) => Ok(Command::Evaluate(args.validated()?)),
            Some(Subcommands::Shapes(args)) => Ok(Command::Shapes(args.validated())),
            Some(Subcommands::Basics(args)) => Ok(Command::Basics(args.validated()?)),
            Some(Subcommands::Augment(args)) => Ok(Command::Augment(args.validated())),
            Some(Subcommands::List) => Ok(Command::List),
            Some(Subcommands::Bench(args)) => Ok(Command::Bench(args.validated()?)),
            Some(Subcommands::Doctor) => Ok(Command::Doctor),
        }
    }
}

fn matches(args: &[OsString]) -> clap::error::Result<ArgMatches> {
    Cli::command().try_get_matches_from(args)
}

/// clap's complaint, which takes many lines, in our two.
fn complaint(error: &clap::Error) -> Error {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut what = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    // "…were not provided:", and on the next line what.
    if what.ends_with(':') {
        what = format!("{what} {}", lines.next().unwrap_or_default());
    }
    let tip = lines.find_map(|line| line.strip_prefix("tip: ")).map(str::to_owned);
    Error::usage(what, tip.unwrap_or_else(|| "`d2l_ch7 --help` tells what can be asked for".to_owned()))
}
