//! The run directory while a run goes on: after every epoch of a variant, all its files say what is known.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use tch::Tensor;

use super::description::RunDescription;
use super::options::RunOptions;
use super::resumed_config;
use super::saved::Saved;
use crate::checkpoint::Checkpoint;
use crate::distributed::Distributed;
use crate::report::{
    CURVES, Inspection, METRICS, RANKS, REPORT, Report, RunDir, STATISTICS, SYNCHRONIZED, Synchronization,
    draw_curves, read_rows, render_ranks, write_rows,
};
use crate::{EpochRecord, Error, RankRecord, Result, StatisticsRecord, interrupt, output, weights};

/// Where a variant's checkpoint is, in the run directory.
fn checkpoint_name(variant: &str) -> String {
    format!("checkpoints/{variant}.safetensors")
}

/// A section of `report.md` below the comparison, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The speed of several processes.
    Ranks,
    /// The statistics of synchronized batch norms.
    Synchronization,
    /// The findings of `--inspect`.
    Inspection,
    /// What `--amp` and `--channels-last` change.
    Numerics,
}

/// Files and lines of a run that goes on. Of several processes, rank 0 alone has them.
#[derive(Debug)]
pub struct RunLog<'a> {
    run: RunDescription,
    ranks: Option<&'a Distributed<'a>>,
    dir: Option<RunDir>,
    records: Vec<EpochRecord>,
    rank_records: Vec<RankRecord>,
    statistics: Vec<StatisticsRecord>,
    sections: BTreeMap<Section, String>,
}

impl<'a> RunLog<'a> {
    /// Creates the run directory, with `config.json` in it; or opens the one that it resumes.
    ///
    /// # Errors
    /// If the directory cannot be made or written, or if it is not one of a run of the same configuration.
    pub fn begin(mut run: RunDescription, ranks: Option<&'a Distributed<'a>>) -> Result<Self> {
        if let Some(ranks) = ranks {
            go_on_if_restarted(&mut run.options, ranks)?;
        }
        let writes = ranks.is_none_or(Distributed::is_first);
        let RunOptions { resume, out, .. } = &run.options;
        let open = || resumed_config::open(resume.as_deref(), out.as_deref(), run.recipe, &run.config);
        let dir = writes.then(open).transpose()?;
        let (records, rank_records, statistics) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { run, ranks, dir, records, rank_records, statistics, sections: BTreeMap::new() })
    }

    /// A variant's last checkpoint, if the run is resumed and has one. Warns where results without one will be replaced.
    ///
    /// # Errors
    /// If it is damaged, or not one of this program.
    pub fn checkpoint(&self, variant: &str) -> Result<Option<(Checkpoint, Saved)>> {
        let path = self.dir.as_ref().map(|dir| dir.path().join(checkpoint_name(variant)));
        let path = path.filter(|path| path.exists());
        if let (Some(dir), None) = (&self.dir, &path)
            && dir.weights_path(variant).exists()
        {
            let dir = dir.path().display();
            output::complain(format_args!(
                "warning: {dir} has no checkpoint of {variant}, which is trained anew"
            ));
        }
        let Some(ranks) = self.ranks else { return path.map(|path| Checkpoint::load(&path)).transpose() };
        // Other ranks may be on machines that do not have the directory.
        let bytes = path.map(|path| Checkpoint::read_bytes(&path)).transpose()?;
        let bytes = ranks.group().broadcast_bytes(bytes)?;
        bytes
            .map(|bytes| Checkpoint::decode(&bytes, &format!("rank 0's {}", checkpoint_name(variant))))
            .transpose()
    }

    /// Replaces a variant's checkpoint: the old one stays until the new one is on the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save_checkpoint(&self, variant: &str, checkpoint: &Checkpoint) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        checkpoint.save(&dir.path().join(checkpoint_name(variant)))
    }

    /// Takes over the epochs that a resumed run has finished, variant by variant.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn resumed(&mut self, mut records: Vec<EpochRecord>) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        // As they were trained: the variants took turns.
        records.sort_by_key(|record| record.epoch);
        self.records = records;
        let Some(dir) = &self.dir else { return Ok(()) };
        self.rank_records = read_rows(dir, RANKS)?;
        self.statistics = read_rows(dir, STATISTICS)?;
        if !self.statistics.is_empty() {
            let statistics = self.statistics.clone();
            let found = Inspection { statistics, ..Inspection::default() };
            self.sections.insert(Section::Inspection, found.render());
        }
        self.write_files()
    }

    /// Adds a finished epoch and the weights after it: brings every file up to date, then the `checkpoint`, and prints the
    /// epoch's line.
    ///
    /// # Errors
    /// What `checkpoint` gives; if a file cannot be written, or if the loss is not finite: the files then hold this epoch, and
    /// the checkpoint is that of the one before.
    pub fn add(
        &mut self,
        record: EpochRecord,
        rank_rows: Vec<RankRecord>,
        state: &[(String, Tensor)],
        checkpoint: impl FnOnce() -> Result<Checkpoint>,
    ) -> Result<()> {
        let (variant, is_sound) = (record.variant.clone(), record.train_loss.is_finite());
        if let Some(dir) = &self.dir {
            weights::save(&dir.weights_path(&record.variant), state)?;
        }
        // An epoch that was finished without its checkpoint is trained again when a run is resumed.
        self.rank_records.retain(|row| (&row.variant, row.epoch) != (&record.variant, record.epoch));
        self.rank_records.extend(rank_rows);
        self.records.push(record);
        self.write_files()?;
        // Last of all: a run that goes on from it finds every file of its epochs.
        if is_sound {
            self.save_checkpoint(&variant, &checkpoint()?)?;
        }
        self.print(self.report().last_lines());
        self.check_last_loss()
    }

    fn write_files(&mut self) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        write_rows(dir, METRICS, &self.records)?;
        if !self.rank_records.is_empty() {
            write_rows(dir, RANKS, &self.rank_records)?;
            self.sections.insert(Section::Ranks, render_ranks(&self.run.variants, &self.rank_records));
        }
        self.write(CURVES, &draw_curves(&self.report())?)?;
        self.write_report()
    }

    fn write_report(&self) -> Result<()> {
        let sections: String = self.sections.values().map(String::as_str).collect();
        self.write(REPORT, (self.report().render() + &sections).as_bytes())
    }

    fn report(&self) -> Report<'_> {
        let RunDescription { recipe, title, variants, facts, options, .. } = &self.run;
        Report { recipe, title, facts, variants, records: &self.records, epochs: options.epochs }
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        dir.write_atomically(name, |file| file.write_all(content))
    }

    /// Adds a section to the report, or replaces it.
    ///
    /// # Errors
    /// If the report cannot be written.
    pub fn set_section(&mut self, section: Section, text: String) -> Result<()> {
        self.sections.insert(section, text);
        self.write_report()
    }

    /// Adds what a look into the networks found after an epoch, to the report, `statistics.csv` and the screen.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn inspected(&mut self, mut found: Inspection) -> Result<()> {
        self.print(found.lines());
        // A resumed run looks again after the epoch that it goes on from.
        self.statistics.retain(|row| row.epoch < found.epoch);
        self.statistics.append(&mut found.statistics);
        found.statistics.clone_from(&self.statistics);
        if let Some(dir) = &self.dir {
            write_rows(dir, STATISTICS, &self.statistics)?;
        }
        self.set_section(Section::Inspection, found.render())
    }

    /// Sets the statistics of synchronized batch norms beside each process's own, in the report and in a picture.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn synchronized(&mut self, found: &Synchronization) -> Result<()> {
        if self.dir.is_some() {
            self.write(SYNCHRONIZED, &found.draw()?)?;
        }
        self.set_section(Section::Synchronization, found.render())
    }

    /// Prints these lines, unless the run is quiet or another process prints.
    fn print(&self, lines: impl IntoIterator<Item = String>) {
        if !self.run.options.quiet && self.dir.is_some() {
            lines.into_iter().for_each(output::say);
        }
    }

    fn check_last_loss(&self) -> Result<()> {
        let Some(EpochRecord { variant, train_loss, epoch, .. }) =
            self.records.last().filter(|last| !last.train_loss.is_finite())
        else {
            return Ok(());
        };
        let left = self.dir.as_ref().map_or_else(String::new, |dir| {
            format!("; what was trained until then is in {}", dir.path().display())
        });
        Err(Error::failed(
            format!("{variant}: the training loss became {train_loss} in epoch {epoch}"),
            format!("try a smaller --lr{left}"),
        ))
    }

    /// The error that says where an interrupted run's files are.
    pub fn interrupted(&self) -> Error {
        let what =
            format!("interrupted after {} finished epochs, counted over all variants", self.records.len());
        let Some(dir) = &self.dir else {
            return interrupt::error(what, "the same command with --resume goes on from the last checkpoint");
        };
        let dir = dir.path().display();
        let remedy = format!("what they gave is in {dir}; `d2l_ch7 --resume {dir}` goes on");
        interrupt::error(what, remedy)
    }

    /// Ends the run: says where its files are, if this process wrote them.
    pub fn finish(self) -> Option<PathBuf> {
        self.dir.map(|dir| dir.path().to_owned())
    }
}

/// A launcher that starts a job anew gives it the same command line: what it left in `--out` is then gone on with.
fn go_on_if_restarted(options: &mut RunOptions, ranks: &Distributed) -> Result<()> {
    if ranks.launch().max_restarts > 0 && options.out.is_none() && options.resume.is_none() {
        return Err(Error::usage(
            "a job that torchrun may restart must know its directory",
            "give --out DIR beside --max-restarts: a restarted job goes on with what it finds there",
        ));
    }
    if ranks.launch().restarts > 0 && options.out.as_ref().is_some_and(|out| out.exists()) {
        options.resume = options.out.take();
    }
    Ok(())
}
