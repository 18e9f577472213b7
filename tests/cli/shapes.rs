//! `d2l_ch7 shapes`.

use std::process::Output;

use d2l_ch7::experiments::networks::NETWORKS;

use crate::place::{assert_two_lines, program};

fn shapes(arguments: &[&str]) -> Output {
    program().arg("shapes").args(arguments).output().unwrap()
}

fn shapes_text(arguments: &[&str]) -> String {
    let output = shapes(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The class and output shape of every layer, as the notes print them.
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
    // A 3x3 convolution from 3 to 64 channels with bias: 3 * 3 * 3 * 64 + 64.
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
    let names: Vec<&str> = NETWORKS.iter().map(|network| network.name).collect();
    assert_two_lines(&shapes(&["vgg19"]), 2, &names.join(", "));
    assert_two_lines(&shapes(&["lenet", "--format", "xml"]), 2, "table, csv, json");
    assert_two_lines(&shapes(&["lenet", "--variant", "cudnn"]), 2, "scratch, native");
}
