//! Fetches the files of a data set: from its publisher over HTTP, else out of a Debian package.
//!
//! A file is written beside its final place, checked, synced and renamed: whatever stands under a
//! file's name is whole and is what was published. The check is a checksum, so a mirror need not be
//! trusted.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempPath;

use crate::error::{Error, Result};

/// No file that is fetched is larger, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// How one way of fetching went; the error is one line that says why it failed.
type Attempt = std::result::Result<(), String>;

/// What to fetch, and how to know it.
pub(crate) struct Wanted<'a> {
    /// The data set's name, for messages.
    pub dataset: &'a str,
    /// Names of the missing files, as every mirror and the Debian package have them.
    pub files: &'a [String],
    /// Says in one line why the file at the path is not the named one as it was published.
    pub check: &'a dyn Fn(&str, &Path) -> Attempt,
}

/// Where to fetch from.
pub(crate) struct Origins {
    /// Base URLs, each ending in a slash, in the order in which they are tried.
    pub mirrors: Vec<String>,
    /// Tried when no mirror has everything.
    pub debian: Option<Package>,
    /// Brings the time-outs and the proxy.
    pub agent: ureq::Agent,
}

/// A Debian package that holds a data set.
pub(crate) struct Package {
    /// The program that downloads it, and its first arguments.
    pub apt_get: &'static [&'static str],
    pub name: &'static str,
    /// The folder of the files, relative to the root.
    pub folder: &'static str,
}

/// An agent that gives up on a silent network within seconds, yet lets a slow one take its time.
/// It takes the proxy from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(Duration::from_secs(5)))
        .timeout_connect(Some(Duration::from_secs(8)))
        .timeout_recv_response(Some(Duration::from_secs(15)))
        .timeout_per_read(Some(Duration::from_secs(20)))
        .build()
        .into()
}

impl Origins {
    /// Fetches the wanted files into the folder `into`, making it first; `progress` draws a bar if
    /// standard error is a terminal.
    ///
    /// # Errors
    /// The folder cannot be made, or no origin has every file: then what was tried, and why it failed.
    pub(crate) fn fetch(&self, wanted: &Wanted, into: &Path, progress: bool) -> Result<()> {
        fs::create_dir_all(into).map_err(|e| {
            Error::failed(
                format!("cannot make the cache folder {}: {e}", into.display()),
                "name a writable one with XDG_CACHE_HOME, or a folder that holds the data with --data-dir",
            )
        })?;
        let mut reasons = Vec::new();
        for mirror in &self.mirrors {
            match self.ask_mirror(mirror, wanted, into, progress) {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
        }
        if let Some(package) = &self.debian {
            match package.unpack(wanted, into, progress) {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(format!("apt-get download {}: {reason}", package.name)),
            }
        }
        Err(Error::failed(
            format!(
                "{} is not on this machine and could not be fetched: {}",
                wanted.dataset,
                reasons.join("; ")
            ),
            "connect to a network (behind a proxy: set HTTPS_PROXY) and run again, \
             or name a folder that holds the data with --data-dir",
        ))
    }

    /// Fetches what no earlier origin has brought.
    fn ask_mirror(&self, mirror: &str, wanted: &Wanted, into: &Path, progress: bool) -> Attempt {
        for name in wanted.files.iter().filter(|name| !into.join(name).exists()) {
            let url = format!("{mirror}{name}");
            self.download(&url, name, wanted, into, progress).map_err(|reason| format!("{url}: {reason}"))?;
        }
        Ok(())
    }

    fn download(&self, url: &str, name: &str, wanted: &Wanted, into: &Path, progress: bool) -> Attempt {
        let mut response = self.agent.get(url).call().map_err(one_line)?;
        let bar = bar(progress, response.body().content_length(), name);
        let mut part = tempfile::Builder::new().prefix(".part-").tempfile_in(into).map_err(one_line)?;
        let mut body = bar.wrap_read(response.body_mut().with_config().limit(MAX_BYTES).reader());
        io::copy(&mut body, &mut part)
            .map_err(|e| format!("broke off after {} bytes: {e}", bar.position()))?;
        wanted.keep(name, part.into_temp_path(), into)
    }
}

impl Wanted<'_> {
    /// Gives a file its name, once it is checked and on the disk; else it vanishes.
    fn keep(&self, name: &str, part: TempPath, into: &Path) -> Attempt {
        (self.check)(name, &part)?;
        File::options().write(true).open(&part).and_then(|file| file.sync_all()).map_err(one_line)?;
        part.persist(into.join(name)).map_err(one_line)
    }
}

impl Package {
    /// Downloads the package, which needs no root, and takes the wanted files out of it.
    fn unpack(&self, wanted: &Wanted, into: &Path, progress: bool) -> Attempt {
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

        for name in wanted.files.iter().filter(|name| !into.join(name).exists()) {
            let part = TempPath::try_from_path(unpacked.join(self.folder).join(name)).map_err(one_line)?;
            wanted.keep(name, part, into)?;
        }
        Ok(())
    }
}

/// Runs a program to its end; the error is the last line it wrote to standard error.
fn run(command: &mut Command) -> Attempt {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.env("LC_ALL", "C").stdin(Stdio::null()).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed without a word").to_owned())
}

/// A bar on standard error: of `length` bytes, or a spinner where that is unknown. It vanishes when
/// dropped, and indicatif draws none where standard error is no terminal.
fn bar(progress: bool, length: Option<u64>, message: &str) -> ProgressBar {
    let bar = match (progress, length) {
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

/// Messages have one line, whatever they are made of.
fn one_line(error: impl std::fmt::Display) -> String {
    error.to_string().lines().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(crate) mod tests;
