//! The directory of one run, and files that appear in it whole or not at all.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::format_description;

use crate::{Error, Result, whole_file};

/// The folder of run directories, in the current directory, unless a run is given its own.
pub const REPORTS: &str = "reports";

/// The directory of one run: `config.json`, `metrics.csv`, `curves.png`, `report.md` and `weights/`. It is locked: no other
/// process can open it as one.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// `None` where directories cannot be locked.
    _locked: Option<File>,
}

impl RunDir {
    /// Makes a new, empty directory: `out`, or `reports/<recipe>-<UTC time>` (such as `book-20260102-153045`, with
    /// `-2` behind it if that is taken). Parents are made too.
    ///
    /// # Errors
    /// A usage error if `out` exists, whatever it is; a failure if it cannot be made. Neither leaves anything behind.
    pub fn create(out: Option<&Path>, recipe: &str) -> Result<Self> {
        let Some(out) = out else {
            return Self::create_dated(Path::new(REPORTS), recipe, OffsetDateTime::now_utc());
        };
        match create_new_dir(out) {
            Ok(()) => Self::locked(out.to_owned()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(Error::usage(
                format!("{} exists, and a run writes over nothing", out.display()),
                format!("give --out a new name, or leave it out to get a new directory under {REPORTS}/"),
            )),
            Err(e) => Err(cannot_create(out, &e)),
        }
    }

    /// Opens the directory of an earlier run.
    ///
    /// # Errors
    /// If `path` is not a directory, or if another process has it open.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let what = format!("{} is not the directory of a run", path.display());
            return Err(Error::usage(what, format!("name a directory that a run left, under {REPORTS}/")));
        }
        Self::locked(path.to_owned())
    }

    /// The directory at `path`, locked until this process ends: two that write one run would mix their epochs.
    fn locked(path: PathBuf) -> Result<Self> {
        let directory = File::open(&path).ok();
        match directory.as_ref().map(File::try_lock) {
            Some(Err(TryLockError::WouldBlock)) => Err(Error::failed(
                format!("another process is writing the run in {}", path.display()),
                "wait until it has finished, or end it and resume then",
            )),
            Some(Ok(())) => Ok(Self { path, _locked: directory }),
            // Some systems and network file systems lock no directories.
            Some(Err(TryLockError::Error(_))) | None => Ok(Self { path, _locked: None }),
        }
    }

    /// Removes the unfinished files of killed processes.
    pub fn sweep(&self) {
        whole_file::sweep(&self.path);
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            whole_file::sweep(&entry.path());
        }
    }

    /// Whether it is empty; unfinished files of killed processes do not count.
    pub fn is_empty(&self) -> bool {
        whole_file::is_empty_but_for_unfinished(&self.path)
    }

    fn create_dated(reports: &Path, recipe: &str, now: OffsetDateTime) -> Result<Self> {
        let name = format!("{recipe}-{}", timestamp(now));
        for attempt in 1.. {
            let suffix = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let path = reports.join(format!("{name}{suffix}"));
            match create_new_dir(&path) {
                Ok(()) => return Self::locked(path),
                // `reports` itself may be the file that exists; only a taken name is worth another try.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && reports.is_dir() => {}
                Err(e) => return Err(cannot_create(&path, &e)),
            }
        }
        unreachable!("the loop above has no end but a return")
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `weights/<variant>.safetensors`, for [`weights::save`](crate::weights::save).
    pub fn weights_path(&self, variant: &str) -> PathBuf {
        self.path.join("weights").join(format!("{variant}.safetensors"))
    }

    /// Replaces the file `name` (relative to the directory, folders in it are made) by what `write` writes. Readers
    /// see the old file or the new one, never a part; on an error the old one stays.
    ///
    /// # Errors
    /// What `write` gives, or if the file cannot be written or named.
    pub fn write_atomically<F>(&self, name: &str, write: F) -> Result<()>
    where
        F: FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    {
        let path = self.path.join(name);
        whole_file::write(&path, write).map_err(|e| whole_file::cannot_write(&path, e))
    }
}

/// `20260102-153045`: sorts as time does, and is a file name everywhere.
fn timestamp(now: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]-[hour][minute][second]");
    now.format(format).expect("a date and a time have all of these")
}

/// Makes `path`, which must not exist, and its parents; if that fails, takes the parents away again that it made.
fn create_new_dir(path: &Path) -> io::Result<()> {
    let missing = path.parent().map(whole_file::missing).unwrap_or_default();
    let parents = missing.first().map_or(Ok(()), fs::create_dir_all);
    // `create_dir`, not `create_dir_all`: that one is content with a directory that exists.
    parents.and_then(|()| fs::create_dir(path)).inspect_err(|_| {
        for parent in &missing {
            // Best effort; the error to report is the first one. `remove_dir` spares what is not empty.
            let _ = fs::remove_dir(parent);
        }
    })?;
    whole_file::sync_parents(&[&[path], missing.as_slice()].concat())
}

fn cannot_create(path: &Path, e: &io::Error) -> Error {
    Error::failed(
        format!("cannot make the directory {}: {e}", path.display()),
        "name with --out a directory that does not exist yet, in a folder that you may write to",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whole_file::tests::names;

    #[test]
    fn a_dated_directory_is_always_new() {
        let folder = tempfile::tempdir().unwrap();
        let reports = folder.path().join("reports");
        let now = OffsetDateTime::from_unix_timestamp(1_767_367_845).unwrap();
        for _ in 0..3 {
            RunDir::create_dated(&reports, "book", now).unwrap();
        }
        assert_eq!(
            names(&reports),
            ["book-20260102-153045", "book-20260102-153045-2", "book-20260102-153045-3"]
        );

        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(RunDir::create_dated(&file, "book", now).unwrap_err().exit_code(), 1);
    }

    #[test]
    fn one_at_a_time_writes_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let run = RunDir::create(Some(&out), "book").unwrap();
        let error = RunDir::open(&out).unwrap_err();
        assert!(error.to_string().contains("another process is writing the run"), "{error}");
        drop(run);
        let run = RunDir::open(&out).unwrap();
        assert!(RunDir::open(&out).is_err());
        drop(run);
    }

    #[test]
    fn out_must_be_new_and_its_parents_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("a/b/run");
        let run = RunDir::create(Some(&out), "book").unwrap();
        assert_eq!(run.path(), out);
        assert!(out.is_dir());

        let error = RunDir::create(Some(&out), "book").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("a/b/run exists"), "{error}");
    }

    #[test]
    fn out_that_cannot_be_made_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "kept").unwrap();
        assert_eq!(RunDir::create(Some(&file), "book").unwrap_err().exit_code(), 2);
        for out in [file.join("run"), file.join("a/run"), folder.path().join("a/b").join("x".repeat(4096))] {
            let error = RunDir::create(Some(&out), "book").unwrap_err();
            assert_eq!(error.exit_code(), 1, "{error}");
            assert!(!error.to_string().contains('\n') && !error.remedy().contains('\n'));
        }
        assert_eq!(names(folder.path()), ["file"]);
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    }

    /// A clock that stands still, or is set back to when another run began: nothing of that run is touched.
    #[test]
    fn a_clock_set_back_does_no_harm() {
        let reports = tempfile::tempdir().unwrap();
        let at = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let begin = |seconds, text: &str| {
            let run = RunDir::create_dated(reports.path(), "book", at(seconds)).unwrap();
            assert_eq!(fs::read_dir(run.path()).unwrap().count(), 0, "a new directory");
            run.write_atomically("a.txt", |file| io::Write::write_all(file, text.as_bytes())).unwrap();
            run
        };
        // As `OffsetDateTime` has no later and no earlier year: those before 0 sort badly, no more.
        let clock = [1_767_367_845, 253_402_300_799, 1_767_367_845, 0, 1_767_367_844, 0, -377_705_116_800];
        let runs = clock.map(|seconds| (seconds, begin(seconds, &seconds.to_string())));
        for (seconds, run) in runs {
            assert_eq!(fs::read_to_string(run.path().join("a.txt")).unwrap(), seconds.to_string());
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(Some(&folder.path().join("run")), "book").unwrap();
        let full = run.write_atomically("a.txt", |_| Err(io::Error::other("disk full"))).unwrap_err();
        assert!(full.to_string().contains("a.txt: disk full"), "{full}");
        // Someone took the directory away.
        fs::remove_dir(run.path()).unwrap();
        fs::write(run.path(), "").unwrap();
        let gone = run.write_atomically("a.txt", |_| Ok(())).unwrap_err();
        assert!(gone.to_string().contains("run/a.txt: ") && !gone.to_string().contains('\n'), "{gone}");
    }
}
