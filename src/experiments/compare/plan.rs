//! What a comparison says of itself before it begins: `config.json`, the report's facts, the title.

use serde::Serialize;

use super::Compare;
use crate::distributed::Distributed;
use crate::experiments::data_used::DataUsed;
use crate::experiments::ranks::batch_size;
use crate::experiments::run_log::{RunPlan, facts, kernels};
use crate::torch::Signature;

/// `config.json`: what was chosen, in the words of the command line, and what it was chosen with.
#[derive(Serialize)]
struct Chosen {
    recipe: &'static str,
    variants: Vec<String>,
    seed: u64,
    epochs: usize,
    batch_size: usize,
    lr: f64,
    #[serde(flatten)]
    data: DataUsed,
    workers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranks: Option<usize>,
    deterministic: bool,
    d2l_ch7: &'static str,
    signature: Signature,
}

impl Compare {
    /// The plan of this comparison, once its data is known.
    pub(super) fn plan(&self, data: DataUsed, ranks: Option<&Distributed>) -> RunPlan {
        let signature = Signature::of(self.device);
        let chosen = [
            ("network", self.recipe.about.to_owned()),
            ("seed", self.seed.to_string()),
            ("optimizer", format!("{}, learning rate {}", self.recipe.optimizer, self.lr)),
            ("batch size", batch_size(self.batch_size, ranks)),
            ("training images", data.train_examples.to_string()),
            ("test images", data.test_examples.to_string()),
            ("kernels", kernels(self.deterministic).to_owned()),
            ("data", data.origin("Fashion-MNIST")),
        ];
        let facts = facts(chosen, &signature);
        let variants: Vec<String> = self.variants.iter().map(ToString::to_string).collect();
        let title = format!(
            "{}: LeNet with batch norm on Fashion-MNIST\nseed {}, batch size {}, {}, learning rate {}, {}",
            self.recipe.name, self.seed, self.batch_size, self.recipe.optimizer, self.lr, signature.device
        );
        let chosen = Chosen {
            recipe: self.recipe.name,
            variants: variants.clone(),
            seed: self.seed,
            epochs: self.epochs,
            batch_size: self.batch_size,
            lr: self.lr,
            data,
            workers: self.workers,
            ranks: ranks.map(Distributed::size),
            deterministic: self.deterministic,
            d2l_ch7: env!("CARGO_PKG_VERSION"),
            signature,
        };
        RunPlan {
            name: self.recipe.name,
            title,
            variants,
            epochs: self.epochs,
            facts,
            config: serde_json::to_value(chosen).expect("plain fields always serialize"),
            out: self.out.clone(),
            resume: self.resume.clone(),
            quiet: self.quiet,
        }
    }
}
