//! The figures as tables and as a picture.

use std::fmt::Write;

use tch::Tensor;

use super::feature_scaling::{Distribution, FeatureScaling, IMAGENET_MEAN, IMAGENET_STD};
use super::{Figures, OnePass};
use crate::data::transforms::{Image, Mode};
use crate::experiments::thumbnail;
use crate::norm::{EPS, native};
use crate::report::pytorch_text::{elements, tensor};
use crate::report::{Channel, HistogramPanel, Histograms, Thumbnail, table};

/// The channels of an image.
const CHANNEL_NAMES: [&str; 3] = ["red", "green", "blue"];
/// Pixels of the longer side of a thumbnail, at most.
const THUMBNAIL: usize = 128;

/// All tables as Markdown, aligned in the source too. `images` says which were scaled.
pub fn tables(figures: &Figures, images: &str) -> String {
    let Figures { passes, scaling } = figures;
    let [.., last] = passes;
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
        listing = listing(last),
        modes = modes(passes),
        scaling = scaling_table(scaling),
    )
}

fn shapes(passes: &[OnePass; 2]) -> String {
    let row = |name: &str, of: &dyn Fn(&OnePass) -> &Tensor| {
        let [first, second] = passes.each_ref().map(|pass| shape(of(pass)));
        [name.to_owned(), first, second]
    };
    let mut rows = vec![row("x", &|pass| &pass.x), row("layer(x)", &|pass| &pass.y)];
    rows.extend(
        passes[0].state.iter().map(|(name, _)| row(&format!("layer.{name}"), &|pass| pass.get(name))),
    );
    table(1, ["tensor", "first", "second"], rows)
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
    let cells = columns.map(|(_, pass, name)| elements(&floats(pass.get(name))));
    let rows = (0..cells[0].len()).map(|channel| {
        [channel.to_string()].into_iter().chain(cells.each_ref().map(|column| column[channel].clone()))
    });
    table(0, ["channel"].into_iter().chain(columns.map(|(head, ..)| head)), rows)
}

/// What Python's `vars(layer)` shows of a layer in training, without the dictionaries of hooks, which are empty.
fn listing(pass: &OnePass) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        // A tensor's further lines stand under its first.
        let value = value.replace('\n', &format!("\n{:23}", ""));
        let _ = writeln!(out, "{}", format!("{name:<23}{value}").trim_end());
    };
    line("training", "True");
    line("_parameters", "");
    for name in ["weight", "bias"] {
        line(&format!("  {name}"), &tensor(&floats(pass.get(name)), true));
    }
    line("_buffers", "");
    for name in ["running_mean", "running_var"] {
        line(&format!("  {name}"), &tensor(&floats(pass.get(name)), false));
    }
    line("  num_batches_tracked", &format!("tensor({})", pass.get("num_batches_tracked").int64_value(&[])));
    line("num_features", &pass.get("weight").size()[0].to_string());
    // Python writes an exponent with two digits.
    line("eps", &format!("{EPS:e}").replace("e-", "e-0"));
    line("momentum", &native::MOMENTUM.to_string());
    line("affine", "True");
    line("track_running_stats", "True");
    out
}

fn modes(passes: &[OnePass; 2]) -> String {
    let row = |name: &str, write: &dyn Fn(&OnePass) -> [String; 2]| {
        let [[a, b], [c, d]] = passes.each_ref().map(write);
        [name.to_owned(), a, b, c, d]
    };
    let of_outputs = |name: &'static str| {
        move |pass: &OnePass| {
            let figures = pass.figures();
            ["training", "evaluation"]
                .map(|mode| number(named(&figures, &format!("{mode}.{name}")).double_value(&[0])))
        }
    };
    let of_states = |name: &'static str| {
        move |pass: &OnePass| states(pass).map(|state| number(named(state, name).double_value(&[0])))
    };
    let rows = [
        row("first element of the output", &|pass| {
            [&pass.y, &pass.evaluated].map(|output| number(output.double_value(&[0, 0, 0, 0])))
        }),
        row("mean of the output", &of_outputs("mean")),
        row("variance of the output", &of_outputs("var")),
        row("running_mean afterwards", &of_states("running_mean")),
        row("running_var afterwards", &of_states("running_var")),
        row("num_batches_tracked afterwards", &|pass| {
            states(pass).map(|state| named(state, "num_batches_tracked").int64_value(&[]).to_string())
        }),
        row("largest difference, all channels", &|pass| {
            [String::new(), number(pass.largest_difference().double_value(&[]))]
        }),
    ];
    table(1, ["", "training, first", "evaluation, first", "training, second", "evaluation, second"], rows)
}

/// A number as PyTorch prints a tensor that holds it alone.
fn number(value: f64) -> String {
    elements(&[value as f32]).remove(0)
}

/// The state after training, and after evaluation.
fn states(pass: &OnePass) -> [&[(String, Tensor)]; 2] {
    [&pass.state, &pass.state_after_evaluation]
}

fn named<'a>(tensors: &'a [(String, Tensor)], name: &str) -> &'a Tensor {
    let found = tensors.iter().find(|(n, _)| n == name);
    &found.expect("every layer has the same tensors and figures").1
}

fn scaling_table(scaling: &FeatureScaling) -> String {
    let distributions = scaling.distributions();
    let rows = distributions.iter().flat_map(|Distribution { stage, mean, std, min, max, .. }| {
        CHANNEL_NAMES.iter().enumerate().map(move |(channel, name)| {
            let [mean, std, min, max] =
                [mean, std, min, max].map(|figure| number(figure.double_value(&[channel as i64])));
            let [constant_mean, constant_std] = match *stage {
                "before" => [IMAGENET_MEAN, IMAGENET_STD].map(|values| values[channel].to_string()),
                _ => [const { String::new() }; 2],
            };
            [format!("{name} {stage}"), mean, std, min, max, constant_mean, constant_std]
        })
    });
    table(1, ["", "mean", "std", "least", "greatest", "ImageNet's mean", "std"], rows)
}

/// The images, and the histograms of their channels. `images` says which they are.
pub fn histograms(scaling: &FeatureScaling, images: &str) -> Histograms {
    let [before, after] = scaling.distributions();
    let panel = |title: &str, label, distribution: &Distribution| HistogramPanel {
        title: title.to_owned(),
        label,
        channels: std::array::from_fn(|c| channel(distribution, c)),
    };
    Histograms {
        title: format!("Feature scaling by channel with ImageNet's mean and standard deviation\n{images}"),
        thumbnails: (0..scaling.images.size()[0].min(8)).map(|i| thumbnail(&scaling.images.get(i))).collect(),
        panels: [panel("Before: pixels in [0, 1]", "x", &before), panel("After", "(x − mean) / std", &after)],
    }
}

fn channel(distribution: &Distribution, c: usize) -> Channel {
    let at = |tensor: &Tensor| tensor.double_value(&[c as i64]);
    let (mean, std) = (at(&distribution.mean), at(&distribution.std));
    let text = format!("{}: mean {mean:.2}, std {std:.2}", CHANNEL_NAMES[c]).replace('-', "−");
    Channel {
        name: text,
        range: distribution.ranges[c],
        counts: Vec::try_from(distribution.histogram.get(c as i64)).expect("int64 of one dimension"),
    }
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
