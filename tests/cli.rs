//! The program as a user meets it: what it leaves, what it says, how it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use d2l_ch7::report::read_metrics;
use tempfile::TempDir;

/// A folder with a small data set in Fashion-MNIST's layout, and room for runs.
struct Place {
    folder: TempDir,
}

const TRAIN: usize = 96;
const TEST: usize = 32;

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.data()).unwrap();
        for (split, n) in [("train", TRAIN), ("t10k", TEST)] {
            // Every image is lit in the columns that its label says.
            let labels: Vec<u8> = (0..n).map(|i| (i * 7 % 10) as u8).collect();
            let lit = |label: u8, column: usize| if column / 3 == usize::from(label) { 200 } else { 10 };
            let pixels =
                labels.iter().flat_map(|&label| (0..28 * 28).map(move |p| lit(label, p % 28))).collect();
            place.write(&format!("{split}-images-idx3-ubyte"), 0x803, &[n as u32, 28, 28], pixels);
            place.write(&format!("{split}-labels-idx1-ubyte"), 0x801, &[n as u32], labels);
        }
        place
    }

    fn write(&self, name: &str, magic: u32, size: &[u32], content: Vec<u8>) {
        let mut file = magic.to_be_bytes().to_vec();
        file.extend(size.iter().flat_map(|n| n.to_be_bytes()));
        file.extend(content);
        fs::write(self.data().join(name), file).unwrap();
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// A short comparison on this data, with `arguments` besides.
    fn compare(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(["compare", "--device", "cpu", "--threads", "1", "--data-dir"]).arg(self.data());
        command.args(["--batch-size", "32", "--epochs", "2"]).args(arguments);
        if !arguments.contains(&"--out") {
            command.arg("--out").arg(self.out());
        }
        command
    }

    /// Fails as an error for users fails: exit code, two lines that hold `words`, and no run directory.
    fn refuses(&self, arguments: &[&str], code: i32, words: &str) {
        assert_two_lines(&self.compare(arguments).output().unwrap(), code, words);
        assert!(!self.out().exists(), "{arguments:?} left a run directory");
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_d2l_ch7"));
    // Not even then may a user meet a backtrace.
    command.env("RUST_BACKTRACE", "1");
    command
}

fn assert_two_lines(output: &Output, code: i32, words: &str) {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(stderr.lines().filter(|line| !line.trim().is_empty()).count(), 2, "two lines: {stderr}");
    assert!(stderr.starts_with("error: "), "{stderr}");
    assert!(stderr.contains(words), "{words:?} is not in: {stderr}");
}

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
    ] {
        assert_two_lines(&program().args(["compare", option, value]).output().unwrap(), 2, option);
    }
}

#[test]
fn a_device_that_is_not_there_is_named() {
    // No machine has so many GPUs.
    assert_two_lines(&program().args(["compare", "--device", "cuda:99"]).output().unwrap(), 1, "cuda:99");
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

/// Ctrl-C in the middle of a long run.
#[cfg(unix)]
#[test]
fn an_interrupted_run_keeps_what_it_finished() {
    let place = Place::new();
    let mut command = program();
    command.args(["--device", "cpu", "--threads", "1", "--batch-size", "4", "--epochs", "100000", "--quiet"]);
    command.arg("--data-dir").arg(place.data()).arg("--out").arg(place.out());
    let child =
        command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let metrics = place.out().join("metrics.csv");
    let begun = Instant::now();
    while read_metrics(&metrics).map_or(0, |records| records.len()) < 3 {
        assert!(begun.elapsed() < Duration::from_secs(120), "the run finishes no epoch");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_two_lines(&output, 130, "interrupted");

    let records = read_metrics(&metrics).unwrap();
    assert!(records.len() >= 3);
    let expected = |i: usize| (["scratch", "native"][i % 2], i / 2 + 1);
    for (i, record) in records.iter().enumerate() {
        assert_eq!((record.variant.as_str(), record.epoch), expected(i));
    }
    let curves = fs::read(place.out().join("curves.png")).unwrap();
    assert!(curves.starts_with(b"\x89PNG") && curves.ends_with(b"IEND\xae\x42\x60\x82"), "a whole picture");
    assert!(place.out().join("report.md").exists());
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
