//! `d2l_ch7 basics`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

use super::values::seed;
use crate::experiments::basics::Basics;
use crate::{Result, torch};

#[derive(Debug, Args)]
pub(super) struct BasicsArgs {
    /// Seed of the inputs and of the drawn images
    #[arg(long, default_value_t = 0, allow_negative_numbers = true, value_parser = seed)]
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

impl BasicsArgs {
    pub(super) fn validated(self) -> Result<Basics> {
        let Self { seed, image, out, quiet, threads } = self;
        torch::set_threads(threads)?;
        Ok(Basics { seed, image, out, quiet })
    }
}
