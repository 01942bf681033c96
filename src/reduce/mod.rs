//! Fewer numbers for each row of features: what is asked for, and how many there are to be.

mod basis;
mod leading;
mod pca;
mod random;
mod srp;

pub(crate) use basis::{Basis, components_file, mean_file, table_file};
pub(crate) use pca::{Files, Scores, fit};
pub(crate) use srp::{Srp, description_file};

use crate::error::advise;
use crate::numbers::{count, count_of};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tch::Tensor;

/// How rows become shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A sparse random projection, which keeps distances about as they are (Achlioptas 2003; Li, Hastie & Church 2006)
    Srp,
    /// The principal components of the rows, those with most variance first
    Pca,
}

/// Of which features RDMs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RdmOf {
    /// Of what is stored
    #[default]
    Reduced,
    /// Of the features before they are reduced
    Full,
}

/// What is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[command(next_help_heading = "Less to store")]
#[serde(default, deny_unknown_fields)]
pub struct Reduction {
    /// Store fewer numbers for each image
    #[arg(long = "reduce", value_enum)]
    pub method: Option<Method>,

    /// How many. With srp a layer that has no more is stored as it is; with pca a layer that has fewer gives as many as it
    /// has [default for srp: 4 ln(rows) / (E²/2 − E³/3) with --epsilon E, by the lemma of Johnson and Lindenstrauss]
    #[arg(long, value_name = "N", allow_negative_numbers = true, requires = "method", value_parser = parse_components)]
    pub components: Option<usize>,

    /// For srp: the share by which squared distances may change, which decides about the number [default: 0.1]
    #[arg(long, value_name = "E", allow_negative_numbers = true, requires = "method", conflicts_with_all = ["components", "fit_on"], value_parser = parse_epsilon)]
    pub epsilon: Option<f64>,

    /// For pca: divide each component by its standard deviation
    #[arg(long, requires = "method")]
    pub whiten: bool,

    /// For pca: take the components of the run in this folder, which is one with pca itself, of the same network and layers
    #[arg(long, value_name = "RUN_DIR", requires = "method")]
    pub fit_on: Option<PathBuf>,

    /// What the RDMs are of
    #[arg(long, value_enum, default_value_t, requires = "method")]
    pub rdm_of: RdmOf,
}

/// The share by which squared distances may change, if nobody says another.
const EPSILON: f64 = 0.1;

fn parse_components(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a whole number from 1 on is needed".to_owned())
}

fn parse_epsilon(text: &str) -> Result<f64, String> {
    let is_share = |epsilon: &f64| *epsilon > 0.0 && *epsilon < 1.0;
    text.parse().ok().filter(is_share).ok_or_else(|| "a number between 0 and 1 is needed, as 0.1".to_owned())
}

impl Reduction {
    /// Whether nothing is asked for.
    pub fn is_none(&self) -> bool {
        *self == Reduction::default()
    }

    /// Fails for what contradicts itself, or says too little.
    pub fn check(&self) -> Result<()> {
        let Some(method) = self.method else {
            return match self.is_none() {
                true => Ok(()),
                false => Err(advise(
                    "--components, --epsilon, --whiten, --fit-on and --rdm-of say how rows are reduced, and they are not",
                    "add --reduce srp or --reduce pca, or leave them out",
                )),
            };
        };
        if self.components == Some(0) || self.epsilon.is_some_and(|epsilon| !(epsilon > 0.0 && epsilon < 1.0)) {
            return Err(advise("--components is 1 or more, and --epsilon between 0 and 1", "leave them out for the defaults"));
        }
        match method {
            Method::Srp if self.whiten || self.fit_on.is_some() => Err(advise(
                "--whiten and --fit-on are for --reduce pca",
                "leave them out; a random projection depends on no images",
            )),
            Method::Srp if self.components.is_some() && self.epsilon.is_some() => {
                Err(advise("--components and --epsilon both say how many numbers a row is to have", "leave out one of them"))
            }
            Method::Pca if self.epsilon.is_some() => {
                Err(advise("--epsilon is for --reduce srp", "say how many components pca is to give: --components 100"))
            }
            Method::Pca if self.components.is_none() && self.fit_on.is_none() => {
                Err(advise("it is not said how many principal components are wanted", "say it: --components 100"))
            }
            _ => Ok(()),
        }
    }

    /// What the name of the run's folder gets: `.pca-100`; nothing of full rows.
    pub fn label(&self) -> String {
        let method = match self.method {
            None => return String::new(),
            Some(Method::Srp) => ".srp",
            Some(Method::Pca) => ".pca",
        };
        self.components.map_or_else(|| method.to_owned(), |number| format!("{method}-{number}"))
    }

    /// How many numbers a random projection of `rows` gives.
    pub(crate) fn projected(&self, rows: usize) -> usize {
        self.components.unwrap_or_else(|| johnson_lindenstrauss(rows, self.epsilon.unwrap_or(EPSILON)))
    }

    /// How many principal components `rows` of `units` numbers give. Fails if there are never as many as are wanted.
    pub(crate) fn principal(&self, rows: usize, units: usize) -> Result<usize> {
        let wanted = self.components.unwrap_or(units);
        if wanted >= rows {
            return Err(advise(
                format!(
                    "{} wanted of {}, which can have {} at most",
                    count_of(wanted, "component"),
                    count_of(rows, "row"),
                    count(rows.saturating_sub(1))
                ),
                "take fewer --components or more images; --fit-on takes the components of another run",
            ));
        }
        Ok(wanted.min(units))
    }

    /// Whether all rows have to be there before one is reduced, or are wanted in full for RDMs.
    pub(crate) fn is_last(&self) -> bool {
        match self.method {
            None => false,
            Some(Method::Pca) if self.fit_on.is_none() => true,
            Some(_) => self.rdm_of == RdmOf::Full,
        }
    }
}

/// So many dimensions keep the squared distances of `rows` points within 1 ± `epsilon`: 4 ln(rows) / (ε²/2 − ε³/3), rounded
/// down as scikit-learn's `johnson_lindenstrauss_min_dim` does (Dasgupta & Gupta 2003).
fn johnson_lindenstrauss(rows: usize, epsilon: f64) -> usize {
    let dimensions = 4.0 * libm::log(rows as f64) / (epsilon * epsilon / 2.0 - epsilon * epsilon * epsilon / 3.0);
    (dimensions as usize).max(1)
}

/// How a row becomes shorter, whatever the others are.
#[derive(Debug)]
pub(crate) enum Projection {
    Srp(Srp),
    Pca { basis: Basis, whiten: bool },
}

impl Projection {
    /// Of float32 rows `[N, …]` on the CPU, `[N, components]`. `room` is used again and again.
    pub(crate) fn apply(&self, rows: &Tensor, room: &mut Vec<f32>) -> Result<Tensor> {
        match self {
            Projection::Srp(srp) => srp.apply(rows, room),
            Projection::Pca { basis, whiten } => basis.apply(rows, *whiten),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_dimensions_is_that_of_scikit_learn() {
        // johnson_lindenstrauss_min_dim of scikit-learn 1.7.
        let of = |rows, epsilon| johnson_lindenstrauss(rows, epsilon);
        assert_eq!([of(1_000_000, 0.5), of(1_000_000, 0.1), of(100, 0.1), of(1, 0.1)], [663, 11_841, 3947, 1]);
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let srp = Reduction { method: Some(Method::Srp), ..Reduction::default() };
        let pca = Reduction { method: Some(Method::Pca), components: Some(3), ..Reduction::default() };
        assert!(Reduction::default().check().is_ok() && srp.check().is_ok() && pca.check().is_ok());
        for wrong in [
            Reduction { components: Some(3), ..Reduction::default() },
            Reduction { whiten: true, ..srp.clone() },
            Reduction { epsilon: Some(f64::NAN), ..srp.clone() },
            Reduction { components: Some(0), ..srp.clone() },
            Reduction { components: None, ..pca.clone() },
            Reduction { epsilon: Some(0.1), ..pca.clone() },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert!(pca.principal(3, 10).is_err());
        assert_eq!([pca.principal(4, 10).unwrap(), pca.principal(4, 2).unwrap()], [3, 2]);
    }
}
