//! The command line: clap's arguments, turned once into configurations that hold.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tch::Device;

use crate::experiments::augment::Augment;
use crate::experiments::basics::Basics;
use crate::experiments::cifar::{self, Augmentation, Cifar, Data};
use crate::experiments::compare::Compare;
use crate::experiments::evaluate::Evaluate;
use crate::experiments::networks::{NETWORKS, Network};
use crate::experiments::recipes::{RECIPES, Recipe};
use crate::experiments::shapes::{Format, MOST_VALUES, Shapes};
use crate::norm::Variant;
use crate::train::Numerics;
use crate::{Error, Result, torch};

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
}

#[derive(Debug, Args)]
struct CompareArgs {
    /// What to train; `d2l_ch7 list` tells them
    #[arg(long, default_value = "book", value_parser = recipe)]
    recipe: &'static Recipe,
    /// Batch norms to train with, separated by commas
    #[arg(long, default_value = "scratch,native", value_delimiter = ',', value_parser = variant)]
    variants: Vec<Variant>,
    /// Seed of each variant's random streams
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// Passes over the training images [default: the recipe's]
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<NonZeroUsize>,
    /// Images a step [default: the recipe's]
    #[arg(long, allow_negative_numbers = true)]
    batch_size: Option<NonZeroUsize>,
    /// Learning rate [default: the recipe's]
    #[arg(long, allow_negative_numbers = true, value_parser = learning_rate)]
    lr: Option<f64>,
    /// Train on the first N training images only
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    train_examples: Option<NonZeroUsize>,
    /// The loader to reproduce: PyTorch's with this many worker processes. The images of these recipes are not
    /// augmented, so that all counts give the same bits
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    workers: usize,
    #[command(flatten)]
    keep: KeepArgs,
    /// Also print the first batch norm's gamma and beta, and how far the variants' running statistics are apart
    #[arg(long)]
    inspect: bool,
    /// Show neither progress nor results; they are in the directory that is printed last
    #[arg(long)]
    quiet: bool,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: Choice,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
struct CifarArgs {
    /// Training images to train with, separated by commas: augmented, plain
    #[arg(long, default_value = "augmented,plain", value_delimiter = ',', value_parser = data)]
    variants: Vec<Data>,
    /// What is done to augmented images: flip, flip+crop, flip+jitter or all
    #[arg(long, default_value = "flip", value_parser = augmentation)]
    augment: Augmentation,
    /// Seed of each variant's random streams
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// Passes over the training images [default: 10]
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<NonZeroUsize>,
    /// Images a step [default: 256]
    #[arg(long, allow_negative_numbers = true)]
    batch_size: Option<NonZeroUsize>,
    /// Learning rate
    #[arg(long, default_value_t = cifar::LR, allow_negative_numbers = true, value_parser = learning_rate)]
    lr: f64,
    /// Train on the first N training images only
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    train_examples: Option<NonZeroUsize>,
    /// The loader whose random numbers are reproduced: PyTorch's with this many worker processes. As many threads
    /// prepare the images, one without workers
    #[arg(long, default_value_t = cifar::WORKERS, allow_negative_numbers = true)]
    workers: usize,
    #[command(flatten)]
    keep: KeepArgs,
    /// Show neither progress nor results; they are in the directory that is printed last
    #[arg(long)]
    quiet: bool,
    /// auto (CUDA where there is one), cpu, cuda, cuda:N, all (every CUDA device), or several with commas between them,
    /// such as cuda:0,cuda:1: each batch is divided among them, as nn.DataParallel does. cpu,cpu divides it on the CPU
    #[arg(long, default_value = "auto", value_parser = parse_devices)]
    device: Devices,
    /// Mixed precision: bfloat16 where torch.autocast takes it. Other bits, and less exact ones
    #[arg(long)]
    amp: bool,
    /// Images and weights in memory as torch.channels_last has them. Other bits
    #[arg(long)]
    channels_last: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
struct EvaluateArgs {
    /// A .safetensors file, as a run leaves it under weights/
    weights: PathBuf,
    /// The recipe it was trained by
    #[arg(long, default_value = "book", value_parser = recipe)]
    recipe: &'static Recipe,
    /// The batch norm it was trained with
    #[arg(long, value_parser = variant)]
    variant: Variant,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    device: Choice,
    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
struct ShapesArgs {
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

#[derive(Debug, Args)]
struct BasicsArgs {
    /// Seed of the inputs and of the drawn images
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// A PNG or JPEG file whose pixels are scaled [default: colour gradients drawn from the seed]
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// The directory to create for the results [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Do not show the tables; they are in the directory that is printed last
    #[arg(long)]
    quiet: bool,
    /// Threads of libtorch's CPU kernels; they decide bits [default: libtorch's]
    #[arg(long, allow_negative_numbers = true)]
    threads: Option<NonZeroUsize>,
}

#[derive(Debug, Args)]
struct AugmentArgs {
    /// A PNG or JPEG file [default: a drawn cat]
    image: Option<PathBuf>,
    /// Seed of each gallery's random stream
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// Also write every image's exact pixels, to galleries.safetensors: 24 times as much as the image takes in memory
    #[arg(long)]
    pixels: bool,
    /// Draw the first images of CIFAR-10 too, and fetch it if it is not found (162 MB) [default: if it is in the cache]
    #[arg(long)]
    cifar: bool,
    /// Where the six files of CIFAR-10's binary version are; their first images are drawn
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The directory to create for the results [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Do not say what was drawn; the directory that is printed last holds it
    #[arg(long)]
    quiet: bool,
}

/// Where a run is kept, and how it goes on after it broke off.
#[derive(Debug, Args)]
struct KeepArgs {
    /// The directory to create for the results [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in this directory, to the bits that it would have given; other options as it was started with
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    resume: Option<PathBuf>,
    /// Also save a checkpoint after every N batches [default: after each epoch, and on Ctrl-C]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    checkpoint_every: Option<NonZeroUsize>,
}

/// With how many threads a network runs, and on what.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// Threads of libtorch's CPU kernels; they decide bits [default: libtorch's]
    #[arg(long, allow_negative_numbers = true)]
    threads: Option<NonZeroUsize>,
    /// Test on the first N test images only
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    test_examples: Option<NonZeroUsize>,
    /// The folder that holds the data set's files [default: found, else fetched into the cache]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// The most worker processes whose streams are reproduced.
const MOST_WORKERS: usize = 256;

/// A device as it was asked for.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Auto,
    Cpu,
    Cuda(usize),
}

/// Devices as they were asked for.
#[derive(Clone, Debug)]
enum Devices {
    All,
    /// One, or several of one kind.
    Listed(Vec<Choice>),
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
}

impl Cli {
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
        }
    }
}

impl CompareArgs {
    fn validated(self) -> Result<Compare> {
        check_each_once(&self.variants)?;
        self.place.set_threads()?;
        Ok(Compare {
            recipe: self.recipe,
            variants: self.variants,
            seed: self.seed,
            epochs: self.epochs.map_or(self.recipe.epochs, NonZeroUsize::get),
            batch_size: self.batch_size.map_or(self.recipe.batch_size, NonZeroUsize::get),
            lr: self.lr.unwrap_or(self.recipe.lr),
            device: self.device.settle()?,
            train_examples: self.train_examples.map(NonZeroUsize::get),
            test_examples: self.place.test_examples.map(NonZeroUsize::get),
            workers: self.workers,
            data_dir: self.place.data_dir,
            out: self.keep.out,
            resume: self.keep.resume,
            checkpoint_every: self.keep.checkpoint_every.map(NonZeroUsize::get),
            inspect: self.inspect,
            quiet: self.quiet,
        })
    }
}

impl CifarArgs {
    fn validated(self) -> Result<Cifar> {
        check_each_once(&self.variants)?;
        check_workers(self.workers)?;
        self.place.set_threads()?;
        Ok(Cifar {
            variants: self.variants,
            augment: self.augment,
            seed: self.seed,
            epochs: self.epochs.map_or(cifar::EPOCHS, NonZeroUsize::get),
            batch_size: self.batch_size.map_or(cifar::BATCH_SIZE, NonZeroUsize::get),
            lr: self.lr,
            devices: self.device.settle()?,
            numerics: Numerics { amp: self.amp, channels_last: self.channels_last },
            train_examples: self.train_examples.map(NonZeroUsize::get),
            test_examples: self.place.test_examples.map(NonZeroUsize::get),
            workers: self.workers,
            data_dir: self.place.data_dir,
            out: self.keep.out,
            resume: self.keep.resume,
            checkpoint_every: self.keep.checkpoint_every.map(NonZeroUsize::get),
            quiet: self.quiet,
        })
    }
}

impl EvaluateArgs {
    fn validated(self) -> Result<Evaluate> {
        self.place.set_threads()?;
        Ok(Evaluate {
            weights: self.weights,
            recipe: self.recipe,
            variant: self.variant,
            batch_size: self.recipe.batch_size,
            device: self.device.settle()?,
            test_examples: self.place.test_examples.map(NonZeroUsize::get),
            data_dir: self.place.data_dir,
        })
    }
}

impl ShapesArgs {
    fn validated(self) -> Shapes {
        Shapes {
            network: self.network,
            variant: self.variant.unwrap_or(self.network.variant),
            input: self.input.unwrap_or(self.network.input),
            format: self.format,
        }
    }
}

impl BasicsArgs {
    fn validated(self) -> Result<Basics> {
        let Self { seed, image, out, quiet, threads } = self;
        if let Some(threads) = threads {
            torch::set_threads(threads.get())?;
        }
        Ok(Basics { seed, image, out, quiet })
    }
}

impl AugmentArgs {
    fn validated(self) -> Augment {
        let Self { image, seed, pixels, cifar, data_dir, out, quiet } = self;
        Augment { image, seed, pixels, cifar, data_dir, out, quiet }
    }
}

impl PlaceArgs {
    fn set_threads(&self) -> Result<()> {
        self.threads.map_or(Ok(()), |threads| torch::set_threads(threads.get()))
    }
}

impl Devices {
    /// The devices, at least one, which are there.
    fn settle(&self) -> Result<Vec<Device>> {
        match self {
            Self::All => Ok(match tch::Cuda::device_count() {
                count if count > 0 && tch::Cuda::is_available() => {
                    (0..count as usize).map(Device::Cuda).collect()
                }
                _ => vec![Device::Cpu],
            }),
            Self::Listed(choices) => choices.iter().map(|choice| choice.settle()).collect(),
        }
    }
}

impl Choice {
    fn settle(self) -> Result<Device> {
        match self {
            Self::Auto => Ok(Device::cuda_if_available()),
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(index) => cuda(index),
        }
    }
}

fn check_each_once<V: PartialEq + fmt::Display>(variants: &[V]) -> Result<()> {
    for (i, variant) in variants.iter().enumerate() {
        if variants[..i].contains(variant) {
            return Err(Error::usage(
                format!("--variants names {variant} twice"),
                "name each variant once, separated by commas",
            ));
        }
    }
    Ok(())
}

/// Each worker is a thread.
fn check_workers(workers: usize) -> Result<()> {
    if workers <= MOST_WORKERS {
        return Ok(());
    }
    Err(Error::usage(
        format!("{workers} workers are more than {MOST_WORKERS}"),
        format!("give --workers 0 to {MOST_WORKERS}; the notebook has {}", cifar::WORKERS),
    ))
}

fn cuda(index: usize) -> Result<Device> {
    let count = tch::Cuda::device_count();
    if tch::Cuda::is_available() && (index as i64) < count {
        return Ok(Device::Cuda(index));
    }
    let found = match count {
        0 => "libtorch finds no CUDA device".to_owned(),
        1 => "libtorch finds one CUDA device, cuda:0".to_owned(),
        n => format!("libtorch finds {n} CUDA devices, cuda:0 to cuda:{}", n - 1),
    };
    Err(Error::failed(
        format!("cuda:{index} cannot be used: {found}"),
        "leave --device out to use what there is; if there is a GPU, check its driver with nvidia-smi",
    ))
}

fn recipe(name: &str) -> Result<&'static Recipe, String> {
    Recipe::named(name)
        .ok_or_else(|| format!("the recipes are {}", RECIPES.each_ref().map(|recipe| recipe.name).join(", ")))
}

fn variant(name: &str) -> Result<Variant, String> {
    Variant::ALL
        .into_iter()
        .find(|variant| variant.name() == name)
        .ok_or_else(|| format!("the variants are {}", Variant::ALL.map(Variant::name).join(", ")))
}

fn data(name: &str) -> Result<Data, String> {
    Data::ALL
        .into_iter()
        .find(|data| data.name() == name)
        .ok_or_else(|| format!("the variants are {}", Data::ALL.map(Data::name).join(", ")))
}

fn augmentation(name: &str) -> Result<Augmentation, String> {
    Augmentation::ALL.into_iter().find(|augmentation| augmentation.name() == name).ok_or_else(|| {
        format!("the augmentations are {}", Augmentation::ALL.map(Augmentation::name).join(", "))
    })
}

fn network(name: &str) -> Result<&'static Network, String> {
    Network::named(name).ok_or_else(|| {
        format!("the networks are {}", NETWORKS.each_ref().map(|network| network.name).join(", "))
    })
}

fn format(name: &str) -> Result<Format, String> {
    Format::ALL
        .into_iter()
        .find(|format| format.name() == name)
        .ok_or_else(|| format!("the formats are {}", Format::ALL.map(Format::name).join(", ")))
}

fn image_size(text: &str) -> Result<[i64; 3], String> {
    let sizes = text.split('x').map(|size| size.parse().ok().filter(|&size| size > 0));
    let sizes: Option<Vec<i64>> = sizes.collect();
    let Some(&[channels, height, width]) = sizes.as_deref() else {
        return Err("an input is channels x height x width, each 1 or more, such as 1x224x224".to_owned());
    };
    match channels.checked_mul(height).and_then(|values| values.checked_mul(width)) {
        Some(values) if values <= MOST_VALUES => Ok([channels, height, width]),
        _ => Err(format!("an input has {MOST_VALUES} values at most, as 1x2048x2048 has")),
    }
}

fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(lr) if lr.is_finite() && lr > 0.0 => Ok(lr),
        _ => Err("a learning rate is a finite number above zero".to_owned()),
    }
}

fn parse_device(text: &str) -> Result<Choice, String> {
    match text {
        "auto" => Ok(Choice::Auto),
        "cpu" => Ok(Choice::Cpu),
        "cuda" => Ok(Choice::Cuda(0)),
        _ => text
            .strip_prefix("cuda:")
            .and_then(|index| index.parse().ok())
            .map(Choice::Cuda)
            .ok_or_else(|| "the devices are auto, cpu, cuda, and cuda:0, cuda:1, ...".to_owned()),
    }
}

fn parse_devices(text: &str) -> Result<Devices, String> {
    if text == "all" {
        return Ok(Devices::All);
    }
    if !text.contains(',') {
        return parse_device(text)
            .map(|device| Devices::Listed(vec![device]))
            .map_err(|error| format!("{error}; or all"));
    }
    let devices = text.split(',').map(parse_device).collect::<Result<Vec<_>, _>>()?;
    let all_cpu = devices.iter().all(|device| matches!(device, Choice::Cpu));
    let all_cuda = devices.iter().all(|device| matches!(device, Choice::Cuda(_)));
    if all_cpu || all_cuda {
        Ok(Devices::Listed(devices))
    } else {
        Err("several devices are CUDA devices, or each is cpu".to_owned())
    }
}
