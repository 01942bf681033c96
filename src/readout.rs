//! How the activation of an image becomes its row.

use crate::error::advise;
use crate::nn::Channels;
use crate::texts;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tch::Tensor;

/// What is kept of an activation: of a picture `[C, H, W]` or `[H, W, C]`, of tokens `[L, D]`, or of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Readout {
    /// All of it, in its own shape
    #[default]
    None,
    /// All of it, as a vector in C order
    Flatten,
    /// The mean of each channel over the picture, or over the tokens of a text; a vector stays as it is
    Mean,
    /// The largest value of each channel over the picture; a vector stays as it is
    Max,
    /// The token of a text tower that its embedding is made of: the end of the text; in SigLIP the last
    Eot,
    /// The class token of a vision transformer; of a text tower the first token
    Cls,
    /// The mean of its other tokens, the patches
    Patches,
    /// Both, one after the other
    #[value(name = "cls+patches")]
    #[serde(rename = "cls+patches")]
    ClsPatches,
}

/// Which of the tokens `[L, D]` stand for no part of the picture: they come before those that do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tokens {
    /// Whether the first is the class token.
    pub class: bool,
    /// How many others follow: registers, or a token for distillation.
    pub others: usize,
}

impl Tokens {
    /// The class token alone.
    pub const CLASS: Tokens = Tokens { class: true, others: 0 };

    /// How many there are.
    pub fn number(self) -> usize {
        usize::from(self.class) + self.others
    }
}

impl FromStr for Tokens {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "`cls`, `cls+4` (the class token and 4 others), `4` (4 others and no class token) or `none` is needed".to_owned();
        let others = |text: &str| text.parse().map_err(|_| wrong());
        Ok(match text.split_once('+') {
            None if text == "cls" => Tokens::CLASS,
            None if text == "none" => Tokens { class: false, others: 0 },
            None => Tokens { class: false, others: others(text)? },
            Some(("cls", rest)) => Tokens { class: true, others: others(rest)? },
            Some(_) => return Err(wrong()),
        })
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.class, self.others) {
            (true, 0) => f.write_str("cls"),
            (true, others) => write!(f, "cls+{others}"),
            (false, 0) => f.write_str("none"),
            (false, others) => write!(f, "{others}"),
        }
    }
}

impl TryFrom<String> for Tokens {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Tokens> for String {
    fn from(tokens: Tokens) -> String {
        tokens.to_string()
    }
}

/// Where in the activations of a layer a readout finds what it looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Where the channels of a picture are, if that is known.
    pub channels: Option<Channels>,
    /// Which tokens are special, if that is known.
    pub tokens: Option<Tokens>,
    /// Whether tokens are those of a text.
    pub of_texts: bool,
}

impl Readout {
    /// Whether it tells tokens apart.
    pub fn reads_tokens(self) -> bool {
        matches!(self, Readout::Cls | Readout::Patches | Readout::ClsPatches)
    }

    /// The shape of a row, given the shape of the activation of one image. Fails where the readout has no meaning.
    pub fn shape(self, layer: &str, activation: &[usize], places: Places) -> Result<Vec<usize>> {
        let fits = match *activation {
            [_, _] if places.of_texts => "none, flatten, eot, cls or mean",
            [_, _, _] => "none, flatten, mean or max",
            [_, _] => "none, flatten, cls, patches or cls+patches",
            _ => "none or flatten",
        };
        Ok(match (self, activation) {
            (Readout::None, _) => activation.to_vec(),
            (Readout::Flatten, _) => vec![activation.iter().product()],
            (Readout::Eot | Readout::Cls | Readout::Mean, &[_, features]) if places.of_texts => vec![features],
            (Readout::Eot, &[_]) if places.of_texts => activation.to_vec(),
            (Readout::Eot, _) => {
                return Err(advise(
                    format!("`{layer}` gives no tokens of a text: its shape is {activation:?}"),
                    format!("readouts that fit: {fits}; eot is of text towers"),
                ));
            }
            (Readout::Patches | Readout::ClsPatches, _) if places.of_texts => {
                return Err(advise("a text has no patches", format!("readouts that fit: {fits}")));
            }
            (Readout::Mean | Readout::Max, &[first, _, last]) => match places.channels {
                Some(Channels::First) => vec![first],
                Some(Channels::Last) => vec![last],
                None => {
                    return Err(advise(
                        format!(
                            "nobody knows which axis of `{layer}` are channels, if it is a picture: its shape is {activation:?}"
                        ),
                        "take --readout none or flatten",
                    ));
                }
            },
            // There is one place to take it over.
            (Readout::Mean | Readout::Max, &[_]) => activation.to_vec(),
            (Readout::Cls | Readout::Patches | Readout::ClsPatches, &[number, features]) => {
                self.check_tokens(layer, number, places)?;
                vec![if self == Readout::ClsPatches { 2 * features } else { features }]
            }
            (Readout::Mean | Readout::Max, _) => {
                return Err(advise(
                    format!("`{layer}` gives no picture to take a mean or maximum over: its shape is {activation:?}"),
                    format!("readouts that fit: {fits}; give layers of different kinds runs of their own"),
                ));
            }
            (Readout::Cls | Readout::Patches | Readout::ClsPatches, _) => {
                return Err(advise(
                    format!("`{layer}` gives no tokens: its shape is {activation:?}"),
                    format!("readouts that fit: {fits}; give layers of different kinds runs of their own"),
                ));
            }
        })
    }

    fn check_tokens(self, layer: &str, number: usize, places: Places) -> Result<()> {
        let Some(tokens) = places.tokens else {
            return Err(advise(
                format!("nobody knows which of the {number} tokens of `{layer}` is the class token, and which are patches"),
                "say so: --tokens cls, or cls+4 with 4 registers after it, or none if there are patches only",
            ));
        };
        let without = match self {
            Readout::Patches => None,
            _ => (!tokens.class).then_some("class token"),
        };
        let without = without.or((self != Readout::Cls && number <= tokens.number()).then_some("patches"));
        match without {
            Some(what) => Err(advise(
                format!("`{layer}` has {number} tokens, and no {what} with --tokens {tokens}"),
                "take another readout, or, of an exported network, say which tokens are special: --tokens",
            )),
            None => Ok(()),
        }
    }

    /// Applies it to the activations `[N, …]` of a batch, for which it has a [shape](Readout::shape); of texts, with the places of
    /// their tokens.
    pub fn apply(self, x: &Tensor, places: Places, texts: Option<&texts::Places>) -> Result<Tensor> {
        if let (Some(texts), 3) = (texts, x.dim()) {
            match self {
                Readout::Eot => return texts.at_end(x),
                Readout::Mean => return texts.mean(x),
                _ => {}
            }
        }
        let picture = if places.channels == Some(Channels::Last) { [1i64, 2] } else { [2, 3] };
        let special = places.tokens.unwrap_or(Tokens::CLASS).number() as i64;
        let cls = || x.f_select(1, 0);
        let patches = || x.f_narrow(1, special, x.size()[1] - special)?.f_mean_dim(1, false, None);
        Ok(match self {
            Readout::None | Readout::Eot => x.shallow_clone(),
            Readout::Mean | Readout::Max if x.dim() == 2 => x.shallow_clone(),
            Readout::Flatten => x.f_flatten(1, -1)?,
            Readout::Mean => x.f_mean_dim(&picture[..], false, None)?,
            Readout::Max => x.f_amax(picture, false)?,
            Readout::Cls => cls()?,
            Readout::Patches => patches()?,
            Readout::ClsPatches => Tensor::f_cat(&[cls()?, patches()?], 1)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_tokens_are_written_as_they_are_read() {
        for text in ["cls", "cls+4", "4", "none"] {
            assert_eq!(text.parse::<Tokens>().unwrap().to_string(), text);
        }
        for text in ["", "cls+", "patches", "cls+x", "4+cls", "-1"] {
            assert!(text.parse::<Tokens>().is_err(), "{text}");
        }
    }
}
