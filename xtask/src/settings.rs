//! The settings from the environment, read once.

use std::env;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Context, Result};

use crate::problem::Problem;
use crate::python::Python;

/// Folders, and the choices of the user.
pub struct Settings {
    /// The root of the checkout.
    pub root: PathBuf,
    /// The user's own LIBTORCH as an absolute path, because cargo runs build scripts in other folders.
    pub libtorch: Option<PathBuf>,
    /// The project's folder in the user's cache directory, shared by all checkouts.
    pub cache: PathBuf,
}

impl Settings {
    /// Reads the environment that `cargo run --package xtask` sets.
    pub fn from_env() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest).parent().context("xtask has no folder above it")?.to_path_buf();
        let libtorch = match env::var_os("LIBTORCH") {
            Some(value) => users_libtorch(&root, PathBuf::from(value))?,
            None => None,
        };
        let cache = directories::ProjectDirs::from("", "", "d2l_ch7")
            .ok_or_else(|| {
                Problem::new("there is no home directory to keep libtorch in", "set HOME or XDG_CACHE_HOME")
            })?
            .cache_dir()
            .to_path_buf();
        Ok(Self { root, libtorch, cache })
    }

    /// The path where torch-sys and `build.rs` look for libtorch, unless the user sets LIBTORCH.
    pub fn link(&self) -> PathBuf {
        self.root.join(LINK)
    }

    /// The folder in the cache for a set of packages that `python` can import.
    pub fn packages(&self, python: &Python, set: &str) -> PathBuf {
        self.cache.join("python").join(python.abi()).join(set)
    }

    /// A cargo command for this checkout. It finds libtorch as plain cargo does after the set-up.
    pub fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = self.cargo_anywhere();
        cargo.arg(subcommand).arg("--manifest-path").arg(self.root.join("Cargo.toml"));
        cargo
    }

    /// The same without the checkout's path, for subcommands that find their project themselves.
    pub fn cargo_anywhere(&self) -> Command {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
        match &self.libtorch {
            Some(folder) => cargo.env("LIBTORCH", folder),
            None => cargo.env_remove("LIBTORCH"),
        };
        // `cargo run` sets these variables for xtask. Some build scripts (ring's) depend on them, and would run again after every
        // change between plain cargo and `cargo xtask`.
        let described = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(described)) {
            cargo.env_remove(name);
        }
        cargo
    }
}

/// The name of the link, as in `.cargo/config.toml`.
const LINK: &str = ".libtorch";

/// The value of LIBTORCH, if the user set it. `.cargo/config.toml` sets it for all programs that `cargo run` starts, also for
/// xtask, unless it is set already.
fn users_libtorch(root: &Path, value: PathBuf) -> Result<Option<PathBuf>> {
    if value.as_os_str().is_empty() {
        return Ok(None);
    }
    let value = absolute(value)?;
    let same_folder =
        value.parent().is_some_and(|parent| match (parent.canonicalize(), root.canonicalize()) {
            (Ok(parent), Ok(root)) => parent == root,
            _ => false,
        });
    let from_config = same_folder && value.file_name().is_some_and(|name| name == LINK);
    Ok(if from_config { None } else { Some(value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_from_the_configuration_is_not_the_users() {
        let folder = tempfile::tempdir().unwrap();
        let (root, other) = (folder.path().join("checkout"), folder.path().join("other"));
        std::fs::create_dir(&root).unwrap();
        std::fs::create_dir(&other).unwrap();
        let users = |value: PathBuf| users_libtorch(&root, value).unwrap();

        assert_eq!(users(root.join(".libtorch")), None);
        assert_eq!(users(other.join("../checkout/.libtorch")), None);
        assert_eq!(users(PathBuf::new()), None);
        assert_eq!(users(other.join(".libtorch")), Some(other.join(".libtorch")));
        assert_eq!(users(root.join("libtorch")), Some(root.join("libtorch")));
        assert!(users(PathBuf::from("libtorch")).unwrap().is_absolute());
    }
}
