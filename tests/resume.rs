//! Runs that are killed at random moments and resumed end with the bits of a run that was not killed.
//!
//! `D2L_KILLED_RUNS=100` kills 100 runs instead of a few.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use d2l_ch7::report::read_metrics;

mod place;
#[path = "place/recorded.rs"]
mod recorded;

use place::skipped::skipped;
use place::{Place, assert_two_lines, outcome, program, stderr_of};
use recorded::recorded;
use torchvision_exact::image::Image;
use torchvision_exact::random::{Draws, Mt19937};

/// How many runs are killed at least, unless `D2L_KILLED_RUNS` gives another number.
const KILLED_RUNS: usize = 8;

/// The options of short runs, which differ in their random numbers, optimizers and loaders.
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
    let without = compare("no-dropout --variants none,scratch,native");
    let all = [compare("book"), compare("adamw"), compare("dropout"), cifar(0), cifar(2), without];
    let shared = ["--epochs", "2", "--seed", "-1", "--device", "cpu", "--threads", "1", "--quiet"];
    all.iter()
        .map(|run| run.split(' ').filter(|word| !word.is_empty()).chain(shared).map(str::to_owned).collect())
        .collect()
}

/// Asserts that every file of a killed run can be read, without the temporary ones.
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

/// The command that starts `run` in `out`, or resumes it there. With `graph` the program records its steps and replays
/// them. A run that has a config.json needs no options.
fn go_on(run: &[String], out: &Path, graph: bool) -> Command {
    let mut command = program();
    if !out.join("config.json").exists() {
        command.args(run).args(["--checkpoint-every", "1"]);
    }
    command.arg(if out.exists() { "--resume" } else { "--out" }).arg(out);
    if graph {
        command = recorded(&command);
    } else {
        command.arg("--no-graph");
    }
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// The command that resumes the run in `out` with these `options`.
fn resume(out: &Path, options: &[&str]) -> Command {
    let mut command = program();
    command.arg("--resume").arg(out).args(options);
    command
}

/// The `run` with another value of `option`.
fn with(run: &[String], option: &str, value: &str) -> Vec<String> {
    let mut run = run.to_vec();
    let i = run.iter().position(|word| word == option).unwrap();
    run[i + 1] = value.to_owned();
    run
}

#[test]
fn killed_runs_end_with_the_bits_of_those_that_nobody_killed() {
    let place = Place::new();
    let runs = runs(&place);
    let killed_runs = std::env::var("D2L_KILLED_RUNS")
        .map_or(KILLED_RUNS.max(runs.len()), |number| number.parse().expect("a number"));
    let whole: Vec<_> = runs
        .iter()
        .enumerate()
        .map(|(i, run)| {
            let out = place.folder.path().join(format!("whole-{i}"));
            let started = std::time::Instant::now();
            succeeds(&mut go_on(run, &out, false));
            (started.elapsed(), outcome(&out))
        })
        .collect();
    let mut chance = Mt19937::new(1);
    let mut kills = 0;
    for i in 0..killed_runs {
        let (run, (took, whole)) = (&runs[i % runs.len()], &whole[i % runs.len()]);
        let out = place.folder.path().join(format!("killed-{i}"));
        // One to three kills, each after a random part of the time that a whole run takes.
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

/// Whether a checkpoint of the run was saved between two batches of an epoch.
fn breaks_into_an_epoch(out: &Path) -> bool {
    let state = |variant: &str| {
        let tensors = tch::Tensor::read_safetensors(out.join(format!("checkpoints/{variant}.safetensors")));
        let (_, state) = tensors.ok()?.into_iter().find(|(name, _)| name == "state")?;
        serde_json::from_slice::<serde_json::Value>(&Vec::<u8>::try_from(state).ok()?).ok()
    };
    ["scratch", "native"].into_iter().filter_map(state).any(|state| state["state"]["within"].is_object())
}

/// After SIGTERM, as after Ctrl-C, the run saves a checkpoint in the middle of an epoch, even without `--checkpoint-every`.
#[cfg(unix)]
#[test]
fn an_interrupted_run_goes_on_from_the_batch_it_reached() {
    let place = Place::new();
    let run = with(&with(&runs(&place)[2], "--batch-size", "2"), "--epochs", "10");
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

/// Small file systems of several sizes, which are full at different moments. The run reports an error and leaves whole
/// files. It is resumed after the file system has become larger.
#[cfg(target_os = "linux")]
#[test]
fn a_full_file_system_loses_nothing() {
    // Runs in a mount namespace of its own: mounts a small disk, starts the run, makes the disk larger, resumes the run.
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

/// Trains a short run in `place` to its end. Gives its options.
fn finished(place: &Place) -> Vec<String> {
    let run = runs(place).swap_remove(1);
    succeeds(&mut go_on(&run, &place.out(), false));
    run
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_begins_anew_is_said() {
    let place = Place::new();
    let run = finished(&place);
    let (_, _, weights) = outcome(&place.out());
    fs::remove_file(place.out().join("checkpoints/native.safetensors")).unwrap();
    let output = resume(&place.out(), &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("no checkpoint of native, which is trained anew"),
        "{said}"
    );
    assert!(outcome(&place.out()).2 == weights, "other bits");

    let empty = place.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let output = go_on(&run, &empty, false).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("empty is empty: a run begins there"), "{said}");
}

fn config(out: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap()
}

/// A run of one epoch, resumed with `--epochs 2`, gives the results of a run of two epochs.
#[test]
fn more_epochs_train_on_to_the_bits_of_a_run_that_had_them() {
    let place = Place::new();
    // The runs with Adam, which counts its steps, and with dropout, which draws random numbers.
    for (i, run) in runs(&place)[1..3].iter().enumerate() {
        let [whole, raised] = ["whole", "raised"].map(|name| place.folder.path().join(format!("{name}-{i}")));
        succeeds(&mut go_on(run, &whole, false));
        succeeds(&mut go_on(&with(run, "--epochs", "1"), &raised, false));
        succeeds(&mut resume(&raised, &["--quiet", "--epochs", "2", "--eager", "--checkpoint-every", "2"]));
        assert!(outcome(&raised) == outcome(&whole), "{run:?}: other bits");
        let (raised, whole) = (config(&raised), config(&whole));
        assert_eq!((raised["epochs"].clone(), raised["checkpoint_every"].clone()), (2.into(), 2.into()));
        for (key, value) in whole.as_object().unwrap() {
            assert!(raised[key] == *value || ["checkpoint_every", "eager"].contains(&key.as_str()), "{key}");
        }
    }
}

#[test]
fn what_does_not_fit_is_not_resumed() {
    let place = Place::new();
    let run = finished(&place);
    let before = outcome(&place.out());
    let out = place.out();
    for (options, words) in [
        (&["--seed", "4"][..], "it has --seed 18446744073709551615, and --seed 4 is asked for"),
        (&["--epochs", "1"], "it has --epochs 2, and --epochs 1 is asked for"),
        (&["--recipe", "book"], "it has --recipe adamw, and --recipe book is asked for"),
        (&["--variants", "native"], "it has --variants scratch,native, and --variants native is asked for"),
        (&["--lr", "0.5"], "it has --lr 0.001, and --lr 0.5 is asked for"),
        (&["--threads", "2"], "it has --threads 1, and --threads 2 is asked for"),
        (
            &["--device", "cpu", "--deterministic"],
            "it has no --deterministic, and --deterministic is asked for",
        ),
        (&["--train-examples", "50"], "it has --train-examples 96, and --train-examples 50 is asked for"),
        (&["--out", "elsewhere"], "--out"),
    ] {
        assert_two_lines(&resume(&out, options).output().unwrap(), 2, words);
    }
    let cifar =
        |options: &[&str]| program().arg("cifar").args(options).arg("--resume").arg(&out).output().unwrap();
    assert_two_lines(&cifar(&[]), 2, "it is a run of `d2l_ch7 compare`, and `d2l_ch7 cifar` is asked for");
    // The same options as at the start are accepted.
    succeeds(program().args(&run).arg("--resume").arg(&out));
    // Changes one bit of the last pixel.
    let images = place.data().join("train-images-idx3-ubyte");
    let sound = fs::read(&images).unwrap();
    let (last, others) = sound.split_last().unwrap();
    fs::write(&images, [others, &[last ^ 1]].concat()).unwrap();
    assert_two_lines(&resume(&out, &[]).output().unwrap(), 1, "other images (train_sha256");
    fs::write(&images, sound).unwrap();
    let moved = place.folder.path().join("moved");
    fs::rename(place.data(), &moved).unwrap();
    assert_two_lines(&resume(&out, &[]).output().unwrap(), 1, "its images were in");
    succeeds(&mut resume(&out, &["--data-dir", moved.to_str().unwrap()]));
    succeeds(&mut resume(&out, &[]));

    let elsewhere = place.folder.path().to_owned();
    assert_two_lines(&resume(&elsewhere, &[]).output().unwrap(), 2, "does not hold a run");
    assert_two_lines(
        &resume(&elsewhere.join("none"), &[]).output().unwrap(),
        2,
        "is not the directory of a run",
    );

    let path = place.out().join("checkpoints/native.safetensors");
    let mut damaged = fs::read(&path).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert_two_lines(&resume(&out, &[]).output().unwrap(), 1, "it is damaged");
    assert!(outcome(&place.out()) == before, "a refusal changes nothing");
}

/// Files that are cut off, that another program wrote, or that lack an option or have a wrong one.
#[test]
fn a_damaged_or_foreign_configuration_is_refused() {
    let place = Place::new();
    finished(&place);
    let path = place.out().join("config.json");
    let sound = fs::read_to_string(&path).unwrap();
    let refused = |text: &[u8], words: &str| {
        fs::write(&path, text).unwrap();
        let output = resume(&place.out(), &[]).output().unwrap();
        assert_two_lines(&output, 1, "config.json: ");
        assert_two_lines(&output, 1, words);
    };
    refused(b"", "EOF");
    refused(&sound.as_bytes()[..sound.len() / 2], "EOF");
    refused(b"\xff\xfe{}", "line 1");
    refused(b"[]", "expected a map");
    refused(b"{\"model_type\": \"bert\"}", "not the configuration of a training run");
    refused(b"{\"recipe\": \"resnet50\"}", "[possible values: book");
    let mut unsigned: serde_json::Value = serde_json::from_str(&sound).unwrap();
    unsigned.as_object_mut().unwrap().remove("signature");
    fs::write(&path, unsigned.to_string()).unwrap();
    assert_two_lines(&resume(&place.out(), &[]).output().unwrap(), 1, "it was trained with libtorch null");
    for (key, words) in
        [("seed", "it has no seed"), ("lr", "it has no lr"), ("train_sha256", "it has no train_sha256")]
    {
        let mut config: serde_json::Value = serde_json::from_str(&sound).unwrap();
        config.as_object_mut().unwrap().remove(key);
        refused(config.to_string().as_bytes(), words);
        for value in [serde_json::json!("x"), serde_json::json!({"a": 1}), serde_json::json!(-0.5)] {
            if key != "train_sha256" {
                config[key] = value;
                refused(config.to_string().as_bytes(), &format!("for '--{key}"));
            }
        }
    }
}

/// Earlier versions saved fewer options in config.json.
#[test]
fn runs_of_earlier_versions_are_resumed() {
    let place = Place::new();
    let run = runs(&place).swap_remove(0);
    let [whole, out] = ["whole", "earlier"].map(|name| place.folder.path().join(name));
    succeeds(&mut go_on(&run, &whole, false));
    succeeds(&mut go_on(&with(&run, "--epochs", "1"), &out, false));
    let mut earlier = config(&out);
    let later =
        ["data_dir", "device", "threads", "inspect", "graph", "eager", "checkpoint_every", "dist_timeout"];
    for key in later {
        earlier.as_object_mut().unwrap().remove(key).expect(key);
    }
    fs::write(out.join("config.json"), earlier.to_string()).unwrap();
    let data = place.data().display().to_string();
    let output = resume(&out, &["--quiet", "--epochs", "2", "--data-dir", &data]).output().unwrap();
    // There is no warning about threads or device either.
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    assert!(outcome(&out) == outcome(&whole), "other bits");
    assert!(later.iter().all(|key| config(&out).get(key).is_some()), "they are saved from now on");
    // They recorded steps on a CPU too, where the command line asked for it.
    let mut recorded = config(&out);
    recorded["graph"] = true.into();
    fs::write(out.join("config.json"), recorded.to_string()).unwrap();
    succeeds(&mut resume(&out, &["--quiet"]));
    assert_eq!(config(&out)["graph"], false);
}

/// A run of another libtorch version is not resumed. For another processor, another GPU or other environment variables the
/// program prints a warning that names them.
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
    // Not every libtorch has MKL, nor kernels for several instruction sets.
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

    // The signature that the first versions wrote.
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

/// Changes the signature in the run's `config.json`. Gives the new signature.
fn signed(place: &Place, change: impl FnOnce(&mut serde_json::Value)) -> serde_json::Value {
    let path = place.out().join("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config["signature"]);
    fs::write(&path, config.to_string()).unwrap();
    config["signature"].take()
}
