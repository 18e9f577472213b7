//! Finds the pinned libtorch, or installs it as part of PyTorch, and links `.libtorch` in the checkout to it.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::pinned::TORCH;
use crate::pip::{self, Set};
use crate::problem::Problem;
use crate::python::Python;
use crate::settings::Settings;

/// A folder with libtorch's libraries and headers: an unpacked libtorch, or `torch` inside a Python's packages.
pub struct Libtorch {
    /// The folder.
    pub folder: PathBuf,
    /// Version and kind of build, such as `2.11.0+cu130`.
    pub build: String,
}

impl Libtorch {
    /// Checks that `folder` has libtorch of our version with its headers. (Some distributions package the headers separately.)
    pub fn open(folder: &Path) -> Result<Self> {
        let library = format!("lib/{DLL_PREFIX}torch_cpu{DLL_SUFFIX}");
        for file in [library.as_str(), "include/torch/csrc/api/include/torch/torch.h"] {
            if !folder.join(file).exists() {
                bail!("{} has no {file}", folder.display());
            }
        }
        let build =
            build(folder).with_context(|| format!("{} does not tell its version", folder.display()))?;
        if !is_our_version(&build) {
            bail!("{} is version {build}, not {TORCH}", folder.display());
        }
        Ok(Self { folder: folder.to_path_buf(), build })
    }
}

/// Finds libtorch and links it. The first of these decides: the user's LIBTORCH; the link, if it still leads to
/// the right version; the PyTorch of the user's Python; the PyTorch in the cache, which pip installs if it is missing.
pub fn set_up(settings: &Settings) -> Result<Libtorch> {
    if let Some(folder) = &settings.libtorch {
        let libtorch = Libtorch::open(folder).with_context(|| {
            Problem::new(
                format!("LIBTORCH is not libtorch {TORCH}"),
                format!("set LIBTORCH to a libtorch {TORCH}, or unset it and let xtask find or install one"),
            )
        })?;
        return link(settings, libtorch);
    }
    if let Ok(libtorch) = Libtorch::open(&settings.link()) {
        return Ok(libtorch);
    }
    let python = Python::find()?;
    let libtorch = match of_python(&python) {
        Some(libtorch) => libtorch,
        None => in_cache(settings, &python)?,
    };
    link(settings, libtorch)
}

/// The libtorch inside the PyTorch that `python` would import.
fn of_python(python: &Python) -> Option<Libtorch> {
    let torch = python.module("torch")?;
    Libtorch::open(torch.origin.parent()?).ok()
}

/// The libtorch inside the PyTorch in the user's cache directory, installed first if it is not there.
fn in_cache(settings: &Settings, python: &Python) -> Result<Libtorch> {
    let packages = settings.packages(python, &format!("torch-{TORCH}"));
    let set = Set {
        about: &format!("PyTorch {TORCH}"),
        // PyTorch's tensors convert to numpy's arrays only if numpy is there; the live tests need that.
        calls: &[vec![format!("torch=={TORCH}"), "numpy".into()]],
        space: if cfg!(target_os = "linux") { 11_000_000_000 } else { 3_000_000_000 },
    };
    pip::install(python, &set, &packages, |packages| {
        Libtorch::open(&packages.join("torch")).map(drop).with_context(|| {
            Problem::new(
                format!("what pip installed as PyTorch {TORCH} is not it"),
                "look which package index pip uses (pip config list)",
            )
        })
    })?;
    Libtorch::open(&packages.join("torch")).with_context(|| {
        let remedy = format!("remove {}, then run the same command again", packages.display());
        Problem::new("the PyTorch that was installed earlier is damaged", remedy)
    })
}

/// Makes `.libtorch` lead to `libtorch`.
fn link(settings: &Settings, libtorch: Libtorch) -> Result<Libtorch> {
    let link = settings.link();
    let before = Libtorch::open(&link).ok();
    let change = replace_link(&link, &libtorch.folder)?;
    if change == Link::Unchanged {
        return Ok(libtorch);
    }
    eprintln!("xtask: .libtorch leads to libtorch {} in {}", libtorch.build, libtorch.folder.display());
    // Crates compiled against another build have the linker arguments of that build, with or without CUDA. Cargo
    // does not notice the change, because the link has the same name as before.
    if change == Link::Replaced && before.is_none_or(|before| before.build != libtorch.build) {
        for profile in ["dev", "release"] {
            let mut clean = settings.cargo("clean");
            clean.args(["--quiet", "--profile", profile, "-p", "torch-sys", "-p", "d2l_ch7"]);
            let _ = clean.status();
        }
    }
    Ok(libtorch)
}

#[derive(Debug, PartialEq)]
enum Link {
    Unchanged,
    Made,
    Replaced,
}

/// Makes `link` lead to `target` in one step: other processes see the old link or the new one. Refuses to replace a file or
/// folder that is not a link.
fn replace_link(link: &Path, target: &Path) -> Result<Link> {
    let change = match fs::read_link(link) {
        Ok(old) if old == target => return Ok(Link::Unchanged),
        Ok(_) => Link::Replaced,
        Err(error) if error.kind() == ErrorKind::NotFound => Link::Made,
        // `read_link` gives this error for a file or folder.
        Err(error) if error.kind() == ErrorKind::InvalidInput => bail!(Problem::new(
            format!("{} is not a link, and xtask replaces nothing else", link.display()),
            "move it away, then run the same command again",
        )),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", link.display())),
    };
    let folder = link.parent().context("the link is in a folder")?;
    tempfile::Builder::new()
        .prefix(".libtorch-")
        .make_in(folder, |name| symlink(target, name))
        .and_then(|made| made.persist(link).map_err(|error| error.error))
        .with_context(|| {
            Problem::new(format!("cannot make the link {}", link.display()), "make the checkout writable")
        })?;
    Ok(change)
}

/// The version that the folder states: an unpacked libtorch has it in `build-version`, a Python package in `version.py`.
fn build(folder: &Path) -> Result<String> {
    if let Ok(text) = fs::read_to_string(folder.join("build-version")) {
        return Ok(text.trim().to_owned());
    }
    let text = fs::read_to_string(folder.join("version.py"))?;
    python_version(&text).context("version.py has no __version__")
}

/// The string assigned to `__version__`, which may have a type annotation.
fn python_version(text: &str) -> Option<String> {
    let assignment = text.lines().find_map(|line| line.strip_prefix("__version__"))?;
    let (_, value) = assignment.split_once('=')?;
    Some(value.trim().trim_matches(['\'', '"']).to_owned())
}

/// Whether a build has our version, for any device. Of 2.11.0, `2.11.0+cu130` is such a build, and `2.11.0a0+git1234` is not.
fn is_our_version(build: &str) -> bool {
    build.split('+').next() == Some(TORCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared_without_the_kind_of_build() {
        let text = "from typing import Optional\n\n__all__ = ['__version__', 'debug']\n__version__ = '2.11.0+cu130'\n";
        assert_eq!(python_version(text).unwrap(), "2.11.0+cu130");
        assert_eq!(python_version("__version__: str = \"2.11.0\"").unwrap(), "2.11.0");
        assert_eq!(python_version("cuda = '13.0'"), None);

        for kind in ["", "+cpu", "+cu130"] {
            assert!(is_our_version(&format!("{TORCH}{kind}")), "{kind}");
        }
        for other in [format!("{TORCH}a0+git70d99e9"), format!("1{TORCH}"), TORCH[..4].into(), "".into()] {
            assert!(!is_our_version(&other), "{other}");
        }
    }

    #[test]
    fn a_link_is_replaced_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join(".libtorch");
        let (old, new) = (folder.path().join("gone"), folder.path().join("new"));

        assert_eq!(replace_link(&link, &old).unwrap(), Link::Made);
        assert_eq!(
            replace_link(&link, &new).unwrap(),
            Link::Replaced,
            "a link that leads nowhere is still a link"
        );
        assert_eq!(replace_link(&link, &new).unwrap(), Link::Unchanged);
        assert_eq!(fs::read_link(&link).unwrap(), new);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary link stays");

        fs::remove_file(&link).unwrap();
        fs::write(&link, "precious").unwrap();
        assert!(format!("{:#}", replace_link(&link, &new).unwrap_err()).contains("not a link"));
        assert_eq!(fs::read_to_string(&link).unwrap(), "precious");
    }
}
