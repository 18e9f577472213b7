//! Several devices: `d2l_ch7 cifar --device cpu,cpu` against the arithmetic of `nn.DataParallel` in Python, live.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use d2l_ch7::layers::Linear;
use d2l_ch7::report::read_metrics;
use d2l_ch7::torch;
use d2l_ch7::train::DataParallel;
use serde_json::Value;
use tch::Device;

use crate::live::{assert_same_weights, python_side, succeed};
use crate::support::{libtorch, notebooks_ref};

/// Images that differ from each other, and labels: 200 of them in the first training file and in the test file. The
/// rest of the six files is empty, and takes no room on the disk.
fn cifar_folder() -> tempfile::TempDir {
    const RECORD: usize = 1 + 3 * 32 * 32;
    let folder = tempfile::tempdir().unwrap();
    let names =
        ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"];
    for name in names {
        let mut file = File::create(folder.path().join(name).with_extension("bin")).unwrap();
        let mut state = 2024u32;
        let records = (0..200 * RECORD).map(|at| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if at % RECORD == 0 { (state >> 24) as u8 % 10 } else { (state >> 24) as u8 }
        });
        file.write_all(&records.collect::<Vec<u8>>()).unwrap();
        file.set_len(10_000 * RECORD as u64).unwrap();
    }
    folder
}

/// Trains on both sides and compares every figure and every weight.
fn check(python: &str, data: &Path, devices: &str, replicas: &str, common: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut rust = Command::new(env!("CARGO_BIN_EXE_d2l_ch7"));
    rust.args(["cifar", "--variants", "augmented", "--device", devices, "--quiet", "--data-dir"]).arg(data);
    succeed(rust.args(common).arg("--out").arg(at("rust")));
    let mut reference = Command::new(python);
    reference
        .arg(notebooks_ref().join("train_cifar.py"))
        .args(["--replicas", replicas, "--data-dir"])
        .arg(data);
    reference.args(common).arg("--out").arg(at("python.json"));
    succeed(reference.arg("--weights").arg(at("python.safetensors")));

    let read = |path| std::fs::read(at(path)).unwrap();
    let config: Value = serde_json::from_slice(&read("rust/config.json")).unwrap();
    assert_eq!(config["signature"]["device"], devices);
    let python: Value = serde_json::from_slice(&read("python.json")).unwrap();
    let records = read_metrics(&at("rust/metrics.csv")).unwrap();
    assert_eq!(python["epoch_records"].as_array().unwrap().len(), records.len());
    for (record, python) in records.iter().zip(python["epoch_records"].as_array().unwrap()) {
        for (name, value) in [
            ("train_loss", record.train_loss),
            ("train_acc", record.train_acc),
            ("test_acc", record.test_acc),
        ] {
            let bits = format!("{:016x}", value.to_bits());
            assert_eq!(python["bits"][name], bits.as_str(), "{devices}: {name} of epoch {}", record.epoch);
        }
    }
    assert_same_weights(&at("rust/weights/augmented.safetensors"), &at("python.safetensors"));
}

/// Five batches, which d2l's loop needs. The last is of 7 images, for two devices 4 and 3, for three 3, 3 and 1; the
/// last of the test is of one image, which the first device has alone.
#[test]
fn several_devices_are_data_parallel() {
    let _turn = libtorch();
    let Some(python) = python_side("cifar on several devices against Python") else { return };
    let data = cifar_folder();
    let common = ["--seed", "3", "--epochs", "1", "--batch-size", "12", "--workers", "1"];
    let common =
        [&common[..], &["--train-examples", "55", "--test-examples", "25", "--threads", "1"]].concat();
    check(&python, data.path(), "cpu,cpu", "2", &common);
    check(&python, data.path(), "cpu,cpu,cpu", "3", &common);
}

#[test]
fn replicas_take_no_random_number() {
    let _turn = libtorch();
    torch::manual_seed(5);
    let _alone = Linear::new(3, 2);
    let next = torch::random_u32();
    torch::manual_seed(5);
    let _net = DataParallel::new(Linear::new(3, 2), &[Device::Cpu; 3], || Linear::new(3, 2));
    assert_eq!(torch::random_u32(), next);
}
