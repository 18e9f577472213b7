//! What a run directory and its report say of a run before its first epoch.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tch::Device;

use super::data_used::DataUsed;
use super::options::RunOptions;
use super::resumed_config;
use crate::distributed::Distributed;
use crate::torch::{self, Signature};

/// A run before its first epoch.
#[derive(Debug)]
pub struct RunDescription {
    /// The recipe; the name of a directory under `reports/` begins with it.
    pub recipe: &'static str,
    /// In the order of the report.
    pub variants: Vec<String>,
    /// The title of the curves; a second line is written smaller.
    pub title: String,
    /// The facts in the report, in its order.
    pub facts: Vec<(String, String)>,
    /// `config.json`: every option under its name, with a value that the command line takes, and what it was given for.
    pub config: Map<String, Value>,
    /// Where the run is kept, how long it is, and whether it prints.
    pub options: RunOptions,
}

impl RunDescription {
    /// Adds to a command's own title, facts and options what `compare` and `cifar` say alike. `optimizer` is without its learning
    /// rate, and `dataset` is the name of the published one.
    pub fn completed(
        mut self,
        optimizer: &str,
        dataset: &str,
        devices: &[Device],
        data: DataUsed,
        ranks: Option<&Distributed>,
    ) -> Self {
        let RunOptions { seed, lr, batch_size, graph, .. } = self.options;
        let signature = Signature::of_devices(devices);
        let size = ranks.map(Distributed::size);
        let batch_size =
            size.map_or(batch_size.to_string(), |size| format!("{batch_size} on each of {size} processes"));
        let deterministic = self.options.common.deterministic;
        let kernels = if deterministic { "deterministic ones only" } else { "those that PyTorch takes" };
        self.title += &format!(
            "\nseed {seed}, batch size {batch_size}, {optimizer}, learning rate {lr}, {}",
            signature.device
        );
        let mut chosen = vec![
            ("seed", seed.to_string()),
            ("optimizer", format!("{optimizer}, learning rate {lr}")),
            ("batch size", batch_size),
            ("training images", data.train_examples.to_string()),
            ("test images", data.test_examples.to_string()),
            ("kernels", kernels.to_owned()),
            ("data", data.origin(dataset)),
        ];
        chosen.extend(graph.then(|| ("steps", "recorded once and then repeated".to_owned())));
        self.facts.extend(facts(chosen, &signature));
        let found = to_json(&json!({
            "recipe": self.recipe,
            "variants": self.variants,
            "device": resumed_config::device(&signature.device, ranks.is_some()),
            "threads": signature.threads,
            "d2l_ch7": env!("CARGO_PKG_VERSION"),
            "signature": signature,
        }));
        self.config.extend([to_json(&data), found].into_iter().flatten());
        self.config.extend(size.map(|size| ("ranks".to_owned(), size.into())));
        self
    }
}

/// A command's options by name.
pub fn to_json(options: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(options) {
        Ok(Value::Object(options)) => options,
        other => unreachable!("options are plain fields with names: {other:?}"),
    }
}

/// The facts of a report: what was `chosen`, and the machine and libraries that decide the bits.
pub fn facts(chosen: Vec<(&str, String)>, signature: &Signature) -> Vec<(String, String)> {
    let machine = [
        ("device", signature.device.clone()),
        ("processor", format!("{}, kernels for {}", torch::processor_name(), signature.cpu_capability)),
        ("libtorch", signature.torch.clone()),
        ("threads", signature.threads.to_string()),
    ];
    let facts = chosen.into_iter().chain(machine).map(|(key, value)| (key.to_owned(), value));
    facts.chain(signature.cuda.clone()).chain(signature.environment.clone()).collect()
}
