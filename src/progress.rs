//! The progress bar of an epoch, on standard error; without a terminal, nothing.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::data::Batches;
use crate::train::AfterBatch;

/// Batches done, loss and accuracy so far, examples per second and time left; gone when dropped.
#[derive(Debug)]
pub struct EpochBar {
    bar: ProgressBar,
    /// When loss and accuracy were last read, which may wait for a device.
    read: Cell<Option<Instant>>,
}

/// From one reading to the next.
const PAUSE: Duration = Duration::from_millis(100);

impl EpochBar {
    /// A bar for one epoch of `variant` over `batches`; `quiet` shows none.
    pub fn new(variant: &str, epoch: usize, epochs: usize, batches: &dyn Batches, quiet: bool) -> Self {
        // ProgressDrawTarget::stderr draws nothing where standard error is no terminal.
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(batches.batches() as u64), target);
        // The bar takes what the rest leaves, so that a line fits into 80 columns.
        let template = "{prefix} batch {pos}/{len} {wide_bar} {msg} {eta} left";
        bar.set_style(ProgressStyle::with_template(template).expect("the template above is well formed"));
        bar.set_prefix(format!("epoch {epoch}/{epochs} {variant}"));
        Self { bar, read: Cell::new(None) }
    }

    /// Shows where the epoch stands.
    pub fn show(&self, after: &AfterBatch) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_position(after.batches as u64);
        if self.read.get().is_some_and(|read| read.elapsed() < PAUSE) {
            return;
        }
        self.read.set(Some(Instant::now()));
        let metric = after.progress().metric;
        let speed = metric.examples() as f64 / self.bar.elapsed().as_secs_f64();
        let (loss, accuracy) = (metric.loss(), metric.accuracy());
        self.bar.set_message(format!("loss {loss:.3} acc {accuracy:.3} {speed:.0} examples/s"));
    }
}

impl Drop for EpochBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
