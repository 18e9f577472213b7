//! Finds the Python interpreter and its modules, without importing large ones.

use std::collections::HashMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow};
use which::which;

use crate::pinned::TORCH;
use crate::problem::Problem;

/// The oldest Python for which the pinned PyTorch is published.
const OLDEST: (u32, u32) = (3, 10);

/// A program that prints the fields of [`Python`], each as a line `d2l key value`. Start-up files may print other lines. The
/// arguments are `module=distribution`. The program finds a module without importing it: `import torch` takes seconds.
const QUESTION: &str = "
import sys
print('d2l', 'version', *sys.version_info[:2])
if sys.version_info >= (3, 10):
    import importlib.metadata, importlib.util, sysconfig
    print('d2l', 'extension', sysconfig.get_config_var('EXT_SUFFIX'))
    for pair in sys.argv[1:]:
        module, distribution = pair.split('=')
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            continue
        try:
            version = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            version = 'unknown'
        print('d2l', 'module', module, version, spec.origin)
";

/// An interpreter and the modules on its search path.
pub struct Python {
    /// The program.
    pub program: PathBuf,
    /// The ending of its extension modules, such as `.cpython-311-x86_64-linux-gnu.so`. Two interpreters with the same
    /// ending can share installed packages.
    pub extension: String,
    modules: HashMap<String, Module>,
}

/// A module that can be imported.
#[derive(Debug, PartialEq)]
pub struct Module {
    /// The version of the distribution it comes from.
    pub version: String,
    /// The file that an import reads first.
    pub origin: PathBuf,
}

impl Module {
    /// Whether it has this version, for any device: `0.26.0+cpu` has the version `0.26.0`.
    pub fn is_version(&self, version: &str) -> bool {
        self.version.split('+').next() == Some(version)
    }
}

impl Python {
    /// The interpreter to use: D2L_PYTHON, else the active virtual environment's, else `python3`.
    pub fn find() -> Result<Self> {
        Self::ask(&program()?, &[], &[("pip", "pip"), ("torch", "torch")])
    }

    /// The same interpreter with `folders` first on its search path, asked for `modules` (each with the name of its
    /// distribution).
    pub fn with_path(&self, folders: &[PathBuf], modules: &[(&str, &str)]) -> Result<Self> {
        Self::ask(&self.program, folders, modules)
    }

    fn ask(program: &Path, folders: &[PathBuf], modules: &[(&str, &str)]) -> Result<Self> {
        let remedy = "install Python 3.10 or newer with pip, or name one in D2L_PYTHON";
        let answer = Command::new(program)
            .args(["-c", QUESTION])
            .args(modules.iter().map(|(module, distribution)| format!("{module}={distribution}")))
            .env("PYTHONPATH", search_path(folders)?)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| Problem::new(format!("cannot start {}", program.display()), remedy))?;
        parse(program, &String::from_utf8_lossy(&answer.stdout))
            .with_context(|| Problem::new(format!("{} is of no use", program.display()), remedy))
    }

    /// A module that can be imported.
    pub fn module(&self, name: &str) -> Option<&Module> {
        self.modules.get(name)
    }

    /// The name of the cache folder of packages for this interpreter, such as `cpython-311-x86_64-linux-gnu`.
    pub fn abi(&self) -> &str {
        self.extension.trim_start_matches('.').trim_end_matches(".so")
    }

    /// Fails unless `python -m pip` works.
    pub fn require_pip(&self) -> Result<()> {
        if self.module("pip").is_some() {
            return Ok(());
        }
        Err(Problem::new(
            format!("{} has no pip", self.program.display()),
            "install it (Debian, Ubuntu: sudo apt-get install python3-pip; elsewhere: python3 -m ensurepip --user)",
        )
        .into())
    }
}

/// The user's PYTHONPATH with `folders` before it.
pub fn search_path(folders: &[PathBuf]) -> Result<OsString> {
    let users = env::var_os("PYTHONPATH").unwrap_or_default();
    let users = env::split_paths(&users).filter(|folder| !folder.as_os_str().is_empty());
    env::join_paths(folders.iter().cloned().chain(users)).with_context(|| {
        Problem::new(
            "the cache directory's name has a colon in it",
            "set XDG_CACHE_HOME to a folder without one",
        )
    })
}

fn program() -> Result<PathBuf> {
    if let Some(named) = env::var_os("D2L_PYTHON").filter(|named| !named.is_empty()) {
        return which(&named).with_context(|| {
            Problem::new(
                format!("D2L_PYTHON names {}, which cannot be run", named.display()),
                "unset D2L_PYTHON, or set it to a Python interpreter",
            )
        });
    }
    let active = env::var_os("VIRTUAL_ENV").map(|folder| Path::new(&folder).join("bin/python3"));
    if let Some(python) = active.and_then(|python| which(python).ok()) {
        return Ok(python);
    }
    which(OsStr::new("python3")).with_context(|| {
        Problem::new(
            "there is no python3 on PATH",
            "install it with pip (Debian, Ubuntu: sudo apt-get install python3 python3-pip; Fedora: sudo dnf install \
             python3 python3-pip)",
        )
    })
}

/// Reads the answer to [`QUESTION`].
fn parse(program: &Path, answer: &str) -> Result<Python> {
    let (mut version, mut extension, mut modules) = (None, None, HashMap::new());
    for line in answer.lines().filter_map(|line| line.strip_prefix("d2l ")) {
        match line.split_once(' ') {
            Some(("version", rest)) => {
                version = rest.split_once(' ').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            }
            Some(("extension", rest)) => extension = Some(rest.to_owned()),
            Some(("module", rest)) => {
                // The path comes last because it may contain spaces.
                if let [name, version, origin] = rest.splitn(3, ' ').collect::<Vec<_>>()[..] {
                    let module = Module { version: version.to_owned(), origin: origin.into() };
                    modules.insert(name.to_owned(), module);
                }
            }
            _ => {}
        }
    }
    let version: (u32, u32) = version.ok_or_else(|| anyhow!("it did not say its version"))?;
    if version < OLDEST {
        return Err(anyhow!(
            "it is Python {}.{}, and PyTorch {TORCH} needs {}.{} or newer",
            version.0,
            version.1,
            OLDEST.0,
            OLDEST.1
        ));
    }
    let extension =
        extension.ok_or_else(|| anyhow!("it did not say what its extension modules are called"))?;
    Ok(Python { program: program.to_path_buf(), extension, modules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_through_the_chatter_of_start_up_files() {
        let answer = "hello\nd2l version 3 11\nd2l extension .cpython-311-x86_64-linux-gnu.so\n\
                      d2l module torch 2.11.0+cpu /home/a user/torch/__init__.py\nd2l later key\n";
        let python = parse(Path::new("python3"), answer).unwrap();
        assert_eq!(python.abi(), "cpython-311-x86_64-linux-gnu");
        assert_eq!(
            python.module("torch"),
            Some(&Module { version: "2.11.0+cpu".into(), origin: "/home/a user/torch/__init__.py".into() })
        );
        assert_eq!(python.module("pip"), None);
    }

    #[test]
    fn an_old_or_silent_python_is_refused() {
        let refusal = |answer| format!("{:#}", parse(Path::new("python3"), answer).err().unwrap());
        assert!(refusal("d2l version 3 9\n").contains("Python 3.9"));
        assert!(refusal("pyenv: python3: command not found\n").contains("did not say"));
    }
}
