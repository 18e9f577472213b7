//! What a run says of itself before it begins: `config.json`, the report's facts, the title.

use serde::Serialize;

use super::{Cifar, Data};
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
    augment: Option<&'static str>,
    seed: u64,
    epochs: usize,
    batch_size: usize,
    lr: f64,
    #[serde(flatten)]
    data: DataUsed,
    workers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranks: Option<usize>,
    amp: bool,
    channels_last: bool,
    deterministic: bool,
    d2l_ch7: &'static str,
    signature: Signature,
}

impl Cifar {
    /// The plan of this run, once its data is known.
    pub(super) fn plan(&self, data: DataUsed, ranks: Option<&Distributed>) -> RunPlan {
        let signature = Signature::of_devices(&self.devices);
        let augment = self.variants.contains(&Data::Augmented).then(|| self.augment.name());
        let chosen = [
            ("network", "d2l's ResNet-18 for small images, batch norm native".to_owned()),
            ("augmentation", augment.unwrap_or("none").to_owned()),
            ("seed", self.seed.to_string()),
            ("optimizer", format!("Adam, learning rate {}, losses of a batch summed", self.lr)),
            ("batch size", batch_size(self.batch_size, ranks)),
            ("training images", data.train_examples.to_string()),
            ("test images", data.test_examples.to_string()),
            ("kernels", kernels(self.deterministic).to_owned()),
            ("numerics", self.numerics.fact()),
            ("random streams", format!("a DataLoader's with {} worker processes", self.workers)),
            ("data", data.origin("CIFAR-10")),
        ];
        let facts = facts(chosen, &signature);
        let variants: Vec<String> = self.variants.iter().map(ToString::to_string).collect();
        let title = format!(
            "cifar: ResNet-18 on CIFAR-10, augmentation {}\nseed {}, batch size {}, Adam, learning rate {}, {}{}",
            augment.unwrap_or("none"),
            self.seed,
            self.batch_size,
            self.lr,
            signature.device,
            if self.numerics.are_default() { String::new() } else { format!(", {}", self.numerics.words()) }
        );
        let chosen = Chosen {
            recipe: "cifar",
            variants: variants.clone(),
            augment,
            seed: self.seed,
            epochs: self.epochs,
            batch_size: self.batch_size,
            lr: self.lr,
            data,
            workers: self.workers,
            ranks: ranks.map(Distributed::size),
            amp: self.numerics.amp,
            channels_last: self.numerics.channels_last,
            deterministic: self.deterministic,
            d2l_ch7: env!("CARGO_PKG_VERSION"),
            signature,
        };
        RunPlan {
            name: "cifar",
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
