//! `d2l_ch7 chapter`: its files, the options that it refuses, and runs that are killed or interrupted and go on.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::CommandFactory;
use d2l_ch7::ChapterRecord;
use d2l_ch7::cli::Cli;
use d2l_ch7::report::read_metrics;
use torchvision_exact::image::Image;

use crate::place::job::Job;
use crate::place::{Place, assert_two_lines, outcome, program, until};
use crate::sweep::{processes, send, succeeds};

/// LeNet on every image of `place`, for so many minutes, unless the `options` name other networks.
fn chapter(place: &Place, minutes: &str, options: &[&str]) -> Command {
    let mut command = program();
    command.args(["chapter", "--quiet", "--threads", "1", "--device", "cpu", "--minutes", minutes]);
    command.arg("--data-dir").arg(place.data()).arg("--out").arg(place.out());
    for usual in [["--networks", "book"], ["--test-examples", "32"]] {
        if !options.contains(&usual[0]) {
            command.args(usual);
        }
    }
    command.args(options).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn resume(out: &Path, options: &[&str]) -> Command {
    let mut command = program();
    command
        .arg("chapter")
        .arg("--resume")
        .arg(out)
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

fn network(place: &Place, name: &str) -> PathBuf {
    place.out().join("networks").join(name)
}

fn rows(place: &Place) -> Vec<ChapterRecord> {
    let mut csv = csv::Reader::from_path(place.out().join("chapter.csv")).unwrap();
    csv.deserialize().collect::<Result<_, _>>().unwrap()
}

/// The rows of a network's `metrics.csv`, its times too; none if there is no such file.
fn metrics(place: &Place, name: &str) -> Vec<String> {
    let text = fs::read_to_string(network(place, name).join("metrics.csv")).unwrap_or_default();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// Checks that a LeNet has the bits of `d2l_ch7 compare` run alone for as many epochs.
fn assert_as_compare_alone(place: &Place, variant: &str) {
    let name = format!("book-{variant}");
    let (epochs, alone) = (metrics(place, &name).len().to_string(), place.folder.path().join(&name));
    let options = ["--variants", variant, "--batch-size", "256", "--epochs", &epochs, "--quiet", "--out"];
    succeeds(&mut place.compare(&[&options[..], &[alone.to_str().unwrap()]].concat()));
    assert!(outcome(&network(place, &name)) == outcome(&alone), "{name} after {epochs} epochs");
}

#[test]
fn every_network_leaves_its_run_and_a_row() {
    let place = Place::new();
    let options = ["--networks", "densenet,book", "--variants", "none,native"];
    succeeds(&mut chapter(
        &place,
        "0.0002",
        &[&options[..], &["--train-examples", "4", "--test-examples", "4"]].concat(),
    ));
    let rows = rows(&place);
    for (name, first) in [("book", 0), ("densenet", 2)] {
        for (variant, place_in_table) in [("none", first), ("native", first + 1)] {
            let own: Vec<_> =
                rows.iter().filter(|row| (&*row.network, &*row.variant) == (name, variant)).collect();
            let records =
                read_metrics(&network(&place, &format!("{name}-{variant}")).join("metrics.csv")).unwrap();
            assert_eq!(own.len(), records.len());
            let mut seconds = 0.0;
            for (row, record) in own.iter().zip(&records) {
                seconds += record.train_seconds;
                assert_eq!((row.epoch, row.test_acc), (record.epoch, record.test_acc));
                assert_eq!((row.train_loss, row.seconds), (record.train_loss, seconds));
                // libtorch alone takes some 100 MiB.
                assert!(row.peak_resident_bytes.unwrap() > 50 << 20, "{row:?}");
            }
            assert!(seconds >= 0.012, "{seconds}");
            let report = fs::read_to_string(place.out().join("report.md")).unwrap();
            let table: Vec<&str> = report.lines().filter(|line| line.starts_with("| 7.")).collect();
            assert_eq!(table.len(), 4, "{report}");
            let cells: Vec<&str> = table[place_in_table].split('|').map(str::trim).collect();
            let section = if name == "book" { "7.5" } else { "7.7" };
            assert_eq!([cells[1], cells[3]], [section, variant], "{report}");
            let batch_size = if name == "book" { "256" } else { "32" };
            // All images are in one batch.
            assert_eq!([cells[8], cells[9]], [batch_size, &own.len().to_string()], "{report}");
        }
    }
    Image::open(&place.out().join("chapter.png")).unwrap();
    // What config.json lacks would be lost when the run is resumed.
    let config = fs::read(place.out().join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let cli = Cli::command();
    let options = cli.find_subcommand("chapter").unwrap().get_arguments();
    for option in options.map(|option| option.get_id().as_str()) {
        let is_saved = !["out", "resume", "quiet"].contains(&option);
        assert_eq!(config.get(option).is_some(), is_saved, "--{option}");
    }
}

#[test]
fn more_minutes_train_every_network_on() {
    let place = Place::new();
    succeeds(&mut chapter(&place, "0.0002", &["--variants", "none,native"]));
    let before = ["book-none", "book-native"].map(|name| metrics(&place, name));
    let files = fs::read(place.out().join("chapter.csv")).unwrap();
    succeeds(&mut resume(&place.out(), &[]));
    assert!(fs::read(place.out().join("chapter.csv")).unwrap() == files, "the time was up");
    // On a busy machine, a network may have had much more than its time.
    let most = rows(&place).iter().map(|row| row.seconds / 60.0).fold(0.0, f64::max);
    succeeds(&mut resume(&place.out(), &["--minutes", &(1.5 * most).to_string(), "--quiet"]));
    for (name, before) in ["book-none", "book-native"].into_iter().zip(before) {
        let after = metrics(&place, name);
        assert!(after.len() > before.len() && after.starts_with(&before), "{after:?}, {before:?}");
    }
    assert_as_compare_alone(&place, "native");
    assert_two_lines(&resume(&place.out(), &["--minutes", "0.0001"]).output().unwrap(), 2, "more minutes");
    assert_two_lines(&resume(&place.out(), &["--variants", "none"]).output().unwrap(), 2, "--variants");
}

/// SIGKILL to the program alone and to its processes too. No finished epoch is trained again, and no process stays.
#[test]
fn a_killed_run_goes_on() {
    for with_processes in [false, true] {
        let place = Place::new();
        let mut child =
            chapter(&place, "0.004", &["--variants", "none,native"]).process_group(0).spawn().unwrap();
        until("an epoch of the second network", || metrics(&place, "book-native").len() > 1);
        if with_processes {
            send("-KILL", &format!("-{}", child.id()));
        } else {
            child.kill().unwrap();
        }
        child.wait().unwrap();
        until("the end of every process", || processes(&place.out()).is_empty());
        let [done, mut begun] = ["book-none", "book-native"].map(|name| metrics(&place, name));
        if with_processes {
            // Its checkpoint may be missing.
            begun.pop();
        }
        succeeds(&mut resume(&place.out(), &["--quiet"]));
        assert_eq!(metrics(&place, "book-none"), done, "a network whose time was up was trained again");
        assert!(metrics(&place, "book-native").starts_with(&begun), "an epoch was trained again");
        assert_as_compare_alone(&place, "native");
        let seconds = |row: &ChapterRecord| (row.variant == "native").then_some(row.seconds);
        assert!(rows(&place).iter().filter_map(seconds).fold(0.0, f64::max) >= 0.24);
    }
}

#[test]
fn an_interrupted_run_goes_on() {
    let place = Place::new();
    let child = chapter(&place, "1000", &[]).spawn().unwrap();
    until("an epoch", || !metrics(&place, "book-native").is_empty());
    assert_two_lines(&resume(&place.out(), &[]).output().unwrap(), 1, "another process is writing");
    send("-INT", &child.id().to_string());
    assert_two_lines(&child.wait_with_output().unwrap(), 130, "interrupted after 0 of 1 networks");
    assert_eq!(processes(&place.out()), [0; 0], "its process ended before it");
    assert_as_compare_alone(&place, "native");
}

#[test]
fn options_that_cannot_be_are_refused() {
    let place = Place::new();
    for (options, words) in [
        (&["--networks", "book,book"][..], "--networks names book twice"),
        (&["--networks", "bok"], "a similar value exists: 'book'"),
        (&["--variants", "none,none"], "--variants names none twice"),
        (&["--variants", "none,fused"], "the variant fused is trained on CUDA alone"),
        (&["--train-examples", "97"], "--train-examples 97 is more than the 96 images"),
        (&["--test-examples", "33"], "--test-examples 33 is more than the 32 images"),
        (&["--networks", "densenet", "--train-examples", "1"], "densenet: the last of the batches"),
        (&["--lr", "1"], "`d2l_ch7 chapter --help` lists every option"),
    ] {
        assert_two_lines(&chapter(&place, "1", options).output().unwrap(), 2, words);
    }
    for minutes in ["0", "-1", "NaN", "inf", "two"] {
        assert_two_lines(
            &chapter(&place, minutes, &[]).output().unwrap(),
            2,
            "minutes are a number above zero",
        );
    }
    let mut ranked = chapter(&place, "1", &[]);
    assert_two_lines(&Job::new(2).place(0, &mut ranked).output().unwrap(), 2, "leave torchrun out");
    assert!(!place.out().exists());
}
