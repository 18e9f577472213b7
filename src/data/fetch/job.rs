//! One fetching: what is wanted and where to, how an attempt ends, and what is shared by the ways of fetching.

use std::fmt::Display;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempPath;

use crate::error::{Error, Result};
use crate::interrupt;
use crate::whole_file;

/// No file that is fetched is larger, in bytes.
pub(super) const MAX_BYTES: u64 = 1 << 30;

/// The file that is locked, in the folder of the cache; it stays, since removing it would be a race.
pub(super) const LOCK: &str = ".lock";

/// What to do if the cache cannot be written.
pub(super) const ANOTHER_CACHE: &str =
    "name a writable one with XDG_CACHE_HOME, or a folder that holds the data with --data-dir";

/// How one way of fetching went.
pub(super) type Attempt<T = ()> = Result<T, Failure>;

/// Why one way of fetching brought nothing.
pub(super) enum Failure {
    /// This origin is no good, for a reason of one line; the next one may be.
    Origin(String),
    /// No origin would be better: the cache cannot be written, or the user wants no more.
    End(Error),
}

impl<T: Into<String>> From<T> for Failure {
    fn from(reason: T) -> Self {
        Self::Origin(reason.into())
    }
}

impl Failure {
    /// Says which origin it was.
    pub fn at(self, origin: &str) -> Self {
        match self {
            Self::Origin(reason) => Self::Origin(format!("{origin}: {reason}")),
            end @ Self::End(_) => end,
        }
    }
}

/// What to fetch, and how to know it.
pub(crate) struct Wanted<'a> {
    /// The data set's name, for messages.
    pub dataset: &'a str,
    /// Names of the files that the folder lacks, as every origin has them.
    pub missing: &'a dyn Fn(&Path) -> Vec<String>,
    /// Says in one line why the file at the path is not the named one as it was published.
    pub check: &'a dyn Fn(&str, &Path) -> Result<(), String>,
}

/// One fetching.
pub(super) struct Job<'a> {
    pub wanted: &'a Wanted<'a>,
    /// The folder of the cache.
    pub into: &'a Path,
    /// Draw bars if standard error is a terminal.
    pub progress: bool,
    /// Whether the user wants no more.
    pub stop: fn() -> bool,
}

impl Job<'_> {
    /// The wanted files that are not there yet.
    pub fn missing(&self) -> Vec<String> {
        (self.wanted.missing)(self.into)
    }

    /// Gives a file its name, once it is checked and on the disk; else it vanishes.
    pub fn keep(&self, name: &str, file: TempPath) -> Attempt {
        (self.wanted.check)(name, &file)?;
        self.keep_checked(name, file)
    }

    /// As [`keep`](Self::keep), for a file that was checked.
    pub fn keep_checked(&self, name: &str, file: TempPath) -> Attempt {
        let path = self.into.join(name);
        whole_file::keep(file, &path).map_err(|e| cannot_write(&path, e))
    }

    /// Ends the fetching if the user wants no more.
    pub fn go_on(&self) -> Attempt {
        if !(self.stop)() {
            return Ok(());
        }
        Err(Failure::End(interrupt::error(
            format!("interrupted while {} was fetched", self.wanted.dataset),
            "run again: what is there is kept, and the download goes on from where it was",
        )))
    }

    /// Asks again and again until there is an answer, or until the user wants no more.
    pub fn wait<T>(&self, mut answer: impl FnMut() -> Attempt<Option<T>>) -> Attempt<T> {
        loop {
            self.go_on()?;
            if let Some(answer) = answer()? {
                return Ok(answer);
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Locks the cache until the file is dropped or the process ends, however it ends: one process at a time fetches into a
    /// cache; another one waits, and then finds the files.
    pub fn lock(&self) -> Attempt<File> {
        let cannot_lock = |e: std::io::Error| {
            let what = format!("cannot write to the cache folder {}: {LOCK}: {e}", self.into.display());
            Failure::End(Error::failed(what, ANOTHER_CACHE))
        };
        let file = File::options().create(true).write(true).truncate(false).open(self.into.join(LOCK));
        let file = file.map_err(cannot_lock)?;
        let mut waiting = None;
        self.wait(|| match file.try_lock() {
            Ok(()) => Ok(Some(())),
            Err(TryLockError::Error(e)) => Err(cannot_lock(e)),
            Err(TryLockError::WouldBlock) => {
                let message = || format!("another process fetches {}: waiting for it", self.wanted.dataset);
                waiting.get_or_insert_with(|| self.bar(None, &message())).tick();
                Ok(None)
            }
        })?;
        Ok(file)
    }

    /// Removes the parts of files in the cache, which nobody needs any more.
    pub fn remove_parts(&self) {
        for entry in fs::read_dir(self.into).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.starts_with(b".") && name.ends_with(b".part") {
                // Best effort: what stays is in nobody's way.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// A bar on standard error: of `length` bytes, or a spinner where that is unknown. It vanishes when
    /// dropped, and indicatif draws none where standard error is no terminal.
    pub fn bar(&self, length: Option<u64>, message: &str) -> ProgressBar {
        let bar = match (self.progress, length) {
            (false, _) => ProgressBar::hidden(),
            (true, None) => ProgressBar::new_spinner(),
            (true, Some(length)) => ProgressBar::new(length).with_style(
                ProgressStyle::with_template(
                    "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left",
                )
                .expect("a constant template, which the tests parse too"),
            ),
        };
        bar.with_message(message.to_owned()).with_finish(indicatif::ProgressFinish::AndClear)
    }
}

/// The cache cannot be written; another origin would not help.
pub(super) fn cannot_write(path: &Path, reason: impl Display) -> Failure {
    Failure::End(Error::failed(
        format!("cannot write {}: {}", path.display(), one_line(reason)),
        "make room there and run again, which goes on from where it was; \
         or name another folder for caches with XDG_CACHE_HOME",
    ))
}

/// Messages have one line, whatever they are made of.
pub(super) fn one_line(error: impl Display) -> String {
    error.to_string().lines().collect::<Vec<_>>().join(" ")
}
