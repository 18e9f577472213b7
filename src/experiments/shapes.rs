//! A network's shapes: what `X = torch.rand(1, ...)` becomes, layer by layer, as the notes print it.

use clap::{Args, ValueEnum};
use serde::Serialize;
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor};
use tch_extra::state_dict::named_parameters;

use super::networks::{Network, network};
use crate::layers::Misfit;
use crate::norm::Variant;
use crate::{Error, Result, interrupt};

/// The values that an image may have: 16 MiB of them. d2l's ResNet-18 makes feature maps 64 times as large.
pub const MOST_VALUES: i64 = 1 << 22;

/// The options of `d2l_ch7 shapes`.
#[derive(Args, Clone, Debug)]
pub struct Shapes {
    /// The network
    #[arg(value_parser = network())]
    pub network: &'static Network,
    /// The image it is given: channels x height x width [default: its note's, such as 1x224x224]
    #[arg(long, value_name = "CxHxW", value_parser = image_size)]
    pub input: Option<[i64; 3]>,
    /// The batch norm it is built with [default: its note's]
    #[arg(long)]
    pub variant: Option<Variant>,
    /// How rows become text
    #[arg(long, default_value = "table")]
    pub format: Format,
}

/// How rows become text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns between the input and the total, for reading.
    Table,
    /// A header and a row a layer; shapes as `1x6x28x28`.
    Csv,
    /// One object: what was asked for, the layers, the total.
    Json,
}

/// Channels, height and width of an image of [`MOST_VALUES`] at most.
fn image_size(text: &str) -> Result<[i64; 3], String> {
    let sizes = text.split('x').map(|size| size.parse().ok().filter(|&size| size > 0));
    let sizes: Option<Vec<i64>> = sizes.collect();
    let Some(&[channels, height, width]) = sizes.as_deref() else {
        return Err("an input is channels x height x width, each 1 or more, such as 1x224x224".to_owned());
    };
    match channels.checked_mul(height).and_then(|values| values.checked_mul(width)) {
        Some(values) if values <= MOST_VALUES => Ok([channels, height, width]),
        _ => Err(format!("an input has {MOST_VALUES} values at most, as 1x2048x2048 has")),
    }
}

/// A layer of the network: a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The name that its weights' names begin with: `0`, `fc`.
    pub layer: String,
    /// The class that PyTorch prints: `Conv2d`.
    pub class: &'static str,
    /// The shape of what it gives for one image.
    pub output_shape: Vec<i64>,
    /// How many numbers of it are trained.
    pub parameters: usize,
}

/// The shapes of a network; `--format json` prints it in this order.
#[derive(Serialize)]
struct Found {
    network: &'static str,
    variant: &'static str,
    input: [i64; 3],
    layers: Vec<Row>,
    parameters: usize,
}

/// Runs the network; gives what it found as text, without the last line's end.
///
/// # Errors
/// An input that does not fit the network, which the message names with the layer; an interruption.
pub fn run(config: &Shapes) -> anyhow::Result<String> {
    let variant = config.variant.unwrap_or(config.network.variant);
    let input = config.input.unwrap_or(config.network.input);
    let layers = rows(config.network, variant, input)?;
    let parameters = layers.iter().map(|row| row.parameters).sum();
    let found = Found { network: config.network.name, variant: variant.name(), input, layers, parameters };
    Ok(match config.format {
        Format::Table => table(&found),
        Format::Csv => csv(&found.layers),
        Format::Json => serde_json::to_string_pretty(&found)?,
    })
}

/// A row a layer for a random image, as the notes' `for layer in net: X = layer(X)`.
///
/// In evaluation mode, whatever the variant: the shapes are those of training, in which PyTorch's batch norm refuses
/// a single image once a channel is left with one value.
fn rows(network: &Network, variant: Variant, [channels, height, width]: [i64; 3]) -> Result<Vec<Row>> {
    let vs = VarStore::new(Device::Cpu);
    let net = (network.build)(&vs.root(), &variant.into());
    let mut x = Tensor::rand([1, channels, height, width], (Kind::Float, Device::Cpu));
    let mut rows = Vec::new();
    for (name, layer) in net.layers() {
        if interrupt::requested() {
            return Err(interrupt::error(format!("interrupted before layer {name}"), "nothing was written"));
        }
        x = tch::no_grad(|| layer.try_forward_t(&x, false))
            .map_err(|misfit| unfit(network, &misfit.within(name)))?;
        let parameters = numbers_below(&vs, name);
        rows.push(Row { layer: name.to_owned(), class: layer.class(), output_shape: x.size(), parameters });
    }
    Ok(rows)
}

/// How many numbers of the layer `name` are trained.
fn numbers_below(vs: &VarStore, name: &str) -> usize {
    let is_below = |parameter: &str| parameter.split('.').next() == Some(name);
    named_parameters(vs).iter().filter(|(parameter, _)| is_below(parameter)).map(|(_, t)| t.numel()).sum()
}

fn unfit(network: &Network, misfit: &Misfit) -> Error {
    let (name, usual) = (network.name, joined(&network.input, "x"));
    Error::usage(
        format!("{name}: {misfit}"),
        format!("Choose another --input; its note gives {name} {usual}."),
    )
}

fn table(found: &Found) -> String {
    let shape = |sizes: &[i64]| format!("({})", joined(sizes, ", "));
    let [channels, height, width] = found.input;
    let input = shape(&[1, channels, height, width]);
    let mut lines = vec![["layer", "class", "output shape", "parameters"].map(str::to_owned)];
    lines.push(["", "input", &input, ""].map(str::to_owned));
    lines.extend(found.layers.iter().map(|row| {
        [row.layer.clone(), row.class.to_owned(), shape(&row.output_shape), row.parameters.to_string()]
    }));
    lines.push(["", "total", "", &found.parameters.to_string()].map(str::to_owned));

    let widest = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let [a, b, c, d] = [0, 1, 2, 3].map(widest);
    let line = |[layer, class, shape, parameters]: &[String; 4]| {
        format!("{layer:a$}  {class:b$}  {shape:c$}  {parameters:>d$}").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn csv(rows: &[Row]) -> String {
    let row = |Row { layer, class, output_shape, parameters }: &Row| {
        format!("\n{layer},{class},{},{parameters}", joined(output_shape, "x"))
    };
    let header = "layer,class,output_shape,parameters".to_owned();
    header + &rows.iter().map(row).collect::<String>()
}

fn joined(sizes: &[i64], between: &str) -> String {
    sizes.iter().map(i64::to_string).collect::<Vec<_>>().join(between)
}
