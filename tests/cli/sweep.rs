//! `d2l_ch7 sweep`: its cells, the grids that it refuses, and sweeps that are killed or interrupted and go on.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::CommandFactory;
use d2l_ch7::cli::Cli;
use d2l_ch7::{CellRecord, CellStatus};
use torchvision_exact::image::Image;
use torchvision_exact::random::{Draws, Mt19937};

use crate::place::job::Job;
use crate::place::{Outcome, Place, assert_two_lines, outcome, program, until};

/// How many sweeps are killed, unless `D2L_KILLED_RUNS` gives another number.
const KILLED_SWEEPS: usize = 2;

/// A sweep on the data of `place` that leaves its results in `out`, of two epochs unless the `options` give others.
fn sweep(place: &Place, out: &Path, options: &[&str]) -> Command {
    let mut command = program();
    command.args(["sweep", "--quiet", "--data-dir"]).arg(place.data()).arg("--out").arg(out);
    if !options.contains(&"--epochs") {
        command.args(["--epochs", "2"]);
    }
    command.args(options).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Without options, `d2l_ch7 --resume DIR` is enough.
fn resume(out: &Path, options: &[&str]) -> Command {
    let mut command = program();
    if !options.is_empty() {
        command.arg("sweep");
    }
    command.arg("--resume").arg(out).args(options).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

pub fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Eight cells.
const GRID: [&str; 8] =
    ["--variants", "none,native", "--lr", "0.1,0.5", "--batch-size", "24", "--seeds", "2"];

fn cells(out: &Path) -> Vec<CellRecord> {
    let mut csv = csv::Reader::from_path(out.join("cells.csv")).unwrap();
    csv.deserialize().collect::<Result<_, _>>().unwrap()
}

/// The directories of the cells that have all epochs.
fn finished(out: &Path) -> Vec<PathBuf> {
    let is_finished = |cell: &CellRecord| cell.status == CellStatus::Finished;
    let name = |cell: CellRecord| {
        let CellRecord { recipe, variant, lr, batch_size, seed, .. } = cell;
        out.join(format!("cells/{recipe}-{variant}-lr{lr:?}-batch{batch_size}-seed{seed}"))
    };
    cells(out).into_iter().filter(is_finished).map(name).collect()
}

/// What all cells gave by their directories' names, and the columns of `sweep.csv` that no clock decides.
fn results(out: &Path) -> (BTreeMap<String, Outcome>, String) {
    let all = fs::read_dir(out.join("cells")).unwrap().map(|entry| entry.unwrap());
    let all = all.map(|cell| (cell.file_name().into_string().unwrap(), outcome(&cell.path()))).collect();
    let csv = fs::read_to_string(out.join("sweep.csv")).unwrap();
    let timeless = csv.lines().map(|row| row.split(',').take(10).collect::<Vec<_>>().join(",") + "\n");
    (all, timeless.collect())
}

/// The processes whose command line names `out`.
pub fn processes(out: &Path) -> Vec<u32> {
    let names = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(out.to_str().unwrap())
    };
    let ids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(names).collect()
}

pub fn send(signal: &str, to: &str) {
    assert!(Command::new("kill").args([signal, "--", to]).status().unwrap().success());
}

/// Starts a sweep of so many epochs a cell, two cells at once, and waits until a cell has one of them.
fn begun(place: &Place, epochs: &str) -> Child {
    let options = [&GRID[..], &["--jobs", "2", "--epochs", epochs]].concat();
    let child = sweep(place, &place.out(), &options).spawn().unwrap();
    let has_epoch = |cell: fs::DirEntry| cell.path().join("metrics.csv").exists();
    let cells = || fs::read_dir(place.out().join("cells")).into_iter().flatten().flatten();
    until("an epoch", || cells().any(has_epoch));
    child
}

#[test]
fn a_cell_is_compare_run_alone() {
    let place = Place::new();
    let alone = place.folder.path().join("alone");
    succeeds(&mut sweep(&place, &place.out(), &[&GRID[..], &["--jobs", "3"]].concat()));
    assert_eq!(finished(&place.out()).len(), 8);
    let options =
        ["--recipe", "book", "--variants", "none", "--lr", "0.1", "--batch-size", "24", "--seed", "1"];
    let options = [&options[..], &["--quiet", "--out", alone.to_str().unwrap()]].concat();
    succeeds(&mut place.compare(&options));
    let cell = place.out().join("cells/book-none-lr0.1-batch24-seed1");
    assert!(outcome(&cell) == outcome(&alone));
    for name in ["config.json", "curves.png"] {
        assert!(fs::read(cell.join(name)).unwrap() == fs::read(alone.join(name)).unwrap(), "{name}");
    }

    // Each of its rows is one of sweep.csv, below the cell's own columns.
    let [table, metrics] = [place.out().join("sweep.csv"), cell.join("metrics.csv")]
        .map(|path| fs::read_to_string(path).unwrap());
    assert_eq!(table.lines().count(), 1 + 8 * 2);
    for row in metrics.lines().skip(1) {
        let row = row.replacen("none,", "book,none,0.1,24,1,", 1);
        assert!(table.lines().any(|line| line == row), "{row} is not in {table}");
    }
    for name in ["curves.png", "heatmap.png"] {
        Image::open(&place.out().join(name)).unwrap();
    }
    // What config.json lacks would be lost when the sweep is resumed.
    let config = fs::read(place.out().join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let cli = Cli::command();
    for option in cli.find_subcommand("sweep").unwrap().get_arguments().map(|option| option.get_id().as_str())
    {
        let is_saved = !["out", "resume", "quiet", "jobs"].contains(&option);
        assert_eq!(config.get(option).is_some(), is_saved, "--{option}");
    }
    let report = fs::read_to_string(place.out().join("report.md")).unwrap();
    assert!(report.contains("# A sweep of 8 cells") && !report.contains("open"), "{report}");
}

#[test]
fn how_many_are_trained_at_once_changes_nothing() {
    let place = Place::new();
    let of_jobs = |jobs: &str| {
        let out = place.folder.path().join(jobs);
        succeeds(&mut sweep(
            &place,
            &out,
            &["--variants", "none,scratch", "--batch-size", "24,32", "--jobs", jobs],
        ));
        results(&out)
    };
    let one = of_jobs("1");
    assert_eq!(one.0.len(), 4);
    assert!(one == of_jobs("4"));
}

#[test]
fn grids_that_cannot_be_are_refused() {
    let place = Place::new();
    for (options, words) in [
        (&["--lr", "0.1,0.10"][..], "--lr names 0.1 twice"),
        (&["--batch-size", "32,64,32"], "--batch-size names 32 twice"),
        (&["--recipes", "book,book"], "--recipes names book twice"),
        (&["--variants", "none,none"], "--variants names none twice"),
        (&["--device", "cpu", "--variants", "none,fused"], "fused is trained on CUDA alone"),
        (&["--seeds", "300000"], "the grid has 600000 cells, and a sweep takes 10000 at most"),
        (&["--seeds", "18446744073709551615"], "and a sweep takes 10000 at most"),
        (&["--seeds", "0"], "--seeds"),
        (&["--lr", ""], "--lr"),
        (&["--lr", "0.1,,1"], "--lr"),
        (&["--lr", "-1"], "a number above zero"),
        (&["--lr", "0.1, 1e39"], "invalid value ' 1e39' for '--lr"),
        (&["--batch-size", ","], "--batch-size"),
        (&["--recipes", "bok"], "a similar value exists: 'book'"),
        (&["--variants", "batch"], "--variants"),
        (&["--jobs", "0"], "`d2l_ch7 sweep --help` lists every option"),
        (
            &["--batch-size", "19,32,5", "--variants", "none,native", "--seeds", "2"],
            "4 of the 12 cells (batch size 5, 19): the last of the batches of 19 from",
        ),
        (&["--train-examples", "97"], "--train-examples 97 is more than the 96 images"),
    ] {
        assert_two_lines(&sweep(&place, &place.out(), options).output().unwrap(), 2, words);
        assert!(!place.out().exists(), "{options:?} left a directory");
    }
    let mut ranked = sweep(&place, &place.out(), &[]);
    assert_two_lines(&Job::new(2).place(0, &mut ranked).output().unwrap(), 2, "leave torchrun out");
    // Without batch norm, a batch may hold one image.
    succeeds(&mut sweep(&place, &place.out(), &["--batch-size", "19", "--variants", "none"]));
    assert_two_lines(&sweep(&place, &place.out(), &[]).output().unwrap(), 2, "exists");
}

#[test]
fn a_cell_that_diverges_is_a_result() {
    let place = Place::new();
    let options = ["--variants", "native", "--lr", "0.1,1e38", "--batch-size", "32"];
    succeeds(&mut sweep(&place, &place.out(), &options));
    let all = cells(&place.out());
    assert_eq!((all[0].status, all[0].epochs), (CellStatus::Finished, 2));
    assert_eq!((all[1].status, all[1].epochs), (CellStatus::Diverged, 1));
    let report = fs::read_to_string(place.out().join("report.md")).unwrap();
    assert!(report.contains("## Diverged"), "{report}");

    // Nor is it tried again, also where the sweep was killed before it could note it.
    let metrics = place.out().join("cells/book-native-lr1e38-batch32-seed0/metrics.csv");
    let before = fs::read(&metrics).unwrap();
    for noted in [true, false] {
        if !noted {
            fs::remove_file(place.out().join("cells.csv")).unwrap();
        }
        succeeds(&mut resume(&place.out(), &["--quiet"]));
        assert_eq!(cells(&place.out()), all);
        assert_eq!(fs::read(&metrics).unwrap(), before, "its times are those of the first try");
    }
}

/// SIGKILL at a random moment, to the sweep alone or to its processes too. The cells that were done are not trained again, and no process stays.
#[test]
fn killed_sweeps_end_with_the_results_of_those_that_nobody_killed() {
    let killed =
        std::env::var("D2L_KILLED_RUNS").map_or(KILLED_SWEEPS, |number| number.parse().expect("a number"));
    let place = Place::new();
    let options = [&GRID[..], &["--jobs", "2"]].concat();
    let whole = place.folder.path().join("whole");
    let started = Instant::now();
    succeeds(&mut sweep(&place, &whole, &options));
    let (took, whole) = (started.elapsed(), results(&whole));
    let go_on = |out: &Path| match (out.exists(), out.join("config.json").exists()) {
        (_, true) => resume(out, &[]),
        (false, _) => sweep(&place, out, &options),
        (true, false) => {
            // It was killed before it wrote anything.
            fs::remove_dir_all(out).unwrap();
            sweep(&place, out, &options)
        }
    };
    let metrics = |dir: &Path| fs::read(dir.join("metrics.csv")).unwrap();
    let mut chance = Mt19937::new(3);
    for i in 0..killed {
        let out = place.folder.path().join(format!("killed-{i}"));
        // The metrics of cells that were done at a kill, with their times.
        let mut done = BTreeMap::new();
        // Two to four kills, each after a random part of half the time that all cells take, the last as soon as a cell is done.
        for left in (0..2 + chance.randint(3)).rev() {
            let mut child = go_on(&out).process_group(0).spawn().unwrap();
            if left == 0 {
                until("a cell", || out.join("cells.csv").exists() && !finished(&out).is_empty());
            } else {
                std::thread::sleep(took.mul_f32(0.5 * chance.rand()).max(Duration::from_millis(1)));
            }
            if chance.randint(2) == 0 {
                child.kill().unwrap();
            } else {
                send("-KILL", &format!("-{}", child.id()));
            }
            child.wait().unwrap();
            if out.join("cells.csv").exists() {
                done.extend(finished(&out).into_iter().map(|dir| (dir.clone(), metrics(&dir))));
            }
        }
        let child = go_on(&out).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(results(&out) == whole, "other results");
        assert!(
            done.iter().all(|(dir, before)| metrics(dir) == *before),
            "a cell that was done was trained again"
        );
        assert!(!done.is_empty());
        assert_eq!(processes(&out), [0; 0]);
    }
}

#[test]
fn who_kills_a_sweep_ends_its_processes() {
    let place = Place::new();
    let mut child = begun(&place, "100000");
    assert_eq!(processes(&place.out()).len(), 3);
    child.kill().unwrap();
    child.wait().unwrap();
    until("the end of every process", || processes(&place.out()).is_empty());
}

#[test]
fn an_interrupted_sweep_goes_on() {
    let place = Place::new();
    let whole = place.folder.path().join("whole");
    let mut child = begun(&place, "10");
    assert_two_lines(&resume(&place.out(), &[]).output().unwrap(), 1, "another process is writing");
    send("-INT", &child.id().to_string());
    assert!(child.wait().unwrap().code() == Some(130));
    let output = child.wait_with_output().unwrap();
    assert_two_lines(&output, 130, "of 8 cells");
    assert_eq!(processes(&place.out()), [0; 0], "its processes ended before it");
    succeeds(&mut resume(&place.out(), &["--jobs", "4"]));

    succeeds(&mut sweep(&place, &whole, &[&GRID[..], &["--epochs", "10"]].concat()));
    assert!(results(&place.out()) == results(&whole));
    assert_two_lines(&resume(&place.out(), &["--lr", "3"]).output().unwrap(), 2, "--lr");
}

#[test]
fn a_process_that_dies_ends_the_sweep_and_is_named() {
    let place = Place::new();
    let child = begun(&place, "10");
    let sweeps = child.id();
    let cell = processes(&place.out()).into_iter().find(|&id| id != sweeps).unwrap();
    send("-KILL", &cell.to_string());
    assert_two_lines(&child.wait_with_output().unwrap(), 1, "signal: 9 (SIGKILL)");
    assert_eq!(processes(&place.out()), [0; 0]);
    succeeds(&mut resume(&place.out(), &[]));
    assert_eq!(finished(&place.out()).len(), 8);
}

#[test]
fn more_epochs_train_every_cell_on() {
    let place = Place::new();
    let whole = place.folder.path().join("whole");
    let options = ["--variants", "none,scratch", "--batch-size", "24", "--lr", "0.5"];
    succeeds(&mut sweep(&place, &place.out(), &options));
    succeeds(&mut resume(&place.out(), &["--epochs", "3", "--quiet"]));
    succeeds(&mut sweep(&place, &whole, &[&options[..], &["--epochs", "3"]].concat()));
    assert!(results(&place.out()) == results(&whole));
}
