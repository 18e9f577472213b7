//! Fuzzing: runs libFuzzer on every reader of files, beginning with the inputs in `fuzz/corpus/`.

use std::ffi::OsString;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::libtorch::Libtorch;
use crate::problem::Problem;
use crate::settings::Settings;

/// The time for each reader, unless `--seconds` gives another.
const SECONDS: u32 = 600;

/// An input that takes more seconds than this counts as a hang.
const HANGS: u32 = 10;

/// The limit of memory, in MiB. libtorch and the largest picture that the program decodes take three quarters of it.
const MEMORY: u32 = 2048;

/// The command line of `cargo xtask fuzz`.
#[derive(Debug, PartialEq)]
pub struct Fuzz {
    readers: Vec<String>,
    seconds: u32,
}

impl Fuzz {
    /// Reads `[READER...] [--seconds N]`; no reader means all.
    pub fn parse(settings: &Settings, args: Vec<OsString>) -> Result<Self> {
        let known = readers(settings)?;
        let mut fuzz = Self { readers: Vec::new(), seconds: SECONDS };
        let mut args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned());
        while let Some(arg) = args.next() {
            if arg == "--seconds" {
                let seconds = args.next().and_then(|seconds| seconds.parse().ok()).filter(|&s| s > 0);
                fuzz.seconds =
                    seconds.ok_or_else(|| Problem::usage("--seconds needs a number", "give it 1 or more"))?;
            } else if known.contains(&arg) {
                fuzz.readers.push(arg);
            } else {
                let what = format!("there is no reader {arg} to fuzz");
                return Err(Problem::usage(what, format!("choose from {}", known.join(", "))).into());
            }
        }
        if fuzz.readers.is_empty() {
            fuzz.readers = known;
        }
        Ok(fuzz)
    }

    /// Fuzzes one reader after the other. Stops at the first failure.
    pub fn run(&self, settings: &Settings, libtorch: &Libtorch) -> Result<()> {
        require_cargo_fuzz(settings)?;
        for reader in &self.readers {
            let found = settings.root.join("fuzz/found").join(reader);
            fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
            let status = self.command(settings, libtorch, reader).status().context("cannot start cargo")?;
            if !status.success() {
                return Err(Problem::new(
                    format!("the reader {reader} broke, or could not be built ({status})"),
                    format!("see above; an input that breaks it is in fuzz/artifacts/{reader}/"),
                )
                .into());
            }
        }
        Ok(())
    }

    fn command(&self, settings: &Settings, libtorch: &Libtorch, reader: &str) -> Command {
        let root = &settings.root;
        let mut cargo = settings.cargo_anywhere();
        // No sanitizer: sanitizers need a nightly compiler, and there is little `unsafe` here. libFuzzer works without them.
        cargo.args(["fuzz", "run", "--release", "--sanitizer", "none", reader]);
        // libFuzzer writes new inputs to the first folder.
        cargo.args(["found", "corpus"].map(|folder| root.join("fuzz").join(folder).join(reader))).arg("--");
        cargo.arg(format!("-max_total_time={}", self.seconds));
        cargo.arg(format!("-timeout={HANGS}")).arg(format!("-rss_limit_mb={MEMORY}"));
        cargo.current_dir(root).env("LD_LIBRARY_PATH", libtorch.folder.join("lib"));
        if std::env::var_os("CC").is_none() {
            cargo.env("CC", root.join("fuzz/cc.sh"));
        }
        cargo
    }
}

/// The names of the fuzz targets.
fn readers(settings: &Settings) -> Result<Vec<String>> {
    let folder = settings.root.join("fuzz/fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let names =
        entries.map(|entry| Ok(entry?.path().file_stem().unwrap_or_default().to_string_lossy().into()));
    let mut names = names.collect::<Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

fn require_cargo_fuzz(settings: &Settings) -> Result<()> {
    let mut cargo = settings.cargo_anywhere();
    cargo.args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if cargo.status().context("cannot start cargo")?.success() {
        return Ok(());
    }
    Err(Problem::new("cargo fuzz is not installed", "install it: cargo install cargo-fuzz").into())
}
