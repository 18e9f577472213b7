//! `d2l_ch7 basics`.

use std::fs;
use std::process::Output;

use tempfile::TempDir;

use crate::place::{assert_two_lines, program};

/// Runs `d2l_ch7 basics` with its run directory in `folder`.
fn basics(folder: &TempDir, arguments: &[&str]) -> Output {
    program().arg("basics").args(arguments).arg("--out").arg(folder.path().join("out")).output().unwrap()
}

#[test]
fn basics_leaves_tables_figures_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = basics(&folder, &["--seed", "-1"]);
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
    assert_eq!((&config["seed"], &config["image"]), (&u64::MAX.into(), &serde_json::Value::Null));
    let tensors = tch::Tensor::read_safetensors(out.join("basics.safetensors")).unwrap();
    assert!(tensors.iter().any(|(name, _)| name == "1x16x7x7.running_mean"));
    let picture = fs::File::open(out.join("channels.png")).unwrap();
    let mut reader = png::Decoder::new(std::io::BufReader::new(picture)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    assert_eq!(reader.next_frame(&mut pixels).unwrap().width, 1200);

    // A picture of the first run serves as the image.
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
        let output = basics(&folder, &["--image", image]);
        assert_two_lines(&output, 1, image);
        assert_two_lines(&output, 1, "help: name a PNG or JPEG file");
        assert!(!folder.path().join("out").exists(), "{image} left a run directory");
    }
    for arguments in [["--seed", "-9223372036854775809"], ["--seed", "x"], ["--threads", "0"]] {
        assert_two_lines(&basics(&folder, &arguments), 2, arguments[0]);
    }
    fs::write(folder.path().join("out"), "kept").unwrap();
    assert_two_lines(&basics(&folder, &[]), 2, "out");
    assert_eq!(fs::read_to_string(folder.path().join("out")).unwrap(), "kept");
}
