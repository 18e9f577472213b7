//! `d2l_ch7 augment`.

use std::path::PathBuf;

use clap::Args;

use super::values::seed;
use crate::experiments::augment::Augment;

#[derive(Debug, Args)]
pub(super) struct AugmentArgs {
    /// A PNG or JPEG file, read as Pillow reads it, up to 89 megapixels [default: a drawn cat]
    image: Option<PathBuf>,
    /// Seed of each gallery's random stream
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_parser = seed)]
    seed: u64,
    /// Also write every image's exact pixels, to galleries.safetensors: 24 times as much as the image takes in memory
    #[arg(long)]
    pixels: bool,
    /// Draw the first images of CIFAR-10 too, and fetch it if it is not found (170 MB) [default: if it is in the cache]
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

impl AugmentArgs {
    pub(super) fn validated(self) -> Augment {
        let Self { image, seed, pixels, cifar, data_dir, out, quiet } = self;
        Augment { image, seed, pixels, cifar, data_dir, out, quiet }
    }
}
