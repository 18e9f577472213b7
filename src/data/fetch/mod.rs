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
mod origins;

pub(crate) use archive::Archive;
pub(crate) use debian::Package;
pub(crate) use job::Wanted;
pub(crate) use origins::{Origin, Origins};

#[cfg(test)]
pub(crate) mod tests;
