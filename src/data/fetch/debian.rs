//! Files of a Debian package, downloaded by `apt-get` and unpacked by `dpkg-deb`.

use std::fs;
use std::io::{Read, Seek};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempPath;

use super::job::{Attempt, Job, cannot_write, one_line};
use crate::whole_file;

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
    pub(super) fn unpack(&self, job: &Job) -> Attempt {
        let bar = job.bar(None, &format!("apt-get download {}", self.name));
        bar.enable_steady_tick(Duration::from_millis(100));
        let scratch = whole_file::folder_in(job.into).map_err(|e| cannot_write(job.into, e))?;
        run(
            job,
            Command::new(self.apt_get[0])
                .args(&self.apt_get[1..])
                .args(["-q", "-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10"])
                .args(["-o", "Acquire::https::Timeout=10", "download", self.name])
                .current_dir(scratch.path()),
        )?;
        let deb = fs::read_dir(scratch.path())
            .map_err(one_line)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or("left no package behind")?;
        let unpacked = scratch.path().join("unpacked");
        run(job, Command::new("dpkg-deb").arg("--extract").arg(deb).arg(&unpacked))?;

        for name in job.missing() {
            let file = TempPath::try_from_path(unpacked.join(self.folder).join(&name)).map_err(one_line)?;
            job.keep(&name, file)?;
        }
        Ok(())
    }
}

/// Runs a program to its end; the error is the last line it wrote to standard error.
fn run(job: &Job, command: &mut Command) -> Attempt {
    let program = command.get_program().to_string_lossy().into_owned();
    // Into a file: a pipe that nobody reads would stop the program when it is full.
    let mut stderr = tempfile::tempfile().map_err(one_line)?;
    let copy = stderr.try_clone().map_err(one_line)?;
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null()).stderr(copy);
    let mut child = command.spawn().map_err(|e| format!("{program}: {e}"))?;
    let ended = job.wait(|| Ok(child.try_wait().map_err(one_line)?)).inspect_err(|_| {
        // It may have ended by itself.
        let _ = child.kill();
        let _ = child.wait();
    });
    if ended?.success() {
        return Ok(());
    }
    let mut text = Vec::new();
    stderr.rewind().and_then(|()| stderr.read_to_end(&mut text)).map_err(one_line)?;
    let text = String::from_utf8_lossy(&text);
    Err(text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed without a word").into())
}
