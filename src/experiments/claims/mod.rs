//! What the study notes and the book claim about batch norm, measured: a small experiment for each claim, and a verdict by a rule that
//! is stated before the run.

mod augmentation;
mod batch_size;
mod dropout;
mod engine;
mod learning_rates;
mod lower_layers;
mod native;
mod noise;
mod page;
mod probe;
mod residual;
mod rule;
mod scaling;
mod sigmoids;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use tch::Device;

pub use crate::Figure;
use crate::Result;
use crate::data::FashionMnist;
use crate::experiments::options::CommonOptions;
use crate::experiments::recipes::Recipe;
use crate::experiments::sweep::{self, Sweep, Swept};
use crate::norm::Variant;
pub use crate::report::Quantity;
use crate::report::{OverSeeds, significant};
pub use engine::{Claims, run};

/// Every claim, in the order of the page. Another one is another entry here.
pub const CLAIMS: [Claim; 10] = [
    learning_rates::CLAIM,
    batch_size::CLAIM,
    sigmoids::CLAIM,
    lower_layers::CLAIM,
    dropout::CLAIM,
    noise::CLAIM,
    residual::CLAIM,
    augmentation::CLAIM,
    native::CLAIM,
    scaling::CLAIM,
];

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

impl Verdict {
    /// What all seeds agree on; undecided where they do not, and without any.
    pub fn unanimous(seeds: impl IntoIterator<Item = Self>) -> Self {
        let mut seeds = seeds.into_iter();
        let first = seeds.next().unwrap_or(Self::Undecided);
        if seeds.all(|other| other == first) { first } else { Self::Undecided }
    }

    /// Of a seed: whether it holds, else whether it does not.
    pub fn of(holds: bool, does_not: bool) -> Self {
        match (holds, does_not) {
            (true, _) => Self::Holds,
            (false, true) => Self::DoesNotHold,
            (false, false) => Self::Undecided,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does not hold",
            Self::Undecided => "undecided here",
        })
    }
}

impl Setting {
    /// `quick`, or with `--full` as the notes have it.
    fn either<T>(&self, quick: T, full: T) -> T {
        if self.full { full } else { quick }
    }

    /// Trains every variant of a recipe with every seed: `change` chooses what else is in the grid, the epochs and the images. A sweep
    /// that broke off goes on.
    fn sweep(
        &self,
        name: &str,
        recipes: &[&str],
        variants: &[Variant],
        change: impl FnOnce(&mut Sweep),
    ) -> Result<Swept> {
        let dir = self.dir.join(name);
        let (out, resume) = if dir.exists() { (None, Some(dir)) } else { (Some(dir), None) };
        let recipe = |name: &&str| Recipe::named(name).expect("a recipe of the table");
        let mut options = Sweep {
            recipes: recipes.iter().map(recipe).collect(),
            variants: variants.to_vec(),
            lr: Vec::new(),
            batch_size: Vec::new(),
            seeds: self.seeds as usize,
            epochs: None,
            train_examples: None,
            device: Device::Cpu,
            jobs: self.jobs,
            out,
            resume,
            quiet: self.quiet,
            common: common_options(self.data_dir.clone()),
        };
        change(&mut options);
        // Of a smaller data set, all images.
        let data = FashionMnist::load(self.data_dir.as_deref(), false)?;
        options.train_examples = options.train_examples.map(|count| count.min(data.train.len()));
        options.common.test_examples = options.common.test_examples.map(|count| count.min(data.test.len()));
        sweep::run(&options)
    }
}

impl Figure {
    /// A figure of the run with this seed.
    pub fn new(
        quantity: &Quantity,
        subject: impl fmt::Display,
        at: impl fmt::Display,
        seed: u64,
        value: f64,
    ) -> Self {
        let (subject, at) = (subject.to_string(), at.to_string());
        Self { quantity: quantity.name.to_owned(), subject, at, seed, value }
    }
}

/// One thread for each run, since runs share the processors.
fn common_options(data_dir: Option<PathBuf>) -> CommonOptions {
    CommonOptions { threads: Some(1), deterministic: false, eager: false, test_examples: None, data_dir }
}

/// The figures of a quantity and subject, whatever their place.
fn of<'a>(figures: &'a [Figure], quantity: &Quantity, subject: &str) -> impl Iterator<Item = &'a Figure> {
    figures.iter().filter(move |figure| figure.quantity == quantity.name && figure.subject == subject)
}

/// The seeds of `figures`, rising.
fn seeds(figures: &[Figure]) -> impl Iterator<Item = u64> {
    figures.iter().map(|figure| figure.seed).collect::<BTreeSet<_>>().into_iter()
}

/// Mean (least to greatest) of `values`, such as `71.4% (70.1 to 72.3)`; `never` for an infinite one.
fn written(values: impl IntoIterator<Item = f64>, unit: &str) -> String {
    let write = |value: f64| if value == f64::INFINITY { "never".to_owned() } else { significant(value, 3) };
    match OverSeeds::of(values) {
        None => "nothing".to_owned(),
        Some(over) if over.mean.is_nan() => "no number".to_owned(),
        Some(over) if over.least == over.greatest => write(over.mean) + unit,
        Some(over) => format!("{}{unit} ({})", write(over.mean), over.range(write)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of so many seeds: `value` of a quantity's subject at a place.
    pub fn figures(quantity: &Quantity, values: &[(&str, &str, f64)]) -> Vec<Figure> {
        let of_seed = |seed| {
            let figure = move |&(subject, at, value): &(&str, &str, f64)| {
                Figure::new(quantity, subject, at, seed, value)
            };
            values.iter().map(figure)
        };
        (0..3).flat_map(of_seed).collect()
    }

    /// The figures with one subject's name for the other's.
    pub fn exchanged(figures: &[Figure], subjects: [&str; 2]) -> Vec<Figure> {
        let other = |name: &str| match subjects.iter().position(|subject| *subject == name) {
            Some(i) => subjects[1 - i].to_owned(),
            None => name.to_owned(),
        };
        figures.iter().map(|figure| Figure { subject: other(&figure.subject), ..figure.clone() }).collect()
    }

    #[test]
    fn every_claim_is_whole_and_undecided_without_figures() {
        for claim in CLAIMS {
            assert_eq!((claim.judge)(&[]).verdict, Verdict::Undecided, "{}", claim.name);
            let words = [claim.title, claim.source, claim.predicts, claim.rule];
            assert!(
                words.iter().all(|text| !text.is_empty()) && !claim.quantities.is_empty(),
                "{}",
                claim.name
            );
            assert_eq!(CLAIMS.iter().filter(|other| other.name == claim.name).count(), 1, "{}", claim.name);
        }
    }

    #[test]
    fn seeds_that_disagree_decide_nothing() {
        use Verdict::{DoesNotHold, Holds, Undecided};
        assert_eq!(Verdict::unanimous([Holds, Holds]), Holds);
        assert_eq!(Verdict::unanimous([DoesNotHold]), DoesNotHold);
        assert_eq!(Verdict::unanimous([Holds, DoesNotHold]), Undecided);
        assert_eq!(Verdict::unanimous([]), Undecided);
    }
}
