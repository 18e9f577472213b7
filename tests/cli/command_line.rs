//! The command line: unknown commands, devices, help, and `d2l_ch7 doctor`.

use std::fs;

use clap::ValueEnum;
use d2l_ch7::cli::Command;
use d2l_ch7::experiments::networks::NETWORKS;
use d2l_ch7::experiments::options::RunOptions;
use d2l_ch7::experiments::recipes::RECIPES;
use d2l_ch7::norm::Variant;

use crate::place::job::Job;
use crate::place::{Place, assert_two_lines, program};

#[test]
fn wrong_command_lines_are_refused_in_two_lines() {
    let place = Place::new();
    place.refuses(&["--recipe", "resnet50"], 2, "book, adamw, dropout, no-dropout");
    place.refuses(&["--variants", "scratch,cudnn"], 2, "scratch, native");
    place.refuses(&["--variants", "native,native"], 2, "twice");
    place.refuses(&["--variants", ""], 2, "--variants");
    place.refuses(
        &["--variants", "scratch,fused"],
        2,
        "fused is trained on CUDA alone, and the device is cpu",
    );
    place.refuses(&["--train-examples", "0"], 2, "--train-examples");
    place.refuses(&["--test-examples", "-5"], 2, "--test-examples");
    place.refuses(&["--seed", "18446744073709551616"], 2, "--seed");
    place.refuses(&["--seed", "-9223372036854775809"], 2, "--seed");
    place.refuses(&["--train-examples", "97"], 2, "--train-examples 97 is more than the 96 images");
    place.refuses(&["--test-examples", "33"], 2, "--test-examples 33 is more than the 32 images");
    place.refuses(&["--verbose"], 2, "--verbose");
    for lr in ["0", "-0.1", "NaN", "inf", "1e999", "fast"] {
        place.refuses(&["--lr", lr], 2, "a number above zero");
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
        ("--threads", "1025"),
        ("--threads", "99999999999"),
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

/// oneDNN would wait for ever for threads that libgomp is not allowed to start.
#[test]
fn more_threads_than_openmp_may_start_are_refused() {
    let place = Place::new();
    for (limit, arguments, words) in [
        ("2", &["compare", "--threads", "3"][..], "OMP_THREAD_LIMIT is 2: training with 3 threads"),
        (
            " 1 ",
            &["evaluate", "a.safetensors", "--variant", "native"],
            "OMP_THREAD_LIMIT is 1: training with 4 threads",
        ),
        ("1", &["cifar"], "give --threads 1"),
        ("1", &["basics"], "OMP_THREAD_LIMIT"),
        ("1", &["bench"], "OMP_THREAD_LIMIT"),
    ] {
        let mut command = program();
        command.args(arguments).current_dir(place.folder.path());
        let output = command
            .env("OMP_THREAD_LIMIT", limit)
            .envs([("OMP_NUM_THREADS", "4"), ("MKL_DYNAMIC", "FALSE")])
            .output()
            .unwrap();
        assert_two_lines(&output, 2, words);
    }
    let all = [("OMP_THREAD_LIMIT", "1"), ("OMP_DYNAMIC", "true"), ("OMP_MAX_ACTIVE_LEVELS", "0")];
    for (name, value) in all {
        let output = program().args(["compare", "--threads", "2"]).env(name, value).output().unwrap();
        assert_two_lines(
            &output,
            2,
            &format!("{name} is {value}: training with 2 threads would wait for ever"),
        );
    }
    let output = place.compare(&["--epochs", "1"]).envs(all).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_name_with_control_characters_breaks_no_line() {
    let output = program().args(["evaluate", "a\nb\u{1b}[31m", "--variant", "native"]).output().unwrap();
    assert_two_lines(&output, 1, "from a\\nb\\u{1b}[31m: ");
}

#[test]
fn every_rank_is_told_of_a_port_that_is_none() {
    for port in ["0", "65536", "http"] {
        for rank in [0, 1] {
            let place = Place::new();
            let mut command = place.compare(&[]);
            let output = Job::new(2).place(rank, &mut command).env("MASTER_PORT", port).output().unwrap();
            assert_two_lines(&output, 2, &format!("MASTER_PORT is {port}, expected a port, 1 to 65535"));
        }
    }
}

#[test]
fn a_device_that_is_not_there_is_named() {
    // No machine has 99 GPUs.
    for arguments in [["compare", "--device", "cuda:99"], ["cifar", "--device", "cuda:98,cuda:99"]] {
        assert_two_lines(&program().args(arguments).output().unwrap(), 1, "cuda:9");
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
fn help_and_list_are_not_errors() {
    let help = program().arg("--help").output().unwrap();
    assert!(help.status.success() && String::from_utf8(help.stdout).unwrap().contains("--recipe"));
    let list = String::from_utf8(program().arg("list").output().unwrap().stdout).unwrap();
    let variants = Variant::value_variants().iter().map(|variant| variant.name());
    let names = RECIPES.iter().map(|recipe| recipe.name).chain(variants);
    let names: Vec<_> = names.chain(NETWORKS.iter().map(|network| network.name)).collect();
    for name in &names {
        assert!(list.contains(&format!("\n  {name} ")), "{name} is not in: {list}");
    }
    // Every description begins in one column, a space after the longest name.
    let column = 3 + names.iter().map(|name| name.len()).max().unwrap();
    let mut rows = list.lines().filter(|line| line.starts_with("  "));
    assert!(rows.all(|row| &row[column - 1..column] == " " && &row[column..=column] != " "), "{list}");
    // What `networks.py --shapes` counts for AlexNet, 938,146,176, times 60,000 images.
    let alexnet = list.lines().find(|row| row.starts_with("  alexnet ")).unwrap();
    let cells: Vec<&str> = alexnet.split_whitespace().take(4).collect();
    assert_eq!(cells, ["alexnet", "7.1", "46,764,746", "56,289"]);
}

#[test]
fn a_misspelt_name_is_answered_with_its_neighbour() {
    for (arguments, neighbour) in [
        (["compare", "--recipe", "bok"], "help: a similar value exists: 'book'"),
        (["compare", "--variants", "scrach"], "help: a similar value exists: 'scratch'"),
        (["cifar", "--augment", "flop"], "help: a similar value exists: 'flip'"),
        (["compare", "--epoch", "1"], "help: a similar argument exists: '--epochs'"),
    ] {
        assert_two_lines(&program().args(arguments).output().unwrap(), 2, neighbour);
    }
}

#[test]
fn every_recipe_gives_its_defaults() {
    let read = |arguments: &[&str]| {
        let line = ["d2l_ch7"].iter().chain(arguments).map(Into::into);
        match Command::read(line).unwrap() {
            Some(Command::Compare(compare)) => compare,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(read(&[]).recipe.name, RECIPES[0].name);
    for recipe in &RECIPES {
        let chosen = read(&["--recipe", recipe.name]);
        let RunOptions { epochs, batch_size, lr, .. } = chosen.options;
        assert_eq!(chosen.recipe.name, recipe.name);
        assert_eq!((epochs, batch_size, lr), (recipe.epochs, recipe.batch_size, recipe.lr));
        assert_eq!(chosen.variants, recipe.variants);
        let options = read(&["--epochs", "3", "--recipe", recipe.name, "--lr", "0.3"]).options;
        assert_eq!((options.epochs, options.batch_size, options.lr), (3, recipe.batch_size, 0.3));
    }
}
