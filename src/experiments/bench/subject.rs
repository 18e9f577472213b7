//! What is measured: each subject in words, for the report, and as a question in JSON, for Python.

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use crate::experiments::recipes::{RECIPES, Recipe};
use crate::norm::Variant;

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
        shape: Vec<i64>,
        backward: bool,
    },
    Step {
        recipe: &'static str,
        variant: &'static str,
        batch_size: usize,
    },
    Epoch {
        recipe: &'static str,
        variant: &'static str,
        #[serde(flatten)]
        size: Size,
    },
    Data {
        recipe: &'static str,
        variant: &'static str,
        #[serde(flatten)]
        size: Size,
    },
}

/// How much of a data set an epoch takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Size {
    pub batch_size: usize,
    pub train_examples: usize,
    pub test_examples: usize,
}

impl Subject {
    pub fn section(&self) -> Section {
        match self {
            Self::BatchNorm { .. } => Section::BatchNorm,
            Self::Step { .. } => Section::Step,
            Self::Epoch { .. } => Section::Epoch,
            Self::Data { .. } => Section::Data,
        }
    }

    pub fn name(&self) -> String {
        match self {
            Self::BatchNorm { variant, shape, backward } => {
                let shape = shape.iter().map(i64::to_string).collect::<Vec<_>>().join(" x ");
                format!("{shape}, {variant}, {}", if *backward { "forward and backward" } else { "forward" })
            }
            Self::Step { recipe, variant, batch_size } => {
                format!("{recipe}, {variant}, batch of {batch_size}")
            }
            Self::Epoch { recipe, variant, size } => {
                format!("{recipe}, {variant}, {} images", size.train_examples)
            }
            Self::Data { recipe, variant, size } if *recipe == CIFAR => {
                format!("CIFAR-10, {variant}, {} images", size.train_examples)
            }
            Self::Data { size, .. } => format!("Fashion-MNIST, {} images", size.train_examples),
        }
    }

    /// The images that one of it takes, where images are what is counted.
    pub fn images(&self) -> Option<usize> {
        match self {
            Self::BatchNorm { .. } => None,
            Self::Step { batch_size, .. } => Some(*batch_size),
            Self::Epoch { size, .. } | Self::Data { size, .. } => Some(size.train_examples),
        }
    }
}

/// (N, C) or (N, C, H, W): the batch norms of LeNet at the book's batch size, and the first and the last of ResNet-18 at a quarter
/// of it.
const SHAPES: [&[i64]; 6] =
    [&[256, 6, 24, 24], &[256, 16, 8, 8], &[256, 120], &[256, 84], &[64, 64, 32, 32], &[64, 512, 4, 4]];

/// Everything of the `sections` for the recipes of these names, in the order of the report. `size` is an epoch's.
pub(super) fn subjects(
    sections: &[Section],
    recipes: &[&'static str],
    size: &dyn Fn(&str) -> Size,
) -> Vec<Subject> {
    let trainings =
        || recipes.iter().flat_map(|&recipe| variants(recipe).map(move |variant| (recipe, variant)));
    let of = |section: Section| -> Vec<Subject> {
        match section {
            Section::BatchNorm => batch_norms(),
            // The augmented variant's network and step are the plain one's.
            Section::Step => trainings()
                .filter(|&(_, variant)| variant != "augmented")
                .map(|(recipe, variant)| Subject::Step {
                    recipe,
                    variant,
                    batch_size: size(recipe).batch_size,
                })
                .collect(),
            Section::Epoch => trainings()
                .map(|(recipe, variant)| Subject::Epoch { recipe, variant, size: size(recipe) })
                .collect(),
            Section::Data => batches(recipes)
                .map(|(recipe, variant)| Subject::Data { recipe, variant, size: size(recipe) })
                .collect(),
        }
    };
    Section::value_variants()
        .iter()
        .copied()
        .filter(|section| sections.contains(section))
        .flat_map(of)
        .collect()
}

fn batch_norms() -> Vec<Subject> {
    let mut all = Vec::new();
    for shape in SHAPES {
        for variant in Variant::NOTEBOOKS.map(Variant::name) {
            for backward in [false, true] {
                all.push(Subject::BatchNorm { variant, shape: shape.to_vec(), backward });
            }
        }
    }
    all
}

/// The variants of a recipe, as its command names them.
fn variants(recipe: &str) -> impl Iterator<Item = &'static str> + use<> {
    let of_cifar = ["augmented", "plain", MIXED];
    if recipe == CIFAR { of_cifar.to_vec() } else { Variant::NOTEBOOKS.map(Variant::name).into() }.into_iter()
}

/// Recipes and variants that differ in their batches. Fashion-MNIST's are the same for recipes that do not resize; those of the first
/// stand for all. The network's numerics are not the images'.
fn batches(recipes: &[&'static str]) -> impl Iterator<Item = (&'static str, &'static str)> {
    let plain = |name: &&str| Recipe::named(name).is_some_and(|recipe| recipe.resize.is_none());
    let fashion_mnist = recipes.iter().copied().find(plain).map(|recipe| (recipe, "native"));
    let of_cifar = recipes.contains(&CIFAR).then(|| variants(CIFAR).filter(|&variant| variant != MIXED));
    fashion_mnist.into_iter().chain(of_cifar.into_iter().flatten().map(|variant| (CIFAR, variant)))
}

/// How the command line reads one of [`recipe_names`].
pub(super) fn measured_recipe() -> impl TypedValueParser<Value = &'static str> {
    let named = |chosen: String| recipe_names().into_iter().find(|name| *name == chosen);
    PossibleValuesParser::new(recipe_names())
        .map(move |chosen| named(chosen).expect("clap takes these names only"))
}

/// Every recipe that can be measured.
pub fn recipe_names() -> Vec<&'static str> {
    RECIPES.iter().map(|recipe| recipe.name).chain([CIFAR]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(_: &str) -> Size {
        Size { batch_size: 64, train_examples: 640, test_examples: 100 }
    }

    #[test]
    fn every_recipe_has_its_subjects_and_no_other() {
        let all = subjects(Section::value_variants(), &["book", CIFAR], &size);
        let count = |section| all.iter().filter(|subject| subject.section() == section).count();
        let counts: Vec<usize> = Section::value_variants().iter().copied().map(count).collect();
        assert_eq!(counts, [SHAPES.len() * 4, 4, 5, 3]);
        assert!(
            subjects(&[Section::Step], &["lenet224"], &size).iter().all(|s| s.name().starts_with("lenet224"))
        );
        assert!(
            subjects(&[Section::Data], &["lenet224"], &size).is_empty(),
            "they are not Fashion-MNIST's own"
        );
    }

    /// What `bench_worker.py` reads.
    #[test]
    fn a_question_has_its_fields_side_by_side() {
        let epoch = Subject::Epoch { recipe: "book", variant: "native", size: size("book") };
        let json = serde_json::to_value(epoch).unwrap();
        assert_eq!(json["subject"], "epoch");
        assert_eq!(json["train_examples"], 640);
        assert_eq!(serde_json::to_value(&batch_norms()[1]).unwrap()["backward"], true);
    }
}
