//! A cell in training: a child process that runs `d2l_ch7 compare`, with a run directory of its own.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Sweep;
use crate::report::{METRICS, read_metrics, short};
use crate::{CellRecord, EpochRecord, Error, Result, interrupt};

/// The file in the folder of the cells that their processes lock.
pub(super) const LOCK: &str = ".lock";

/// How long the processes of a sweep that was killed may still write.
const ORPHANS: Duration = Duration::from_secs(15);

/// A cell in training. Dropping it ends the process, which first saves a checkpoint.
#[derive(Debug)]
pub(super) struct Running {
    /// Its number in the grid.
    pub number: usize,
    name: String,
    dir: PathBuf,
    child: Child,
    stderr: File,
}

/// The name of a cell's directory: `book-none-lr0.1-batch64-seed0`.
pub(super) fn name(cell: &CellRecord) -> String {
    let CellRecord { recipe, variant, lr, batch_size, seed, .. } = cell;
    format!("{recipe}-{variant}-lr{}-batch{batch_size}-seed{seed}", short(*lr))
}

/// Every epoch that is in a cell's directory; none if it cannot be read.
pub(super) fn records(dir: &Path) -> Vec<EpochRecord> {
    read_metrics(&dir.join(METRICS)).unwrap_or_default()
}

/// Whether the last epoch's loss is not finite, for which `compare` ends a run.
pub(super) fn has_diverged(records: &[EpochRecord]) -> bool {
    records.last().is_some_and(|record| !record.train_loss.is_finite())
}

impl Running {
    /// Starts or resumes the training of a cell in `dir`, by a process that holds the `lock`.
    ///
    /// # Errors
    /// If no process can be started.
    pub fn start(sweep: &Sweep, number: usize, cell: &CellRecord, dir: PathBuf, lock: &File) -> Result<Self> {
        let name = name(cell);
        let begin = || {
            let stderr = tempfile::tempfile()?;
            let mut command = Command::new(env::current_exe()?);
            command
                .args(arguments(sweep, cell))
                .arg(if dir.exists() { "--resume" } else { "--out" })
                .arg(&dir);
            if let Some(data_dir) = &sweep.common.data_dir {
                command.arg("--data-dir").arg(data_dir);
            }
            command.env(interrupt::ENDS_WITH_STDIN, "1").stdin(Stdio::piped());
            let child = command.stdout(lock.try_clone()?).stderr(stderr.try_clone()?).spawn()?;
            Ok((child, stderr))
        };
        let (child, stderr) = begin().map_err(|e: io::Error| {
            Error::failed(
                format!("cell {name}: its process cannot be started: {e}"),
                "give fewer --jobs, or free memory",
            )
        })?;
        Ok(Self { number, name, dir, child, stderr })
    }

    /// How the process ended, once it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(|e| {
            Error::failed(format!("cell {}: its process is lost: {e}", self.name), "please report this")
        })
    }

    /// The epochs of a cell whose process ended with `status`.
    ///
    /// # Errors
    /// If it ended neither because it had all epochs nor because its loss was not finite.
    pub fn outcome(mut self, status: ExitStatus) -> Result<Vec<EpochRecord>> {
        let records = records(&self.dir);
        if status.success() || has_diverged(&records) {
            return Ok(records);
        }
        let mut said = String::new();
        // What cannot be read is left out.
        let _ = self.stderr.rewind().and_then(|()| self.stderr.read_to_string(&mut said));
        let line = |prefix: &str| said.lines().rev().find_map(|line| line.strip_prefix(prefix));
        let what = line("error: ").map_or_else(|| format!("its process ended with {status}"), str::to_owned);
        let remedy = line("help: ").unwrap_or("look whether something ended it, such as a lack of memory");
        Err(Error::failed(format!("cell {}: {what}", self.name), remedy))
    }

    /// The epochs that it has so far.
    pub fn epochs(&self) -> usize {
        records(&self.dir).len()
    }

    /// Asks the process to end at its next batch.
    pub fn ask_to_end(&mut self) {
        drop(self.child.stdin.take());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ask_to_end();
        // It has ended, or ends soon.
        let _ = self.child.wait();
    }
}

/// The command line of `d2l_ch7 compare` for a cell, without directories.
fn arguments(sweep: &Sweep, cell: &CellRecord) -> Vec<String> {
    let options = &sweep.common;
    let given = [
        ("recipe", Some(cell.recipe.clone())),
        ("variants", Some(cell.variant.clone())),
        ("lr", Some(cell.lr.to_string())),
        ("batch-size", Some(cell.batch_size.to_string())),
        ("seed", Some(cell.seed.to_string())),
        ("epochs", Some(sweep.epochs_of(cell).to_string())),
        ("device", Some(tch_extra::Signature::of(sweep.device).device)),
        ("threads", options.threads.map(|threads| threads.to_string())),
        ("train-examples", sweep.train_examples.map(|count| count.to_string())),
        ("test-examples", options.test_examples.map(|count| count.to_string())),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?)));
    let switches =
        [("--deterministic", options.deterministic), ("--eager", options.eager), ("--quiet", true)];
    let switches = switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| name.to_owned());
    ["compare".to_owned()].into_iter().chain(given).chain(switches).collect()
}

/// Locks the `folder` of the cells, in which it makes a file for that. The processes of the cells hold the lock too, as their standard
/// output: so a resumed sweep waits here until those of a killed one have ended.
pub(super) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let file = fs::create_dir_all(folder).and_then(|()| File::create(&path)).map_err(|e| {
        let what = format!("cannot write {}: {e}", path.display());
        Error::failed(what, "make room there, or name another directory with --out")
    })?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() > ORPHANS => {
                return Err(Error::failed(
                    format!("processes of an earlier sweep still write in {}", folder.display()),
                    "wait until they have ended, or end them",
                ));
            }
            Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(50)),
            // Some network file systems lock nothing.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}
