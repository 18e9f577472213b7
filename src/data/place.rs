//! Where a data set's files are: in the folder that the user names, and no other if one is named; in the
//! user's cache; among the system's data sets; else they are fetched into the cache (`fetch`).

use std::fmt::Display;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use super::fetch::{Origins, Wanted};
use crate::error::{Error, Result};

/// A folder that has all the files of a data set.
pub(super) struct Place {
    pub folder: PathBuf,
    found: Found,
}

enum Found {
    /// The user's choice: data of any origin.
    Named,
    Cached,
    /// By the Debian package of this name.
    Installed(&'static str),
}

impl Place {
    /// The first of the `folders`, all of them the user's choice, that lacks no file of the `dataset`.
    ///
    /// # Errors
    /// All lack some. The message is about the one that lacks least; `put` says what to put there.
    pub(super) fn named(
        dataset: &str,
        folders: [PathBuf; 2],
        missing: impl Fn(&Path) -> Vec<String>,
        put: &str,
    ) -> Result<Self> {
        let (missing, folder) = folders
            .map(|folder| (missing(&folder), folder))
            .into_iter()
            .min_by_key(|(missing, _)| missing.len())
            .expect("an array of two has a least element");
        if missing.is_empty() {
            return Ok(Self { folder, found: Found::Named });
        }
        Err(Error::failed(
            format!("no {dataset} in {}: missing {}", folder.display(), missing.join(", ")),
            format!("{put}; or leave out --data-dir to have the data found or fetched"),
        ))
    }

    /// The file at `path`, which is here, is not what it should be: in one line what is wrong with it, in
    /// another what to do.
    pub(super) fn bad(&self, path: &Path, fault: impl Display) -> Error {
        let remedy = match self.found {
            Found::Named => {
                "replace it by a sound copy, or leave out --data-dir to have the data found or fetched".into()
            }
            Found::Cached => "delete it and run again: it will be fetched anew".into(),
            Found::Installed(package) => {
                format!("reinstall the package {package}, or name a sound copy's folder with --data-dir")
            }
        };
        Error::failed(format!("{}: {fault}", path.display()), remedy)
    }

    /// Whether the file at `path` is the published one, as `check` found; it must be, unless the user brought it.
    pub(super) fn is_published(&self, path: &Path, check: Result<(), String>) -> Result<bool> {
        match (check, &self.found) {
            (Ok(()), _) => Ok(true),
            (Err(_), Found::Named) => Ok(false),
            (Err(reason), _) => Err(self.bad(path, reason)),
        }
    }
}

/// Where to look when the user names no folder.
pub(super) struct Sources {
    /// Unknown where no home directory is.
    pub cache: Option<PathBuf>,
    pub system: Option<Installed>,
    pub origins: Origins,
}

/// A folder that a Debian package brings.
pub(super) struct Installed {
    pub folder: PathBuf,
    pub package: &'static str,
}

/// The folder of this name in the user's cache.
pub(super) fn cache(name: &str) -> Option<PathBuf> {
    ProjectDirs::from("", "", "d2l_ch7").map(|dirs| dirs.cache_dir().join(name))
}

impl Sources {
    /// The first folder that has all the files, of those where nothing need be fetched.
    pub(super) fn find(&self, missing: impl Fn(&Path) -> Vec<String>) -> Option<PathBuf> {
        let folders = [&self.cache, &self.system.as_ref().map(|system| system.folder.clone())];
        folders.into_iter().flatten().find(|folder| missing(folder).is_empty()).cloned()
    }

    /// The first place that has all the files, the cache after fetching.
    ///
    /// # Errors
    /// Nothing has them, and they cannot be fetched.
    pub(super) fn place(&self, wanted: &Wanted, progress: bool) -> Result<Place> {
        let complete = |folder: &Path| (wanted.missing)(folder).is_empty();
        if let Some(cache) = self.cache.as_ref().filter(|cache| complete(cache)) {
            return Ok(Place { folder: cache.clone(), found: Found::Cached });
        }
        if let Some(system) = self.system.as_ref().filter(|system| complete(&system.folder)) {
            return Ok(Place { folder: system.folder.clone(), found: Found::Installed(system.package) });
        }
        let cache = self.cache.clone().ok_or_else(|| {
            Error::failed(
                format!(
                    "{} is not on this machine, and no home directory is known to fetch it into",
                    wanted.dataset
                ),
                "set HOME, or name a folder that holds the data with --data-dir",
            )
        })?;
        self.origins.fetch(wanted, &cache, progress)?;
        Ok(Place { folder: cache, found: Found::Cached })
    }
}
