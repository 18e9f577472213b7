//! The run directory while a run goes on: after every epoch of a variant, all its files say what is known.

use std::io::Write;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tch::Tensor;

use super::resumed_config;
use crate::checkpoint::Checkpoint;
use crate::report::{
    CURVES, Console, Curves, Inspection, NumericsEffect, REPORT, Report, RunDir, draw_curves,
    read_statistics, write_metrics, write_statistics,
};
use crate::torch::Signature;
use crate::{EpochRecord, Error, Result, weights};

/// What a run directory and its report say of a run before its first epoch.
#[derive(Debug)]
pub struct RunPlan {
    /// The recipe, which also begins the directory's name.
    pub name: &'static str,
    /// Above the curves; a second line is written smaller.
    pub title: String,
    /// In the order of the report.
    pub variants: Vec<String>,
    /// Epochs of each variant.
    pub epochs: usize,
    /// What the report tells of the run, in its order.
    pub facts: Vec<(String, String)>,
    /// `config.json`.
    pub config: Value,
    /// The directory to create; `None`: a new one under `reports/`.
    pub out: Option<PathBuf>,
    /// The directory of the run to go on with, instead of creating one.
    pub resume: Option<PathBuf>,
    /// Print nothing.
    pub quiet: bool,
}

/// What the report tells of a run: what was `chosen`, and what decides the bits beside it.
pub fn facts<const N: usize>(chosen: [(&str, String); N], signature: &Signature) -> Vec<(String, String)> {
    let machine = [
        ("device", signature.device.clone()),
        ("processor", format!("{}, kernels for {}", signature.cpu, signature.cpu_capability)),
        ("libtorch", signature.torch.clone()),
        ("threads", signature.threads.to_string()),
    ];
    chosen.into_iter().chain(machine).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// What the report says of the kernels that libtorch takes.
pub fn kernels(deterministic: bool) -> &'static str {
    if deterministic { "deterministic ones only" } else { "those that PyTorch takes by default" }
}

/// The file that says what was chosen.
pub(super) const CONFIG: &str = "config.json";

/// Where a variant's checkpoint is, in the run directory.
fn checkpoint_name(variant: &str) -> String {
    format!("checkpoints/{variant}.safetensors")
}

/// Files and lines of a run that goes on.
#[derive(Debug)]
pub struct RunLog {
    plan: RunPlan,
    dir: RunDir,
    console: Console,
    records: Vec<EpochRecord>,
    inspection: Option<Inspection>,
    numerics: Option<NumericsEffect>,
}

impl RunLog {
    /// Creates the run directory, with `config.json` in it; or opens the one that the plan resumes.
    ///
    /// # Errors
    /// If the directory cannot be made or written, or if it is not one of a run of the same configuration.
    pub fn begin(plan: RunPlan) -> Result<Self> {
        let dir = match &plan.resume {
            Some(path) => RunDir::open(path)?,
            None => RunDir::create(plan.out.as_deref(), plan.name)?,
        };
        if plan.resume.is_none() || resumed_config::check(&dir, &plan.config)?.is_new() {
            dir.write_atomically(CONFIG, |file| Ok(serde_json::to_writer_pretty(file, &plan.config)?))?;
        }
        dir.sweep();
        let console = Console::new(&plan.variants, plan.epochs);
        Ok(Self { plan, dir, console, records: Vec::new(), inspection: None, numerics: None })
    }

    /// A variant's last checkpoint, if the run is resumed and has one.
    ///
    /// # Errors
    /// If it is damaged, or not one of this program.
    pub fn checkpoint<S: DeserializeOwned>(&self, variant: &str) -> Result<Option<(Checkpoint, S)>> {
        let path = self.dir.path().join(checkpoint_name(variant));
        if path.exists() { Checkpoint::load(&path).map(Some) } else { Ok(None) }
    }

    /// Replaces a variant's checkpoint: the old one stays until the new one is on the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save_checkpoint(&self, variant: &str, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.save(&self.dir.path().join(checkpoint_name(variant)))
    }

    /// Takes over the epochs that a resumed run has finished.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn resumed(&mut self, records: Vec<EpochRecord>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.records = records;
        let statistics = read_statistics(&self.dir)?;
        if !statistics.is_empty() {
            self.inspection = Some(Inspection { statistics, ..Inspection::default() });
        }
        self.write_files()
    }

    /// Adds a finished epoch and the weights after it: brings every file up to date and prints the epoch's line.
    ///
    /// # Errors
    /// If a file cannot be written, or if the loss is not finite: the files then hold this epoch all the same.
    pub fn add(&mut self, record: EpochRecord, state: &[(String, Tensor)]) -> Result<()> {
        weights::save(&self.dir.weights_path(&record.variant), state)?;
        self.records.push(record);
        self.write_files()?;
        self.print_last();
        self.check_last_loss()
    }

    fn write_files(&self) -> Result<()> {
        let RunPlan { title, variants, epochs, .. } = &self.plan;
        let records = &self.records;
        write_metrics(&self.dir, records)?;
        let curves = draw_curves(&Curves { title, variants, records, epochs: *epochs })?;
        self.dir.write_atomically(CURVES, |file| file.write_all(&curves))?;
        self.write_report()
    }

    fn write_report(&self) -> Result<()> {
        let RunPlan { name, variants, epochs, facts, .. } = &self.plan;
        let report =
            Report { recipe: name, facts, variants, records: &self.records, epochs: *epochs }.render();
        let inspection = self.inspection.as_ref().map(Inspection::render).unwrap_or_default();
        let numerics = self.numerics.as_ref().map(NumericsEffect::render).unwrap_or_default();
        let report = report + &inspection + &numerics;
        self.dir.write_atomically(REPORT, |file| file.write_all(report.as_bytes()))
    }

    /// Adds what a look into the networks found after an epoch, to the report, `statistics.csv` and the screen.
    pub fn inspected(&mut self, found: Inspection) -> Result<()> {
        if !self.plan.quiet {
            found.lines().for_each(|line| println!("{line}"));
        }
        let inspection = self.inspection.get_or_insert_default();
        // A resumed run looks again after the epoch that it goes on from.
        inspection.statistics.retain(|row| row.epoch < found.epoch);
        inspection.extend(found);
        write_statistics(&self.dir, &inspection.statistics)?;
        self.write_report()
    }

    /// Says in the report what the numerics chosen change, as far as it is known.
    pub fn numerics_changed(&mut self, effect: NumericsEffect) -> Result<()> {
        if self.numerics.is_none() && !self.plan.quiet {
            println!("{}", effect.line());
        }
        self.numerics = Some(effect);
        self.write_report()
    }

    /// The line of the last record and, when it ends a round of two variants, the line of their difference.
    fn print_last(&self) {
        let Some(last) = self.records.last().filter(|_| !self.plan.quiet) else { return };
        println!("{}", self.console.epoch_line(last));
        if let ([_, second], [.., before, _]) = (self.plan.variants.as_slice(), self.records.as_slice())
            && last.variant == *second
        {
            println!("{}", self.console.difference_line(before, last));
        }
    }

    fn check_last_loss(&self) -> Result<()> {
        match self.records.last() {
            Some(last) if !last.train_loss.is_finite() => Err(Error::failed(
                format!(
                    "{}: the training loss became {} in epoch {}",
                    last.variant, last.train_loss, last.epoch
                ),
                format!(
                    "try a smaller --lr; what was trained until then is in {}",
                    self.dir.path().display()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The error that says where an interrupted run's files are.
    pub fn interrupted(&self) -> Error {
        let (epochs, dir) = (self.records.len(), self.dir.path().display());
        Error::interrupted(
            format!("interrupted after {epochs} finished epochs, counted over all variants"),
            format!("what they gave is in {dir}; the same command with --resume {dir} goes on"),
        )
    }

    /// Ends the run: says where its files are.
    pub fn finish(self) -> PathBuf {
        self.dir.path().to_owned()
    }
}
