//! An RDM that is to be computed: its rows are looked at first, then it is written, tile by tile, to where it belongs.

use super::bands::{Bands, Shape};
use super::mapped::MappedFile;
use super::metric::{Method, Tiles};
use super::noise::Noise;
use super::points::Points;
use super::{Metric, OnConstant, scale, tiles};
use crate::npy::Matrix;
use anyhow::Result;
use ndarray::Array2;
use std::ops::Range;
use std::path::Path;

/// An RDM that is about to be computed: nothing is written yet.
pub struct Job {
    source: Source,
}

enum Source {
    /// Distances follow from the points.
    Points(Points, Tiles),
    /// Already computed, for there are few.
    Computed(Array2<f64>),
}

impl Job {
    /// Looks at the rows of `features` `[N, P]`, which messages call by `name`. Rows that are not finite are an error;
    /// those without a correlation or cosine are what `on_constant` says. `noise` is for metrics in units of it.
    pub fn new(
        metric: Metric,
        features: Matrix,
        noise: Option<&Noise>,
        on_constant: OnConstant,
        name: &dyn Fn(usize) -> String,
    ) -> Result<Job> {
        let source = match metric.entry().method {
            Method::Tiles(tiles) => {
                let points = Points::new((tiles.prepare)(features, noise, name)?, tiles.space, on_constant, name)?;
                tiles.bound.map_or(Ok(()), |bound| scale::check(bound, &points, name))?;
                Source::Points(points, tiles)
            }
            Method::Partitions(rdm) => {
                let computed = rdm(&features, Noise::required(noise)?, name)?;
                scale::check_computed(&computed, &|condition| condition_name(noise, condition))?;
                Source::Computed(computed)
            }
        };
        Ok(Job { source })
    }

    /// The rows of the features that the RDM has, in order; `None` if it has all.
    pub fn kept(&self) -> Option<Vec<usize>> {
        let Source::Points(points, _) = &self.source else { return None };
        let all = points.rows.len() == points.features.rows;
        (!all).then(|| points.rows.iter().map(|row| row.row).collect())
    }

    /// The number N of its stimuli.
    pub fn stimuli(&self) -> usize {
        match &self.source {
            Source::Points(points, _) => points.rows.len(),
            Source::Computed(rdm) => rdm.nrows(),
        }
    }

    /// Puts its stimuli into another order: number `order[i]` becomes number i.
    pub fn reorder(&mut self, order: &[usize]) {
        match &mut self.source {
            Source::Points(points, _) => points.rows = order.iter().map(|&i| points.rows[i]).collect(),
            Source::Computed(rdm) => *rdm = Array2::from_shape_fn(rdm.dim(), |(i, j)| rdm[[order[i], order[j]]]),
        }
    }

    /// Writes the RDM to the `.npy` file `path`, float32.
    pub fn write(&self, path: &Path, shape: Shape) -> Result<()> {
        let mut file = MappedFile::create(path, &shape.sizes(self.stimuli()))?;
        self.fill(file.values(), shape)?;
        file.finish()
    }

    /// The RDM `[N, N]` in memory.
    pub fn matrix(&self) -> Result<Array2<f32>> {
        let n = self.stimuli();
        let mut values = vec![0.0; n * n];
        self.fill(&mut values, Shape::Square)?;
        Ok(Array2::from_shape_vec((n, n), values)?)
    }

    /// Fills `values`, which have room for the RDM in this shape.
    pub(super) fn fill(&self, values: &mut [f32], shape: Shape) -> Result<()> {
        let n = self.stimuli();
        match &self.source {
            Source::Computed(rdm) => tiles::fill(&Bands::new(values, n, tiles::side(n), shape), &|a, b| Ok(part(rdm, a, b))),
            Source::Points(points, tiles) => {
                tiles::fill(&Bands::new(values, n, (tiles.side)(n), shape), &*(tiles.compute)(points))
            }
        }
    }
}

/// What a row of an RDM of conditions stands for.
fn condition_name(noise: Option<&Noise>, condition: usize) -> String {
    let conditions = noise.and_then(|noise| noise.design.as_ref()).map(|(conditions, _)| &conditions.names);
    conditions.and_then(|names| names.get(condition)).map_or_else(|| format!("row {condition}"), |name| format!("`{name}`"))
}

fn part(rdm: &Array2<f64>, a: &Range<usize>, b: &Range<usize>) -> Vec<f32> {
    a.clone().flat_map(|i| b.clone().map(move |j| rdm[[i, j]] as f32)).collect()
}
