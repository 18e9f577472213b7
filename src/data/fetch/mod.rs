//! Fetches the files of a data set: from its publisher over HTTP, one by one or in an archive, else out of a
//! Debian package.
//!
//! A file is written beside its final place, checked, synced and renamed: whatever stands under a
//! file's name is whole and is what was published. The check is a checksum, so a mirror need not be
//! trusted. A download that broke off stays as `.NAME.part` and goes on from there the next time; one process at a
//! time fetches into a cache.

mod archive;
mod debian;
mod http;
mod job;
mod lock;
mod partial;

use std::fs;
use std::path::Path;
use std::time::Duration;

pub(crate) use archive::Archive;
pub(crate) use debian::Package;
pub(crate) use job::Wanted;
use job::{Attempt, Failure, Job};

use crate::error::{Error, Result};
use crate::{interrupt, whole_file};

/// No file that is fetched is larger, in bytes.
const MAX_BYTES: u64 = 1 << 30;

/// What to do if the cache cannot be written.
const ANOTHER_CACHE: &str =
    "name a writable one with XDG_CACHE_HOME, or a folder that holds the data with --data-dir";

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
    agent: ureq::Agent,
    /// Whether the user wants no more.
    stop: fn() -> bool,
}

/// An agent that gives up on a silent network within seconds, yet lets a slow one take its time.
/// It takes the proxy from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
fn agent() -> ureq::Agent {
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
    /// These, tried in this order, until a Ctrl-C.
    pub(crate) fn new(tried: Vec<Origin>) -> Self {
        Self { tried, agent: agent(), stop: interrupt::requested }
    }

    /// Fetches the wanted files into the folder `into`, making it first; `progress` draws a bar if
    /// standard error is a terminal. If another process is fetching into it, waits for that first.
    ///
    /// # Errors
    /// The folder cannot be made or written; a Ctrl-C, at once; or no origin has every file: then what was tried, and
    /// why it failed.
    pub(crate) fn fetch(&self, wanted: &Wanted, into: &Path, progress: bool) -> Result<()> {
        fs::create_dir_all(into).map_err(|e| {
            Error::failed(format!("cannot make the cache folder {}: {e}", into.display()), ANOTHER_CACHE)
        })?;
        let job = Job { wanted, into, progress, stop: self.stop };
        let reasons = match self.fetch_alone(&job) {
            Ok(reasons) if reasons.is_empty() => return Ok(()),
            Ok(reasons) => reasons.join("; "),
            Err(Failure::End(error)) => return Err(error),
            Err(Failure::Origin(reason)) => reason,
        };
        Err(Error::failed(
            format!("{} is not on this machine and could not be fetched: {reasons}", wanted.dataset),
            "connect to a network (behind a proxy: set HTTPS_PROXY) and run again, \
             or name a folder that holds the data with --data-dir",
        ))
    }

    /// Tries the origins while no other process does; gives why each failed, or nothing if the files are there.
    fn fetch_alone(&self, job: &Job) -> Attempt<Vec<String>> {
        let _lock = lock::lock(job)?;
        whole_file::sweep(job.into);
        let mut reasons = Vec::new();
        // The process that held the lock may have brought everything.
        let needed: &[Origin] = if job.missing().is_empty() { &[] } else { &self.tried };
        for origin in needed {
            let attempt = match origin {
                Origin::Mirror(url) => self.ask_mirror(url, job),
                Origin::Archive(archive) => {
                    archive.fetch(&self.agent, job).map_err(|failure| failure.at(&archive.url))
                }
                Origin::Debian(package) => package
                    .unpack(job)
                    .map_err(|failure| failure.at(&format!("apt-get download {}", package.name))),
            };
            match attempt {
                Ok(()) => {
                    reasons.clear();
                    break;
                }
                Err(Failure::Origin(reason)) => reasons.push(reason),
                Err(end) => return Err(end),
            }
        }
        if reasons.is_empty() {
            partial::sweep(job.into);
        }
        Ok(reasons)
    }

    fn ask_mirror(&self, mirror: &str, job: &Job) -> Attempt {
        for name in job.missing() {
            let url = format!("{mirror}{name}");
            let check = |path: &Path| (job.wanted.check)(&name, path);
            http::download(&self.agent, &url, &name, &check, job)
                .and_then(|file| job.keep_checked(&name, file))
                .map_err(|failure| failure.at(&url))?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
