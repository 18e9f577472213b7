//! `d2l_ch7 bench`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use d2l_ch7::experiments::recipes::RECIPES;
use d2l_ch7::norm::Variant;

use crate::place::{Place, assert_two_lines, program};
use crate::recorded::recorded;

fn bench(place: &Place, python: &Path, arguments: &[&str]) -> Output {
    command(place, python, arguments).output().unwrap()
}

fn command(place: &Place, python: &Path, arguments: &[&str]) -> Command {
    let mut command = program();
    command.args(["bench", "--device", "cpu", "--threads", "1", "--data-dir"]).arg(place.data());
    command.arg("--out").arg(place.out()).args(arguments);
    if !arguments.contains(&"--recipes") {
        command.args(["--recipes", "book"]);
    }
    command.env("D2L_PYTHON", python);
    command
}

/// A program in the place of Python: it measures `scratch`, cannot measure `native`, and ends when it is asked for `data`.
const STUB: &str = r#"#!/bin/sh
echo '"a stub"'
while read -r question; do
    case "$question" in
        *'"data"'*) exit 1 ;;
        *'"scratch"'*) echo '[["PyTorch", {"Ok": 0.5}]]' ;;
        *) echo '[["PyTorch", {"Err": "no such thing"}]]' ;;
    esac
done
"#;

#[test]
fn a_benchmark_has_every_round_of_everyone() {
    let place = Place::new();
    // Four batches of AdamW's 64 images: enough to record a step.
    place.write_images("train", 4 * 64);
    let python = place.folder.path().join("python");
    fs::write(&python, STUB).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let arguments = ["--sections", "step,epoch,data", "--rounds", "3", "--recipes", "adamw"];
    let output = recorded(&command(&place, &python, &arguments)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout.lines().last(), place.out().to_str());

    let mut csv = csv::Reader::from_path(place.out().join("bench.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = csv.records().map(|row| row.unwrap()).collect();
    let count = |section: &str, variant: &str, who: &str| {
        rows.iter().filter(|r| r[0].starts_with(section) && r[1].contains(variant) && &r[2] == who).count()
    };
    for (section, variant, recorded, libtorchs, pytorch) in [
        ("Training step", "scratch", 0, 3, 3),
        ("Training step", "native", 0, 3, 0),
        ("Epoch", "scratch", 3, 3, 3),
        ("Epoch", "native", 3, 3, 0),
        ("Preparing", "256 images", 0, 0, 0),
    ] {
        assert_eq!(count(section, variant, "this program"), 3, "{section}, {variant}");
        assert_eq!(count(section, variant, "this program with --graph"), recorded, "{section}, {variant}");
        let with_libtorchs = count(section, variant, "this program with libtorch's kernels");
        assert_eq!(with_libtorchs, libtorchs, "{section}, {variant}");
        assert_eq!(count(section, variant, "PyTorch"), pytorch, "{section}, {variant}");
    }
    let report = fs::read_to_string(place.out().join("report.md")).unwrap();
    for words in ["a stub", "native, 256 images: PyTorch was not measured: no such thing", "Python ended"] {
        assert!(report.contains(words), "{words} is not in: {report}");
    }
    assert!(fs::metadata(place.out().join("bench.png")).unwrap().len() > 0);
}

#[test]
fn a_benchmark_without_python_says_why() {
    let nowhere = Path::new("/nowhere/python");
    for (arguments, words) in [(&[][..], "cannot start /nowhere/python"), (&["--no-python"], "")] {
        let place = Place::new();
        let arguments = [&["--sections", "step", "--rounds", "1"], arguments].concat();
        let output = bench(&place, nowhere, &arguments);
        assert!(output.status.success());
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().last(), place.out().to_str());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(words) && stderr.is_empty() == words.is_empty(), "{stderr}");
        let csv = fs::read_to_string(place.out().join("bench.csv")).unwrap();
        assert_eq!(csv.lines().count(), 1 + 2 * Variant::NOTEBOOKS.len(), "{csv}");
    }
}

#[test]
fn bench_refuses_what_it_cannot_do() {
    let last_recipes = format!("{}, cifar", RECIPES.last().unwrap().name);
    for (arguments, words) in [
        (["--sections", "spin"], "[possible values: batch-norm, step, epoch, data]"),
        (["--recipes", "paper"], last_recipes.as_str()),
        (["--rounds", "0"], "--rounds"),
        (["--train-examples", "1"], "--train-examples"),
        (["--graph", "--quiet"], "the device is cpu"),
    ] {
        let place = Place::new();
        assert_two_lines(&bench(&place, Path::new("python3"), &arguments), 2, words);
        assert!(!place.out().exists(), "{arguments:?}");
    }
}
