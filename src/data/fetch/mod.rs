//! Fetches the files of a data set: from its publisher over HTTP, one by one or in an archive, else out of a
//! Debian package.
//!
//! A file is written under another name in its folder, checked, synced and renamed: a file under its own name
//! is whole and is what was published. The check is a checksum, so a mirror need not be
//! trusted. A download that broke off stays as `.NAME.part` and goes on from there the next time; one process at a
//! time fetches into a cache.

mod archive;
mod debian;
mod http;
mod job;

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::{interrupt, whole_file};
pub(crate) use archive::Archive;
pub(crate) use debian::Package;
pub(crate) use job::Wanted;
use job::{ANOTHER_CACHE, Attempt, Failure, Job};

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

impl Origins {
    /// These, tried in this order, until a Ctrl-C.
    pub(crate) fn new(tried: Vec<Origin>) -> Self {
        Self { tried, agent: http::agent(), stop: interrupt::requested }
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
        match self.fetch_alone(&Job { wanted, into, progress, stop: self.stop }) {
            Ok(()) => Ok(()),
            Err(Failure::End(error)) => Err(error),
            Err(Failure::Origin(reasons)) => Err(Error::failed(
                format!("{} is not on this machine and could not be fetched: {reasons}", wanted.dataset),
                "connect to a network (behind a proxy: set HTTPS_PROXY) and run again, \
                 or name a folder that holds the data with --data-dir",
            )),
        }
    }

    /// Tries the origins while no other process does; fails with the reasons of all.
    fn fetch_alone(&self, job: &Job) -> Attempt {
        let _lock = job.lock()?;
        whole_file::sweep(job.into);
        let mut reasons = Vec::new();
        let mut origins = self.tried.iter();
        // The process that held the lock before may have brought everything.
        while !job.missing().is_empty() {
            let Some(origin) = origins.next() else { return Err(reasons.join("; ").into()) };
            match self.ask(origin, job) {
                Err(Failure::Origin(reason)) => reasons.push(reason),
                asked => asked?,
            }
        }
        job.remove_parts();
        Ok(())
    }

    fn ask(&self, origin: &Origin, job: &Job) -> Attempt {
        match origin {
            Origin::Mirror(mirror) => job.missing().iter().try_for_each(|name| {
                let url = format!("{mirror}{name}");
                let check = |path: &Path| (job.wanted.check)(name, path);
                http::download(&self.agent, &url, name, &check, job)
                    .and_then(|file| job.keep_checked(name, file))
                    .map_err(|failure| failure.at(&url))
            }),
            Origin::Archive(archive) => {
                archive.fetch(&self.agent, job).map_err(|failure| failure.at(&archive.url))
            }
            Origin::Debian(package) => package
                .unpack(job)
                .map_err(|failure| failure.at(&format!("apt-get download {}", package.name))),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
