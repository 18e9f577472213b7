//! The progress bar of an epoch, on standard error; without a terminal, nothing.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::data::Batches;
use crate::train::{Metric, Reading, Totals};

/// Batches done, loss and accuracy so far, examples per second and time left; gone when dropped.
#[derive(Debug)]
pub struct EpochBar {
    bar: ProgressBar,
    /// When loss and accuracy were last asked for, and their reading until it is here: a device is not waited for.
    asked: RefCell<Option<(Instant, Option<Reading>)>>,
}

/// From one reading to the next, at least.
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
        Self { bar, asked: RefCell::new(None) }
    }

    /// Shows where the epoch stands after so many batches.
    pub fn show(&self, batches: usize, metric: &Metric) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_position(batches as u64);
        let mut asked = self.asked.borrow_mut();
        let (when, reading) = asked.get_or_insert_with(|| (Instant::now(), metric.begin_reading().ok()));
        // The loop reports a device that fails.
        if let Some(totals) = reading.as_ref().and_then(|reading| reading.arrived().ok().flatten()) {
            self.say(&totals);
            *reading = None;
        }
        if reading.is_none() && when.elapsed() >= PAUSE {
            *asked = None;
        }
    }

    fn say(&self, totals: &Totals) {
        let speed = totals.examples() as f64 / self.bar.elapsed().as_secs_f64();
        let (loss, accuracy) = (totals.loss(), totals.accuracy());
        self.bar.set_message(format!("loss {loss:.3} acc {accuracy:.3} {speed:.0} examples/s"));
    }
}

impl Drop for EpochBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
