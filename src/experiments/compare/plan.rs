//! What a comparison says of itself before it begins.

use serde_json::Map;

use super::Compare;
use crate::distributed::Distributed;
use crate::experiments::data_used::DataUsed;
use crate::experiments::options::Words;
use crate::experiments::run_log::RunPlan;
use crate::torch::Signature;

impl Compare {
    /// The plan of this comparison, once its data is known.
    pub(super) fn plan(&self, data: DataUsed, ranks: Option<&Distributed>) -> RunPlan {
        let words = Words {
            recipe: self.recipe.name,
            variants: self.variants.iter().map(ToString::to_string).collect(),
            heading: format!("{}: LeNet with batch norm on Fashion-MNIST", self.recipe.name),
            network: self.recipe.about.to_owned(),
            optimizer: self.recipe.optimizer.to_string(),
            dataset: "Fashion-MNIST",
            facts: Vec::new(),
            config: Map::from_iter([("inspect".to_owned(), self.inspect.into())]),
            signature: Signature::of(self.device),
        };
        self.options.plan(words, data, ranks)
    }
}
