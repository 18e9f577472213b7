//! `d2l_ch7 list`: the tables of recipes, variants and networks, with what the networks cost.

use clap::ValueEnum;
use tch::nn::{Path, VarStore};
use tch::{Device, Kind, Tensor};
use tch_extra::state_dict::named_parameters;

use super::networks::{NETWORKS, Network};
use super::recipes::{RECIPES, Recipe};
use crate::layers::{Layer, Sequential};
use crate::norm::{Norm, Variant};
use crate::report::grouped;
use crate::{Result, interrupt};

/// Images in the training set of Fashion-MNIST.
const TRAIN_IMAGES: f64 = 60_000.0;

/// What a network costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// How many numbers are trained.
    pub parameters: usize,
    /// Multiplications, each with an addition, of convolutions and dense layers for one image, without gradients.
    pub multiply_adds: f64,
}

impl Cost {
    /// The cost of the network that `build` makes with `norm`, for an image of these channels, height and width. The network is built
    /// and run.
    ///
    /// # Errors
    /// An interruption.
    pub fn of(build: fn(&Path, &Norm) -> Sequential, norm: &Norm, input: [i64; 3]) -> Result<Self> {
        if interrupt::requested() {
            return Err(interrupt::error(
                "interrupted before the cost of every network was known",
                "nothing was written",
            ));
        }
        let [channels, height, width] = input;
        let vs = VarStore::new(Device::Cpu);
        let net = build(&vs.root(), norm);
        let parameters = named_parameters(&vs);
        let x = Tensor::rand([1, channels, height, width], (Kind::Float, Device::Cpu));
        let (_, multiply_adds) = tch::no_grad(|| counted(&net, "", x, &parameters));
        let parameters = parameters.iter().map(|(_, parameter)| parameter.numel()).sum();
        Ok(Self { parameters, multiply_adds })
    }
}

/// The output of the layer whose parameters' names begin with `prefix`, and its multiply-adds. Every convolution within a block
/// (`Residual`, `Inception`, `DenseBlock`) gives images of the block's output size.
fn counted(layer: &dyn Layer, prefix: &str, x: Tensor, parameters: &[(String, Tensor)]) -> (Tensor, f64) {
    if let Some(layers) = layer.as_sequential() {
        return layers.layers().fold((x, 0.0), |(x, before), (name, layer)| {
            let (x, own) = counted(layer, &format!("{prefix}{name}."), x, parameters);
            (x, before + own)
        });
    }
    let y = layer.forward_t(&x, false);
    // A pixel of the output, or a row of features, takes each number of the weights once.
    let pixels: i64 = y.size().iter().skip(2).product();
    let is_weight = |name: &str, parameter: &Tensor| {
        name.starts_with(prefix) && name.ends_with("weight") && parameter.dim() > 1
    };
    let weights = parameters.iter().filter(|(name, parameter)| is_weight(name, parameter));
    let numbers: usize = weights.map(|(_, weight)| weight.numel()).sum();
    (y, numbers as f64 * pixels as f64)
}

/// A recipe or a network in its table.
struct Line {
    section: [u8; 2],
    name: &'static str,
    parameters: usize,
    /// Billions an epoch, or millions an image.
    multiply_adds: f64,
    about: &'static str,
}

impl Line {
    /// Section, parameters, multiply-adds and description.
    fn cells(&self) -> [String; 4] {
        let [chapter, section] = self.section;
        let numbers = [self.parameters as f64, self.multiply_adds].map(grouped);
        let [parameters, multiply_adds] = numbers;
        [format!("{chapter}.{section}"), parameters, multiply_adds, self.about.to_owned()]
    }
}

/// The tables, in the order of sections, with one column for the names of all. Every network is built and run on one image.
///
/// # Errors
/// An interruption.
pub fn run() -> Result<String> {
    let recipe = |recipe: &Recipe| {
        let Recipe { name, section, about, variants, net, .. } = *recipe;
        let Cost { parameters, multiply_adds } = Cost::of(net, &variants[0].into(), recipe.input())?;
        Ok(Line { section, name, parameters, multiply_adds: TRAIN_IMAGES * multiply_adds / 1e9, about })
    };
    let network = |&Network { name, section, about, variant, input, build }: &Network| {
        let Cost { parameters, multiply_adds } = Cost::of(build, &variant.into(), input)?;
        Ok(Line { section, name, parameters, multiply_adds: multiply_adds / 1e6, about })
    };
    let recipes = RECIPES.iter().map(recipe).collect::<Result<Vec<_>>>()?;
    let networks = NETWORKS.iter().map(network).collect::<Result<Vec<_>>>()?;
    let names = recipes.iter().chain(&networks).map(|line| line.name.len()).max().unwrap_or(0);
    let variants = Variant::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let variants = variants.map(|variant| {
        let about = variant.get_help().map(ToString::to_string).unwrap_or_default();
        format!("\n  {:names$} {about}", variant.get_name())
    });
    Ok([
        table("recipes", "10^9 multiply-adds an epoch", recipes, names),
        format!("variants{}", variants.collect::<String>()),
        table("networks", "10^6 multiply-adds an image", networks, names),
        REMARK.to_owned(),
    ]
    .join("\n"))
}

/// Says what the last column of numbers counts.
const REMARK: &str = "multiply-adds: of convolutions and dense layers in the forward pass; the gradients take about twice as many more";

fn table(title: &str, multiply_adds: &str, mut lines: Vec<Line>, names: usize) -> String {
    lines.sort_by_key(|line| line.section);
    let heads = ["section", "parameters", multiply_adds, ""].map(str::to_owned);
    let rows: Vec<_> =
        [(title, heads)].into_iter().chain(lines.iter().map(|line| (line.name, line.cells()))).collect();
    let widest = |column: usize| rows.iter().map(|(_, cells)| cells[column].len()).max().unwrap_or(0);
    let [a, b, c] = [0, 1, 2].map(widest);
    let row = |(i, (name, [section, parameters, multiply_adds, about])): (usize, &(&str, [String; 4]))| {
        // A title stands before its rows by two places.
        let name = if i == 0 { format!("{name:0$}", names + 2) } else { format!("  {name:names$}") };
        format!("{name} {section:a$}  {parameters:>b$}  {multiply_adds:>c$}  {about}").trim_end().to_owned()
    };
    rows.iter().enumerate().map(row).collect::<Vec<_>>().join("\n")
}
