//! The progress bars of an epoch and of a sweep, on standard error; without a terminal, nothing.

use std::cell::RefCell;
use std::fmt::Display;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::data::Batches;
use crate::output;
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
        let bar = bar("{prefix} batch {pos}/{len} {wide_bar} {msg} {eta} left", batches.batches(), quiet);
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

/// A bar of so many steps; `quiet` shows none. In the `template`, `{wide_bar}` takes what the rest leaves, so that a line fits into 80
/// columns.
fn bar(template: &str, steps: usize, quiet: bool) -> ProgressBar {
    // ProgressDrawTarget::stderr draws nothing where standard error is no terminal.
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(steps as u64), target);
    bar.set_style(ProgressStyle::with_template(template).expect("templates are well formed"));
    bar
}

/// Cells and epochs done of a sweep, and time left; gone when dropped.
#[derive(Debug)]
pub struct SweepBar {
    bar: ProgressBar,
    cells: usize,
    when: Instant,
}

impl SweepBar {
    /// A bar for so many `cells` with `epochs` in all, of which an earlier process did `done`; `quiet` shows none.
    pub fn new(cells: usize, epochs: usize, done: usize, quiet: bool) -> Self {
        let bar =
            bar("{msg} {wide_bar} epoch {pos}/{len}, {eta} left", epochs, quiet).with_position(done as u64);
        bar.reset_eta();
        Self { bar, cells, when: Instant::now() }
    }

    /// Shows so many `cells` done, and as many epochs as `epochs` counts, which is asked now and then.
    pub fn show(&mut self, cells: usize, epochs: impl FnOnce() -> usize) {
        if self.bar.is_hidden() || self.when.elapsed() < 5 * PAUSE {
            return;
        }
        self.when = Instant::now();
        self.bar.set_message(format!("{cells} of {} cells", self.cells));
        self.bar.set_position(epochs() as u64);
    }

    /// Prints a line above the bar.
    pub fn say(&self, line: impl Display) {
        self.bar.suspend(|| output::say(line));
    }
}

impl Drop for SweepBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
