//! Checks that compiler and disk space suffice, before minutes of downloading and compiling.

use std::env;
use std::path::Path;

use anyhow::Result;
use which::which;

use crate::problem::Problem;

/// Fails unless the C++ compiler runs that the crate `cc` uses for libtorch's bindings: CXX, else `c++`.
pub fn require_cpp_compiler() -> Result<()> {
    if let Some(named) = env::var("CXX").ok().filter(|named| !named.trim().is_empty()) {
        // CXX may be a path or a program with arguments, such as `ccache g++`.
        let program = named.split_whitespace().next().unwrap_or(&named);
        if which(&named).or_else(|_| which(program)).is_ok() {
            return Ok(());
        }
        let what = format!("CXX names the C++ compiler {named}, which cannot be found");
        return Err(Problem::new(what, "unset CXX, or set it to a C++ compiler that is on PATH").into());
    }
    if which("c++").is_ok() {
        return Ok(());
    }
    if let Some(other) = ["g++", "clang++"].into_iter().find(|other| which(other).is_ok()) {
        let what = format!("there is a {other}, but no c++, which is the C++ compiler cargo calls");
        return Err(Problem::new(what, format!("export CXX={other}, then run the same command again")).into());
    }
    Err(Problem::new(
        "there is no C++ compiler (c++) on PATH",
        "install one (Debian, Ubuntu: sudo apt-get install g++; Fedora: sudo dnf install gcc-c++)",
    )
    .into())
}

/// Fails unless the file system of `folder` has `needed` free bytes.
pub fn require_space(folder: &Path, needed: u64) -> Result<()> {
    const GB: u64 = 1_000_000_000;
    let disk = rustix::fs::statvfs(folder)?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= needed {
        return Ok(());
    }
    Err(Problem::new(
        format!(
            "{} has {} GB of disk space left, and {} GB are needed",
            folder.display(),
            free / GB,
            needed / GB
        ),
        "free some, or set XDG_CACHE_HOME to a folder on a larger disk",
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_compared_with_what_the_disk_has() {
        let here = Path::new(".");
        require_space(here, 0).unwrap();
        let error = require_space(here, u64::MAX).unwrap_err();
        assert!(crate::problem::remedy(&error).contains("XDG_CACHE_HOME"), "{error:#}");
    }
}
