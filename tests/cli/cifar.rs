//! `d2l_ch7 cifar`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use d2l_ch7::report::read_metrics;

use crate::place::{CIFAR10_BYTES, Place, assert_two_lines, outcome, program};
use crate::recorded::recorded;

/// Runs `d2l_ch7 cifar` for one epoch on a few images of noise, with further `arguments`.
fn cifar(place: &Place, arguments: &[&str]) -> Output {
    command(place, arguments).output().unwrap()
}

fn command(place: &Place, arguments: &[&str]) -> Command {
    let mut command = program();
    command.args(["cifar", "--threads", "1", "--quiet", "--epochs", "1"]);
    if !arguments.contains(&"--device") {
        command.args(["--device", "cpu"]);
    }
    command.args(["--batch-size", "4", "--train-examples", "6", "--test-examples", "2", "--data-dir"]);
    command.arg(place.cifar10()).arg("--out").arg(place.out()).args(arguments);
    command
}

#[test]
fn cifar_leaves_what_a_comparison_leaves() {
    let place = Place::new();
    let output = cifar(&place, &["--augment", "all"]);
    assert!(output.status.success(), "{output:?}");
    let records = read_metrics(&place.out().join("metrics.csv")).unwrap();
    let rows: Vec<_> = records.iter().map(|r| (r.variant.as_str(), r.epoch)).collect();
    assert_eq!(rows, [("augmented", 1), ("plain", 1)]);
    for name in ["curves.png", "report.md", "weights/augmented.safetensors", "weights/plain.safetensors"] {
        assert!(fs::metadata(place.out().join(name)).unwrap().len() > 0, "{name}");
    }
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(place.out().join("config.json")).unwrap()).unwrap();
    assert_eq!((config["augment"].as_str(), config["workers"].as_u64()), (Some("all"), Some(4)));
}

/// Five batches and a smaller one. The step of the fourth batch is recorded, and the fifth replays it.
#[test]
fn recorded_steps_change_no_bit() {
    let place = Place::new();
    let data = place.cifar10();
    for numerics in [&[][..], &["--amp", "--channels-last"]] {
        let run = |graph: bool| {
            let out = place.folder.path().join(format!("{graph}{}", numerics.len()));
            let mut command = program();
            command.args(["cifar", "--variants", "augmented", "--augment", "flip+crop", "--device", "cpu"]);
            command.args(["--batch-size", "2", "--train-examples", "11", "--test-examples", "11"]);
            command.args(["--threads", "1", "--quiet", "--epochs", "1"]).args(numerics);
            command.arg("--data-dir").arg(&data).arg("--out").arg(&out);
            let mut command = if graph { recorded(&command) } else { command };
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            outcome(&out)
        };
        assert!(run(true) == run(false), "{numerics:?}");
    }
    let output = recorded(&command(&place, &["--device", "cpu,cpu"])).output().unwrap();
    assert_two_lines(&output, 2, "--graph records the steps of one process on one device");
    assert_two_lines(&cifar(&place, &["--graph"]), 2, "the device is cpu");
}

#[test]
fn cifar_refuses_broken_data_and_leaves_no_run() {
    type Damage = fn(&Path);
    fn resize(path: &Path, bytes: u64) {
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(bytes).unwrap();
    }
    let label_ten: Damage = |path| {
        let mut first = fs::OpenOptions::new().write(true).open(path).unwrap();
        first.write_all(&[10]).unwrap();
    };
    let cases: [(&str, Damage, &str); 5] = [
        ("data_batch_3.bin", |path| resize(path, CIFAR10_BYTES - 3073), "data_batch_3.bin"),
        ("data_batch_5.bin", |path| resize(path, CIFAR10_BYTES + 1), "data_batch_5.bin"),
        ("test_batch.bin", |path| resize(path, 0), "test_batch.bin"),
        ("data_batch_1.bin", label_ten, "10"),
        ("data_batch_2.bin", |path| fs::remove_file(path).unwrap(), "missing data_batch_2.bin"),
    ];
    for (name, damage, words) in cases {
        let place = Place::new();
        let folder = place.cifar10();
        damage(&folder.join(name));
        let mut command = program();
        command.args(["cifar", "--device", "cpu", "--data-dir"]).arg(folder).arg("--out").arg(place.out());
        assert_two_lines(&command.output().unwrap(), 1, words);
        assert!(!place.out().exists(), "{name}");
    }
}

#[test]
fn cifar_refuses_what_it_cannot_do() {
    let place = Place::new();
    for (arguments, words) in [
        (["--augment", "spin"], "[possible values: flip, flip+crop, flip+jitter, all]"),
        (["--variants", "plain,plain"], "plain twice"),
        (["--variants", "scratch"], "[possible values: augmented, plain]"),
        (["--workers", "257"], "257 workers"),
        (["--batch-size", "0"], "--batch-size"),
        (["--resume", "here"], "--out"),
    ] {
        let mut command = program();
        command.args(["cifar", "--device", "cpu", "--out"]).arg(place.out()).args(arguments);
        assert_two_lines(&command.output().unwrap(), 2, words);
        assert!(!place.out().exists(), "{arguments:?}");
    }
}
