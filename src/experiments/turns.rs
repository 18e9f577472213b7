//! The variants of a comparison, trained in turn, epoch by epoch, from the beginning or from where a run broke off.

use std::fmt::Display;
use std::path::PathBuf;

use super::run_log::RunLog;
use super::side::{Observer, Side};
use crate::Result;
use crate::checkpoint::Checkpoint;
use crate::layers::{Module, state};

/// What a comparison does beside training its sides.
pub trait Beside<V, N> {
    /// What watches the training of a variant; by default nobody.
    fn observer(&mut self, _variant: V) -> Box<dyn Observer + '_> {
        Box::new(())
    }

    /// Called before the first epoch, and before a run goes on.
    ///
    /// # Errors
    /// If a file of the run cannot be written.
    fn begin(&mut self, _log: &mut RunLog) -> Result<()> {
        Ok(())
    }

    /// Takes over what [`Observer::tensors`] put into a variant's checkpoint.
    fn resume(&mut self, _variant: V, _checkpoint: &Checkpoint) {}

    /// Called when every side has trained `epoch` epochs.
    ///
    /// # Errors
    /// If a file of the run cannot be written.
    fn after_round(&mut self, _epoch: usize, _sides: &mut [Side<V, N>], _log: &mut RunLog) -> Result<()> {
        Ok(())
    }
}

/// Trains the sides until each has so many epochs, and keeps the run's files up to date. Gives its directory, on the
/// process that writes it.
///
/// # Errors
/// A checkpoint that cannot be resumed from, a file that cannot be written, a loss that is not finite, an interruption.
/// What was finished before is on disk.
pub fn take_turns<V: Copy + Display, N: Module>(
    mut sides: Vec<Side<V, N>>,
    mut log: RunLog,
    epochs: usize,
    beside: &mut dyn Beside<V, N>,
) -> Result<Option<PathBuf>> {
    resume(&mut sides, &mut log, beside)?;
    beside.begin(&mut log)?;
    for epoch in 1..=epochs {
        for side in &mut sides {
            if side.records().len() < epoch && !train(side, &mut log, beside)? {
                return Err(log.interrupted());
            }
        }
        // A resumed run may be past this epoch.
        if sides.iter().all(|side| side.rests_after(epoch)) {
            beside.after_round(epoch, &mut sides, &mut log)?;
        }
    }
    Ok(log.finish())
}

/// Takes every side to where its checkpoint, if it has one, left it.
fn resume<V: Copy + Display, N: Module>(
    sides: &mut [Side<V, N>],
    log: &mut RunLog,
    beside: &mut dyn Beside<V, N>,
) -> Result<()> {
    for side in &mut *sides {
        if let Some((checkpoint, state)) = log.checkpoint(&side.variant.to_string())? {
            side.resume(&checkpoint, state)?;
            beside.resume(side.variant, &checkpoint);
        }
    }
    let longest = sides.iter().map(|side| side.records().len()).max().unwrap_or(0);
    let by_epoch = (0..longest).flat_map(|i| sides.iter().filter_map(move |side| side.records().get(i)));
    log.resumed(by_epoch.cloned().collect())
}

/// Trains one epoch; `false` if it was interrupted.
fn train<V: Copy + Display, N: Module>(
    side: &mut Side<V, N>,
    log: &mut RunLog,
    beside: &mut dyn Beside<V, N>,
) -> Result<bool> {
    let variant = side.variant.to_string();
    let mut observer = beside.observer(side.variant);
    let save = |checkpoint: Checkpoint| log.save_checkpoint(&variant, &checkpoint);
    let Some((record, ranks)) = side.epoch(observer.as_mut(), &save)? else { return Ok(false) };
    let state = state(&mut side.net);
    log.add(record, ranks, &state, || side.checkpoint(observer.as_ref()))?;
    Ok(true)
}
