//! The title, the facts and the `config.json` of a run before its first epoch, and the images that it takes.

use serde::Serialize;
use serde_json::{Map, Value, json};
use tch::Device;
use tch_extra::{self, Signature};

use super::options::{CommonOptions, RunOptions};
use super::resumed_config;
use crate::Result;
use crate::data::{DataSet, Images};
use crate::distributed::Distributed;

/// What identifies a set of images: another set gives other bits.
#[derive(Clone, Debug, Serialize)]
pub struct DataUsed {
    /// Training images.
    pub train_examples: usize,
    /// Test images.
    pub test_examples: usize,
    /// The absolute path of the folder that the user named, if it is UTF-8.
    data_dir: Option<String>,
    /// Whether all files are the published ones.
    data_is_published: bool,
    train_sha256: String,
    test_sha256: String,
}

impl DataUsed {
    /// The images of `data` that the options choose, to train on and to test on, and what identifies them.
    ///
    /// # Errors
    /// A usage error for more images than there are.
    pub fn of(
        data: DataSet,
        train_examples: Option<usize>,
        common: &CommonOptions,
    ) -> Result<([Images; 2], Self)> {
        let CommonOptions { test_examples, data_dir, .. } = common;
        data.train.check_limit(train_examples, "--train-examples")?;
        data.test.check_limit(*test_examples, "--test-examples")?;
        let named = data_dir.as_ref().and_then(|_| std::path::absolute(data.folder()).ok());
        let data_is_published = data.is_published();
        let (train, test) = (data.train.first(train_examples), data.test.first(*test_examples));
        let (train_sha256, test_sha256) = std::thread::scope(|scope| {
            let hashed = scope.spawn(|| test.sha256());
            (train.sha256(), hashed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let used = Self {
            train_examples: train.len(),
            test_examples: test.len(),
            data_dir: named.and_then(|folder| folder.into_os_string().into_string().ok()),
            data_is_published,
            train_sha256,
            test_sha256,
        };
        Ok(([train, test], used))
    }
}

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
        let published = format!("{dataset} as published");
        let origin = if data.data_is_published { published } else { "not the published files".to_owned() };
        let mut chosen = vec![
            ("seed", seed.to_string()),
            ("optimizer", format!("{optimizer}, learning rate {lr}")),
            ("batch size", batch_size),
            ("training images", data.train_examples.to_string()),
            ("test images", data.test_examples.to_string()),
            ("kernels", kernels.to_owned()),
            ("data", origin),
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
        ("processor", format!("{}, kernels for {}", tch_extra::processor_name(), signature.cpu_capability)),
        ("libtorch", signature.torch.clone()),
        ("threads", signature.threads.to_string()),
    ];
    let facts = chosen.into_iter().chain(machine).map(|(key, value)| (key.to_owned(), value));
    facts.chain(signature.cuda.clone()).chain(signature.environment.clone()).collect()
}
