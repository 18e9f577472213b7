//! Runs that are stopped, whose disk fills up, or that want the directory of another run.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use d2l_ch7::report::read_metrics;

mod place;

use place::skipped::skipped;
use place::{Place, assert_two_lines, program, until};

/// Sends a signal, named as for `kill`, to the process.
fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// The program, started by `shell` (such as `env`), which decides which signals it ignores.
fn started_by(shell: &[&str], command: &Command) -> Command {
    let mut started = Command::new(shell[0]);
    started.args(&shell[1..]).arg(command.get_program()).args(command.get_args());
    started.stderr(Stdio::piped()).stdout(Stdio::piped());
    started
}

/// The program hears every signal, whatever the tests themselves were started to ignore.
const HEARING: [&str; 2] = ["env", "--default-signal=INT,TERM,HUP"];

/// The program ignores SIGHUP, as under `nohup`, and SIGINT, as in the background of a script.
const DEAF: [&str; 3] = ["sh", "-c", "trap '' HUP INT; exec \"$0\" \"$@\""];

/// A run in `place` that does not end by itself, after its first three epochs.
fn long_run(place: &Place) -> Child {
    long_run_started_by(&HEARING, place)
}

fn long_run_started_by(shell: &[&str], place: &Place) -> Child {
    let mut command = program();
    command.args(["--device", "cpu", "--threads", "1", "--batch-size", "4", "--epochs", "100000", "--quiet"]);
    command.arg("--data-dir").arg(place.data()).arg("--out").arg(place.out());
    let child = started_by(shell, &command).spawn().unwrap();
    until_epochs(place, 3);
    child
}

/// Waits until the metrics of the run in `place` have so many records.
fn until_epochs(place: &Place, epochs: usize) {
    let metrics = place.out().join("metrics.csv");
    until("an epoch", || read_metrics(&metrics).is_ok_and(|records| records.len() >= epochs));
}

/// Ctrl-C and other signals, in the middle of a long run.
#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_what_it_finished() {
    for (name, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        interrupt(name, code);
    }
}

fn interrupt(name: &str, code: i32) {
    let place = Place::new();
    let child = long_run(&place);
    signal(&child, name);
    let output = child.wait_with_output().unwrap();
    assert_two_lines(&output, code, "interrupted");

    let records = read_metrics(&place.out().join("metrics.csv")).unwrap();
    assert!(records.len() >= 3);
    let expected = |i: usize| (["scratch", "native"][i % 2], i / 2 + 1);
    for (i, record) in records.iter().enumerate() {
        assert_eq!((record.variant.as_str(), record.epoch), expected(i));
    }
    let curves = fs::read(place.out().join("curves.png")).unwrap();
    assert!(curves.starts_with(b"\x89PNG") && curves.ends_with(b"IEND\xae\x42\x60\x82"), "a whole picture");
    assert!(place.out().join("report.md").exists());
}

#[cfg(unix)]
#[test]
fn a_signal_that_is_ignored_stays_ignored() {
    let place = Place::new();
    let child = long_run_started_by(&DEAF, &place);
    for name in ["-HUP", "-INT", "-HUP", "-INT"] {
        signal(&child, name);
    }
    let finished = read_metrics(&place.out().join("metrics.csv")).unwrap().len();
    until_epochs(&place, finished + 3);
    signal(&child, "-TERM");
    assert_two_lines(&child.wait_with_output().unwrap(), 143, "interrupted");
}

/// A disk that is full from the third record on. The files of the first two stay, each of them whole.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_loses_nothing() {
    let place = Place::new();
    let mut child = long_run(&place);
    // From now on no file can grow beyond 4 KiB. A write then fails as on a full disk. The program must ignore SIGXFSZ,
    // which comes first and would kill it.
    let limited = Command::new("prlimit").args(["--pid", &child.id().to_string(), "--fsize=4096"]).status();
    if !limited.is_ok_and(|status| status.success()) {
        let _ = child.kill();
        let _ = child.wait();
        return skipped("a_disk_that_fills_up_loses_nothing", "no prlimit");
    }
    let output = child.wait_with_output().unwrap();
    assert_two_lines(&output, 1, "cannot write");

    let records = read_metrics(&place.out().join("metrics.csv")).unwrap();
    assert!(records.len() >= 3);
    let curves = fs::read(place.out().join("curves.png")).unwrap();
    assert!(curves.starts_with(b"\x89PNG") && curves.ends_with(b"IEND\xae\x42\x60\x82"), "a whole picture");
    for variant in ["scratch", "native"] {
        let mut command = program();
        command.arg("evaluate").arg(place.out().join(format!("weights/{variant}.safetensors")));
        command.args(["--variant", variant, "--device", "cpu", "--data-dir"]).arg(place.data());
        assert!(command.output().unwrap().status.success(), "the weights of {variant} are whole");
    }
    for folder in [place.out(), place.out().join("weights")] {
        for entry in fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(!name.to_string_lossy().starts_with('.'), "{name:?} is half-written");
        }
    }
}

/// No room for the weights, by the limit on file sizes that the program was started with.
#[cfg(unix)]
#[test]
fn a_file_limit_is_an_error_of_two_lines() {
    let place = Place::new();
    let compare = place.compare(&["--quiet"]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""])
        .arg(compare.get_program())
        .args(compare.get_args());
    assert_two_lines(&limited.output().unwrap(), 1, "cannot write");
    assert!(!place.out().join("weights/scratch.safetensors").exists());
}

/// A download from a server that never answers: the first Ctrl-C ends it. And folders that cannot be a cache.
#[cfg(unix)]
#[test]
fn fetching_ends_at_the_first_interrupt() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", silent.local_addr().unwrap());
    let place = Place::new();
    let cifar = |cache: &Path| {
        let mut command = program();
        command.args(["cifar", "--device", "cpu", "--threads", "1", "--out"]).arg(place.out());
        command.env("HTTPS_PROXY", &proxy).env_remove("NO_PROXY").env_remove("no_proxy");
        command.env("XDG_CACHE_HOME", cache).stderr(Stdio::piped());
        command.stdout(Stdio::piped());
        command
    };
    let child = cifar(&place.folder.path().join("cache")).spawn().unwrap();
    // The program has connected and waits for an answer.
    let (_asked, _) = silent.accept().unwrap();
    signal(&child, "-TERM");
    assert_two_lines(&child.wait_with_output().unwrap(), 143, "interrupted while CIFAR-10 was fetched");

    let below_a_file = place.data().join("train-labels-idx1-ubyte");
    assert_two_lines(&cifar(&below_a_file).output().unwrap(), 1, "cannot make the cache folder");
    assert!(!place.out().exists());
}

/// The first Ctrl-C waits for the batch that is being computed, which takes a while here. The second does not wait.
#[cfg(unix)]
#[test]
fn a_second_interrupt_ends_a_run_at_once() {
    let place = Place::new();
    let mut run = program();
    run.args(["--recipe", "lenet224", "--device", "cpu", "--threads", "1", "--batch-size", "96", "--quiet"]);
    run.arg("--data-dir").arg(place.data()).arg("--out").arg(place.out());
    let child = started_by(&HEARING, &run).spawn().unwrap();
    until("the run", || place.out().join("config.json").exists());
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(20));
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "what the first one says: {}", String::from_utf8_lossy(&output.stderr));
}

/// A run that still goes on cannot be resumed, and does not notice the attempt.
#[cfg(unix)]
#[test]
fn a_run_that_goes_on_is_not_resumed() {
    let place = Place::new();
    let child = long_run(&place);
    let mut second = program();
    second.args(["--device", "cpu", "--threads", "1", "--batch-size", "4", "--epochs", "100000", "--quiet"]);
    second.arg("--data-dir").arg(place.data()).arg("--resume").arg(place.out());
    assert_two_lines(&second.output().unwrap(), 1, "another process is writing the run");
    signal(&child, "-INT");
    assert_two_lines(&child.wait_with_output().unwrap(), 130, "interrupted");
}
