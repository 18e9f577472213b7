//! Runs that are killed at any moment, and go on: to the bits of a run that nobody killed.
//!
//! `D2L_KILLED_RUNS=100` kills more of them than the few that a test run does.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use d2l_ch7::data::transforms::Image;
use d2l_ch7::data::{Draws, Mt19937};
use d2l_ch7::report::read_metrics;

mod place;

use place::{Place, assert_two_lines, outcome, program, skipped, stderr_of};

/// Runs that are killed, unless the environment says how many.
const KILLED_RUNS: usize = 8;

/// A short run in each of the ways in which random streams, optimizers and loaders differ.
fn runs(place: &Place) -> Vec<Vec<String>> {
    let fashion_mnist = place.data().display().to_string();
    let compare = |recipe: &str| {
        format!("compare --recipe {recipe} --batch-size 20 --inspect --data-dir {fashion_mnist}")
    };
    let cifar10 = place.cifar10().display().to_string();
    let cifar = |workers: usize| {
        format!(
            "cifar --workers {workers} --augment all --batch-size 3 --train-examples 14 --test-examples 4 \
             --data-dir {cifar10}"
        )
    };
    let all = [compare("book"), compare("adamw"), compare("dropout"), cifar(0), cifar(2)];
    let shared = ["--epochs", "2", "--seed", "3", "--device", "cpu", "--threads", "1", "--quiet"];
    all.iter()
        .map(|run| run.split(' ').filter(|word| !word.is_empty()).chain(shared).map(str::to_owned).collect())
        .collect()
}

/// Every file that a killed run left under its own name can be read.
fn assert_whole(out: &Path) {
    for entry in fs::read_dir(out).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if name.starts_with(".tmp-") => {}
            None => assert_whole(&path),
            Some("csv") if name == "metrics.csv" => assert!(!read_metrics(&path).unwrap().is_empty()),
            Some("csv") => assert!(fs::read_to_string(&path).unwrap().ends_with('\n')),
            Some("json") => {
                drop(serde_json::from_slice::<serde_json::Value>(&fs::read(&path).unwrap()).unwrap())
            }
            Some("png") => drop(Image::open(&path).unwrap()),
            Some("safetensors") => drop(tch::Tensor::read_safetensors(&path).unwrap()),
            Some("md") => assert!(fs::read_to_string(&path).unwrap().ends_with('\n')),
            Some(other) => panic!("nobody expects {name} with {other}"),
        }
    }
}

/// Begins or goes on in `out`, whichever it takes, perhaps with recorded steps.
fn go_on(run: &[String], out: &Path, graph: bool) -> Command {
    let mut command = program();
    command.args(run).args(["--checkpoint-every", "1"]).arg(if out.exists() { "--resume" } else { "--out" });
    command
        .arg(out)
        .arg(if graph { "--graph" } else { "--no-graph" })
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

#[test]
fn killed_runs_end_with_the_bits_of_those_that_nobody_killed() {
    let killed_runs =
        std::env::var("D2L_KILLED_RUNS").map_or(KILLED_RUNS, |number| number.parse().expect("a number"));
    let place = Place::new();
    let runs = runs(&place);
    let whole: Vec<_> = runs
        .iter()
        .enumerate()
        .map(|(i, run)| {
            let out = place.folder.path().join(format!("whole-{i}"));
            let started = std::time::Instant::now();
            let output = go_on(run, &out, false).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            (started.elapsed(), outcome(&out))
        })
        .collect();
    let mut chance = Mt19937::new(1);
    let mut kills = 0;
    for i in 0..killed_runs {
        let (run, (took, whole)) = (&runs[i % runs.len()], &whole[i % runs.len()]);
        let out = place.folder.path().join(format!("killed-{i}"));
        // Killed once to three times, each time some way into what a whole run takes.
        for _ in 0..=chance.randint(3) {
            let mut child = go_on(run, &out, chance.randint(2) == 0).spawn().unwrap();
            std::thread::sleep(took.mul_f32(chance.rand()).max(Duration::from_millis(1)));
            child.kill().unwrap();
            kills += usize::from(child.wait().unwrap().code().is_none());
            assert_whole(&out);
        }
        let output = go_on(run, &out, chance.randint(2) == 0).output().unwrap();
        assert!(output.status.success(), "{run:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(outcome(&out) == *whole, "{run:?}: other bits after {} kills", kills);
    }
    assert!(kills > 0, "every run was done before it was killed");
    println!("{kills} kills of {killed_runs} runs");
}

/// Whether a checkpoint of the run was saved between two batches.
fn breaks_into_an_epoch(out: &Path) -> bool {
    let state = |variant: &str| {
        let tensors = tch::Tensor::read_safetensors(out.join(format!("checkpoints/{variant}.safetensors")));
        let (_, state) = tensors.ok()?.into_iter().find(|(name, _)| name == "state")?;
        serde_json::from_slice::<serde_json::Value>(&Vec::<u8>::try_from(state).ok()?).ok()
    };
    ["scratch", "native"].into_iter().filter_map(state).any(|state| state["state"]["within"].is_object())
}

/// SIGTERM (as Ctrl-C) saves a checkpoint in the middle of an epoch, though none was asked for.
#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_from_the_batch_it_reached() {
    let place = Place::new();
    let mut run = runs(&place).swap_remove(2);
    let batch_size = run.iter().position(|word| word == "--batch-size").unwrap();
    run[batch_size + 1] = "2".to_owned();
    let epochs = run.iter().position(|word| word == "--epochs").unwrap();
    run[epochs + 1] = "10".to_owned();
    let command = |option: &str, out: &Path| {
        let mut command = program();
        command.args(&run).arg(option).arg(out).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    };
    let whole = place.folder.path().join("whole");
    assert!(command("--out", &whole).output().unwrap().status.success());

    let mut child = command("--out", &place.out()).spawn().unwrap();
    while !place.out().join("metrics.csv").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it had an epoch");
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_two_lines(&output, 143, "interrupted");
    assert_whole(&place.out());
    assert!(breaks_into_an_epoch(&place.out()), "a checkpoint after the last batch");
    assert!(command("--resume", &place.out()).output().unwrap().status.success());
    assert!(outcome(&place.out()) == outcome(&whole));
}

/// File systems of several sizes that fill up at several moments: a run says so, leaves whole files, and goes on once there
/// is room.
#[cfg(target_os = "linux")]
#[test]
fn a_full_file_system_loses_nothing() {
    // In a room of its own: a small disk, and later a larger one.
    const SCRIPT: &str = "size=$1 disk=$2 kept=$3; shift 3
        mount -t tmpfs -o size=$size tmpfs \"$disk\" || exit 99
        \"$@\" --out \"$disk/run\" >/dev/null 2>\"$kept/stderr\"; echo $? >\"$kept/code\"
        cp -r \"$disk/run\" \"$kept/full\"
        mount -o remount,size=100m \"$disk\" || exit 99
        if [ -d \"$disk/run\" ]; then to=--resume; else to=--out; fi
        \"$@\" $to \"$disk/run\" >/dev/null && cp -r \"$disk/run\" \"$kept/whole\"";
    let place = Place::new();
    let run = runs(&place).swap_remove(1);
    assert!(go_on(&run, &place.out(), false).output().unwrap().status.success());
    let whole = outcome(&place.out());

    let mut full = 0;
    for size in ["4k", "100k", "300k", "800k", "1300k", "1900k"] {
        let [disk, kept] = ["disk", "kept"].map(|name| place.folder.path().join(format!("{name}-{size}")));
        [&disk, &kept].into_iter().for_each(|folder| fs::create_dir(folder).unwrap());
        let mut room = Command::new("unshare");
        room.args(["--user", "--map-root-user", "--mount", "sh", "-c", SCRIPT, "sh", size]).arg(&disk);
        room.arg(&kept).arg(program().get_program()).args(&run).args(["--checkpoint-every", "1"]);
        let resumed = room.output();
        if !resumed
            .as_ref()
            .is_ok_and(|output| output.status.code() != Some(99) && kept.join("code").exists())
        {
            return skipped("a_full_file_system_loses_nothing", &stderr_of(resumed));
        }
        let told = fs::read_to_string(kept.join("stderr")).unwrap();
        if fs::read_to_string(kept.join("code")).unwrap().trim() == "1" {
            full += 1;
            assert!(told.lines().count() == 2 && told.contains("No space left on device"), "{size}: {told}");
        }
        assert_whole(&kept.join("full"));
        assert!(outcome(&kept.join("whole")) == whole, "{size}: other bits");
    }
    assert!(full >= 4, "only {full} disks were full");
}

/// A run of `place` in its `out`, which is done.
fn finished(place: &Place) -> Vec<String> {
    let run = runs(place).swap_remove(1);
    let output = go_on(&run, &place.out(), false).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    run
}

#[test]
fn what_does_not_fit_is_not_resumed() {
    let place = Place::new();
    let run = finished(&place);
    let before = outcome(&place.out());
    let with = |option: &str, value: &str| {
        let mut run = run.clone();
        let i = run.iter().position(|word| word == option).unwrap();
        run[i + 1] = value.to_owned();
        run
    };
    for (option, value, words) in [
        ("--seed", "4", "its seed is 3, and 4 is asked for"),
        ("--epochs", "3", "its epochs is 2, and 3 is asked for"),
        ("--recipe", "book", "cannot resume"),
    ] {
        assert_two_lines(&go_on(&with(option, value), &place.out(), false).output().unwrap(), 2, words);
    }
    // The last bit of the last pixel.
    let images = place.data().join("train-images-idx3-ubyte");
    let sound = fs::read(&images).unwrap();
    let (last, others) = sound.split_last().unwrap();
    fs::write(&images, [others, &[last ^ 1]].concat()).unwrap();
    assert_two_lines(&go_on(&run, &place.out(), false).output().unwrap(), 1, "other images (train_sha256");
    fs::write(&images, sound).unwrap();

    let elsewhere = place.folder.path().to_owned();
    assert_two_lines(&go_on(&run, &elsewhere, false).output().unwrap(), 2, "does not hold a run");

    let path = place.out().join("checkpoints/native.safetensors");
    let mut damaged = fs::read(&path).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert_two_lines(&go_on(&run, &place.out(), false).output().unwrap(), 1, "it is damaged");
    assert!(outcome(&place.out()) == before, "a refusal changes nothing");
}

/// Another libtorch is refused. What else decides bits is only warned of, by name: another processor, another GPU, and
/// variables that libraries read.
#[test]
fn another_signature_is_told() {
    let place = Place::new();
    let run = finished(&place);
    let warnings = |settings: &[(&str, &str)]| {
        let output = go_on(&run, &place.out(), false).envs(settings.iter().copied()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.status.success() && stderr.lines().all(|line| line.starts_with("warning: ")),
            "{stderr}"
        );
        stderr
    };
    assert_eq!(warnings(&[]), "");

    let signature = signed(&place, |_| ());
    let told = warnings(&[
        ("ONEDNN_MAX_CPU_ISA", "AVX2"),
        ("MKLDNN_DEFAULT_FPMATH_MODE", "BF16"),
        ("MKL_CBWR", "COMPATIBLE"),
        ("ATEN_CPU_CAPABILITY", "default"),
    ]);
    assert!(told.contains("ONEDNN_MAX_CPU_ISA was not set and is \"AVX2\""), "{told}");
    assert!(told.contains("MKLDNN_DEFAULT_FPMATH_MODE was not set and is \"BF16\""), "{told}");
    // Not every libtorch has MKL, or kernels for several instruction sets.
    let has_mkl = signature["mkl_cbwr"] != 0;
    assert_eq!(told.contains("mkl_cbwr was "), has_mkl, "{told}");
    let has_choice = signature["cpu_capability"] != "DEFAULT";
    assert_eq!(told.contains("cpu_capability was "), has_choice, "{told}");

    signed(&place, |signature| {
        signature["processor"] = "Abacus".into();
        signature["instructions"] = format!("beads {}", signature["instructions"].as_str().unwrap()).into();
        signature["cuda"] = serde_json::json!({ "cuda:0": "NVIDIA H100" });
    });
    let told = warnings(&[]);
    assert!(told.contains("processor was \"Abacus\" and is "), "{told}");
    assert!(told.contains("of the instructions was \"beads\" and is \"\";"), "{told}");
    assert!(told.contains("cuda:0 was \"NVIDIA H100\" and is not set"), "{told}");

    // As the first versions wrote it.
    signed(&place, |signature| {
        let kept = ["torch", "device", "cpu_capability", "threads"]
            .map(|key| (key.to_owned(), signature[key].clone()));
        *signature = kept.into_iter().chain([("cpu".to_owned(), "Abacus".into())]).collect();
    });
    let told = warnings(&[]);
    assert!(
        told.lines().count() == 1 && told.contains("did not keep cuda, environment, instructions"),
        "{told}"
    );

    signed(&place, |signature| signature["torch"] = "2.10.0".into());
    assert_two_lines(&go_on(&run, &place.out(), false).output().unwrap(), 1, "libtorch \"2.10.0\"");
}

/// Changes the signature in the run's `config.json`; gives what it now is.
fn signed(place: &Place, change: impl FnOnce(&mut serde_json::Value)) -> serde_json::Value {
    let path = place.out().join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config["signature"]);
    fs::write(&path, config.to_string()).unwrap();
    config["signature"].take()
}
