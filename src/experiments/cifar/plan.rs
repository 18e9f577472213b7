//! What a run says of itself before it begins.

use serde_json::Value;

use super::{Cifar, Data};
use crate::distributed::Distributed;
use crate::experiments::data_used::DataUsed;
use crate::experiments::options::Words;
use crate::experiments::run_log::RunPlan;
use crate::torch::Signature;

impl Cifar {
    /// The plan of this run, once its data is known.
    pub(super) fn plan(&self, data: DataUsed, ranks: Option<&Distributed>) -> RunPlan {
        let augment = self.variants.contains(&Data::Augmented).then(|| self.augment.name());
        let mut heading = format!("cifar: ResNet-18 on CIFAR-10, augmentation {}", augment.unwrap_or("none"));
        if !self.numerics.are_default() {
            heading += &format!(", {}", self.numerics.words());
        }
        let facts = vec![
            ("augmentation", augment.unwrap_or("none").to_owned()),
            ("random streams", format!("a DataLoader's with {} worker processes", self.options.workers)),
            ("loss", "summed over a batch".to_owned()),
            ("numerics", self.numerics.fact()),
        ];
        let config = [
            ("augment", Value::from(augment)),
            ("amp", Value::from(self.numerics.amp)),
            ("channels_last", Value::from(self.numerics.channels_last)),
        ];
        let words = Words {
            recipe: "cifar",
            variants: self.variants.iter().map(ToString::to_string).collect(),
            heading,
            network: "d2l's ResNet-18 for small images, batch norm native".to_owned(),
            optimizer: "Adam".to_owned(),
            dataset: "CIFAR-10",
            facts,
            config: config.map(|(key, value)| (key.to_owned(), value)).into_iter().collect(),
            signature: Signature::of_devices(&self.devices),
        };
        self.options.plan(words, data, ranks)
    }
}
