//! Where a data set's files are: in the folder that the user names, and no other if one is named; in the
//! user's cache; among the system's data sets; else they are fetched into the cache (`fetch`).

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::{fs, io, iter};

use directories::ProjectDirs;

use super::fetch::{Origins, Wanted};
use crate::error::{Error, Result};

/// Of a folder without the data, so many entries are searched for it.
const MOST_ENTRIES: usize = 1000;

/// A folder that has all the files of a data set.
pub(super) struct DataFolder {
    pub path: PathBuf,
    found: Found,
}

enum Found {
    /// The user's choice: data of any origin.
    Named,
    Cached,
    /// By the Debian package of this name.
    Installed(&'static str),
}

impl DataFolder {
    /// The user's folder `dir`, or the first of the folders `inside` it, that lacks no file of the `dataset`.
    ///
    /// # Errors
    /// `dir` is no folder; or all lack some. Then the message is about the one that lacks least; `put` says what to put there.
    pub(super) fn named(
        dataset: &str,
        dir: &Path,
        inside: &[&str],
        missing: impl Fn(&Path) -> Vec<String>,
        put: &str,
    ) -> Result<Self> {
        let dir = &with_home(dir);
        let or_find = "or leave out --data-dir to have the data found or fetched";
        let entries = fs::read_dir(dir).map_err(|error| no_folder(dataset, dir, &error, or_find))?;
        let candidates = |dir: PathBuf| {
            let below: Vec<_> = inside.iter().map(|name| dir.join(name)).collect();
            iter::once(dir).chain(below)
        };
        let found = candidates(dir.clone()).map(|folder| (missing(&folder), folder));
        let (lacks, folder) = found.min_by_key(|(missing, _)| missing.len()).expect("`dir` is one of them");
        if lacks.is_empty() {
            return Ok(Self { path: folder, found: Found::Named });
        }
        let mut below = entries.take(MOST_ENTRIES).flatten().flat_map(|entry| candidates(entry.path()));
        let remedy = match below.find(|folder| missing(folder).is_empty()) {
            Some(other) => format!("name {} if you mean the files there; {or_find}", other.display()),
            None => format!("{put}; {or_find}"),
        };
        let what = format!("no {dataset} in {}: missing {}", folder.display(), lacks.join(", "));
        Err(Error::failed(what, remedy))
    }

    /// The error for a file, at `path` in this folder, that has a `fault`; what to do depends on how the folder was found.
    pub(super) fn bad(&self, path: &Path, fault: impl Display) -> Error {
        let remedy = match self.found {
            Found::Named => {
                "replace it by a sound copy, or leave out --data-dir to have the data found or fetched"
            }
            Found::Cached => "delete it and run again: it will be fetched anew",
            Found::Installed(package) => {
                &format!("reinstall the package {package}, or name a sound copy's folder with --data-dir")
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

/// The path with the user's home for a first `~`, as torchvision takes it: shells leave it in `--data-dir=~/data`.
fn with_home(dir: &Path) -> PathBuf {
    match (dir.strip_prefix("~"), std::env::home_dir()) {
        (Ok(below), Some(home)) => home.join(below),
        _ => dir.to_owned(),
    }
}

/// Why nothing can be read in `dir`.
fn no_folder(dataset: &str, dir: &Path, error: &io::Error, or_find: &str) -> Error {
    let name = dir.display();
    let (what, remedy) = if dir.is_file() {
        (format!("{name} is a file, not a folder with {dataset}"), "name the folder that it is in".into())
    } else if error.kind() == io::ErrorKind::NotFound {
        (format!("there is no folder {name}"), format!("name a folder that holds {dataset}"))
    } else {
        let what = format!("cannot read the folder {name}: {error}");
        (what, format!("name another folder that holds {dataset}"))
    };
    Error::failed(what, format!("{remedy}; {or_find}"))
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

/// Whether there is a cache to fetch data sets into.
pub fn can_be_fetched() -> bool {
    cache("").is_some()
}

impl Sources {
    /// The first folder that has all the files already.
    pub(super) fn find(&self, missing: impl Fn(&Path) -> Vec<String>) -> Option<DataFolder> {
        let cache = self.cache.iter().map(|folder| (folder, Found::Cached));
        let system = self.system.iter().map(|system| (&system.folder, Found::Installed(system.package)));
        let (folder, found) = cache.chain(system).find(|(folder, _)| missing(folder).is_empty())?;
        Some(DataFolder { path: folder.clone(), found })
    }

    /// The first folder that has all the files; the cache, after they are fetched, if none has.
    ///
    /// # Errors
    /// Nothing has them, and they cannot be fetched.
    pub(super) fn find_or_fetch(&self, wanted: &Wanted, progress: bool) -> Result<DataFolder> {
        if let Some(found) = self.find(wanted.missing) {
            return Ok(found);
        }
        let folder = self.cache.clone().ok_or_else(|| {
            let dataset = wanted.dataset;
            Error::failed(
                format!("{dataset} is not on this machine, and no home directory is known to fetch it into"),
                "set HOME, or name a folder that holds the data with --data-dir",
            )
        })?;
        self.origins.fetch(wanted, &folder, progress)?;
        Ok(DataFolder { path: folder, found: Found::Cached })
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A data set of one file, `sub/x` in the user's folder or `x`.
    fn named(dir: &Path) -> Result<DataFolder> {
        let missing = |folder: &Path| if folder.join("x").is_file() { vec![] } else { vec!["x".to_owned()] };
        DataFolder::named("X", dir, &["sub"], missing, "put it there")
    }

    /// What is wrong with `dir`, and what to do.
    fn refusal(dir: &Path) -> [String; 2] {
        let error = named(dir).map(|found| found.path).unwrap_err();
        let remedy =
            error.remedy().strip_suffix("; or leave out --data-dir to have the data found or fetched");
        [error.to_string(), remedy.unwrap().to_owned()]
    }

    #[test]
    fn a_folder_that_is_none_is_told_from_one_without_the_data() {
        let dir = TempDir::new().unwrap();
        let path = |name: &str| dir.path().join(name);
        let show = |name: &str| path(name).display().to_string();
        fs::write(path("file"), "").unwrap();
        fs::create_dir_all(path("empty")).unwrap();
        for (name, what, remedy) in [
            ("none", format!("there is no folder {}", show("none")), "name a folder that holds X".to_owned()),
            (
                "file",
                format!("{} is a file, not a folder with X", show("file")),
                "name the folder that it is in".to_owned(),
            ),
            (
                "file/below",
                format!("cannot read the folder {}: Not a directory (os error 20)", show("file/below")),
                "name another folder that holds X".to_owned(),
            ),
            ("empty", format!("no X in {}: missing x", show("empty")), "put it there".to_owned()),
        ] {
            assert_eq!(refusal(&path(name)), [what, remedy]);
        }
    }

    #[test]
    fn data_in_a_folder_below_is_read_or_pointed_to() {
        let dir = TempDir::new().unwrap();
        let sub = dir.path().join("a/sub");
        fs::create_dir_all(&sub).unwrap();
        fs::write(sub.join("x"), "").unwrap();
        for named_folder in [&sub, &dir.path().join("a")] {
            assert_eq!(named(named_folder).unwrap().path, sub);
        }
        assert_eq!(refusal(dir.path())[1], format!("name {} if you mean the files there", sub.display()));
    }

    #[test]
    fn a_tilde_is_the_home_folder() {
        let home = std::env::home_dir().unwrap();
        assert_eq!(with_home(Path::new("~/a/b")), home.join("a/b"));
        assert_eq!(with_home(Path::new("~")), home);
        for path in ["a/~", "/~", "~a/b"] {
            assert_eq!(with_home(Path::new(path)), Path::new(path));
        }
    }
}
