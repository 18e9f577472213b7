//! The Python of the live parity tests: the PyTorch that contains the linked libtorch, and the packages that
//! the notebooks import.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::libtorch::Libtorch;
use crate::pinned::{D2L, TORCHVISION};
use crate::pip::{self, Set};
use crate::problem::Problem;
use crate::python::{self, Module, Python};
use crate::settings::Settings;

/// The book's package, and torchvision. They are installed without their dependencies:
/// d2l requires numpy, pandas and matplotlib of 2021.
const PINNED: [(&str, &str); 2] = [("d2l", D2L), ("torchvision", TORCHVISION)];

/// The other modules that these two and the tests import, each with its name for pip.
const OTHERS: [(&str, &str); 7] = [
    ("numpy", "numpy"),
    ("pandas", "pandas"),
    ("requests", "requests"),
    ("matplotlib", "matplotlib"),
    ("IPython", "ipython"),
    ("safetensors", "safetensors"),
    ("PIL", "pillow"),
];

/// The Python that runs the notebooks' code.
pub struct Notebooks {
    /// The interpreter.
    pub python: PathBuf,
    /// Its PYTHONPATH.
    pub search_path: OsString,
}

/// Finds the notebooks' packages in the user's Python or in the cache, where pip installs them if they are missing.
pub fn set_up(settings: &Settings, libtorch: &Libtorch) -> Result<Notebooks> {
    let python = Python::find()?;
    let mut folders: Vec<PathBuf> = torch_folder(&python, libtorch)?.into_iter().collect();
    let found = python.with_path(&folders, &modules())?;
    if !is_complete(&found) {
        // Both versions are in the name: a torchvision for another PyTorch would not do.
        let installed = settings.packages(&python, &format!("notebooks-{D2L}-{TORCHVISION}"));
        install(&python, &folders, &installed, found.module("numpy"))?;
        folders.push(installed.clone());
        if !is_complete(&python.with_path(&folders, &modules())?) {
            bail!(Problem::new(
                "the notebooks' Python packages that were installed earlier are damaged",
                format!("remove {}, then run the same command again", installed.display()),
            ));
        }
    }
    Ok(Notebooks { python: python.program.clone(), search_path: python::search_path(&folders)? })
}

/// The folder to add to the search path so that `import torch` gives the PyTorch that contains `libtorch`;
/// none if `import torch` gives it already.
fn torch_folder(python: &Python, libtorch: &Libtorch) -> Result<Option<PathBuf>> {
    let torch = libtorch.folder.canonicalize()?;
    let imported = python.module("torch").and_then(|module| module.origin.parent()?.canonicalize().ok());
    if imported.is_some_and(|imported| imported == torch) {
        return Ok(None);
    }
    // The interpreter can import it if its compiled part is for this version of Python.
    if torch.join(format!("_C{}", python.extension)).exists() {
        return Ok(torch.parent().map(Path::to_path_buf));
    }
    bail!(Problem::new(
        format!("{} has no PyTorch for {}", torch.display(), python.program.display()),
        "name in D2L_PYTHON the Python it belongs to, or in LIBTORCH the PyTorch that it has",
    ))
}

/// The modules that must be importable, each with the name of its distribution.
fn modules() -> Vec<(&'static str, &'static str)> {
    PINNED.iter().map(|&(name, _)| (name, name)).chain(OTHERS).collect()
}

/// Whether all modules can be imported, with the pinned versions of d2l and torchvision.
fn is_complete(python: &Python) -> bool {
    PINNED.iter().all(|&(name, version)| python.module(name).is_some_and(|module| module.is_version(version)))
        && OTHERS.iter().all(|&(name, _)| python.module(name).is_some())
}

/// Installs the packages as the folder `into`, which will follow `folders` on the search path.
fn install(python: &Python, folders: &[PathBuf], into: &Path, numpy: Option<&Module>) -> Result<()> {
    let pinned = PINNED.iter().map(|(name, version)| format!("{name}=={version}"));
    let others = OTHERS.iter().map(|&(_, name)| match numpy {
        // pip always installs a numpy into its folder. It must be the version that PyTorch uses.
        Some(numpy) if name == "numpy" => format!("numpy=={}", numpy.version),
        _ => name.to_owned(),
    });
    let set = Set {
        about: "the notebooks' Python packages",
        calls: &[["--no-deps".to_owned()].into_iter().chain(pinned).collect(), others.collect()],
        space: 1_000_000_000,
    };
    pip::install(python, &set, into, |packages| {
        let mut folders = folders.to_vec();
        folders.push(packages.to_path_buf());
        import(python, &folders)
    })
}

/// Imports everything in one process, as a notebook does. It takes seconds, so it is done once, after an installation.
fn import(python: &Python, folders: &[PathBuf]) -> Result<()> {
    let status = Command::new(&python.program)
        .args(["-c", "import torch, torchvision, d2l.torch, safetensors.torch"])
        .env("PYTHONPATH", python::search_path(folders)?)
        .env("MPLBACKEND", "agg")
        .status()?;
    if !status.success() {
        bail!(Problem::new(
            "the notebooks' Python packages do not work together (Python's own words stand above)",
            "name in D2L_PYTHON an interpreter that imports torch, torchvision and d2l.torch",
        ));
    }
    Ok(())
}
