//! Data-parallel training against Python's `DistributedDataParallel`, live, both started by torchrun: whole runs of two and
//! three processes, compared bit for bit.

use std::path::Path;
use std::process::Command;

use crate::cifar::cifar_folder;
use crate::live::{Live, assert_same_figures, assert_same_weights, succeed};
use crate::support::{libtorch, notebooks_ref};

/// One job, as both command lines say it.
struct Job<'a> {
    ranks: &'a str,
    recipe: &'a str,
    variant: &'a str,
    seed: &'a str,
    epochs: usize,
    /// Examples, batch size, and what else the recipe takes; in words of both command lines.
    more: &'a str,
}

/// torchrun of the Python that is compared with.
fn torchrun(live: &Live, ranks: &str) -> Command {
    let mut command = live.module("torch.distributed.run");
    command.args(["--standalone", "--nproc-per-node", ranks]);
    command
}

fn check(live: &Live, data: &Path, job: &Job) {
    let Job { ranks, recipe, variant, seed, epochs, more } = *job;
    let name = |end: &str| live.folder.path().join(format!("{recipe}-{variant}-{ranks}{end}"));
    let epochs_text = epochs.to_string();
    let shared = ["--seed", seed, "--threads", "1", "--epochs", &epochs_text];
    let (out, json, weights) = (name(""), name(".json"), name(".safetensors"));
    let mut rust = torchrun(live, ranks);
    rust.arg("--no-python").arg(env!("CARGO_BIN_EXE_d2l_ch7"));
    match recipe {
        "cifar" => rust.arg("cifar"),
        _ => rust.args(["compare", "--recipe", recipe]),
    };
    rust.args(["--variants", variant, "--device", "cpu", "--quiet"]);
    succeed(rust.args(shared).args(more.split(' ')).arg("--data-dir").arg(data).arg("--out").arg(&out));

    let mut python = torchrun(live, ranks);
    python.arg(notebooks_ref().join("train_ddp.py")).args(["--recipe", recipe, "--variant", variant]);
    python.args(shared).args(more.split(' ')).arg("--data-dir").arg(data);
    succeed(python.arg("--out").arg(&json).arg("--weights").arg(&weights));

    assert_same_figures(&out, &json, epochs);
    assert_same_weights(&out.join(format!("weights/{variant}.safetensors")), &weights);
}

/// Shares and test images do not come out even, and the last batch is smaller.
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
    ] {
        check(&live, &data, &Job { ranks, recipe, variant, seed, epochs: 2, more: few });
    }
}

/// Augmentation draws from each rank's own worker streams, or from its default generator.
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
        check(&live, &folder, &Job { ranks, recipe: "cifar", variant, seed, epochs: 1, more: &more });
    }
}
