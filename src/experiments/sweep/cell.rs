//! A cell in training: a child process that runs `d2l_ch7 compare`, with a run directory of its own.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;

use super::Sweep;
use crate::experiments::child::{self, Child};
use crate::report::short;
use crate::{CellRecord, Result};

/// A cell in training.
#[derive(Debug)]
pub(super) struct Running {
    /// Its number in the grid.
    pub number: usize,
    pub child: Child,
}

/// The name of a cell's directory: `book-none-lr0.1-batch64-seed0`.
pub(super) fn name(cell: &CellRecord) -> String {
    let CellRecord { recipe, variant, lr, batch_size, seed, .. } = cell;
    format!("{recipe}-{variant}-lr{}-batch{batch_size}-seed{seed}", short(*lr))
}

impl Running {
    /// Starts or resumes the training of a cell in `dir`, by a process that holds the `lock`.
    ///
    /// # Errors
    /// If no process can be started.
    pub fn start(sweep: &Sweep, number: usize, cell: &CellRecord, dir: PathBuf, lock: &File) -> Result<Self> {
        let name = format!("cell {}", name(cell));
        let child = Child::start(name, arguments(sweep, cell), dir, lock);
        let child = child.map_err(|error| error.with_remedy("give fewer --jobs, or free memory"))?;
        Ok(Self { number, child })
    }
}

/// The command line of `d2l_ch7 compare` for a cell, without directories.
fn arguments(sweep: &Sweep, cell: &CellRecord) -> Vec<OsString> {
    let options = [
        ("recipe", Some(cell.recipe.clone())),
        ("variants", Some(cell.variant.clone())),
        ("lr", Some(cell.lr.to_string())),
        ("batch-size", Some(cell.batch_size.to_string())),
        ("seed", Some(cell.seed.to_string())),
        ("epochs", Some(sweep.epochs_of(cell).to_string())),
        ("device", Some(tch_extra::Signature::of(sweep.device).device)),
        ("train-examples", sweep.train_examples.map(|count| count.to_string())),
    ];
    child::arguments("compare", &options, &sweep.common)
}
