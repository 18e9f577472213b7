//! `d2l_ch7 evaluate`.

use std::path::Path;
use std::process::Output;

use d2l_ch7::experiments::recipes::Recipe;
use d2l_ch7::norm::Norm;
use d2l_ch7::weights;
use tch::{Kind, Tensor};

use crate::place::{Place, assert_two_lines, program};

fn evaluate(place: &Place, file: &Path, arguments: &[&str]) -> Output {
    let mut command = program();
    command.args([
        "evaluate",
        "--recipe",
        "adamw",
        "--variant",
        "native",
        "--device",
        "cpu",
        "--threads",
        "1",
    ]);
    command.arg(file).args(arguments).arg("--data-dir").arg(place.data()).output().unwrap()
}

#[test]
fn weights_are_taken_as_others_save_them() {
    let place = Place::new();
    tch_extra::manual_seed(0);
    let net = Recipe::named("adamw").unwrap().initial_net(&Norm::Native).state();
    let printed = |values: &[(String, Tensor)]| {
        let file = place.folder.path().join("a.safetensors");
        weights::save(&file, values).unwrap();
        let output = evaluate(&place, &file, &[]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let map = |change: &dyn Fn(&str, &Tensor) -> (String, Tensor)| {
        net.iter().map(|(name, tensor)| change(name, tensor)).collect::<Vec<_>>()
    };
    let plain = printed(&net);
    let doubles = map(&|name, tensor| (name.to_owned(), tensor.to_kind(Kind::Double)));
    let wrapped = map(&|name, tensor| (format!("module.{name}"), tensor.copy()));
    let old: Vec<_> = map(&|name, tensor| (name.to_owned(), tensor.copy()))
        .into_iter()
        .filter(|(name, _)| !name.ends_with("num_batches_tracked"))
        .collect();
    for values in [doubles, wrapped, old] {
        assert!(printed(&values) == plain);
    }
    let halves = map(&|name, tensor| (name.to_owned(), tensor.to_kind(Kind::BFloat16)));
    assert!(printed(&halves) != plain, "rounded weights are other weights");
}

#[test]
fn what_cannot_be_evaluated_is_refused_in_two_lines() {
    let place = Place::new();
    let file = place.folder.path().join("a.safetensors");
    for (content, words) in [
        (&b"PK\x03\x04\0\0\x08\x08archive/data.pkl"[..], "torch.load"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x02\0\0\0\0\0\0\0{}", "it lacks 0.bias and"),
    ] {
        std::fs::write(&file, content).unwrap();
        assert_two_lines(&evaluate(&place, &file, &[]), 1, words);
    }
    let net = Recipe::named("adamw").unwrap().initial_net(&Norm::Native).state();
    weights::save(&file, &net).unwrap();
    let output = evaluate(&place, &file, &["--test-examples", "33"]);
    assert_two_lines(&output, 2, "--test-examples 33 is more than the 32 images");
}
