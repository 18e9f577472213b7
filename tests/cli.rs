//! The program as a user meets it: what it leaves, what it says, how it ends.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use d2l_ch7::StatisticsRecord;
use d2l_ch7::data::transforms::Image;
use d2l_ch7::report::read_metrics;
use tempfile::TempDir;

mod place;

use place::{CIFAR10_BYTES, CIFAR10_FILES, Place, TRAIN, assert_two_lines, program};

#[test]
fn a_run_leaves_everything_it_promises() {
    let place = Place::new();
    let output = place.compare(&[]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.stderr.is_empty(), "no progress bar on a pipe");
    let lines: Vec<&str> = stdout.lines().collect();
    // Each epoch: scratch, native, their difference; then where the files are.
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

/// At a learning rate that moves nothing, the two networks see the same values: what is left between their running
/// statistics is rounding, if the biased variances are made unbiased with the right counts, last batch included.
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

#[test]
fn wrong_command_lines_are_refused_in_two_lines() {
    let place = Place::new();
    place.refuses(&["--recipe", "alexnet"], 2, "book, adamw, dropout, no-dropout");
    place.refuses(&["--variants", "scratch,cudnn"], 2, "scratch, native");
    place.refuses(&["--variants", "native,native"], 2, "twice");
    place.refuses(&["--variants", ""], 2, "--variants");
    place.refuses(&["--train-examples", "0"], 2, "--train-examples");
    place.refuses(&["--test-examples", "-5"], 2, "--test-examples");
    place.refuses(&["--seed", "-1"], 2, "--seed");
    place.refuses(&["--verbose"], 2, "--verbose");
    for lr in ["0", "-0.1", "NaN", "inf", "1e999", "fast"] {
        place.refuses(&["--lr", lr], 2, "finite number above zero");
    }
    for (option, value) in [
        ("--epochs", "0"),
        ("--epochs", "-1"),
        ("--batch-size", "0"),
        ("--batch-size", "-256"),
        ("--batch-size", "1.5"),
        ("--device", "tpu"),
        ("--device", "cuda:x"),
        ("--threads", "0"),
        ("--workers", "-1"),
        ("--device", "cpu,cpu"),
        ("--device", "all"),
    ] {
        assert_two_lines(&program().args(["compare", option, value]).output().unwrap(), 2, option);
    }
    for devices in ["cpu,cuda:0", "cuda,cpu", "cpu,auto", "all,all", "cpu,", "cuda:0;cuda:1", ""] {
        assert_two_lines(&program().args(["cifar", "--device", devices]).output().unwrap(), 2, "--device");
    }
}

#[test]
fn a_device_that_is_not_there_is_named() {
    // No machine has so many GPUs.
    for arguments in [["compare", "--device", "cuda:99"], ["cifar", "--device", "cuda:98,cuda:99"]] {
        assert_two_lines(&program().args(arguments).output().unwrap(), 1, "cuda:9");
    }
}

/// On a CPU every kernel of the recipes is deterministic already.
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

#[test]
fn the_doctor_says_how_things_stand() {
    let place = Place::new();
    let doctor = || program().arg("doctor").current_dir(place.folder.path()).output().unwrap();
    let output = doctor();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    for what in ["libtorch 2.11.0, from /", "kernels for", "NVIDIA", "Fashion-MNIST", "CIFAR-10", "reports/"]
    {
        assert!(stdout.contains(what), "{what} is not in {stdout}");
    }
    let is_finding = |line: &str| line.starts_with("ok       ") || line.starts_with("warning  ");
    let lines: Vec<&str> = stdout.lines().collect();
    for (line, next) in lines.iter().zip(lines[1..].iter().chain(&[""])) {
        assert!(is_finding(line) || line.starts_with("         what to do: "), "{line}");
        assert_eq!(line.starts_with("warning"), next.starts_with(' '), "{line}");
    }
    let left = fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["data"], "nothing stays");

    fs::write(place.folder.path().join("reports"), "").unwrap();
    let output = doctor();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("problem  results cannot be kept in reports/: reports is a file"), "{stdout}");
    assert_two_lines(&output, 1, "runs cannot work here: 1 of the lines");
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
    assert_two_lines(&evaluate(&native, "book", "scratch"), 1, "1.gamma");
    assert_two_lines(&evaluate(&native, "dropout", "native"), 1, "native.safetensors");
    assert_two_lines(&evaluate(&place.out().join("report.md"), "book", "native"), 1, "report.md");
    assert_two_lines(&evaluate(&place.out().join("nothing"), "book", "native"), 1, "nothing");

    let whole = fs::read(&native).unwrap();
    let cut = place.folder.path().join("cut.safetensors");
    fs::write(&cut, &whole[..whole.len() - 7]).unwrap();
    assert_two_lines(&evaluate(&cut, "book", "native"), 1, "cut.safetensors");
}

#[test]
fn help_and_list_are_not_errors() {
    let help = program().arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("--recipe"));
    let list = String::from_utf8(program().arg("list").output().unwrap().stdout).unwrap();
    for word in ["book", "adamw", "dropout", "no-dropout", "scratch", "native"] {
        assert!(list.contains(word), "{word} is not in: {list}");
    }
}

fn shapes(arguments: &[&str]) -> Output {
    program().arg("shapes").args(arguments).output().unwrap()
}

fn shapes_text(arguments: &[&str]) -> String {
    let output = shapes(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Class and shape of every layer, as the notes print them.
#[test]
fn shapes_are_the_notes() {
    let lenet224 = "Conv2d 1x6x220x220, BatchNorm 1x6x220x220, Sigmoid 1x6x220x220, AvgPool2d 1x6x110x110, \
        Conv2d 1x16x106x106, BatchNorm 1x16x106x106, Sigmoid 1x16x106x106, AvgPool2d 1x16x21x21, Flatten 1x7056, \
        Linear 1x120, BatchNorm 1x120, Sigmoid 1x120, Linear 1x84, BatchNorm 1x84, Sigmoid 1x84, Linear 1x10";
    let resnet18 = "Sequential 1x64x56x56, Sequential 1x64x56x56, Sequential 1x128x28x28, \
        Sequential 1x256x14x14, Sequential 1x512x7x7, AdaptiveAvgPool2d 1x512x1x1, Flatten 1x512, Linear 1x10";
    for (network, expected) in [("lenet224", lenet224), ("resnet18", resnet18)] {
        let csv = shapes_text(&[network, "--format", "csv"]);
        let mut rows = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
        assert_eq!(rows.next().unwrap(), ["layer", "class", "output_shape", "parameters"]);
        let found: Vec<String> = rows.map(|row| format!("{} {}", row[1], row[2])).collect();
        assert_eq!(found.join(", "), expected, "{network}");
    }
}

#[test]
fn the_three_formats_say_the_same() {
    let arguments = ["resnet18-cifar", "--input", "3x16x24", "--format"];
    let text = |format| shapes_text(&[arguments.as_slice(), &[format]].concat());
    let json: serde_json::Value = serde_json::from_str(&text("json")).unwrap();
    assert_eq!((&json["network"], &json["variant"]), (&"resnet18-cifar".into(), &"native".into()));
    assert_eq!(json["input"], serde_json::json!([3, 16, 24]));
    let layers = json["layers"].as_array().unwrap();
    let sum: u64 = layers.iter().map(|layer| layer["parameters"].as_u64().unwrap()).sum();
    assert_eq!(json["parameters"], sum);
    // A 3x3 convolution from 3 to 64 channels, with bias.
    assert_eq!(layers[0]["parameters"], 3 * 3 * 3 * 64 + 64);
    assert_eq!(layers[4]["layer"], "resnet_block2");
    assert_eq!(layers[4]["output_shape"], serde_json::json!([1, 128, 8, 12]));

    let (table, csv) = (text("table"), text("csv"));
    let (table, csv): (Vec<&str>, Vec<&str>) = (table.lines().collect(), csv.lines().collect());
    assert_eq!((csv.len(), table.len()), (layers.len() + 1, layers.len() + 3));
    assert!(table[1].ends_with("input              (1, 3, 16, 24)"), "{}", table[1]);
    let last: Vec<&str> = table[table.len() - 1].split_whitespace().collect();
    assert_eq!(last, ["total", &sum.to_string()]);
    for ((layer, row), line) in layers.iter().zip(&csv[1..]).zip(&table[2..]) {
        let sizes = layer["output_shape"].as_array().unwrap();
        let shape = |between: &str| sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(between);
        let (name, class) = (layer["layer"].as_str().unwrap(), layer["class"].as_str().unwrap());
        assert_eq!(*row, format!("{name},{class},{},{}", shape("x"), layer["parameters"]));
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(
            cells,
            [name, class, &format!("({})", shape(", ")), &layer["parameters"].to_string()].as_slice()
        );
    }
}

#[test]
fn a_variant_is_the_batch_norm_of_every_network() {
    for (network, usual) in
        [("lenet", "BatchNorm,"), ("lenet-relu", "BatchNorm,"), ("resnet18-cifar", "BatchNorm2d,")]
    {
        let csv =
            |variant: &[&str]| shapes_text(&[[network, "--format", "csv"].as_slice(), variant].concat());
        let (scratch, native) = (csv(&["--variant", "scratch"]), csv(&["--variant", "native"]));
        assert!(scratch.contains("BatchNorm,") && !scratch.contains("BatchNorm2d,"), "{scratch}");
        assert!(native.contains("BatchNorm2d,") && !native.contains("BatchNorm,"), "{native}");
        assert!(csv(&[]).contains(usual), "{network}");
    }
}

#[test]
fn an_input_that_does_not_fit_names_the_layer() {
    for (network, input, layer, shape) in [
        ("lenet", "3x28x28", "layer 0 (Conv2d)", "(1, 3, 28, 28)"),
        ("lenet", "1x10x10", "layer 4 (Conv2d)", "(1, 6, 3, 3)"),
        ("lenet", "1x14x15", "layer 7 (AvgPool2d)", "(1, 16, 1, 1)"),
        ("lenet", "1x32x32", "layer 9 (Linear)", "(1, 400)"),
        ("lenet-relu", "1x40x28", "layer 9 (Linear)", "(1, 640)"),
        ("resnet18", "3x64x64", "layer 0.0 (Conv2d)", "(1, 3, 64, 64)"),
        ("resnet18-cifar", "1x32x32", "layer 0 (Conv2d)", "(1, 1, 32, 32)"),
    ] {
        let output = shapes(&[network, "--input", input]);
        assert!(output.stdout.is_empty(), "no half table");
        assert_two_lines(&output, 2, layer);
        assert_two_lines(&output, 2, &format!("the shape {shape} "));
    }
}

#[test]
fn wrong_requests_for_shapes_are_refused_in_two_lines() {
    for input in ["224", "1x224", "1x2x3x4", "0x28x28", "1x-28x28", "1x28x", "x", "1X28X28", "1x2.5x3", ""] {
        assert_two_lines(&shapes(&["lenet", "--input", input]), 2, "channels x height x width");
    }
    for input in ["1x2048x2049", "1x4294967296x4294967296", "9223372036854775807x2x2"] {
        assert_two_lines(&shapes(&["lenet", "--input", input]), 2, "4194304");
    }
    assert_two_lines(&shapes(&["lenet", "--input", "1x9223372036854775808x1"]), 2, "--input");
    assert_two_lines(&shapes(&[]), 2, "<NETWORK>");
    assert_two_lines(&shapes(&["vgg"]), 2, "lenet, lenet-relu, lenet224, resnet18, resnet18-cifar");
    assert_two_lines(&shapes(&["lenet", "--format", "xml"]), 2, "table, csv, json");
    assert_two_lines(&shapes(&["lenet", "--variant", "cudnn"]), 2, "scratch, native");
}

/// `d2l_ch7 basics` with a run directory in `folder`.
fn basics(folder: &TempDir, arguments: &[&str]) -> Output {
    program().arg("basics").args(arguments).arg("--out").arg(folder.path().join("out")).output().unwrap()
}

#[test]
fn basics_leaves_tables_figures_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = basics(&folder, &["--seed", "3"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let tables = stdout.strip_suffix(&format!("\n{}\n", out.display())).expect("the directory comes last");
    for words in
        ["(100, 16, 28, 28)", "num_batches_tracked", "track_running_stats    True", "tensor(1)", "0.456"]
    {
        assert!(tables.contains(words), "{words} is not in: {tables}");
    }
    assert!(fs::read_to_string(out.join("basics.md")).unwrap().contains(tables), "the same tables");
    let config: serde_json::Value =
        serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap();
    assert_eq!((&config["seed"], &config["image"]), (&3.into(), &serde_json::Value::Null));
    let tensors = tch::Tensor::read_safetensors(out.join("basics.safetensors")).unwrap();
    assert!(tensors.iter().any(|(name, _)| name == "1x16x7x7.running_mean"));
    let picture = fs::File::open(out.join("channels.png")).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(picture)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    assert_eq!(reader.next_frame(&mut pixels).unwrap().width, 1200);

    // The picture that the first run left is an image like any other.
    let other = tempfile::tempdir().unwrap();
    let image = out.join("channels.png");
    let output = basics(&other, &["--quiet", "--image", image.to_str().unwrap()]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim_end(),
        other.path().join("out").to_str().unwrap()
    );
    let page = fs::read_to_string(other.path().join("out/basics.md")).unwrap();
    assert!(page.contains(image.to_str().unwrap()), "{page}");
}

#[test]
fn basics_refuses_what_it_cannot_do() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.png");
    fs::write(&damaged, b"\x89PNG\r\n\x1a\n").unwrap();
    for image in [folder.path().join("nothing.png"), folder.path().to_owned(), damaged] {
        let image = image.to_str().unwrap();
        assert_two_lines(&basics(&folder, &["--image", image]), 1, image);
        assert!(!folder.path().join("out").exists(), "{image} left a run directory");
    }
    for arguments in [["--seed", "-1"], ["--seed", "x"], ["--threads", "0"]] {
        assert_two_lines(&basics(&folder, &arguments), 2, arguments[0]);
    }
    fs::write(folder.path().join("out"), "kept").unwrap();
    assert_two_lines(&basics(&folder, &[]), 2, "out");
    assert_eq!(fs::read_to_string(folder.path().join("out")).unwrap(), "kept");
}

/// `d2l_ch7 augment` with a run directory in `folder`, and a home without any data.
fn augment(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = program();
    command.arg("augment").args(arguments).arg("--out").arg(folder.path().join("out"));
    command.env("HOME", folder.path().join("home")).env_remove("XDG_CACHE_HOME").output().unwrap()
}

/// A PNG file's pixels.
fn picture(path: &Path) -> Image {
    Image::open(path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn augment_leaves_a_gallery_of_every_transform() {
    const NAMES: [&str; 5] = ["horizontal_flip", "vertical_flip", "resized_crop", "color_jitter", "compose"];
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    for (folder, seed) in folders.iter().zip(["0", "0", "1"]) {
        let output = augment(folder, &["--seed", seed]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let out = folder.path().join("out");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.ends_with(&format!("{}\n", out.display())), "{stdout}");
        assert!(stdout.contains("cifar10.png is left out") && stdout.contains("--cifar"), "{stdout}");
        let page = fs::read_to_string(out.join("galleries.md")).unwrap();
        for name in NAMES.into_iter().chain(["picture"]) {
            assert!(page.contains(&format!("]({name}.png)")), "{name} is not in: {page}");
            assert!(picture(&out.join(format!("{name}.png"))).width() > 500, "{name}");
        }
        // Nothing but what is promised.
        assert_eq!(fs::read_dir(&out).unwrap().count(), NAMES.len() + 3);
    }
    for name in NAMES {
        let [first, again, other] =
            folders.each_ref().map(|folder| picture(&folder.path().join(format!("out/{name}.png"))));
        assert!(first == again, "{name}: one seed, one picture");
        assert!(first != other, "{name}: another seed, another picture");
    }
}

#[test]
fn augment_shows_the_first_images_of_cifar10() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let record = |i: usize| -> Vec<u8> {
        let planes = [7 * i, 100, 200 - i].map(|value| [value as u8; 32 * 32]).concat();
        [&[(i % 10) as u8][..], &planes].concat()
    };
    for name in CIFAR10_FILES {
        let mut file = fs::File::create(data.join(name)).unwrap();
        file.write_all(&(0..40).flat_map(record).collect::<Vec<_>>()).unwrap();
        // The other images are black, and take no room on the disk.
        file.set_len(CIFAR10_BYTES).unwrap();
    }
    let output = augment(&folder, &["--quiet", "--pixels", "--data-dir", data.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let out = folder.path().join("out");
    let tensors = tch::Tensor::read_safetensors(out.join("galleries.safetensors")).unwrap();
    let (_, images) = tensors.iter().find(|(name, _)| name == "cifar10").unwrap();
    assert_eq!(images.size(), [32, 32, 32, 3]);
    let shown = picture(&out.join("cifar10.png"));
    for i in 0..32 {
        let pixel = [7 * i as u8, 100, 200 - i as u8];
        let corner = Vec::<u8>::try_from(images.get(i).get(31).get(0)).unwrap();
        assert_eq!(corner, pixel, "image {i}");
        // 32 x 32 pixels, each as a square.
        let count = shown.pixels().as_chunks().0.iter().filter(|&&other| other == pixel).count();
        assert_eq!(count, 128 * 128, "image {i}");
    }

    // One image of another class has another name below it.
    let mut first = fs::OpenOptions::new().write(true).open(data.join("data_batch_1.bin")).unwrap();
    first.write_all(&[9]).unwrap();
    let renamed = tempfile::tempdir().unwrap();
    assert!(augment(&renamed, &["--data-dir", data.to_str().unwrap()]).status.success());
    assert!(picture(&renamed.path().join("out/cifar10.png")) != shown);

    fs::remove_file(data.join("test_batch.bin")).unwrap();
    let other = tempfile::tempdir().unwrap();
    assert_two_lines(&augment(&other, &["--data-dir", data.to_str().unwrap()]), 1, "test_batch.bin");
    assert!(!other.path().join("out").exists());
}

#[test]
fn augment_refuses_what_is_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let cat = d2l_ch7::experiments::augment::CAT;
    // A header that claims 65,536 x 65,536 pixels; its checksum is right.
    let mut huge = Vec::new();
    std::mem::forget(png::Encoder::new(&mut huge, 1 << 16, 1 << 16).write_header().unwrap());
    for (name, content, words) in [
        ("text.png", &b"no image"[..], "neither as PNG nor as JPEG"),
        ("empty.jpg", b"", "empty"),
        ("cut.jpg", &cat[..cat.len() / 2], "cut off"),
        ("huge.png", &huge, "50 million"),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        let output = augment(&folder, &[file.to_str().unwrap()]);
        assert_two_lines(&output, 1, words);
        assert_two_lines(&output, 1, name);
        assert!(!folder.path().join("out").exists(), "{name} left a run directory");
    }
    for path in [folder.path().join("nothing.png"), folder.path().to_owned()] {
        assert_two_lines(&augment(&folder, &[path.to_str().unwrap()]), 1, path.to_str().unwrap());
    }
    assert_two_lines(&augment(&folder, &["--seed", "-1"]), 2, "--seed");
    fs::create_dir(folder.path().join("out")).unwrap();
    assert_two_lines(&augment(&folder, &[]), 2, "exists");
}

/// A very short run on images of noise, with `arguments` besides.
fn cifar(place: &Place, arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(["cifar", "--device", "cpu", "--threads", "1", "--quiet", "--epochs", "1"]);
    command.args(["--batch-size", "4", "--train-examples", "6", "--test-examples", "2", "--data-dir"]);
    command.arg(place.cifar10()).arg("--out").arg(place.out()).args(arguments).output().unwrap()
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
        (["--augment", "spin"], "the augmentations are flip, flip+crop, flip+jitter, all"),
        (["--variants", "plain,plain"], "plain twice"),
        (["--variants", "scratch"], "the variants are augmented, plain"),
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

fn bench(place: &Place, python: &Path, arguments: &[&str]) -> Output {
    let mut command = program();
    command.args(["bench", "--device", "cpu", "--threads", "1", "--recipes", "book", "--data-dir"]);
    command.arg(place.data()).arg("--out").arg(place.out()).args(arguments);
    command.env("D2L_PYTHON", python).output().unwrap()
}

/// A Python that measures one network, lacks what another needs, and dies where there is none.
const STUB: &str = r#"#!/bin/sh
echo '{"torch": "a stub"}'
while read -r question; do
    case "$question" in
        *'"data"'*) exit 1 ;;
        *'"scratch"'*) echo '{"seconds": [["PyTorch", 0.5]], "missing": []}' ;;
        *) echo '{"seconds": [], "missing": [["PyTorch", "no such thing"]]}' ;;
    esac
done
"#;

#[test]
fn a_benchmark_has_every_round_of_everyone() {
    let place = Place::new();
    let python = place.folder.path().join("python");
    fs::write(&python, STUB).unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    let output = bench(&place, &python, &["--sections", "step,epoch,data", "--rounds", "3"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout.lines().last(), place.out().to_str());

    let mut csv = csv::Reader::from_path(place.out().join("bench.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = csv.records().map(|row| row.unwrap()).collect();
    let count = |section: &str, variant: &str, who: &str| {
        rows.iter().filter(|r| r[0].starts_with(section) && r[1].contains(variant) && &r[2] == who).count()
    };
    for (section, variant, pytorch) in [
        ("Training step", "scratch", 3),
        ("Training step", "native", 0),
        ("Epoch", "scratch", 3),
        ("Epoch", "native", 0),
        ("Preparing", "96 images", 0),
    ] {
        assert_eq!(count(section, variant, "this program"), 3, "{section}, {variant}");
        assert_eq!(count(section, variant, "PyTorch"), pytorch, "{section}, {variant}");
    }
    let report = fs::read_to_string(place.out().join("report.md")).unwrap();
    for words in ["a stub", "native, 96 images: PyTorch was not measured: no such thing", "Python ended"] {
        assert!(report.contains(words), "{words} is not in: {report}");
    }
    assert!(fs::metadata(place.out().join("bench.png")).unwrap().len() > 0);
}

#[test]
fn a_benchmark_without_python_says_why() {
    let nowhere = Path::new("/nowhere/python");
    for (arguments, words) in [(&[][..], "cannot start /nowhere/python"), (&["--no-python"], "")] {
        let place = Place::new();
        let arguments = [&["--sections", "step", "--rounds", "1"], arguments].concat();
        let output = bench(&place, nowhere, &arguments);
        assert!(output.status.success());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(words) && stderr.is_empty() == words.is_empty(), "{stderr}");
        let csv = fs::read_to_string(place.out().join("bench.csv")).unwrap();
        assert_eq!(csv.lines().count(), 3, "{csv}");
    }
}

#[test]
fn bench_refuses_what_it_cannot_do() {
    for (arguments, words) in [
        (["--sections", "spin"], "the sections are batch-norm, step, epoch, data"),
        (["--recipes", "paper"], "lenet224, cifar"),
        (["--rounds", "0"], "--rounds"),
        (["--train-examples", "1"], "--train-examples"),
    ] {
        let place = Place::new();
        assert_two_lines(&bench(&place, Path::new("python3"), &arguments), 2, words);
        assert!(!place.out().exists(), "{arguments:?}");
    }
}
