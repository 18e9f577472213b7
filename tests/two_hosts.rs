//! A job on two hosts. They are network namespaces of this machine; the link between them may be slow or may be cut.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

mod place;

use place::job::{Job, assert_all_succeed};
use place::skipped::skipped;
use place::{Outcome, Place, outcome, program, stderr_of};

/// The options of the run: five epochs of six steps on each rank, and a checkpoint after every second step.
fn run(place: &Place) -> Vec<String> {
    let options = "compare --recipe adamw --variants native --batch-size 8 --epochs 5 --checkpoint-every 2 --dist-timeout 5 \
                   --device cpu --threads 1 --quiet --data-dir";
    options.split_whitespace().map(str::to_owned).chain([place.data().display().to_string()]).collect()
}

/// A rank's output in a round, its exit code, and how long after the cut it ended, if the link was cut.
struct Said {
    text: String,
    code: i32,
    after_cut: Option<Duration>,
}

/// The job on two hosts with such a link between them; its run is left in `out`. Where the system does not allow network namespaces,
/// prints a line and gives `None`.
fn on_two_hosts(
    test: &str,
    place: &Place,
    link: &str,
    out: &PathBuf,
) -> Option<impl Fn(&str, usize) -> Said> {
    let kept = place.folder.path().join(format!("kept-{link}"));
    fs::create_dir(&kept).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/two_hosts/hosts.sh");
    let mut hosts = Command::new("unshare");
    hosts.args(["--user", "--map-root-user", "--net", "bash", script, link]).arg(&kept).arg(out);
    let output = hosts.arg(program().get_program()).args(run(place)).output();
    let had = output.as_ref().is_ok_and(|output| output.status.code() != Some(99));
    if !had || !kept.join("first.0.code").exists() {
        skipped(test, &stderr_of(output));
        return None;
    }
    Some(move |round: &str, rank: usize| {
        let read = |name: String| fs::read_to_string(kept.join(name)).unwrap();
        let code = read(format!("{round}.{rank}.code")).trim().parse().unwrap();
        let written = |name: String| fs::metadata(kept.join(name)).and_then(|file| file.modified()).ok();
        let [cut, ended] = ["cut".to_owned(), format!("{round}.{rank}.code")].map(written);
        let after_cut = cut.zip(ended).and_then(|(cut, ended)| ended.duration_since(cut).ok());
        Said { text: read(format!("{round}.{rank}")), code, after_cut }
    })
}

fn assert_succeeds(said: &Said) {
    assert_eq!(said.code, 0, "{}", said.text);
}

/// The same run on one host.
fn whole(place: &Place) -> Outcome {
    let rank = |_| {
        let mut command = program();
        command.args(run(place)).arg("--out").arg(place.out());
        command
    };
    assert_all_succeed(&Job::new(2).run(rank));
    outcome(&place.out())
}

#[test]
fn two_hosts_give_the_bits_of_one_however_slow_the_link() {
    let place = Place::new();
    let whole = whole(&place);
    for link in ["direct", "slow"] {
        let out = place.folder.path().join(link);
        let Some(said) = on_two_hosts("two_hosts_give_the_bits_of_one", &place, link, &out) else { return };
        (0..2).for_each(|rank| assert_succeeds(&said("first", rank)));
        assert!(outcome(&out) == whole, "{link}: other bits");
    }
}

/// Neither rank can reach the other. Each says in two lines what it sees.
#[test]
fn a_cut_link_ends_both_ranks_and_the_job_goes_on_to_the_same_bits() {
    let place = Place::new();
    let whole = whole(&place);
    let out = place.folder.path().join("cut");
    let Some(said) = on_two_hosts("a_cut_link_ends_both_ranks", &place, "cut", &out) else { return };
    for (rank, words) in [
        (0, "rank 1 was killed or hangs"),
        (1, "rank 1: the store at 10.9.0.1:29500 does not answer: rank 0"),
    ] {
        let Said { text, code, after_cut } = said("first", rank);
        println!("rank {rank} ended {after_cut:?} after the cut: {text}");
        assert_eq!(code, 1, "rank {rank}: {text}");
        assert!(text.contains(words), "rank {rank}: {text}");
        assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), 2, "rank {rank}: {text}");
        assert!(text.starts_with("error: ") && text.contains("\nhelp: "), "rank {rank}: {text}");
        assert_succeeds(&said("resumed", rank));
    }
    assert!(outcome(&out) == whole, "other bits");
}
