//! What the study notes and the book claim about batch norm, measured: a small experiment for each claim, and a verdict by a rule that
//! is stated before the run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Result;

/// A claim and the experiment that tests it. The verdict, the table and the picture depend on the figures alone, which are stored: so
/// a claim is measured once.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Its name on the command line: `learning-rates`.
    pub name: &'static str,
    /// The claim, in a sentence.
    pub title: &'static str,
    /// Where it is made: note and cell, section of the book.
    pub source: &'static str,
    /// What it predicts, as a number.
    pub predicts: &'static str,
    /// When it holds, when it does not, and when this stays undecided.
    pub rule: &'static str,
    /// What is measured, in the order of the panels and tables.
    pub quantities: &'static [Quantity],
    /// Runs the experiment. No figures: what it needs is not here, and `judge` says how to get it.
    pub measure: fn(&Setting) -> Result<Vec<Figure>>,
    /// The rule, over the figures.
    pub judge: fn(&[Figure]) -> Judgement,
}

/// Something that a claim measures: a panel of its picture.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    /// `gradient norm`.
    pub name: &'static str,
    /// What the horizontal axis names: `layer`, `epoch`, `batch size`.
    pub over: &'static str,
    /// Whether its values span orders of magnitude.
    pub log: bool,
}

/// A figure that was measured: a row of the claim's CSV.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Figure {
    /// A quantity's name.
    pub quantity: String,
    /// Of what: a variant, `with dropout`. A curve of the picture.
    pub subject: String,
    /// Where on the horizontal axis: an epoch, a layer, a batch size.
    pub at: String,
    /// The seed of the run.
    pub seed: u64,
    /// The value, in the quantity's unit.
    pub value: f64,
}

/// How much is run, and where.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Whether as long as the notes train, rather than for a laptop.
    pub full: bool,
    /// How many seeds: N stands for the seeds 0 to N - 1.
    pub seeds: u64,
    /// Fashion-MNIST's directory, if not the usual one.
    pub data_dir: Option<PathBuf>,
    /// A directory of the claim's own, for the runs that it starts. It may not be there yet.
    pub dir: PathBuf,
    /// How many processes a claim starts at once, unless it measures time.
    pub jobs: Option<usize>,
    /// Whether to show no progress.
    pub quiet: bool,
}

/// A verdict, and the figures that it rests on in a sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// By the claim's rule.
    pub verdict: Verdict,
    /// `native needs 2.0 epochs (2 to 2), none 5.3 (5 to 6)`.
    pub because: String,
}

/// Whether a claim holds in the runs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Holds,
    /// It does not.
    DoesNotHold,
    /// The figures do not say, or could not be had.
    Undecided,
}
