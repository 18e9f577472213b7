//! `d2l_ch7 claims`: its files, the command lines that it refuses, and runs that are killed and go on.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::CommandFactory;
use d2l_ch7::Figure;
use d2l_ch7::cli::Cli;
use torchvision_exact::image::Image;
use torchvision_exact::random::{Draws, Mt19937};

use crate::place::job::Job;
use crate::place::{Place, assert_two_lines, program};

/// How many runs are killed, unless `D2L_KILLED_RUNS` gives another number.
const KILLED_RUNS: usize = 2;

/// One seed of a claim that measures no time, on the data of `place`.
fn claims(place: &Place, out: &Path, options: &[&str]) -> Command {
    let mut command = program();
    command.args(["claims", "dropout", "--quiet", "--data-dir"]).arg(place.data()).arg("--out").arg(out);
    if !options.contains(&"--seeds") {
        command.args(["--seeds", "1"]);
    }
    command.args(options).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn resume(out: &Path) -> Command {
    let mut command = program();
    command.arg("--resume").arg(out).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The names and contents of the files in `out`, those in folders left out.
fn files(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(out).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_file());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

#[test]
fn claims_leave_a_page_figures_and_pictures() {
    let place = Place::new();
    succeeds(&mut claims(&place, &place.out(), &[]));
    let left = files(&place.out());
    assert_eq!(
        left.keys().collect::<Vec<_>>(),
        ["claims.html", "claims.md", "config.json", "dropout.csv", "dropout.png"]
    );
    Image::open(&place.out().join("dropout.png")).unwrap();
    let figures: Vec<Figure> = csv::Reader::from_path(place.out().join("dropout.csv"))
        .unwrap()
        .deserialize()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(figures.len(), 8, "two figures each of two recipes and two variants: {figures:?}");
    let page = String::from_utf8(left["claims.html"].clone()).unwrap();
    assert!(page.contains("<section id=\"dropout\">") && !page.contains("<section id=\"native\">"));

    // What config.json lacks would be lost when the run is resumed.
    let config: serde_json::Value = serde_json::from_slice(&left["config.json"]).unwrap();
    let cli = Cli::command();
    let options =
        cli.find_subcommand("claims").unwrap().get_arguments().map(|option| option.get_id().as_str());
    for option in options {
        let is_saved = !["out", "resume", "quiet", "quick", "jobs"].contains(&option);
        assert_eq!(config.get(option).is_some(), is_saved, "{option}");
    }

    // What was measured is not measured again.
    fs::remove_dir_all(place.out().join("runs")).unwrap();
    succeeds(&mut resume(&place.out()));
    assert!(files(&place.out()) == left);
    assert!(!place.out().join("runs").exists());
    let mut more = program();
    more.args(["claims", "--seeds", "2", "--resume"]).arg(place.out());
    assert_two_lines(&more.output().unwrap(), 2, "it has --seeds 1, and --seeds 2 is asked for");
}

#[test]
fn command_lines_that_cannot_be_are_refused() {
    let place = Place::new();
    for (options, words) in [
        (&["drop"][..], "[possible values: learning-rates, "),
        (&["native", "dropout"], "the command line names dropout twice"),
        (&["--quick", "--full"], "--full"),
        (&["--seeds", "0"], "--seeds"),
        (&["--jobs", "0"], "`d2l_ch7 claims --help` lists every option"),
    ] {
        assert_two_lines(&claims(&place, &place.out(), options).output().unwrap(), 2, words);
        assert!(!place.out().exists(), "{options:?} left a directory");
    }
    let mut ranked = claims(&place, &place.out(), &[]);
    assert_two_lines(&Job::new(2).place(0, &mut ranked).output().unwrap(), 2, "leave torchrun out");
}

#[test]
fn killed_claims_end_with_the_files_of_those_that_nobody_killed() {
    let killed =
        std::env::var("D2L_KILLED_RUNS").map_or(KILLED_RUNS, |number| number.parse().expect("a number"));
    let place = Place::new();
    let whole = place.folder.path().join("whole");
    let started = Instant::now();
    succeeds(&mut claims(&place, &whole, &["--seeds", "2"]));
    let (took, whole) = (started.elapsed(), files(&whole));
    let mut chance = Mt19937::new(5);
    for i in 0..killed {
        let out = place.folder.path().join(format!("killed-{i}"));
        let go_on = || match out.join("config.json").exists() {
            true => resume(&out),
            false => {
                // It was killed before it wrote anything.
                let _ = fs::remove_dir_all(&out);
                claims(&place, &out, &["--seeds", "2"])
            }
        };
        for _ in 0..2 + chance.randint(3) {
            let mut child = go_on().spawn().unwrap();
            std::thread::sleep(took.mul_f32(0.6 * chance.rand()).max(Duration::from_millis(1)));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        succeeds(&mut go_on());
        assert!(files(&out) == whole, "other files");
    }
}
