//! Installs sets of Python packages with pip, each into its own folder, whole or not at all.
//!
//! `pip install --target` needs no root and no virtual environment, and works on distributions that manage
//! their Python themselves. pip installs into a temporary folder, which is renamed at the end:
//! an installation that was killed is never mistaken for a whole one.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::SIGINT;

use crate::problem::Problem;
use crate::python::Python;
use crate::tools;

/// A set of packages for one folder.
pub struct Set<'a> {
    /// A description for users.
    pub about: &'a str,
    /// The arguments of each call of `pip install`.
    pub calls: &'a [Vec<String>],
    /// Bytes of disk space that the installation takes.
    pub space: u64,
}

/// Installs `set` as the folder `into`, unless that exists. `check` gets the finished folder before it is renamed,
/// and can refuse it.
///
/// If several processes call this at once, one installs and the others wait. After Ctrl-C no files are left.
pub fn install(
    python: &Python,
    set: &Set,
    into: &Path,
    check: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    if into.exists() {
        return Ok(());
    }
    let shelf = into.parent().context("the folder to install into has a parent")?;
    let name = into.file_name().context("the folder to install into has a name")?.to_string_lossy();
    catch_ctrl_c()?;
    fs::create_dir_all(shelf).with_context(|| unwritable(shelf))?;
    let _lock = lock(&shelf.join(format!("{name}.lock")), set)?;
    if into.exists() {
        return Ok(()); // Another process has installed it meanwhile.
    }
    python.require_pip()?;
    let prefix = format!("{name}.partial-");
    remove_leftovers(shelf, &prefix)?;
    tools::require_space(shelf, set.space)?;

    eprintln!("xtask: installing {} into {}", set.about, into.display());
    let partial =
        tempfile::Builder::new().prefix(&prefix).tempdir_in(shelf).with_context(|| unwritable(shelf))?;
    let packages = partial.path().join("packages");
    for call in set.calls {
        pip(python, set, call, &packages, partial.path())?;
    }
    let checked = check(&packages);
    stop_if_interrupted(set)?;
    checked?;
    fs::rename(&packages, into).with_context(|| unwritable(shelf))
}

/// Calls pip once, on the user's terminal and with the user's configuration.
fn pip(python: &Python, set: &Set, call: &[String], packages: &Path, temporary: &Path) -> Result<()> {
    let status = Command::new(&python.program)
        // Conflicts with packages outside this folder do not matter.
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-warn-conflicts", "--target"])
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .arg(packages)
        .args(call)
        // These two settings of a user's configuration would forbid `--target`.
        .envs([("PIP_USER", "0"), ("PIP_REQUIRE_VIRTUALENV", "0")])
        // pip unpacks here and then moves the files. On the same disk that is a rename, and /tmp may be too small.
        .env("TMPDIR", temporary)
        .status()
        .with_context(|| Problem::new("cannot start pip", "try `python3 -m pip --version`"))?;
    stop_if_interrupted(set)?;
    if status.success() {
        return Ok(());
    }
    Err(Problem::new(
        format!("pip could not install {} ({status}; its own words stand above)", set.about),
        "check the network and pip's configuration (pip config list), then run the same command again",
    )
    .into())
}

/// Waits until no other process installs `set`. The lock ends when the file is closed, at the latest with the process.
fn lock(path: &Path, set: &Set) -> Result<File> {
    let file = File::create(path).with_context(|| unwritable(path))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            // Tries repeatedly, because a blocking wait would not end on Ctrl-C.
            Err(TryLockError::WouldBlock) => {
                if !told {
                    eprintln!("xtask: waiting for another process that installs {}", set.about);
                    told = true;
                }
                stop_if_interrupted(set)?;
                std::thread::sleep(Duration::from_millis(200));
            }
            Err(TryLockError::Error(cause)) => return Err(cause).with_context(|| unwritable(path)),
        }
    }
}

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on Ctrl-C, which ends pip too, does not end this process at once, so it can clean up after pip. The signal's handler itself
/// sets the flag: a thread that does so might be later than pip's end.
fn catch_ctrl_c() -> Result<()> {
    signal_hook::flag::register(SIGINT, Arc::clone(&INTERRUPTED)).context("cannot watch for Ctrl-C")?;
    Ok(())
}

fn stop_if_interrupted(set: &Set) -> Result<()> {
    if INTERRUPTED.load(Ordering::SeqCst) {
        let what = format!("the installation of {} was interrupted", set.about);
        bail!(Problem::interrupted(what, "run the same command again: it starts afresh"));
    }
    Ok(())
}

/// Removes the temporary folders of killed installations. Call it only with the lock, when no other process installs.
fn remove_leftovers(shelf: &Path, prefix: &str) -> Result<()> {
    let is_leftover = |name: &OsStr| name.to_string_lossy().starts_with(prefix);
    for entry in fs::read_dir(shelf)? {
        let entry = entry?;
        if is_leftover(&entry.file_name()) {
            fs::remove_dir_all(entry.path()).with_context(|| unwritable(&entry.path()))?;
        }
    }
    Ok(())
}

fn unwritable(path: &Path) -> Problem {
    Problem::new(
        format!("cannot write {}", path.display()),
        "make it writable, or set XDG_CACHE_HOME to a folder that is",
    )
}
