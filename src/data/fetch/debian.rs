//! Files of a Debian package, downloaded by `apt-get` and unpacked by `dpkg-deb`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempPath;

use super::{Attempt, Wanted, bar, one_line};

/// A Debian package that holds a data set.
pub(crate) struct Package {
    /// The program that downloads it, and its first arguments.
    pub apt_get: &'static [&'static str],
    pub name: &'static str,
    /// The folder of the files, relative to the root.
    pub folder: &'static str,
}

impl Package {
    /// Downloads the package, which needs no root, and takes the wanted files out of it.
    pub(super) fn unpack(&self, wanted: &Wanted, into: &Path, progress: bool) -> Attempt {
        let bar = bar(progress, None, &format!("apt-get download {}", self.name));
        bar.enable_steady_tick(Duration::from_millis(100));
        // In `into`, so that renaming stays within one file system.
        let scratch = tempfile::Builder::new().prefix(".part-").tempdir_in(into).map_err(one_line)?;
        run(Command::new(self.apt_get[0])
            .args(&self.apt_get[1..])
            .args(["-q", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10"])
            .args(["-o", "Acquire::https::Timeout=10", "download", self.name])
            .current_dir(scratch.path()))?;
        let deb = fs::read_dir(scratch.path())
            .map_err(one_line)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or("left no package behind")?;
        let unpacked = scratch.path().join("unpacked");
        run(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(&unpacked))?;

        for name in (wanted.missing)(into) {
            let part = TempPath::try_from_path(unpacked.join(self.folder).join(&name)).map_err(one_line)?;
            wanted.keep(&name, part, into)?;
        }
        Ok(())
    }
}

/// Runs a program to its end; the error is the last line it wrote to standard error.
pub(super) fn run(command: &mut Command) -> Attempt {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.env("LC_ALL", "C").stdin(Stdio::null()).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed without a word").to_owned())
}
