//! The run directory while a run goes on: after every epoch of a variant, all its files say what is known.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;
use tch::Tensor;

use crate::report::{
    CURVES, Console, Curves, Inspection, REPORT, Report, RunDir, draw_curves, write_metrics, write_statistics,
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

/// Files and lines of a run that goes on.
#[derive(Debug)]
pub struct RunLog {
    plan: RunPlan,
    dir: RunDir,
    console: Console,
    records: Vec<EpochRecord>,
    inspection: Option<Inspection>,
}

impl RunLog {
    /// Creates the run directory, with `config.json` in it.
    pub fn create(plan: RunPlan) -> Result<Self> {
        let dir = RunDir::create(plan.out.as_deref(), plan.name)?;
        dir.write_atomically("config.json", |file| Ok(serde_json::to_writer_pretty(file, &plan.config)?))?;
        let console = Console::new(&plan.variants, plan.epochs);
        Ok(Self { plan, dir, console, records: Vec::new(), inspection: None })
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
        let report = report + &inspection;
        self.dir.write_atomically(REPORT, |file| file.write_all(report.as_bytes()))
    }

    /// Adds what a look into the networks found after an epoch, to the report, `statistics.csv` and the screen.
    pub fn inspected(&mut self, found: Inspection) -> Result<()> {
        if !self.plan.quiet {
            found.lines().for_each(|line| println!("{line}"));
        }
        let inspection = self.inspection.get_or_insert_default();
        inspection.extend(found);
        write_statistics(&self.dir, &inspection.statistics)?;
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
        let epochs = self.records.len();
        Error::interrupted(
            format!("interrupted after {epochs} finished epochs, counted over all variants"),
            format!("what they gave is in {}", self.dir.path().display()),
        )
    }

    /// Ends the run: says where its files are.
    pub fn finish(self) -> PathBuf {
        self.dir.path().to_owned()
    }
}
