//! Data-parallel training against Python's `DistributedDataParallel`, live: torchrun starts both, and whole runs of two and
//! three processes are compared bit for bit.
//!
//! `train_ddp.run`, for a recipe on a CPU (`torchrun --nproc-per-node 2 FILE.py`):
//!
//! ```python
//! dist.init_process_group("gloo")
//! torch.manual_seed(seed)
//! net = RECIPES["adamw"].build("native")
//! optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
//! trained = DistributedDataParallel(net)
//! sampler = DistributedSampler(train, shuffle=True, seed=seed)
//! for epoch in range(num_epochs):
//!     sampler.set_epoch(epoch)
//!     for X, y in DataLoader(train, batch_size=64, sampler=sampler):
//!         optimizer.zero_grad()
//!         nn.functional.cross_entropy(trained(X), y).backward()
//!         optimizer.step()
//! ```

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use d2l_ch7::report::read_metrics;
use torchvision_exact::random::{Draws, Mt19937};

use crate::experiments::cifar::cifar_folder;
use crate::live::{Live, assert_same_figures, assert_same_weights, succeed};
use crate::support::{has_cuda, libtorch, notebooks_ref};

const CPU: &str = "cpu";

/// One job: the options that both programs get.
struct Job<'a> {
    ranks: &'a str,
    recipe: &'a str,
    variant: &'a str,
    seed: &'a str,
    epochs: usize,
    /// Further options, separated by spaces.
    more: &'a str,
    device: &'a str,
}

/// torchrun, of the Python that the job is compared with.
fn torchrun(live: &Live, ranks: &str) -> Command {
    let mut command = live.module("torch.distributed.run");
    command.args(["--standalone", "--nproc-per-node", ranks]);
    command
}

fn check(live: &Live, data: &Path, job: &Job) {
    let Job { ranks, recipe, variant, seed, epochs, more, device } = *job;
    let name = |end: &str| live.folder.path().join(format!("{recipe}-{variant}-{ranks}{end}"));
    let epochs_text = epochs.to_string();
    let mut shared = vec!["--seed", seed, "--threads", "1", "--epochs", &epochs_text, "--device", device];
    shared.extend((device != "cpu").then_some("--deterministic"));
    let (out, json, weights) = (name(""), name(".json"), name(".safetensors"));
    let mut rust = torchrun(live, ranks);
    rust.arg("--no-python").arg(env!("CARGO_BIN_EXE_d2l_ch7"));
    match recipe {
        "cifar" => rust.arg("cifar"),
        _ => rust.args(["compare", "--recipe", recipe]),
    };
    rust.args(["--variants", variant, "--quiet"]);
    succeed(rust.args(&shared).args(more.split(' ')).arg("--data-dir").arg(data).arg("--out").arg(&out));

    let mut python = torchrun(live, ranks);
    python.arg(notebooks_ref().join("train_ddp.py")).args(["--recipe", recipe, "--variant", variant]);
    python.args(&shared).args(more.split(' ')).arg("--data-dir").arg(data);
    succeed(python.arg("--out").arg(&json).arg("--weights").arg(&weights));

    assert_same_figures(&out, &json, epochs);
    assert_same_weights(&out.join(format!("weights/{variant}.safetensors")), &weights);
}

/// Neither the training nor the test images divide evenly among the ranks, and the last batch is smaller.
#[test]
fn jobs_are_distributed_data_parallels_to_the_last_bit() {
    let _turn = libtorch();
    let Some(live) = Live::find("processes together against DistributedDataParallel") else { return };
    let data = live.data().to_owned();
    let few = "--train-examples 1300 --test-examples 301";
    for (ranks, recipe, variant, seed) in [
        ("2", "book", "scratch", "0"),
        ("3", "book", "native", "7"),
        ("3", "adamw", "scratch", "123456789"),
        ("2", "adamw", "native", "1"),
        ("3", "dropout", "native", "2"),
        ("2", "no-dropout", "none", "4"),
        ("2", "book", "scratch-sync", "5"),
        ("3", "adamw", "scratch-sync", "8"),
    ] {
        check(&live, &data, &Job { ranks, recipe, variant, seed, epochs: 2, more: few, device: CPU });
    }
}

/// Each rank draws its augmentation from its own workers' generators, or from its default generator.
#[test]
fn jobs_on_cifar_are_distributed_data_parallels_to_the_last_bit() {
    let _turn = libtorch();
    let Some(live) = Live::find("processes on CIFAR-10 against DistributedDataParallel") else { return };
    let folder = cifar_folder(&live, 64);
    let few = "--train-examples 61 --test-examples 11 --batch-size 8";
    for (ranks, variant, seed, more) in [
        ("2", "plain", "0", "--workers 0"),
        ("2", "augmented", "3", "--workers 2 --augment all"),
        ("3", "augmented", "9", "--workers 0 --augment flip+crop"),
    ] {
        let more = format!("{few} {more}");
        check(
            &live,
            &folder,
            &Job { ranks, recipe: "cifar", variant, seed, epochs: 1, more: &more, device: CPU },
        );
    }
}

/// Over NCCL, with one rank: one GPU is enough, and the rank averages its gradients with itself alone.
#[test]
fn a_job_on_cuda_is_distributed_data_parallels_to_the_last_bit() {
    let _turn = libtorch();
    if !has_cuda("a job on CUDA against DistributedDataParallel") {
        return;
    }
    let Some(live) = Live::find("a job on CUDA against DistributedDataParallel") else { return };
    let data = live.data().to_owned();
    let few = "--train-examples 1300 --test-examples 301";
    for (recipe, variant) in [("book", "native"), ("adamw", "scratch-sync")] {
        check(
            &live,
            &data,
            &Job { ranks: "1", recipe, variant, seed: "4", epochs: 2, more: few, device: "cuda" },
        );
    }
}

/// How many jobs lose ranks, unless `D2L_KILLED_RUNS` gives another number.
const KILLED_RUNS: usize = 2;

/// A job that torchrun restarts when a rank fails.
fn restartable(live: &Live, out: &Path, name: &str) -> Command {
    let mut job = torchrun(live, "3");
    job.args(["--max-restarts", "5", "--no-python", env!("CARGO_BIN_EXE_d2l_ch7"), "--recipe", "dropout"]);
    job.args(["--train-examples", "2000", "--test-examples", "300", "--batch-size", "20", "--epochs", "2"]);
    job.args([
        "--variants",
        "native",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--checkpoint-every",
        "2",
        "--quiet",
    ]);
    job.arg("--data-dir").arg(live.data()).arg("--out").arg(out).env(JOB, name);
    job
}

/// The environment variable that marks the processes of a job.
const JOB: &str = "D2L_TEST_JOB";

/// The process id of a rank, if it runs.
fn process_of(name: &str, rank: usize) -> Option<u32> {
    let [job, rank] = [format!("{JOB}={name}"), format!("RANK={rank}")];
    std::fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let environment = std::fs::read(entry.path().join("environ")).ok()?;
        let has = |variable: &str| environment.split(|&byte| byte == 0).any(|set| set == variable.as_bytes());
        if has(&job) && has(&rank) { entry.file_name().to_str()?.parse().ok() } else { None }
    })
}

/// Kills random ranks at random moments, each once the job has a checkpoint. Gives the number of kills.
fn kill_ranks(job: &mut Child, name: &str, out: &Path, chance: &mut Mt19937, took: Duration) -> usize {
    let mut kills = 0;
    for _ in 0..=chance.randint(2) {
        std::thread::sleep(took.mul_f32(0.3 * chance.rand()));
        let rank = chance.randint(3);
        let victim = loop {
            if job.try_wait().unwrap().is_some() {
                return kills;
            }
            let begun = out.join("checkpoints/native.safetensors").exists();
            if let Some(process) = process_of(name, rank).filter(|_| begun) {
                break process;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let killed = Command::new("kill").args(["-KILL", &victim.to_string()]).stderr(Stdio::null()).status();
        kills += usize::from(killed.unwrap().success());
    }
    kills
}

#[cfg(target_os = "linux")]
#[test]
fn jobs_that_torchrun_restarts_end_with_the_same_bits() {
    let _turn = libtorch();
    let Some(live) = Live::find("jobs that torchrun restarts") else { return };
    let killed_runs =
        std::env::var("D2L_KILLED_RUNS").map_or(KILLED_RUNS, |number| number.parse().expect("a number"));
    let out = |name: &str| live.folder.path().join(name);
    let outcome = |name: &str| {
        let rows = read_metrics(&out(name).join("metrics.csv"))
            .unwrap()
            .into_iter()
            .map(|row| [row.train_loss, row.train_acc, row.test_loss, row.test_acc].map(f64::to_bits));
        (rows.collect::<Vec<_>>(), std::fs::read(out(name).join("weights/native.safetensors")).unwrap())
    };
    let begun = Instant::now();
    succeed(&mut restartable(&live, &out("whole"), "whole"));
    let took = begun.elapsed();
    let (whole, mut chance, mut kills) = (outcome("whole"), Mt19937::new(2), 0);
    for run in 0..killed_runs {
        let name = format!("killed-{run}-{}", std::process::id());
        let mut job = restartable(&live, &out(&name), &name)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        kills += kill_ranks(&mut job, &name, &out(&name), &mut chance, took);
        let ended = job.wait_with_output().unwrap();
        assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stderr));
        assert!(outcome(&name) == whole, "{name}: other bits after {kills} kills");
    }
    assert!(kills > 0, "every job was done before a rank of it was killed");
    println!("{kills} kills of ranks of {killed_runs} jobs");
}
