//! What is measured: each subject in words, for the report, and as a question in JSON, for Python.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use crate::experiments::recipes::{RECIPES, Recipe};
use crate::norm::Variant;
use crate::train::WARM_UP;

/// Note 002's training, which is not one of the [`RECIPES`].
pub const CIFAR: &str = "cifar";

/// The variant of [`CIFAR`] that `d2l_ch7 cifar --variants plain --amp --channels-last` trains.
pub(super) const MIXED: &str = "plain, amp, channels last";

/// The kinds of subjects, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// A batch norm layer alone.
    BatchNorm,
    /// Forward, backward and optimizer on a batch that is at hand.
    Step,
    /// Training and evaluation, from the images to the figures.
    Epoch,
    /// The batches of an epoch, without a network.
    Data,
}

impl Section {
    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::BatchNorm => "Batch norm",
            Self::Step => "Training step",
            Self::Epoch => "Epoch, evaluation and data included",
            Self::Data => "Preparing an epoch's batches",
        }
    }
}

/// One thing to measure; as JSON it is the question that Python is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "subject", rename_all = "kebab-case")]
pub(super) enum Subject {
    BatchNorm {
        variant: &'static str,
        /// (N, C) or (N, C, H, W).
        shape: &'static [i64],
        backward: bool,
    },
    Step(Training),
    Epoch(Training),
    Data(Training),
}

/// A variant of a recipe, and how much of its data set an epoch takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Training {
    pub recipe: &'static str,
    pub variant: &'static str,
    pub batch_size: usize,
    pub train_examples: usize,
    pub test_examples: usize,
}

impl Subject {
    pub fn section(&self) -> Section {
        match self {
            Self::BatchNorm { .. } => Section::BatchNorm,
            Self::Step(_) => Section::Step,
            Self::Epoch(_) => Section::Epoch,
            Self::Data(_) => Section::Data,
        }
    }

    /// The training whose images it reads.
    pub fn reads(&self) -> Option<&Training> {
        match self {
            Self::BatchNorm { .. } | Self::Step(_) => None,
            Self::Epoch(training) | Self::Data(training) => Some(training),
        }
    }

    /// Whether its steps can be recorded: an epoch of enough batches.
    pub fn can_be_recorded(&self) -> bool {
        matches!(self, Self::Epoch(training) if training.train_examples / training.batch_size > WARM_UP)
    }

    pub fn name(&self) -> String {
        match self {
            Self::BatchNorm { variant, shape, backward } => {
                let shape = shape.iter().map(i64::to_string).collect::<Vec<_>>().join(" x ");
                format!("{shape}, {variant}, {}", if *backward { "forward and backward" } else { "forward" })
            }
            Self::Step(Training { recipe, variant, batch_size, .. }) => {
                format!("{recipe}, {variant}, batch of {batch_size}")
            }
            Self::Epoch(Training { recipe, variant, train_examples, .. }) => {
                format!("{recipe}, {variant}, {train_examples} images")
            }
            Self::Data(Training { recipe: CIFAR, variant, train_examples, .. }) => {
                format!("CIFAR-10, {variant}, {train_examples} images")
            }
            Self::Data(training) => format!("Fashion-MNIST, {} images", training.train_examples),
        }
    }

    /// The images that one of it takes; none for a batch norm.
    pub fn images(&self) -> Option<usize> {
        match self {
            Self::BatchNorm { .. } => None,
            Self::Step(training) => Some(training.batch_size),
            Self::Epoch(training) | Self::Data(training) => Some(training.train_examples),
        }
    }
}

/// (N, C) or (N, C, H, W): the batch norms of LeNet at the book's batch size, and the first and the last of ResNet-18 at a quarter
/// of it.
const SHAPES: [&[i64]; 6] =
    [&[256, 6, 24, 24], &[256, 16, 8, 8], &[256, 120], &[256, 84], &[64, 64, 32, 32], &[64, 512, 4, 4]];

/// Everything of the `sections` for the `recipes`, in the order of the report. `training` gives a variant of a recipe its sizes.
pub(super) fn subjects(
    sections: &[Section],
    recipes: &[&'static str],
    training: &dyn Fn(&'static str, &'static str) -> Training,
) -> Vec<Subject> {
    let variants = |recipe| match recipe {
        CIFAR => vec!["augmented", "plain", MIXED],
        _ => {
            let usual = &Variant::NOTEBOOKS[..];
            let of_recipe = Recipe::named(recipe).map_or(usual, |recipe| recipe.variants);
            of_recipe.iter().map(|variant| variant.name()).collect()
        }
    };
    let of_recipe = |&recipe| variants(recipe).into_iter().map(move |variant| training(recipe, variant));
    let trainings: Vec<Training> = recipes.iter().flat_map(of_recipe).collect();
    let all = || trainings.iter().cloned();
    // Fashion-MNIST's batches are the same for recipes that do not resize; those of the first stand for all.
    let is_plain = |name| Recipe::named(name).is_some_and(|recipe| recipe.resize.is_none());
    let fashion_mnist = all().find(|training| is_plain(training.recipe) && training.variant == "native");
    let cifar10 = all().filter(|training| training.recipe == CIFAR && training.variant != MIXED);

    let mut subjects = Vec::new();
    for shape in SHAPES {
        for variant in variants("") {
            subjects.extend([false, true].map(|backward| Subject::BatchNorm { variant, shape, backward }));
        }
    }
    // The augmented variant's network and step are the plain one's.
    subjects.extend(all().filter(|training| training.variant != "augmented").map(Subject::Step));
    subjects.extend(all().map(Subject::Epoch));
    subjects.extend(fashion_mnist.into_iter().chain(cifar10).map(Subject::Data));
    subjects.retain(|subject| sections.contains(&subject.section()));
    subjects
}

/// How the command line reads one of [`recipe_names`].
pub(super) fn measured_recipe() -> impl TypedValueParser<Value = &'static str> {
    let named = |chosen: String| recipe_names().into_iter().find(|name| *name == chosen);
    PossibleValuesParser::new(recipe_names())
        .map(move |chosen| named(chosen).expect("clap takes these names only"))
}

/// Those that are measured unless the command line names others: the chapter's large networks would take hours.
pub(super) fn usual_recipes() -> Vec<&'static str> {
    let is_usual = |name: &&str| Recipe::named(name).is_none_or(Recipe::is_lenet);
    recipe_names().into_iter().filter(is_usual).collect()
}

/// Every recipe that can be measured.
pub fn recipe_names() -> Vec<&'static str> {
    RECIPES.iter().map(|recipe| recipe.name).chain([CIFAR]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn training(recipe: &'static str, variant: &'static str) -> Training {
        Training { recipe, variant, batch_size: 64, train_examples: 640, test_examples: 100 }
    }

    #[test]
    fn every_recipe_has_its_subjects_and_no_other() {
        let all = subjects(Section::value_variants(), &["book", CIFAR], &training);
        let count = |section| all.iter().filter(|subject| subject.section() == section).count();
        let counts: Vec<usize> = Section::value_variants().iter().copied().map(count).collect();
        assert_eq!(counts, [SHAPES.len() * 4, 4, 5, 3]);
        let of_lenet224 = |section| subjects(&[section], &["lenet224"], &training);
        assert!(of_lenet224(Section::Step).iter().all(|s| s.name().starts_with("lenet224")));
        assert!(of_lenet224(Section::Data).is_empty(), "they are not Fashion-MNIST's own");
    }

    /// What `bench_worker.py` reads.
    #[test]
    fn a_question_has_its_fields_side_by_side() {
        let json = serde_json::to_value(Subject::Epoch(training("book", "native"))).unwrap();
        assert_eq!(json["subject"], "epoch");
        assert_eq!(json["train_examples"], 640);
        let batch_norms = subjects(&[Section::BatchNorm], &[], &training);
        assert_eq!(serde_json::to_value(&batch_norms[1]).unwrap()["backward"], true);
    }
}
