//! The options of `d2l_ch7 compare`, and the description of its run.

use clap::{Arg, Args};
use serde::Serialize;
use tch::Device;
use tch_extra::fused;

use crate::distributed::Distributed;
use crate::experiments::description::{DataUsed, RunDescription, to_json};
use crate::experiments::options::{RunOptions, check_variants};
use crate::experiments::recipes::{RECIPES, Recipe, recipe};
use crate::experiments::values::device;
use crate::norm::Variant;
use crate::{Error, Result};

/// The options of `d2l_ch7 compare`.
#[derive(Args, Serialize, Clone, Debug)]
#[command(mut_arg("epochs", |arg| by_recipe(arg, |recipe| recipe.epochs.to_string())))]
#[command(mut_arg("batch_size", |arg| by_recipe(arg, |recipe| recipe.batch_size.to_string())))]
#[command(mut_arg("lr", |arg| by_recipe(arg, |recipe| recipe.lr.to_string())))]
#[command(mut_arg("variants", |arg| by_recipe(arg, Recipe::variant_names)))]
pub struct Compare {
    /// What to train
    #[arg(long, default_value = RECIPES[0].name, value_parser = recipe())]
    #[serde(skip)]
    pub recipe: &'static Recipe,
    /// Batch norms to train with, separated by commas; `none` trains the network without any [default: the recipe's, see
    /// `d2l_ch7 list`]
    #[arg(long, required = false, value_delimiter = ',')]
    #[serde(skip)]
    pub variants: Vec<Variant>,
    /// The loader to reproduce: PyTorch's with this many worker processes. The images of these recipes are not
    /// augmented, so that all counts give the same bits
    #[arg(long, default_value_t = 0)]
    pub workers: usize,
    /// Also print the first batch norm's gamma and beta, and how far the variants' running statistics are apart
    #[arg(long)]
    pub inspect: bool,
    /// auto (CUDA where there is one), cpu, cuda, or cuda:N
    #[arg(long, default_value = "auto", value_parser = device)]
    #[serde(skip)]
    pub device: Device,
    /// The options that `cifar` has too.
    #[command(flatten)]
    #[serde(flatten)]
    pub options: RunOptions,
}

/// `arg` with each recipe's default.
fn by_recipe(arg: Arg, default: fn(&Recipe) -> String) -> Arg {
    arg.default_value_ifs(RECIPES.iter().map(|recipe| ("recipe", recipe.name, default(recipe))))
}

impl Compare {
    /// Refuses what clap cannot refuse, and sets libtorch up.
    ///
    /// # Errors
    /// A usage error for options that do not fit together; a failure for a device that is not there, or for which the kernels of
    /// the variant `fused` cannot be compiled.
    pub fn set_up(&self) -> Result<()> {
        check_variants(&self.variants, self.device)?;
        if self.inspect && !self.variants.iter().any(|variant| variant.has_batch_norm()) {
            return Err(Error::usage(
                "--inspect looks into batch norms, and the variant none has none",
                "leave it out, or give --variants a batch norm too, such as none,scratch,native",
            ));
        }
        if self.inspect && !self.recipe.is_lenet() {
            return Err(Error::usage(
                format!(
                    "--inspect looks into the batch norms of a LeNet, and {} trains another network",
                    self.recipe.name
                ),
                "leave it out; the running statistics are in the run directory, in weights/",
            ));
        }
        self.options.set_up(&[self.device])?;
        if self.variants.contains(&Variant::Fused) {
            fused::prepare(self.device)?;
        }
        Ok(())
    }

    /// The description of this comparison, once its data is known.
    pub(super) fn describe(&self, data: DataUsed, ranks: Option<&Distributed>) -> RunDescription {
        let run = RunDescription {
            recipe: self.recipe.name,
            variants: self.variants.iter().map(ToString::to_string).collect(),
            title: self.title(),
            facts: self.facts(),
            config: to_json(self),
            options: self.options.clone(),
        };
        let optimizer = self.recipe.optimizer.to_string();
        run.completed(&optimizer, "Fashion-MNIST", &[self.device], data, ranks)
    }

    fn title(&self) -> String {
        let Recipe { name, network, .. } = self.recipe;
        format!("{name}: {network} {} batch norm on Fashion-MNIST", self.with())
    }

    /// Whether the networks are with batch norm or without.
    fn with(&self) -> &'static str {
        let count = self.variants.iter().filter(|variant| variant.has_batch_norm()).count();
        match count {
            0 => "without",
            all if all == self.variants.len() => "with",
            _ => "with and without",
        }
    }

    /// The facts that only this command has.
    fn facts(&self) -> Vec<(String, String)> {
        let network = ("network", self.recipe.about);
        let none = ("network of the variant none", "the same without batch norm");
        let has_none = self.variants.contains(&Variant::None);
        let facts = [network].into_iter().chain(has_none.then_some(none));
        facts.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    #[test]
    fn the_title_says_whether_there_are_batch_norms() {
        let with = |variants: &str| {
            let command = Compare::augment_args(clap::Command::new("compare"));
            let matches = command.get_matches_from(["compare", "--variants", variants]);
            Compare::from_arg_matches(&matches).unwrap().with()
        };
        assert_eq!(with("scratch,native"), "with");
        assert_eq!(with("none,scratch"), "with and without");
        assert_eq!(with("none"), "without");
    }
}
