//! `d2l_ch7 compare`: the files of a run, and the options and data that it refuses.

use std::fs;
use std::path::Path;

use clap::CommandFactory;
use d2l_ch7::StatisticsRecord;
use d2l_ch7::cli::Cli;
use d2l_ch7::report::read_metrics;

use crate::place::{Place, TRAIN, assert_two_lines, outcome, program};
use crate::recorded::recorded;

#[test]
fn a_run_leaves_everything_it_promises() {
    let place = Place::new();
    let output = place.compare(&[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.stderr.is_empty(), "no progress bar on a pipe");
    let lines: Vec<&str> = stdout.lines().collect();
    // Three lines for each epoch (scratch, native, their difference), then the run's directory.
    assert_eq!(lines.len(), 7, "{stdout}");
    assert!(lines[2].contains("difference") && lines[5].contains("difference"), "{stdout}");
    assert_eq!(Path::new(lines[6]), place.out());

    let records = read_metrics(&place.out().join("metrics.csv")).unwrap();
    let rows: Vec<_> = records.iter().map(|r| (r.variant.as_str(), r.epoch)).collect();
    assert_eq!(rows, [("scratch", 1), ("native", 1), ("scratch", 2), ("native", 2)]);
    assert!(records.iter().all(|r| r.epoch_seconds >= r.train_seconds && r.examples_per_second > 0.0));
    for name in [
        "config.json",
        "curves.png",
        "report.md",
        "weights/scratch.safetensors",
        "weights/native.safetensors",
    ] {
        assert!(fs::metadata(place.out().join(name)).unwrap().len() > 0, "{name}");
    }
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(place.out().join("config.json")).unwrap()).unwrap();
    assert_eq!((config["batch_size"].as_u64(), config["seed"].as_u64()), (Some(32), Some(0)));
    assert_eq!(config["signature"]["threads"], 1);
    assert_eq!(config["data_is_published"], false);
}

/// An option that is not saved would be lost when the run is resumed.
#[test]
fn config_json_has_every_option() {
    let place = Place::new();
    assert!(place.compare(&["--epochs", "1", "--quiet"]).status().unwrap().success());
    let cifar = place.folder.path().join("cifar-run");
    let mut command = program();
    command.args([
        "cifar",
        "--device",
        "cpu",
        "--threads",
        "1",
        "--quiet",
        "--epochs",
        "1",
        "--batch-size",
        "4",
    ]);
    command.args(["--train-examples", "6", "--test-examples", "2", "--data-dir"]).arg(place.cifar10());
    assert!(command.arg("--out").arg(&cifar).status().unwrap().success());
    for (name, out) in [("compare", place.out()), ("cifar", cifar)] {
        let config: serde_json::Value =
            serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
        let cli = Cli::command();
        for option in cli.find_subcommand(name).unwrap().get_arguments() {
            let id = option.get_id().as_str();
            // Not saved: the directory, how much is printed, and the opposite of another option.
            let is_saved = !["out", "resume", "quiet", "no_graph"].contains(&id);
            assert_eq!(config.get(id).is_some(), is_saved, "{name} --{id}");
        }
    }
}

/// With a tiny learning rate both networks compute the same values. Their running statistics then differ only by rounding, if
/// the report converts biased variances into unbiased ones with the right counts, also for the last batch.
#[test]
fn inspect_sets_running_statistics_side_by_side() {
    let place = Place::new();
    let mut command = program();
    command.args(["--device", "cpu", "--threads", "1", "--lr", "1e-30", "--inspect", "--epochs", "2"]);
    command.args(["--batch-size", "36", "--data-dir"]).arg(place.data()).arg("--out").arg(place.out());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        stdout.contains("scratch, first batch norm, gamma [1.0000, 1.0000, 1.0000, 1.0000, 1.0000, 1.0000]")
    );
    assert!(stdout.contains("native, first batch norm, beta  ["), "{stdout}");

    let mut statistics = csv::Reader::from_path(place.out().join("statistics.csv")).unwrap();
    let rows: Vec<StatisticsRecord> = statistics.deserialize().collect::<Result<_, _>>().unwrap();
    let places: Vec<_> = rows.iter().map(|row| (row.epoch, row.layer.as_str())).collect();
    let layers = ["1", "5", "10", "13"];
    assert_eq!(places, [1, 2].map(|epoch| layers.map(|layer| (epoch, layer))).concat());
    for row in &rows {
        assert!(row.mean_difference < 1e-6 && row.var_difference < 1e-6, "{row:?}");
        assert!(row.var_difference > 0.0, "two ways to compute it round differently: {row:?}");
    }
    let report = fs::read_to_string(place.out().join("report.md")).unwrap();
    assert!(report.contains("## Inside the networks"));
}

#[test]
fn quiet_prints_the_directory_alone() {
    let place = Place::new();
    let output = place.compare(&["--quiet"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), place.out().to_str().unwrap());
    assert!(output.stderr.is_empty());
}

#[test]
fn compare_is_the_default_command() {
    let place = Place::new();
    let run = |word: Option<&str>, out: &Path| {
        let mut command = program();
        command.args(word).args([
            "--device",
            "cpu",
            "--threads",
            "1",
            "--epochs",
            "1",
            "--batch-size",
            "32",
            "--quiet",
        ]);
        let status = command.arg("--data-dir").arg(place.data()).arg("--out").arg(out).status().unwrap();
        assert!(status.success());
        let records = read_metrics(&out.join("metrics.csv")).unwrap();
        records.iter().map(|record| record.train_loss.to_bits()).collect::<Vec<_>>()
    };
    let (with, without) = (place.folder.path().join("with"), place.folder.path().join("without"));
    assert_eq!(run(Some("compare"), &with), run(None, &without));
}

/// On a CPU the recipes use deterministic kernels only.
#[test]
fn deterministic_kernels_are_kept_in_the_configuration_and_change_nothing_here() {
    let place = Place::new();
    for recipe in ["book", "dropout", "adamw"] {
        let run = |arguments: &[&str], name: &str| {
            let out = place.folder.path().join(format!("{recipe}-{name}"));
            let out_text = out.to_str().unwrap();
            let arguments = [&["--recipe", recipe, "--quiet", "--out", out_text], arguments].concat();
            let output = place.compare(&arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let config = fs::read(out.join("config.json")).unwrap();
            let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
            let records = read_metrics(&out.join("metrics.csv")).unwrap();
            let losses: Vec<_> =
                records.iter().map(|r| [r.train_loss, r.test_loss].map(f64::to_bits)).collect();
            assert!(
                records.iter().all(|record| record.peak_memory_bytes.is_none()),
                "a CPU's is not counted"
            );
            (losses, config["deterministic"].clone())
        };
        let (default, deterministic) = (run(&[], "default"), run(&["--deterministic"], "deterministic"));
        assert_eq!(default.0, deterministic.0);
        assert_eq!((default.1, deterministic.1), (false.into(), true.into()));
    }
}

/// Two variants, each with its own recordings for training and for evaluation. The last batch of each epoch is smaller.
#[test]
fn recorded_steps_change_no_bit() {
    let place = Place::new();
    for recipe in ["book", "dropout", "adamw"] {
        let run = |arguments: &[&str], name: &str| {
            let out = place.folder.path().join(format!("{recipe}-{name}"));
            let usual = ["--recipe", recipe, "--quiet", "--batch-size", "10", "--epochs", "3"];
            let arguments = [&usual, arguments, &["--out", out.to_str().unwrap()]].concat();
            let mut command = place.compare(&arguments);
            if name == "recorded" {
                command = recorded(&command);
            }
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let report = fs::read_to_string(out.join("report.md")).unwrap();
            (outcome(&out), report.contains("recorded once and then repeated"))
        };
        let (eager, no_graph) = (run(&[], "eager"), run(&["--graph", "--no-graph"], "no-graph"));
        let recorded = run(&[], "recorded");
        assert_eq!(eager.0.0.len(), 6);
        assert!(eager.0 == recorded.0 && eager.0 == no_graph.0, "{recipe}");
        assert_eq!((eager.1, no_graph.1, recorded.1), (false, false, true));
    }
    place.refuses(&["--graph", "--eager"], 2, "--eager");
    place.refuses(&["--graph"], 2, "--graph captures steps in a CUDA graph, and the device is cpu");
}

#[test]
fn a_last_batch_of_one_image_is_refused() {
    let place = Place::new();
    place.refuses(&["--train-examples", "65"], 2, "one value per channel");
    let output = program()
        .args(["compare", "--device", "cpu", "--batch-size", "1", "--data-dir"])
        .arg(place.data())
        .output()
        .unwrap();
    assert_two_lines(&output, 2, "--batch-size");
    // A network without batch norm takes it.
    place.refuses(&["--train-examples", "65", "--variants", "none,native"], 2, "one value per channel");
    let output = place.compare(&["--train-examples", "65", "--variants", "none"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_network_without_batch_norm_is_trained_beside_those_with_it() {
    let place = Place::new();
    place.refuses(&["--inspect", "--variants", "none"], 2, "the variant none has none");
    place.refuses(&["--inspect", "--recipe", "nin"], 2, "nin trains another network");
    let output = place.compare(&["--inspect", "--variants", "none,scratch,native"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("native, first batch norm, gamma"), "{stdout}");
    assert!(!stdout.contains("none, first batch norm"), "{stdout}");
    assert!(place.out().join("statistics.csv").exists());
    let report = fs::read_to_string(place.out().join("report.md")).unwrap();
    assert!(report.contains("| network of the variant none"), "{report}");

    let weights = place.out().join("weights/none.safetensors");
    let names: Vec<String> =
        tch::Tensor::read_safetensors(&weights).unwrap().into_iter().map(|(name, _)| name).collect();
    assert!(names.len() == 10 && names.contains(&"3.weight".to_owned()), "{names:?}");
    let mut evaluate = program();
    evaluate.arg("evaluate").arg(&weights).args(["--variant", "none", "--device", "cpu", "--threads", "1"]);
    let evaluated = evaluate.arg("--data-dir").arg(place.data()).output().unwrap();
    let records = read_metrics(&place.out().join("metrics.csv")).unwrap();
    let last = records.iter().rfind(|record| record.variant == "none").unwrap();
    let line = format!("test loss {}  test acc {}", last.test_loss, last.test_acc);
    assert_eq!(String::from_utf8(evaluated.stdout).unwrap().trim_end(), line);
}

#[test]
fn bad_data_is_refused_and_leaves_no_run() {
    let labels = "train-labels-idx1-ubyte";
    let place = Place::new();
    place.write(labels, 0x801, &[TRAIN as u32], vec![10; TRAIN]);
    place.refuses(&[], 1, "label");
    place.write(labels, 0x801, &[TRAIN as u32 - 1], vec![1; TRAIN - 1]);
    place.refuses(&[], 1, "95");
    place.write(labels, 0x803, &[TRAIN as u32], vec![1; TRAIN]);
    place.refuses(&[], 1, labels);
    place.write(labels, 0x801, &[u32::MAX], vec![1; TRAIN]);
    place.refuses(&[], 1, labels);
    place.write(labels, 0x801, &[TRAIN as u32], vec![1; TRAIN - 3]);
    place.refuses(&[], 1, labels);
    fs::remove_file(place.data().join(labels)).unwrap();
    place.refuses(&[], 1, labels);
}

#[test]
fn nothing_is_written_over() {
    let place = Place::new();
    fs::create_dir(place.out()).unwrap();
    fs::write(place.out().join("mine"), "kept").unwrap();
    assert_two_lines(&place.compare(&[]).output().unwrap(), 2, "out");
    assert_eq!(fs::read_dir(place.out()).unwrap().count(), 1);

    let below_a_file = place.out().join("mine/run");
    let output = place.compare(&["--out", below_a_file.to_str().unwrap()]).output().unwrap();
    assert_two_lines(&output, 1, "mine");
    assert_eq!(fs::read_to_string(place.out().join("mine")).unwrap(), "kept");
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_and_keeps_its_files() {
    let place = Place::new();
    let output = place.compare(&["--lr", "1e38", "--variants", "native"]).output().unwrap();
    assert_two_lines(&output, 1, "epoch 1");
    let records = read_metrics(&place.out().join("metrics.csv")).unwrap();
    assert_eq!(records.len(), 1);
    assert!(!records[0].train_loss.is_finite());
    assert!(place.out().join("curves.png").exists() && place.out().join("report.md").exists());
}

#[test]
fn weights_of_another_network_are_refused() {
    let place = Place::new();
    assert!(place.compare(&["--quiet"]).status().unwrap().success());
    let evaluate = |weights: &Path, recipe: &str, variant: &str| {
        let mut command = program();
        command.arg("evaluate").arg(weights).args([
            "--recipe",
            recipe,
            "--variant",
            variant,
            "--device",
            "cpu",
        ]);
        command.arg("--data-dir").arg(place.data()).output().unwrap()
    };
    let native = place.out().join("weights/native.safetensors");
    assert!(evaluate(&native, "book", "native").status.success());
    assert_two_lines(&evaluate(&native, "book", "scratch"), 1, "it lacks 1.beta and 15 more");
    assert_two_lines(&evaluate(&native, "dropout", "native"), 1, "native.safetensors");
    assert_two_lines(&evaluate(&place.out().join("report.md"), "book", "native"), 1, "report.md");
    assert_two_lines(&evaluate(&place.out().join("nothing"), "book", "native"), 1, "nothing");

    let whole = fs::read(&native).unwrap();
    let cut = place.folder.path().join("cut.safetensors");
    fs::write(&cut, &whole[..whole.len() - 7]).unwrap();
    assert_two_lines(&evaluate(&cut, "book", "native"), 1, "cut.safetensors");
}
