//! Output whose reader is gone or whose disk is full; and panics.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use d2l_ch7::report::read_metrics;

use crate::place::{Place, assert_two_lines, program, until};

/// A pipe whose reader is gone, as with `| true`.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

fn with_stdout(mut command: Command, stdout: Stdio) -> Output {
    command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap()
}

/// Commands whose only result is their output.
fn that_tell(place: &Place) -> Vec<Command> {
    let lines = [
        "list",
        "doctor",
        "shapes lenet",
        "shapes lenet --format json",
        "--help",
        "cifar --help",
        "--version",
    ];
    let mut commands: Vec<Command> = lines
        .iter()
        .map(|line| {
            let mut command = program();
            command.args(line.split(' ')).current_dir(place.folder.path());
            command
        })
        .collect();
    let mut evaluate = program();
    evaluate.arg("evaluate").arg(place.out().join("weights/native.safetensors"));
    evaluate.args(["--variant", "native", "--device", "cpu", "--data-dir"]).arg(place.data());
    commands.push(evaluate);
    commands
}

/// A run in `place` whose lines cannot be printed is complete all the same.
fn assert_trains(place: &Place, stdout: Stdio, warnings: usize) {
    let output = with_stdout(place.compare(&["--inspect"]), stdout);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(0), warnings), "{stderr}");
    assert!(
        stderr.lines().all(|line| line.starts_with("warning: cannot write to standard output")),
        "{stderr}"
    );
    assert_eq!(read_metrics(&place.out().join("metrics.csv")).unwrap().len(), 4);
    assert!(place.out().join("checkpoints/native.safetensors").exists());
}

#[test]
fn who_stops_reading_ends_no_run_and_is_told_of_no_error() {
    let place = Place::new();
    assert_trains(&place, unread(), 0);
    for command in that_tell(&place) {
        let line = format!("{command:?}");
        let output = with_stdout(command, unread());
        assert_eq!(
            (output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()),
            (Some(0), ""),
            "{line}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_output_ends_no_run_and_is_an_error_of_those_who_only_tell() {
    let place = Place::new();
    assert_trains(&place, full(), 1);
    for command in that_tell(&place) {
        assert_two_lines(&with_stdout(command, full()), 1, "cannot write to standard output");
    }
}

/// The first line waits until it is read. Its epoch's checkpoint is saved by then.
#[cfg(unix)]
#[test]
fn a_line_is_printed_after_its_checkpoint() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().unwrap();
    // `yes` fills the pipe at once.
    let mut other = Command::new("yes").stdout(writer.try_clone().unwrap()).spawn().unwrap();
    let mut run = place.compare(&[]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    until("the first checkpoint", || place.out().join("checkpoints/scratch.safetensors").exists());
    other.kill().unwrap();
    other.wait().unwrap();
    drop(reader);
    assert!(run.wait().unwrap().success());
    assert_eq!(read_metrics(&place.out().join("metrics.csv")).unwrap().len(), 4);
}

#[cfg(target_os = "linux")]
#[test]
fn closed_or_full_output_changes_no_exit_code() {
    for output in [">&- 2>&-", ">/dev/full 2>/dev/full"] {
        let place = Place::new();
        let compare = place.compare(&[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec \"$0\" \"$@\" {output}")]);
        let status = shell.arg(compare.get_program()).args(compare.get_args()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{output}");
        assert_eq!(read_metrics(&place.out().join("metrics.csv")).unwrap().len(), 4);
    }
    for (arguments, code) in [(vec!["--bogus"], 2), (vec!["evaluate", "nothing", "--variant", "native"], 1)] {
        let output = program().args(&arguments).stderr(full()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout), (Some(code), Vec::new()), "{arguments:?}");
    }
}

/// A stack so large that no thread can be started with it: the standard library panics.
#[test]
fn a_panic_is_two_lines_with_its_place_and_a_backtrace_if_one_is_asked_for() {
    let place = Place::new();
    let panics = || {
        let mut command = place.compare(&[]);
        command.env("RUST_MIN_STACK", (usize::MAX / 4).to_string());
        command
    };
    let output = panics().output().unwrap();
    assert_two_lines(&output, 1, "the computation broke off: failed to spawn thread");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let (_, place_of) = stderr.split_once("please report this, with its place (").expect(&stderr);
    let (file, line) = place_of.split_once(')').unwrap().0.rsplit_once(':').expect(&stderr);
    assert!(file.ends_with(".rs") && line.parse::<u32>().is_ok(), "{stderr}");

    let traced = panics().env("RUST_BACKTRACE", "1").output().unwrap();
    let traced = String::from_utf8(traced.stderr).unwrap();
    let (first, backtrace) = traced.split_at(stderr.len());
    assert_eq!(first, stderr);
    assert!(backtrace.contains("d2l_ch7::experiments::compare::run"), "{traced}");
    assert!(!place.out().exists());
}
