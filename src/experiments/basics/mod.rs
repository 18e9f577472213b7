//! The first note on batch norm: a layer's state after one forward pass, what evaluation changes, and the scaling of
//! RGB images that it is likened to. `notebooks_ref/basics.py` is the same in Python.

mod feature_scaling;
mod one_pass;
mod page;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tch::{Device, Kind, Tensor};
use tch_extra::{self, Signature};
use torchvision_exact::image::Image;

pub use self::feature_scaling::{FeatureScaling, IMAGENET_MEAN, IMAGENET_STD, normalize};
pub use self::one_pass::{OnePass, Pass};
use super::options::{as_text, write_config};
use super::values::{at_least_one, seed};
use crate::report::{CHANNELS, RunDir};
use crate::{output, weights};

/// The shapes of the note's two inputs: (batch, channels, height, width).
pub const SHAPES: [[i64; 4]; 2] = [[100, 16, 28, 28], [1, 16, 7, 7]];

/// The options of `d2l_ch7 basics`.
#[derive(Args, Serialize, Clone, Debug)]
#[command(allow_negative_numbers = true)]
pub struct Basics {
    /// Seed of the inputs and of the drawn images
    #[arg(long, default_value_t = 0, value_parser = seed)]
    pub seed: u64,
    /// A PNG or JPEG file whose pixels are scaled [default: colour gradients drawn from the seed]
    #[arg(long, value_name = "FILE")]
    #[serde(serialize_with = "as_text")]
    pub image: Option<PathBuf>,
    /// The directory to create for the results [default: a new one under reports/]
    #[arg(long, value_name = "DIR")]
    #[serde(skip)]
    pub out: Option<PathBuf>,
    /// Do not show the tables; they are in the directory that is printed last
    #[arg(long)]
    #[serde(skip)]
    pub quiet: bool,
    /// Threads of libtorch's CPU kernels; they decide bits [default: libtorch's]
    #[arg(long, value_parser = at_least_one)]
    #[serde(skip)]
    pub threads: Option<usize>,
}

/// Everything that `d2l_ch7 basics` computes.
#[derive(Debug)]
pub struct Figures {
    /// A pass of a fresh layer over an input of each of [`SHAPES`].
    pub passes: [OnePass; 2],
    /// What scaling does to the images' channels.
    pub scaling: FeatureScaling,
}

impl Figures {
    /// Seeds the default generator and draws from it what the Python script draws, in its order: the inputs of the two
    /// layers, uniform in [0, 1), and unless `image` is given, the corners of the gradients.
    pub fn compute(seed: u64, image: Option<&Image>) -> Self {
        tch_extra::manual_seed(seed);
        let passes = SHAPES.map(|shape| OnePass::of(Tensor::rand(shape, (Kind::Float, Device::Cpu))));
        let images = image.map_or_else(feature_scaling::gradient_images, feature_scaling::batch_of_one);
        Self { passes, scaling: FeatureScaling::of(images) }
    }

    /// Every figure under its name, all that `basics.safetensors` holds: `100x16x28x28.running_mean`,
    /// `scaling.before.std`.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let passes = self.passes.iter().flat_map(|pass| {
            let shape = pass.x.size().iter().map(i64::to_string).collect::<Vec<_>>().join("x");
            pass.figures().into_iter().map(move |(name, tensor)| (format!("{shape}.{name}"), tensor))
        });
        let scaling = self.scaling.figures().into_iter();
        passes.chain(scaling.map(|(name, tensor)| (format!("scaling.{name}"), tensor))).collect()
    }
}

/// Computes the figures, prints them as tables, and leaves them in a run directory, which it gives: `basics.md`,
/// `channels.png`, `basics.safetensors` and `config.json`.
///
/// # Errors
/// An image that cannot be read; a run directory that exists, or cannot be made or written.
pub fn run(config: &Basics) -> anyhow::Result<PathBuf> {
    let image = config.image.as_deref().map(Image::open).transpose()?;
    let figures = Figures::compute(config.seed, image.as_ref());
    let scaling = figures.scaling.figures();
    let images = match &config.image {
        Some(path) => path.display().to_string(),
        None => format!("8 colour gradients drawn from seed {}", config.seed),
    };
    let dir = RunDir::create(config.out.as_deref(), "basics")?;
    write_config(&dir, config, Some(Signature::of(Device::Cpu)))?;
    weights::save(&dir.path().join("basics.safetensors"), &figures.tensors())?;
    let picture = page::picture(&figures.scaling.images, &scaling, &images)?;
    dir.write_atomically(CHANNELS, |file| file.write_all(&picture))?;
    let tables = page::tables(&figures.passes, &scaling, &images);
    dir.write_atomically("basics.md", |file| {
        write!(file, "# Batch norm and feature scaling, seed {}\n\n{tables}\n", config.seed)?;
        writeln!(file, "![Histograms of the three channels before and after]({CHANNELS})")
    })?;
    if !config.quiet {
        output::say(tables);
    }
    Ok(dir.path().to_owned())
}
