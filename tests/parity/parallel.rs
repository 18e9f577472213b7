//! Several devices: `d2l_ch7 cifar --device cpu,cpu` against the arithmetic of `nn.DataParallel` in Python, live.

use std::path::Path;
use std::process::Command;

use d2l_ch7::layers::Linear;
use d2l_ch7::torch;
use d2l_ch7::train::DataParallel;
use serde_json::Value;
use tch::Device;

use crate::cifar::cifar_folder;
use crate::live::{Live, assert_same_figures, assert_same_weights, succeed};
use crate::support::libtorch;

/// What both sides train: five batches, which d2l's loop needs. The last is of 7 images, for two devices 4 and 3, for
/// three 3, 3 and 1; the last of the test is of one image, which the first device has alone.
const COMMON: [&str; 14] = [
    "--seed",
    "3",
    "--epochs",
    "1",
    "--batch-size",
    "12",
    "--workers",
    "1",
    "--threads",
    "1",
    "--train-examples",
    "55",
    "--test-examples",
    "25",
];

/// Trains on both sides, compares every figure and every weight, and gives the run's `config.json`.
fn check(live: &Live, data: &Path, rust: &[&str], python: &[&str]) -> Value {
    let out = live.folder.path().join(rust.concat());
    let mut command = Command::new(env!("CARGO_BIN_EXE_d2l_ch7"));
    command.args(["cifar", "--variants", "augmented", "--quiet"]).args(rust).args(COMMON);
    succeed(command.arg("--data-dir").arg(data).arg("--out").arg(&out));
    let (json, weights) = (out.join("python.json"), out.join("python.safetensors"));
    let mut command = live.script("train_cifar.py");
    command.args(python).args(COMMON).arg("--data-dir").arg(data);
    succeed(command.arg("--out").arg(&json).arg("--weights").arg(&weights));
    assert_same_figures(&out, &json, 1);
    assert_same_weights(&out.join("weights/augmented.safetensors"), &weights);
    serde_json::from_slice(&std::fs::read(out.join("config.json")).unwrap()).unwrap()
}

#[test]
fn several_devices_are_data_parallel() {
    let _turn = libtorch();
    let Some(live) = Live::find("cifar on several devices against Python") else { return };
    let data = cifar_folder(&live, 55);
    for (devices, replicas) in [("cpu,cpu", "2"), ("cpu,cpu,cpu", "3")] {
        let config = check(&live, &data, &["--device", devices], &["--replicas", replicas]);
        assert_eq!(config["signature"]["device"], devices);
    }
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
