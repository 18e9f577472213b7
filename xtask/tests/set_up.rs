//! The whole of `cargo xtask` as a process, with pip, cargo and the C++ compiler of `fakes/`.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

#[path = "../src/pinned.rs"]
mod pinned;

use pinned::{D2L, TORCH, TORCHVISION};

const FAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fakes");

/// The interpreter itself: a version manager's stand-in would need the PATH that the tests take away.
static REAL_PYTHON: LazyLock<String> = LazyLock::new(|| {
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    String::from_utf8(python.expect("the tests need python3").stdout).unwrap().trim().to_owned()
});

/// A machine: programs on PATH, a cache directory, checkouts, and what the fakes logged.
struct Machine(TempDir);

impl Machine {
    fn new(programs: &[&str]) -> Self {
        // Not /tmp, which is often small: xtask asks for the disk space that the real PyTorch takes.
        let machine = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        for folder in ["bin", "cache", "log", "one/xtask", "two/xtask"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        for program in programs {
            symlink(Path::new(FAKES).join("bin").join(program), machine.path("bin").join(program)).unwrap();
        }
        machine
    }

    fn complete() -> Self {
        Self::new(&["c++", "python3"])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `cargo xtask …` in a checkout, in the environment that cargo makes for it.
    fn xtask(&self, checkout: &str, args: &[&str]) -> Command {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        xtask
            .args(args)
            .env_clear()
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("PATH", self.path("bin"))
            .env("CARGO", Path::new(FAKES).join("bin/cargo"))
            .env("CARGO_MANIFEST_DIR", self.path(checkout).join("xtask"))
            .env("LIBTORCH", self.link(checkout))
            .env("PYTHONPATH", Path::new(FAKES).join("modules"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("REAL_PYTHON", REAL_PYTHON.as_str())
            .env("FAKE_LOG", self.path("log"))
            .stdin(Stdio::null());
        xtask
    }

    fn link(&self, checkout: &str) -> PathBuf {
        self.path(checkout).join(".libtorch")
    }

    /// What a fake logged: the requirements of every call of pip; arguments and environment of cargo.
    fn log(&self, of: &str) -> String {
        fs::read_to_string(self.path("log").join(of)).unwrap_or_default()
    }

    /// A folder that looks like an unpacked libtorch.
    fn libtorch(&self, name: &str, version: &str) -> PathBuf {
        let folder = self.path(name);
        let suffix = std::env::consts::DLL_SUFFIX;
        for file in [&format!("lib/libtorch_cpu{suffix}"), "include/torch/csrc/api/include/torch/torch.h"] {
            fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
            fs::write(folder.join(file), "").unwrap();
        }
        fs::write(folder.join("build-version"), version).unwrap();
        folder
    }

    /// The names in the cache folder of the one interpreter there is.
    fn cached(&self) -> Vec<String> {
        let shelf = fs::read_dir(self.path("cache/d2l_ch7/python")).unwrap().next().unwrap().unwrap().path();
        let mut names: Vec<_> = fs::read_dir(shelf)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs to success and gives what it told.
fn succeed(mut xtask: Command) -> String {
    let output = xtask.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

/// Runs to failure with `code` and gives the line that says what is wrong and the line that says how to mend it.
fn fail(mut xtask: Command, code: i32) -> (String, String) {
    let output = xtask.output().unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    let lines: Vec<_> = told.lines().collect();
    match lines[..] {
        [.., what, help] if what.starts_with("error: ") && help.starts_with("help: ") => {
            (what.into(), help.into())
        }
        _ => panic!("not two lines at the end: {told}"),
    }
}

#[test]
fn libtorch_is_installed_once_for_all_checkouts() {
    let machine = Machine::complete();
    let told = succeed(machine.xtask("one", &["setup"]));
    assert!(told.contains(&format!("installing PyTorch {TORCH}")), "{told}");
    assert_eq!(machine.log("pip"), format!("torch=={TORCH} numpy\n"));
    assert!(machine.link("one").join("lib").is_dir());

    succeed(machine.xtask("two", &["setup"]));
    assert_eq!(machine.log("pip").lines().count(), 1, "the second checkout installs nothing");
    assert_eq!(machine.link("one").canonicalize().unwrap(), machine.link("two").canonicalize().unwrap());

    assert_eq!(succeed(machine.xtask("one", &["run"])), "", "the second set-up is silent");
}

#[test]
fn a_killed_installation_is_not_taken_for_a_whole_one() {
    let machine = Machine::complete();
    let killed = machine.xtask("one", &["setup"]).env("FAKE_PIP", "killed").status().unwrap();
    assert_eq!(killed.code(), None, "a signal ended it");
    let left = machine.cached();
    assert!(left.iter().any(|name| name.contains("partial")), "{left:?}");

    succeed(machine.xtask("one", &["setup"]));
    assert_eq!(machine.log("pip").lines().count(), 2, "it was installed anew");
    assert_eq!(
        machine.cached(),
        [format!("torch-{TORCH}"), format!("torch-{TORCH}.lock")],
        "and what was left is gone"
    );
}

#[test]
fn two_checkouts_at_once_install_once() {
    let machine = Machine::complete();
    let start = |checkout| machine.xtask(checkout, &["setup"]).env("FAKE_PIP", "waiting").spawn().unwrap();
    let mut both = [start("one"), start("two")];
    for process in &mut both {
        assert!(process.wait().unwrap().success());
    }
    assert_eq!(machine.log("pip").lines().count(), 1);
    assert!(machine.link("one").exists() && machine.link("two").exists());
}

#[test]
fn ctrl_c_ends_an_installation_without_leftovers() {
    let machine = Machine::complete();
    let mut xtask = machine.xtask("one", &["run"]);
    // A process group of its own, as a shell gives: Ctrl-C goes to the group.
    let xtask = xtask.env("FAKE_PIP", "waiting").stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    while !machine.path("log/waiting").exists() {
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process_group(Pid::from_child(&xtask), Signal::INT).unwrap();
    let output = xtask.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert_eq!(machine.cached(), [format!("torch-{TORCH}.lock")]);
    assert_eq!(machine.log("cargo"), "");
}

#[test]
fn what_is_missing_is_named_with_the_way_to_mend_it() {
    let nothing = Machine::new(&[]);
    let (what, help) = fail(nothing.xtask("one", &["run"]), 1);
    assert!(what.contains("no C++ compiler") && help.contains("apt-get install g++"), "{what} {help}");

    let mut named = nothing.xtask("one", &["run"]);
    named.env("CXX", "ccache-of-nobody g++");
    let (what, help) = fail(named, 1);
    assert!(what.contains("ccache-of-nobody") && help.contains("CXX"), "{what} {help}");

    let (what, help) = fail(Machine::new(&["c++"]).xtask("one", &["test"]), 1);
    assert!(what.contains("no python3") && help.contains("apt-get install python3"), "{what} {help}");

    let complete = Machine::complete();
    let mut no_pip = complete.xtask("one", &["run"]);
    no_pip.env_remove("PYTHONPATH");
    let (what, help) = fail(no_pip, 1);
    assert!(what.contains("has no pip") && help.contains("python3-pip"), "{what} {help}");

    let mut offline = complete.xtask("one", &["run"]);
    offline.env("FAKE_PIP", "offline");
    let (what, help) = fail(offline, 1);
    assert!(what.contains("could not install PyTorch") && help.contains("network"), "{what} {help}");

    let mut other = complete.xtask("one", &["run"]);
    other.env("FAKE_PIP", "other");
    let (what, _) = fail(other, 1);
    assert!(what.contains("2.10.0"), "{what}");

    assert_eq!(complete.cached(), [format!("torch-{TORCH}.lock")], "no failure leaves anything");
    assert_eq!(complete.log("cargo"), "", "cargo is not called after a failure");
}

#[test]
fn run_becomes_cargo_run() {
    let machine = Machine::complete();
    for args in [&["run", "--out", "a b"][..], &["run", "--", "--out", "a b"][..]] {
        let status = machine.xtask("one", args).env("FAKE_CARGO_EXIT", "7").status().unwrap();
        assert_eq!(status.code(), Some(7));
    }
    let manifest = machine.path("one/Cargo.toml");
    let once = format!(
        "args=[run][--manifest-path][{}][--bin][d2l_ch7][--][--out][a b]\nLIBTORCH=unset\n",
        manifest.display()
    );
    let log = machine.log("cargo");
    assert_eq!(log.matches(&once).count(), 2, "{log}");
    assert_eq!(
        log.matches("CARGO_MANIFEST_DIR=unset").count(),
        2,
        "xtask's own description is not passed on: {log}"
    );
}

#[test]
fn the_users_libtorch_comes_first_and_is_passed_on() {
    let machine = Machine::complete();
    let run_with = |libtorch: &Path| {
        let mut xtask = machine.xtask("one", &["run"]);
        xtask.env("LIBTORCH", libtorch);
        xtask
    };
    let cpu = machine.libtorch("cpu", &format!("{TORCH}+cpu\n"));
    let cuda = machine.libtorch("cuda", &format!("{TORCH}+cu130\n"));

    succeed(run_with(&cpu));
    assert_eq!(fs::read_link(machine.link("one")).unwrap(), cpu);
    assert!(machine.log("cargo").contains(&format!("LIBTORCH={}\n", cpu.display())));
    assert!(!machine.log("cargo").contains("[clean]"), "nothing was compiled before");

    succeed(run_with(&cuda));
    assert_eq!(fs::read_link(machine.link("one")).unwrap(), cuda);
    assert!(machine.log("cargo").contains("[clean]"), "the bindings were compiled against another build");

    succeed(machine.xtask("one", &["run"]));
    assert_eq!(fs::read_link(machine.link("one")).unwrap(), cuda, "the link stays while it is good");

    let (what, help) = fail(run_with(&machine.libtorch("old", "2.10.0+cpu")), 1);
    assert!(what.contains("2.10.0+cpu") && help.contains("LIBTORCH"), "{what} {help}");
    assert_eq!(machine.log("pip"), "");
}

#[test]
fn test_has_the_notebooks_packages() {
    let machine = Machine::complete();
    succeed(machine.xtask("one", &["test", "parity"]));
    let pip = machine.log("pip");
    let calls: Vec<_> = pip.lines().collect();
    assert_eq!(calls.len(), 3, "{pip}");
    assert_eq!(calls[1], format!("d2l=={D2L} torchvision=={TORCHVISION}"));
    assert!(calls[2].contains("numpy==1.0"), "the numpy that PyTorch sees: {pip}");

    let cargo = machine.log("cargo");
    assert!(cargo.contains("[test]") && cargo.contains("[parity]\n"), "{cargo}");
    let value = |key| cargo.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let import = Command::new(value("D2L_PYTHON="))
        .args(["-c", "import torch, torchvision, d2l.torch; print(torch.__file__)"])
        .env("REAL_PYTHON", REAL_PYTHON.as_str())
        .env("PYTHONPATH", value("PYTHONPATH="))
        .output()
        .unwrap();
    assert!(import.status.success(), "{}", stderr(&import));
    let imported = PathBuf::from(String::from_utf8(import.stdout).unwrap().trim());
    assert_eq!(imported.parent().unwrap(), machine.link("one").canonicalize().unwrap());

    assert_eq!(succeed(machine.xtask("two", &["test"])).lines().count(), 1, "only the new link is told");
    assert_eq!(machine.log("pip"), pip, "the second checkout installs nothing");
}

#[test]
fn test_goes_on_without_the_notebooks_packages() {
    let machine = Machine::complete();
    succeed(machine.xtask("one", &["setup"]));
    let mut offline = machine.xtask("one", &["test"]);
    offline.env("FAKE_PIP", "offline");
    let told = succeed(offline);
    assert!(told.contains("no live parity tests: pip could not install"), "{told}");
    assert!(machine.log("cargo").contains("[test]") && machine.log("cargo").contains("D2L_PYTHON=unset"));

    // A libtorch without PyTorch is enough for everything but the live tests.
    let mut alone = machine.xtask("one", &["test"]);
    alone.env("LIBTORCH", machine.libtorch("alone", &format!("{TORCH}+cpu")));
    let told = succeed(alone);
    assert!(told.contains("no live parity tests") && told.contains("has no PyTorch for"), "{told}");
}

#[test]
fn a_wrong_command_line_has_exit_code_2() {
    let machine = Machine::complete();
    for args in [&[][..], &["ru"][..], &["setup", "now"][..]] {
        let (_, help) = fail(machine.xtask("one", args), 2);
        assert!(help.contains("cargo xtask run"), "{help}");
    }
    let help = machine.xtask("one", &["help"]).output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("cargo test"));
}

#[test]
fn every_reader_is_fuzzed_or_those_that_are_named() {
    let machine = Machine::complete();
    for target in ["image", "idx"] {
        fs::create_dir_all(machine.path("one/fuzz/fuzz_targets")).unwrap();
        fs::write(machine.path(&format!("one/fuzz/fuzz_targets/{target}.rs")), "").unwrap();
    }
    let fuzzed = |args: &[&str]| {
        fs::remove_file(machine.path("log/cargo")).ok();
        succeed(machine.xtask("one", &[&["fuzz"], args].concat()));
        let log = machine.log("cargo");
        let runs = log.lines().filter(|line| line.starts_with("args=[fuzz][run]")).map(|run| {
            let word =
                |prefix| run.split(['[', ']']).find_map(|word| word.strip_prefix(prefix)).unwrap_or("");
            let corpus = run.split(['[', ']']).find(|word| word.contains("fuzz/corpus/")).unwrap();
            (corpus.rsplit('/').next().unwrap().to_owned(), word("-max_total_time=").to_owned())
        });
        runs.collect::<Vec<_>>()
    };
    let run = |reader: &str, seconds: &str| (reader.to_owned(), seconds.to_owned());
    assert_eq!(fuzzed(&[]), [run("idx", "600"), run("image", "600")]);
    assert_eq!(fuzzed(&["image", "--seconds", "5"]), [run("image", "5")]);

    let refused = |args: &[&str]| fail(machine.xtask("one", &[&["fuzz"], args].concat()), 2);
    assert!(refused(&["nothing"]).1.contains("idx, image"));
    assert!(refused(&["--seconds", "0"]).0.contains("--seconds"));
    let mut broken = machine.xtask("one", &["fuzz"]);
    broken.env("FAKE_CARGO_EXIT", "101");
    assert!(fail(broken, 1).1.contains("cargo install cargo-fuzz"));
}

/// What plain cargo says in a checkout that was never set up: the compiler of libtorch's bindings ends with one line.
#[test]
fn plain_cargo_says_that_the_set_up_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let bindings = folder.path().join("bindings.cpp");
    fs::write(&bindings, "#include <torch/torch.h>\nat::Tensor tensor;\n").unwrap();
    let compile = |libtorch: &Path| {
        let mut compiler = Command::new("c++");
        compiler
            .env("LC_ALL", "C")
            .arg("-fsyntax-only")
            .arg("-I")
            .arg(libtorch)
            .arg(&bindings)
            .output()
            .unwrap()
    };
    let errors = stderr(&compile(&folder.path().join("not there")));
    assert_eq!(errors.matches("error").count(), 1, "{errors}");
    assert!(errors.contains("libtorch is not set up: run `cargo xtask run`"), "{errors}");

    // libtorch's own header comes first.
    let libtorch = folder.path().join("torch");
    fs::create_dir(&libtorch).unwrap();
    fs::write(libtorch.join("torch.h"), "namespace at { struct Tensor {}; }\n").unwrap();
    let output = compile(folder.path());
    assert!(output.status.success(), "{}", stderr(&output));
}
