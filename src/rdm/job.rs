//! An RDM that is to be computed: its rows are looked at first, then it is written, tile by tile, to where it belongs.

use super::bands::{Bands, Shape};
use super::mapped::MappedFile;
use super::noise::Noise;
use super::points::{Points, Space};
use super::{Metric, OnConstant, angles, cityblock, crossnobis, euclidean, odd_one_out, ranked, scale, tiles};
use crate::npy::Matrix;
use anyhow::Result;
use ndarray::Array2;
use std::ops::Range;
use std::path::Path;

/// An RDM that is about to be computed: nothing is written yet.
pub struct Job {
    metric: Metric,
    source: Source,
}

enum Source {
    /// Distances follow from the points.
    Points(Points),
    /// Already computed, for there are few.
    Computed(Array2<f64>),
}

impl Job {
    /// Looks at the rows of `features` `[N, P]`, which messages call by `name`. Rows that are not finite are an error;
    /// those without a correlation or cosine are what `on_constant` says. `noise` is for Mahalanobis and crossnobis.
    pub fn new(
        metric: Metric,
        features: Matrix,
        noise: Option<&Noise>,
        on_constant: OnConstant,
        name: &dyn Fn(usize) -> String,
    ) -> Result<Job> {
        let points = |features, space| Points::new(features, space, on_constant, name);
        let points = match metric {
            Metric::Correlation => points(features, Space::Correlation)?,
            Metric::Spearman => points(ranked::rows(&features, name)?, Space::Correlation)?,
            Metric::Cosine => points(features, Space::Cosine)?,
            Metric::Cityblock | Metric::OddOneOut => points(features, Space::Plain)?,
            Metric::Euclidean | Metric::Sqeuclidean | Metric::SqeuclideanPerFeature | Metric::Gaussian => {
                points(features, Space::Euclidean)?
            }
            Metric::Mahalanobis => points(Noise::required(noise)?.whiten(&features, name)?, Space::Euclidean)?,
            Metric::Crossnobis => {
                let computed = crossnobis::rdm(&features, Noise::required(noise)?, name)?;
                scale::check_computed(&computed, &|condition| noise_name(noise, condition))?;
                return Ok(Job { metric, source: Source::Computed(computed) });
            }
        };
        if metric == Metric::OddOneOut {
            odd_one_out::check(&points)?;
        }
        scale::check(metric, &points, name)?;
        Ok(Job { metric, source: Source::Points(points) })
    }

    /// The rows of the features that the RDM has, in order; `None` if it has all.
    pub fn kept(&self) -> Option<Vec<usize>> {
        let Source::Points(points) = &self.source else { return None };
        let all = points.rows.len() == points.features.rows;
        (!all).then(|| points.rows.iter().map(|row| row.row).collect())
    }

    /// The number N of its stimuli.
    pub fn stimuli(&self) -> usize {
        match &self.source {
            Source::Points(points) => points.rows.len(),
            Source::Computed(rdm) => rdm.nrows(),
        }
    }

    /// Puts its stimuli into another order: number `order[i]` becomes number i.
    pub fn reorder(&mut self, order: &[usize]) {
        match &mut self.source {
            Source::Points(points) => points.rows = order.iter().map(|&i| points.rows[i]).collect(),
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
        let side = if self.metric == Metric::OddOneOut { odd_one_out::SIDE } else { tiles::side(n) };
        let bands = Bands::new(values, n, side, shape);
        match &self.source {
            Source::Computed(rdm) => tiles::fill(&bands, &|a, b| Ok(part(rdm, a, b))),
            Source::Points(points) => {
                let compute = tile(self.metric, points);
                tiles::fill(&bands, &*compute)
            }
        }
    }
}

/// What a row of crossnobis stands for.
fn noise_name(noise: Option<&Noise>, condition: usize) -> String {
    let conditions = noise.and_then(|noise| noise.design.as_ref()).map(|(conditions, _)| &conditions.names);
    conditions.and_then(|names| names.get(condition)).map_or_else(|| format!("row {condition}"), |name| format!("`{name}`"))
}

/// How a tile of the metric is computed.
fn tile(metric: Metric, points: &Points) -> Box<tiles::Compute<'_>> {
    let units = points.features.columns as f64;
    let euclidean =
        |f: Box<dyn Fn(f64) -> f64 + Sync>| -> Box<tiles::Compute> { Box::new(move |a, b| euclidean::tile(points, &f, a, b)) };
    match metric {
        Metric::Euclidean | Metric::Mahalanobis => euclidean(Box::new(f64::sqrt)),
        Metric::Sqeuclidean => euclidean(Box::new(|squared| squared)),
        Metric::SqeuclideanPerFeature => euclidean(Box::new(move |squared| squared / units)),
        Metric::Gaussian => {
            let mean = euclidean::mean_squared(points);
            // −(exp(−x) − 1), without cancellation for small x; if no stimulus differs from another, 0.
            euclidean(Box::new(move |squared| if squared == 0.0 { 0.0 } else { -(-squared / mean).exp_m1() }))
        }
        Metric::Cityblock => Box::new(move |a, b| cityblock::tile(points, a, b)),
        Metric::OddOneOut => Box::new(move |a, b| odd_one_out::tile(points, a, b)),
        Metric::Correlation | Metric::Cosine | Metric::Spearman | Metric::Crossnobis => {
            let precision = angles::precision(points);
            Box::new(move |a, b| angles::tile(points, precision, a, b))
        }
    }
}

fn part(rdm: &Array2<f64>, a: &Range<usize>, b: &Range<usize>) -> Vec<f32> {
    a.clone().flat_map(|i| b.clone().map(move |j| rdm[[i, j]] as f32)).collect()
}
