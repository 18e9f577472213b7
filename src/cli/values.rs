//! Values as words, parsed: a name that is not known is answered with those that are.

use crate::experiments::bench::{Section, recipe_names};
use crate::experiments::cifar::{Augmentation, Data};
use crate::experiments::networks::{NETWORKS, Network};
use crate::experiments::recipes::{RECIPES, Recipe};
use crate::experiments::shapes::{Format, MOST_VALUES};
use crate::norm::Variant;

pub(super) fn recipe(name: &str) -> Result<&'static Recipe, String> {
    Recipe::named(name)
        .ok_or_else(|| format!("the recipes are {}", RECIPES.each_ref().map(|recipe| recipe.name).join(", ")))
}

pub(super) fn measured_recipe(name: &str) -> Result<&'static str, String> {
    let names = recipe_names();
    let found = names.iter().copied().find(|known| *known == name);
    found.ok_or_else(|| format!("what can be measured are {}", names.join(", ")))
}

pub(super) fn section(name: &str) -> Result<Section, String> {
    Section::ALL
        .into_iter()
        .find(|section| section.name() == name)
        .ok_or_else(|| format!("the sections are {}", Section::ALL.map(Section::name).join(", ")))
}

pub(super) fn variant(name: &str) -> Result<Variant, String> {
    Variant::ALL
        .into_iter()
        .find(|variant| variant.name() == name)
        .ok_or_else(|| format!("the variants are {}", Variant::ALL.map(Variant::name).join(", ")))
}

pub(super) fn data(name: &str) -> Result<Data, String> {
    Data::ALL
        .into_iter()
        .find(|data| data.name() == name)
        .ok_or_else(|| format!("the variants are {}", Data::ALL.map(Data::name).join(", ")))
}

pub(super) fn augmentation(name: &str) -> Result<Augmentation, String> {
    Augmentation::ALL.into_iter().find(|augmentation| augmentation.name() == name).ok_or_else(|| {
        format!("the augmentations are {}", Augmentation::ALL.map(Augmentation::name).join(", "))
    })
}

pub(super) fn network(name: &str) -> Result<&'static Network, String> {
    Network::named(name).ok_or_else(|| {
        format!("the networks are {}", NETWORKS.each_ref().map(|network| network.name).join(", "))
    })
}

pub(super) fn format(name: &str) -> Result<Format, String> {
    Format::ALL
        .into_iter()
        .find(|format| format.name() == name)
        .ok_or_else(|| format!("the formats are {}", Format::ALL.map(Format::name).join(", ")))
}

pub(super) fn image_size(text: &str) -> Result<[i64; 3], String> {
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

pub(super) fn learning_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(lr) if lr.is_finite() && lr > 0.0 => Ok(lr),
        _ => Err("a learning rate is a finite number above zero".to_owned()),
    }
}

/// As `torch.manual_seed` takes it: 64 bits, of which a negative number is the two's complement.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .or_else(|_| text.parse().map(i64::cast_unsigned))
        .map_err(|_| format!("a seed is a whole number from {} to {}", i64::MIN, u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_64_bits_with_a_sign_or_without() {
        for (text, expected) in [
            ("0", 0),
            ("-1", u64::MAX),
            ("18446744073709551615", u64::MAX),
            ("-9223372036854775808", 1 << 63),
        ] {
            assert_eq!(seed(text), Ok(expected), "{text}");
        }
        for text in ["18446744073709551616", "-9223372036854775809", "1.5", "one", ""] {
            assert!(
                seed(text).unwrap_err().contains("from -9223372036854775808 to 18446744073709551615"),
                "{text}"
            );
        }
    }
}
