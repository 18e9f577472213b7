//! The figures as tables and as a picture.

use std::collections::BTreeMap;

use tch::Tensor;
use torchvision_exact::image::{Image, Mode};

use super::feature_scaling::{IMAGENET_MEAN, IMAGENET_STD, STAGES, range};
use super::one_pass::{OnePass, Pass};
use crate::Result;
use crate::experiments::thumbnail;
use crate::norm::{EPS, native};
use crate::report::pytorch_text::{elements, tensor};
use crate::report::{Channel, HistogramPanel, Thumbnail, draw_histograms, table};

/// The channels of an image.
const CHANNEL_NAMES: [&str; 3] = ["red", "green", "blue"];
/// Pixels of the longer side of a thumbnail, at most.
const THUMBNAIL: usize = 128;

/// All tables as Markdown, aligned in the source too. `scaling` are the figures of the images that `images` names.
pub fn tables(passes: &[OnePass; 2], scaling: &BTreeMap<String, Tensor>, images: &str) -> String {
    format!(
        "## Shapes\n\nTwo fresh layers `nn.BatchNorm2d(16)`, and what each is given.\n\n{shapes}\n\
         ## State after one forward pass\n\n\
         Inputs are uniform in [0, 1): mean 1/2, variance 1/12. A pass in training takes the running statistics a \
         tenth of\nthe way from 0 and 1 to the batch's: 0.9 * 0 + 0.1 / 2 = 0.05 and 0.9 * 1 + 0.1 / 12 = 0.9083. \
         The fewer values a\nchannel has, the further they scatter.\n\n{state}\n\
         ## All of the second layer\n\n```\n{listing}```\n\n\
         ## Training and evaluation\n\n\
         The same batch twice, channel 0. Training normalizes it by its own mean and variance; evaluation by the running\n\
         ones, which it leaves as they are, and which after one pass are far from the batch's.\n\n{modes}\n\
         ## Feature scaling\n\n\
         (x - mean) / std by channel, with ImageNet's mean and std, of {images}.\n\n{scaling}",
        shapes = shapes(passes),
        state = state_by_channel(passes),
        listing = listing(&passes[1].training),
        modes = modes(passes),
        scaling = scaling_table(scaling),
    )
}

fn shapes(passes: &[OnePass; 2]) -> String {
    let row = |name: &str, of: &dyn Fn(&OnePass) -> &Tensor| {
        let [first, second] = passes.each_ref().map(|pass| shape(of(pass)));
        [name.to_owned(), first, second]
    };
    let names = passes[0].training.state.iter().map(|(name, _)| name);
    let state = names.map(|name| row(&format!("layer.{name}"), &|pass| pass.training.get(name)));
    let rows = [row("x", &|pass| &pass.x), row("layer(x)", &|pass| &pass.training.output)];
    table(1, ["tensor", "first", "second"], rows.into_iter().chain(state))
}

/// `(1, 16, 7, 7)`, as Python writes a tuple.
fn shape(tensor: &Tensor) -> String {
    match tensor.size().as_slice() {
        [n] => format!("({n},)"),
        size => format!("({})", size.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn state_by_channel([first, second]: &[OnePass; 2]) -> String {
    // What only training changes is the same in both.
    let columns = [
        ("weight", first, "weight"),
        ("bias", first, "bias"),
        ("running_mean, first", first, "running_mean"),
        ("running_var, first", first, "running_var"),
        ("running_mean, second", second, "running_mean"),
        ("running_var, second", second, "running_var"),
    ];
    let cells = columns.map(|(_, pass, name)| elements(&floats(pass.training.get(name))));
    let rows = (0..cells[0].len()).map(|channel| {
        [channel.to_string()].into_iter().chain(cells.each_ref().map(|column| column[channel].clone()))
    });
    table(0, ["channel"].into_iter().chain(columns.map(|(head, ..)| head)), rows)
}

/// What Python's `vars(layer)` shows of a layer in training, without the dictionaries of hooks, which are empty.
fn listing(pass: &Pass) -> String {
    let values = |name| floats(pass.get(name));
    let lines = [
        ("training", "True".to_owned()),
        ("_parameters", String::new()),
        ("  weight", tensor(&values("weight"), true)),
        ("  bias", tensor(&values("bias"), true)),
        ("_buffers", String::new()),
        ("  running_mean", tensor(&values("running_mean"), false)),
        ("  running_var", tensor(&values("running_var"), false)),
        ("  num_batches_tracked", format!("tensor({})", batches(pass))),
        ("num_features", values("weight").len().to_string()),
        // Python writes an exponent with two digits.
        ("eps", format!("{EPS:e}").replace("e-", "e-0")),
        ("momentum", native::MOMENTUM.to_string()),
        ("affine", "True".to_owned()),
        ("track_running_stats", "True".to_owned()),
    ];
    // A tensor's further lines stand under its first.
    let lines =
        lines.map(|(name, value)| format!("{name:<23}{}", value.replace('\n', &format!("\n{:23}", ""))));
    lines.map(|line| line.trim_end().to_owned() + "\n").concat()
}

fn modes(passes: &[OnePass; 2]) -> String {
    let row = |name: &str, cell: &dyn Fn(&Pass) -> String| {
        let [first, second] = passes;
        let passes = [&first.training, &first.evaluation, &second.training, &second.evaluation];
        [name.to_owned()].into_iter().chain(passes.map(cell)).collect::<Vec<_>>()
    };
    let [first, second] = passes.each_ref().map(|pass| number(&pass.largest_difference()));
    let rows = [
        row("first element of the output", &|pass| number(&pass.output)),
        row("mean of the output", &|pass| number(&pass.mean())),
        row("variance of the output", &|pass| number(&pass.var())),
        row("running_mean afterwards", &|pass| number(pass.get("running_mean"))),
        row("running_var afterwards", &|pass| number(pass.get("running_var"))),
        row("num_batches_tracked afterwards", &|pass| batches(pass).to_string()),
        vec!["largest difference, all channels".to_owned(), String::new(), first, String::new(), second],
    ];
    table(1, ["", "training, first", "evaluation, first", "training, second", "evaluation, second"], rows)
}

fn batches(pass: &Pass) -> i64 {
    pass.get("num_batches_tracked").int64_value(&[])
}

/// The first element as PyTorch prints a tensor that holds it alone.
fn number(tensor: &Tensor) -> String {
    elements(&[tensor.double_value(&vec![0; tensor.dim()]) as f32]).remove(0)
}

fn scaling_table(scaling: &BTreeMap<String, Tensor>) -> String {
    let rows = STAGES.iter().flat_map(|(stage, ..)| {
        (0..3).map(move |c| {
            let figures =
                ["mean", "std", "min", "max"].map(|name| number(&of_channel(scaling, stage, name, c)));
            let constants = match *stage {
                "before" => [IMAGENET_MEAN[c], IMAGENET_STD[c]].map(|value| value.to_string()),
                _ => Default::default(),
            };
            [format!("{} {stage}", CHANNEL_NAMES[c])].into_iter().chain(figures).chain(constants)
        })
    });
    table(1, ["", "mean", "std", "least", "greatest", "ImageNet's mean", "std"], rows)
}

/// A figure of a stage and a channel.
fn of_channel(scaling: &BTreeMap<String, Tensor>, stage: &str, name: &str, channel: usize) -> Tensor {
    scaling[&format!("{stage}.{name}")].get(channel as i64)
}

/// `channels.png`: the first of the `images`, (N, 3, H, W), and the histograms of all, whose figures are `scaling`. `name` says which
/// images they are.
///
/// # Errors
/// As [`draw_histograms`].
pub fn picture(images: &Tensor, scaling: &BTreeMap<String, Tensor>, name: &str) -> Result<Vec<u8>> {
    let title = format!("Feature scaling by channel with ImageNet's mean and standard deviation\n{name}");
    let thumbnails: Vec<_> = (0..images.size()[0].min(8)).map(|i| thumbnail(&images.get(i))).collect();
    let panel = |title, label, (stage, means, stds): (&str, [f64; 3], [f64; 3])| {
        let channels = [0, 1, 2].map(|c| {
            let figure = |name| of_channel(scaling, stage, name, c);
            let [mean, std] = ["mean", "std"].map(|name| figure(name).double_value(&[]));
            Channel {
                name: format!("{}: mean {mean:.2}, std {std:.2}", CHANNEL_NAMES[c]).replace('-', "−"),
                range: range(means[c], stds[c]),
                counts: Vec::try_from(figure("histogram")).expect("int64 of one dimension"),
            }
        });
        HistogramPanel { title, label, channels }
    };
    let [before, after] = STAGES;
    let panels = [panel("Before: pixels in [0, 1]", "x", before), panel("After", "(x − mean) / std", after)];
    draw_histograms(&title, &thumbnails, &panels)
}

/// An image (3, H, W) of bytes.
fn thumbnail(image: &Tensor) -> Thumbnail {
    let pixels = image.permute([1, 2, 0]).contiguous();
    let (height, width) = (pixels.size()[0] as usize, pixels.size()[1] as usize);
    let bytes = Vec::try_from(pixels.flatten(0, -1)).expect("bytes of one dimension");
    let image = Image::new(Mode::Rgb, height, width, bytes).expect("three bytes a pixel");
    thumbnail::fitting(&image, THUMBNAIL)
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor).expect("float32 of one dimension")
}
