//! Weights of every network: Rust saves and Python loads them, and the other way round. The Python of each test stands above
//! the test.

use std::path::Path;
use std::process::Command;

use d2l_ch7::experiments::networks::{NETWORKS, Network};
use d2l_ch7::nets::Net;
use d2l_ch7::norm::Variant;
use d2l_ch7::weights;
use tch::nn::ModuleT;
use tch::{Device, Kind, Tensor};

use crate::live::{python_side, succeed};
use crate::support::{Stored, bytes, libtorch, notebooks_ref};

fn file(folder: &Path, network: &Network, variant: Variant, what: &str) -> std::path::PathBuf {
    folder.join(format!("{}.{variant}.{what}.safetensors", network.name))
}

fn net(network: &Network, variant: Variant) -> Net {
    Net::new(|p| (network.build)(p, &variant.into()))
}

/// The output for `x`, in evaluation, of a new network that has loaded the weights in `file`.
fn evaluated(network: &Network, variant: Variant, file: &Path, x: &Tensor) -> Tensor {
    let net = net(network, variant);
    weights::load_into(&net.vs, file).unwrap();
    tch::no_grad(|| net.forward_t(x, false))
}

/// `networks.carry`, for every network of moderate size and variant:
///
/// ```python
/// X = torch.rand(2, 1, 28, 28)
/// net = lenet_sigmoid(native_norm)
/// net.load_state_dict(load_file("lenet.native.rust.safetensors"), strict=True)
/// with torch.no_grad():
///     Y = net.eval()(X)
/// net = lenet_sigmoid(native_norm)
/// net(X)  # moves the running statistics
/// save_file(net.state_dict(), "lenet.native.python.safetensors")
/// with torch.no_grad():
///     expected = net.eval()(X)
/// ```
#[test]
fn weights_of_every_network_go_both_ways() {
    let _turn = libtorch();
    let Some(python) = python_side("weights of every network, both ways") else { return };
    let folder = tempfile::tempdir().unwrap();
    // As `networks.CARRIED`. The runs of `experiments/compare.rs` compare the weights of AlexNet and VGG, which take gigabytes.
    let carried = |network: &&Network| !["alexnet", "vgg11", "vgg"].contains(&network.name);
    let each = || {
        let networks = NETWORKS.iter().filter(carried);
        networks.flat_map(|network| Variant::IN_PYTHON.map(|variant| (network, variant)))
    };
    tch_extra::manual_seed(5);
    for (network, variant) in each() {
        let net = net(network, variant);
        // One batch moves the running statistics. In a new net they are all 0 and 1, and a mistake between them might not show.
        let [channels, height, width] = network.input;
        let x = Tensor::rand([2, channels, height, width], (Kind::Float, Device::Cpu));
        let _ = tch::no_grad(|| net.forward_t(&x, true));
        weights::save(&file(folder.path(), network, variant, "rust"), &net.state()).unwrap();
    }
    succeed(Command::new(python).arg(notebooks_ref().join("networks.py")).arg(folder.path()));
    for (network, variant) in each() {
        let file = |what| file(folder.path(), network, variant, what);
        let images = Stored::made_here(&file("images"));
        let x = images.get("X");
        images.assert_floats("Y", &evaluated(network, variant, &file("rust"), x));
        let expected = Stored::made_here(&file("expected"));
        expected.assert_floats("Y", &evaluated(network, variant, &file("python"), x));
        assert!(images.get("Y") != expected.get("Y"), "two nets, not one twice");
    }
}

/// Rust loads a file of `state_dicts.py` if Python's strict `load_state_dict` loads it, to the same bits; else it refuses the
/// file. The script makes many such files; three of them:
///
/// ```python
/// net = lenet_sigmoid(native_norm)
/// state = net.state_dict()
/// half = {key: tensor.to(torch.float16) for key, tensor in state.items()}  # loads
/// prefixed = {"module." + key: tensor for key, tensor in state.items()}  # loads, without the prefix
/// missing = {key: tensor for key, tensor in state.items() if key != "5.weight"}  # RuntimeError
/// net.load_state_dict(half, strict=True)
/// ```
#[test]
fn state_dicts_are_taken_as_python_takes_them() {
    let _turn = libtorch();
    let Some(python) = python_side("state dicts of other kinds") else { return };
    let folder = tempfile::tempdir().unwrap();
    succeed(Command::new(&python).arg(notebooks_ref().join("state_dicts.py")).arg(folder.path()));
    let network = Network::named("lenet").unwrap();
    let mut refused = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        // The name is VARIANT.NAME.safetensors, except for the two files of `torch.save`.
        let of = name.split('.').next();
        let Some(variant) = Variant::NOTEBOOKS.into_iter().find(|v| of == Some(v.name())) else { continue };
        if name.ends_with(".loaded.safetensors") {
            continue;
        }
        let net = net(network, variant);
        // The file may lack a count of batches; the net keeps its own then. A refused file must change nothing.
        let fresh: Vec<_> = net.state().into_iter().map(|(name, tensor)| (name, tensor.copy())).collect();
        let loaded = path.with_extension("loaded.safetensors");
        if !loaded.exists() {
            assert!(weights::load_into(&net.vs, &path).is_err(), "{name}");
            assert!(net.state() == fresh, "{name}");
            refused += 1;
            continue;
        }
        weights::load_into(&net.vs, &path).unwrap_or_else(|error| panic!("{error}"));
        let expected = Stored::made_here(&loaded);
        for (key, tensor) in net.state() {
            assert!(bytes(&tensor) == bytes(expected.get(&key)), "{name}: {key}");
        }
    }
    assert!(refused >= 10, "{refused}");

    // The program refuses a file of `torch.save` and prints a line of Python. That line converts the file to one that loads.
    for (name, converted) in
        [("trained.pt", "trained.safetensors"), ("old.safetensors", "old.new.safetensors")]
    {
        let error = weights::load(&folder.path().join(name)).unwrap_err();
        let line = error.remedy().split_once("in Python: ").unwrap().1.split_once(" (where").unwrap().0;
        succeed(Command::new(&python).args(["-c", line]));
        let net = net(network, Variant::Native);
        weights::load_into(&net.vs, &folder.path().join(converted)).unwrap();
        let expected = Stored::made_here(&folder.path().join("native.plain.loaded.safetensors"));
        for (key, tensor) in net.state() {
            assert!(bytes(&tensor) == bytes(expected.get(&key)), "{name}: {key}");
        }
    }
}
