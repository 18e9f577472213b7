//! Fetches the files of a data set: from its publisher over HTTP, one by one or in an archive, else out of a
//! Debian package.
//!
//! A file is written beside its final place, checked, synced and renamed: whatever stands under a
//! file's name is whole and is what was published. The check is a checksum, so a mirror need not be
//! trusted.

mod archive;
mod debian;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tempfile::{NamedTempFile, TempPath};

pub(crate) use archive::Archive;
pub(crate) use debian::Package;

use crate::error::{Error, Result};

/// No file that is fetched is larger, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// How one way of fetching went; the error is one line that says why it failed.
type Attempt<T = ()> = std::result::Result<T, String>;

/// What to fetch, and how to know it.
pub(crate) struct Wanted<'a> {
    /// The data set's name, for messages.
    pub dataset: &'a str,
    /// Names of the files that the folder lacks, as every origin has them.
    pub missing: &'a dyn Fn(&Path) -> Vec<String>,
    /// Says in one line why the file at the path is not the named one as it was published.
    pub check: &'a dyn Fn(&str, &Path) -> Attempt,
}

/// Somewhere to fetch from.
pub(crate) enum Origin {
    /// A base URL that ends in a slash, with a file behind each name.
    Mirror(String),
    Archive(Archive),
    Debian(Package),
}

/// Where to fetch from.
pub(crate) struct Origins {
    /// In the order in which they are tried, each for what those before it have not brought.
    pub tried: Vec<Origin>,
    /// Brings the time-outs and the proxy.
    pub agent: ureq::Agent,
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
        for origin in &self.tried {
            let attempt = match origin {
                Origin::Mirror(url) => self.ask_mirror(url, wanted, into, progress),
                Origin::Archive(archive) => self
                    .download(&archive.url, into, progress)
                    .and_then(|path| archive.unpack(&path, wanted, into, progress))
                    .map_err(|reason| format!("{}: {reason}", archive.url)),
                Origin::Debian(package) => package
                    .unpack(wanted, into, progress)
                    .map_err(|reason| format!("apt-get download {}: {reason}", package.name)),
            };
            match attempt {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(reason),
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

    fn ask_mirror(&self, mirror: &str, wanted: &Wanted, into: &Path, progress: bool) -> Attempt {
        for name in (wanted.missing)(into) {
            let url = format!("{mirror}{name}");
            self.download(&url, into, progress)
                .and_then(|part| wanted.keep(&name, part, into))
                .map_err(|reason| format!("{url}: {reason}"))?;
        }
        Ok(())
    }

    /// A temporary file in `into`, which vanishes unless it is kept.
    fn download(&self, url: &str, into: &Path, progress: bool) -> Attempt<TempPath> {
        let mut response = self.agent.get(url).call().map_err(one_line)?;
        let name = url.rsplit('/').next().unwrap_or(url);
        let bar = bar(progress, response.body().content_length(), name);
        let mut part = part(into)?;
        let mut body = bar.wrap_read(response.body_mut().with_config().limit(MAX_BYTES).reader());
        io::copy(&mut body, &mut part)
            .map_err(|e| format!("broke off after {} bytes: {e}", bar.position()))?;
        Ok(part.into_temp_path())
    }
}

/// A file beside the final ones, which vanishes when dropped.
fn part(into: &Path) -> Attempt<NamedTempFile> {
    tempfile::Builder::new().prefix(".part-").tempfile_in(into).map_err(one_line)
}

impl Wanted<'_> {
    /// Gives a file its name, once it is checked and on the disk; else it vanishes.
    fn keep(&self, name: &str, part: TempPath, into: &Path) -> Attempt {
        (self.check)(name, &part)?;
        File::options().write(true).open(&part).and_then(|file| file.sync_all()).map_err(one_line)?;
        part.persist(into.join(name)).map_err(one_line)
    }
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
