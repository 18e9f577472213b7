//! Several processes that train together. `tests/parity/distributed.rs` compares their bits with Python's.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

use d2l_ch7::report::read_metrics;
use torchvision_exact::random::{Draws, Mt19937};

mod place;

use place::job::{Job, assert_all_succeed};
use place::{Place, TEST, TRAIN, assert_two_lines, outcome, program, until};

/// How many runs are killed, unless the environment says otherwise.
const KILLED_RUNS: usize = 3;

#[test]
fn rank_0_alone_writes_and_tells() {
    let place = Place::new();
    let outputs = Job::new(3).run(|_| place.compare(&[]));
    assert_all_succeed(&outputs);
    assert!(String::from_utf8_lossy(&outputs[0].stdout).contains("epoch 2/2"));
    for output in &outputs[1..] {
        assert_eq!((&output.stdout[..], String::from_utf8_lossy(&output.stderr).as_ref()), (&b""[..], ""));
    }
    let read = |name: &str| fs::read_to_string(place.out().join(name)).unwrap();
    assert!(read("config.json").contains("\"ranks\": 3"));
    let report = read("report.md");
    assert!(report.contains("3 processes") && report.contains("32 on each of 3 processes"), "{report}");
    // Two variants, two epochs, three ranks; each rank trained on a third of the images.
    let rows: Vec<String> = read("ranks.csv").lines().skip(1).map(str::to_owned).collect();
    assert_eq!(rows.len(), 2 * 2 * 3);
    assert!(rows.iter().all(|row| row.split(',').nth(3) == Some(&(TRAIN / 3).to_string())), "{rows:?}");
    // From the second step on, the time of the exchange is known, and how much of it the backward pass hid.
    for row in rows.iter().filter(|row| row.split(',').nth(1) == Some("2")) {
        let [exchange, hidden] = [6, 7].map(|i| row.split(',').nth(i).unwrap().parse::<f64>().unwrap());
        assert!(0.0 < hidden && hidden <= exchange, "{row}");
    }
    assert!(report.contains("of it hidden"), "{report}");
    // Every test image was counted once: accuracy times the number of images is a whole number.
    for row in read_metrics(&place.out().join("metrics.csv")).unwrap() {
        let correct = row.test_acc * TEST as f64;
        assert!((correct - correct.round()).abs() < 1e-9, "{row:?}");
    }
}

#[test]
fn synchronized_statistics_stand_beside_each_ranks_own() {
    let place = Place::new();
    let variants = ["--quiet", "--variants", "scratch,scratch-sync"];
    assert_all_succeed(&Job::new(2).run(|_| place.compare(&variants)));
    let report = fs::read_to_string(place.out().join("report.md")).unwrap();
    let section = report.split_once("## Synchronized statistics").expect(&report).1;
    // LeNet has four batch norms. The statistics of one rank's batch differ from those of both batches together.
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(
        rows.iter().map(|row| (row[0], row[1])).collect::<Vec<_>>(),
        [("1", "6"), ("5", "16"), ("10", "120"), ("13", "84")]
    );
    for row in rows {
        let [distance, least, most] = [2, 3, 4].map(|i| row[i].parse::<f64>().unwrap());
        assert!(distance > 0.0 && least < 1.0 && most > 1.0, "{row:?}");
    }
    assert!(section.contains("(synchronized.png)") && place.out().join("synchronized.png").exists());
}

#[test]
fn a_job_of_one_rank_is_a_job() {
    let place = Place::new();
    let outputs = Job::new(1).run(|_| place.compare(&["--quiet"]));
    assert_all_succeed(&outputs);
    assert_eq!(fs::read_to_string(place.out().join("ranks.csv")).unwrap().lines().count(), 1 + 2 * 2);
}

/// A random rank of three is killed at a random moment, again and again. The resumed run must have the same random draws, the same
/// state of the optimizers, and the same order in which gradients are added.
#[test]
fn a_killed_rank_ends_all_and_the_job_goes_on_to_the_same_bits() {
    let killed_runs =
        std::env::var("D2L_KILLED_RUNS").map_or(KILLED_RUNS, |number| number.parse().expect("a number"));
    let place = Place::new();
    let (fashion_mnist, cifar10) =
        (place.data().display().to_string(), place.cifar10().display().to_string());
    let compare = |recipe: &str| {
        format!("compare --recipe {recipe} --batch-size 4 --inspect --data-dir {fashion_mnist}")
    };
    let cifar = format!(
        "cifar --workers 0 --augment all --batch-size 2 --train-examples 14 --test-examples 4 --data-dir {cifar10}"
    );
    let runs = [compare("dropout"), compare("adamw"), cifar];
    let command = |run: &str, option: &str, out: &Path| {
        let mut command = program();
        command.args(run.split(' ')).args([
            "--epochs",
            "2",
            "--seed",
            "3",
            "--device",
            "cpu",
            "--threads",
            "1",
        ]);
        command.args(["--quiet", "--checkpoint-every", "1"]);
        command.arg(option).arg(out);
        command
    };
    let mut chance = Mt19937::new(5);
    let mut kills = 0;
    for i in 0..killed_runs {
        let run = &runs[i % runs.len()];
        let [whole, killed] = ["whole", "killed"].map(|name| place.folder.path().join(format!("{name}-{i}")));
        let started = Instant::now();
        assert_all_succeed(&Job::new(3).run(|_| command(run, "--out", &whole)));
        let took = started.elapsed();

        let mut ranks = Job::new(3).start(|_| command(run, "--out", &killed));
        // The job needs a checkpoint before a rank is killed.
        until("a checkpoint", || fs::read_dir(killed.join("checkpoints")).map_or(0, Iterator::count) > 0);
        std::thread::sleep(took.mul_f32(0.4 * chance.rand()));
        let victim = chance.randint(3);
        ranks[victim].kill().unwrap();
        let ended = ranks.into_iter().map(|child| child.wait_with_output().unwrap());
        for (_, output) in ended.enumerate().filter(|(rank, _)| *rank != victim) {
            // A rank that had finished before prints no error.
            if !output.status.success() {
                assert_two_lines(&output, 1, &format!("rank {victim}"));
                kills += 1;
            }
        }
        assert_all_succeed(&Job::new(3).run(|_| command(run, "--resume", &killed)));
        assert!(outcome(&killed) == outcome(&whole), "{run}: other bits");
    }
    assert!(kills > 0, "every job was done before it was killed");
}

/// Ranks that see the run directory know the run's options. A rank that does not see it is given them.
#[test]
fn a_job_is_resumed_by_its_directory() {
    let place = Place::new();
    let [out, whole, none] = ["out", "whole", "none"].map(|name| place.folder.path().join(name));
    let started = |epochs: &str, out: &Path| {
        place.compare(&[
            "--recipe",
            "adamw",
            "--seed",
            "3",
            "--quiet",
            "--epochs",
            epochs,
            "--out",
            out.to_str().unwrap(),
        ])
    };
    assert_all_succeed(&Job::new(2).run(|_| started("4", &whole)));
    assert_all_succeed(&Job::new(2).run(|_| started("2", &out)));
    let resumed = |out: &Path, epochs: &str| {
        let mut command = program();
        command.args(["--quiet", "--epochs", epochs, "--resume"]).arg(out);
        command
    };
    assert_all_succeed(&Job::new(2).run(|_| resumed(&out, "3")));

    let outputs = Job::new(2).run(|rank| resumed(if rank == 0 { &out } else { &none }, "4"));
    for output in &outputs {
        assert_two_lines(output, 2, "rank 1 is not like rank 0: ");
        assert_two_lines(output, 2, "does not see the directory of --resume needs the run's options too");
    }
    let outputs = Job::new(2).run(|rank| {
        if rank == 0 {
            return resumed(&out, "4");
        }
        let mut command = program();
        let given = started("4", &none);
        command.args(given.get_args().map(|word| if word == "--out" { "--resume".as_ref() } else { word }));
        command
    });
    assert_all_succeed(&outputs);
    assert!(outcome(&out) == outcome(&whole), "other bits");
    assert_two_lines(
        &resumed(&out, "4").output().unwrap(),
        2,
        "it has 2 processes of torchrun, and one process",
    );
}

#[test]
fn a_rank_that_is_started_otherwise_is_named_on_every_rank() {
    let place = Place::new();
    let other = Place::new();
    let label = other.data().join("train-labels-idx1-ubyte");
    let mut labels = fs::read(&label).unwrap();
    *labels.last_mut().unwrap() ^= 1;
    fs::write(&label, labels).unwrap();
    let other_data = other.data().display().to_string();
    for (option, value, words) in [
        ("--seed", "4", "rank 1 is not like rank 0: its seed is 4, rank 0's is 0"),
        ("--recipe", "adamw", "rank 1 is not like rank 0: its lr is"),
        ("--data-dir", &other_data, "rank 1 is not like rank 0: its train_sha256 is"),
    ] {
        let outputs = Job::new(2).run(|rank| {
            let mut command = program();
            let data = place.data().display().to_string();
            let mut arguments = vec!["compare", "--device", "cpu", "--threads", "1", "--epochs", "1"];
            arguments.extend(["--batch-size", "32"]);
            let data = if rank == 1 && option == "--data-dir" { value } else { &data };
            arguments.extend(["--data-dir", data]);
            if rank == 1 && option != "--data-dir" {
                arguments.extend([option, value]);
            }
            command.args(arguments).arg("--out").arg(place.out());
            command
        });
        outputs.iter().for_each(|output| assert_two_lines(output, 2, words));
        assert!(!place.out().exists());
    }
}

#[test]
fn a_rank_that_does_not_come_is_named() {
    let place = Place::new();
    let job = Job::new(3);
    let ranks: Vec<Child> = [0, 1]
        .map(|rank| job.place(rank, &mut place.compare(&["--dist-timeout", "3"])).spawn().unwrap())
        .into();
    for rank in ranks {
        assert_two_lines(&rank.wait_with_output().unwrap(), 1, "rank 2 did not come within 3 s");
    }
}

#[cfg(unix)]
#[test]
fn a_rank_that_hangs_is_named() {
    let place = Place::new();
    let mut ranks = Job::new(2).start(|_| place.compare(&["--quiet", "--dist-timeout", "3"]));
    let mut other = ranks.pop().unwrap();
    until("an epoch", || place.out().join("metrics.csv").exists());
    let id = other.id().to_string();
    assert!(Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
    let output = ranks.pop().unwrap().wait_with_output().unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
    assert_two_lines(&output, 1, "rank 1 was killed or hangs");
}

/// Rank 0 has the store. Without it, as behind a link that is cut, no rank can learn what happened to another.
#[cfg(unix)]
#[test]
fn a_store_that_does_not_answer_ends_who_waits_for_it() {
    let place = Place::new();
    let mut ranks = Job::new(2).start(|_| {
        let mut command = program();
        command.args([
            "compare",
            "--device",
            "cpu",
            "--threads",
            "1",
            "--batch-size",
            "4",
            "--epochs",
            "100000",
        ]);
        command.args(["--quiet", "--dist-timeout", "3", "--data-dir"]).arg(place.data());
        command.arg("--out").arg(place.out());
        command
    });
    until("an epoch", || place.out().join("metrics.csv").exists());
    let other = ranks.pop().unwrap();
    let id = ranks[0].id().to_string();
    assert!(Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
    let output = other.wait_with_output().unwrap();
    ranks[0].kill().unwrap();
    ranks[0].wait().unwrap();
    assert_two_lines(&output, 1, "rank 1: ");
    assert_two_lines(&output, 1, "does not answer: rank 0 or torchrun there");
}

/// An error that only rank 0 meets ends the other ranks too, with rank 0's words.
#[test]
fn what_one_rank_cannot_do_is_told_on_all() {
    let place = Place::new();
    fs::create_dir(place.out()).unwrap();
    let outputs = Job::new(2).run(|_| place.compare(&[]));
    assert_two_lines(&outputs[0], 2, "exists, and a run writes over nothing");
    assert_two_lines(&outputs[1], 1, "rank 0: ");
    assert_two_lines(&outputs[1], 1, "exists, and a run writes over nothing");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let place = Place::new();
    assert_two_lines(
        &place.compare(&[]).env("RANK", "0").output().unwrap(),
        2,
        "the environment lacks LOCAL_RANK",
    );
    let job = Job::new(2);
    let outputs = job.run(|_| {
        let mut command = program();
        command.args(["cifar", "--device", "cpu,cpu", "--data-dir"]).arg(place.cifar10());
        command
    });
    outputs.iter().for_each(|output| assert_two_lines(output, 2, "takes one device"));
    let restarts = Job::new(1).run(|_| {
        let mut command = program();
        command.env("TORCHELASTIC_MAX_RESTARTS", "1").args(["compare", "--device", "cpu", "--data-dir"]);
        command.arg(place.data()).args(["--batch-size", "32"]).current_dir(place.folder.path());
        command
    });
    assert_two_lines(&restarts[0], 2, "must know its directory");
}
