//! One process at a time fetches into a cache; another one waits, and then finds the files.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::job::{Attempt, Failure, Job};
use super::{ANOTHER_CACHE, Error};

/// The file that is locked, in the folder of the cache; it stays, since removing it would be a race.
pub(super) const NAME: &str = ".lock";

/// How often it is tried.
const PAUSE: Duration = Duration::from_millis(100);

/// Holds the cache of `job` until it is dropped or the process ends, however it ends.
pub(super) fn lock(job: &Job) -> Attempt<File> {
    let file = File::options().create(true).write(true).truncate(false).open(job.into.join(NAME));
    let file = file.map_err(|e| cannot_lock(job.into, &e))?;
    let mut waiting = None;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(e)) => return Err(cannot_lock(job.into, &e)),
            Err(TryLockError::WouldBlock) => {
                let bar = waiting.get_or_insert_with(|| {
                    job.bar(None, &format!("another process fetches {}: waiting for it", job.wanted.dataset))
                });
                bar.tick();
                job.go_on()?;
                std::thread::sleep(PAUSE);
            }
        }
    }
}

fn cannot_lock(folder: &Path, e: &std::io::Error) -> Failure {
    Failure::End(Error::failed(
        format!("cannot write to the cache folder {}: {NAME}: {e}", folder.display()),
        ANOTHER_CACHE,
    ))
}
