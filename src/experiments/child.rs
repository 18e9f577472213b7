//! A child process of this program that trains in a run directory of its own, for commands that train many networks.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::options::CommonOptions;
use crate::report::{METRICS, read_metrics};
use crate::{EpochRecord, Error, Result, interrupt};

/// The file that the processes lock, in the folder of their directories.
pub(super) const LOCK: &str = ".lock";

/// How long the processes of a command that was killed may still write.
const ORPHANS: Duration = Duration::from_secs(15);

/// A process that trains. Dropping it ends the process, which first saves a checkpoint.
#[derive(Debug)]
pub(super) struct Child {
    /// What errors call it.
    name: String,
    dir: PathBuf,
    process: process::Child,
    stderr: File,
}

/// Every epoch that is in a run directory; none if it cannot be read.
pub(super) fn records(dir: &Path) -> Vec<EpochRecord> {
    read_metrics(&dir.join(METRICS)).unwrap_or_default()
}

/// Whether the last epoch's loss is not finite, for which a run ends.
pub(super) fn has_diverged(records: &[EpochRecord]) -> bool {
    records.last().is_some_and(|record| !record.train_loss.is_finite())
}

impl Child {
    /// Starts this program with [`arguments`]. It creates the run directory `dir`, or resumes what is there, and holds the `lock`.
    /// Errors begin with `name`.
    ///
    /// # Errors
    /// If no process can be started.
    pub fn start(name: String, arguments: Vec<OsString>, dir: PathBuf, lock: &File) -> Result<Self> {
        let begin = || -> io::Result<_> {
            let stderr = tempfile::tempfile()?;
            let mut command = Command::new(env::current_exe()?);
            command.args(arguments).arg(if dir.exists() { "--resume" } else { "--out" }).arg(&dir);
            command.env(interrupt::ENDS_WITH_STDIN, "1").stdin(Stdio::piped());
            let process = command.stdout(lock.try_clone()?).stderr(stderr.try_clone()?).spawn()?;
            Ok((process, stderr))
        };
        let (process, stderr) = begin().map_err(|e| {
            Error::failed(format!("{name}: its process cannot be started: {e}"), "free memory")
        })?;
        Ok(Self { name, dir, process, stderr })
    }

    /// How the process ended, once it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.process.try_wait().map_err(|e| {
            Error::failed(format!("{}: its process is lost: {e}", self.name), "please report this")
        })
    }

    /// The epochs of a process that ended with `status`.
    ///
    /// # Errors
    /// If it ended for another reason than these: it had all epochs, its loss was not finite, it was [asked to](Self::ask_to_end).
    pub fn outcome(mut self, status: ExitStatus) -> Result<Vec<EpochRecord>> {
        let records = self.records();
        if status.success() || has_diverged(&records) || self.process.stdin.is_none() {
            return Ok(records);
        }
        let mut said = String::new();
        // What cannot be read is left out.
        let _ = self.stderr.rewind().and_then(|()| self.stderr.read_to_string(&mut said));
        let line = |prefix: &str| said.lines().rev().find_map(|line| line.strip_prefix(prefix));
        let what = line("error: ").map_or_else(|| format!("its process ended with {status}"), str::to_owned);
        let remedy = line("help: ").unwrap_or("look whether something ended it, such as a lack of memory");
        Err(Error::failed(format!("{}: {what}", self.name), remedy))
    }

    /// The epochs that it has so far.
    pub fn records(&self) -> Vec<EpochRecord> {
        records(&self.dir)
    }

    /// The most bytes of main memory that it had at a time; `None` once it has ended, and where the system does not say.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"))?;
        kibibytes.trim().parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
    }

    /// Asks the process to end at its next batch.
    pub fn ask_to_end(&mut self) {
        drop(self.process.stdin.take());
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.ask_to_end();
        // It has ended, or ends soon.
        let _ = self.process.wait();
    }
}

/// The command line of a `command` that trains, quietly: its own `options` by name, which the command chooses where they are `None`,
/// and the `common` ones. Directories are left out.
pub(super) fn arguments(
    command: &str,
    options: &[(&str, Option<String>)],
    common: &CommonOptions,
) -> Vec<OsString> {
    let count = |count: Option<usize>| count.map(|count| count.to_string());
    let counts = [("threads", count(common.threads)), ("test-examples", count(common.test_examples))];
    let given = options.iter().chain(&counts);
    let given = given.filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?)));
    let switches = [("--deterministic", common.deterministic), ("--eager", common.eager), ("--quiet", true)];
    let switches = switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| name.to_owned());
    let words = [command.to_owned()].into_iter().chain(given).chain(switches).map(OsString::from);
    let data_dir = common.data_dir.iter().flat_map(|folder| ["--data-dir".into(), folder.into()]);
    words.chain(data_dir).collect()
}

/// Locks the `folder` of the processes' directories, in which it makes a file for that. The processes hold the lock too, as their
/// standard output: so a resumed `command` waits here until those of a killed one have ended.
pub(super) fn lock(folder: &Path, command: &str) -> Result<File> {
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
                    format!("processes of an earlier {command} still write in {}", folder.display()),
                    "wait until they have ended, or end them",
                ));
            }
            Err(TryLockError::WouldBlock) => sleep(Duration::from_millis(50)),
            // Some network file systems lock nothing.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}
