//! The progress bars of an epoch and of a command that trains many runs, on standard error; without a terminal, nothing.

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

/// Runs and steps done of a command that trains many runs, and time left; gone when dropped.
#[derive(Debug)]
pub struct RunsBar {
    bar: ProgressBar,
    /// How many there are, and what they are called.
    runs: (usize, &'static str),
    when: Instant,
}

impl RunsBar {
    /// A bar for so many runs of a name, such as 54 `cells`, that take `steps` in all, of which an earlier process did `done`; `step` is
    /// what one is called. `quiet` shows none.
    pub fn new(runs: (usize, &'static str), step: &str, steps: usize, done: usize, quiet: bool) -> Self {
        let template = format!("{{msg}} {{wide_bar}} {step} {{pos}}/{{len}}, {{eta}} left");
        let bar = bar(&template, steps, quiet).with_position(done as u64);
        bar.reset_eta();
        Self { bar, runs, when: Instant::now() }
    }

    /// Shows so many runs `done`, and as many steps as `steps` counts, which is asked now and then.
    pub fn show(&mut self, done: usize, steps: impl FnOnce() -> usize) {
        if self.bar.is_hidden() || self.when.elapsed() < 5 * PAUSE {
            return;
        }
        self.when = Instant::now();
        let (all, name) = self.runs;
        self.bar.set_message(format!("{done} of {all} {name}"));
        self.bar.set_position(steps() as u64);
    }

    /// Prints a line above the bar.
    pub fn say(&self, line: impl Display) {
        self.bar.suspend(|| output::say(line));
    }
}

impl Drop for RunsBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
