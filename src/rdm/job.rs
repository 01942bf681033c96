//! An RDM that is to be computed: its rows are looked at first, then it is written, tile by tile, to where it belongs.

use super::mapped::MappedFile;
use super::metric::{Method, Tiles};
use super::noise::Noise;
use super::points::Points;
use super::tiles::{self, Bands, Compute, Shape};
use super::{Metric, OnConstant, errors};
use crate::npy::Matrix;
use crate::observer::{Observer, Silent, Stopped};
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
                tiles.bound.map_or(Ok(()), |bound| check_scale(bound, &points, name))?;
                Source::Points(points, tiles)
            }
            Method::Partitions(rdm) => {
                let computed = rdm(&features, Noise::required(noise)?, name)?;
                check_computed(&computed, &|condition| condition_name(noise, condition))?;
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

    /// Writes the RDM to the `.npy` file `path`, float32; nothing stays of it if `observer` stops it.
    pub fn write(&self, path: &Path, shape: Shape, observer: &dyn Observer) -> Result<()> {
        let mut file = MappedFile::create(path, &shape.sizes(self.stimuli()))?;
        self.fill(file.values(), shape, observer)?;
        file.finish()
    }

    /// The RDM `[N, N]` in memory.
    pub fn matrix(&self) -> Result<Array2<f32>> {
        let n = self.stimuli();
        let mut values = vec![0.0; n * n];
        self.fill(&mut values, Shape::Square, &Silent)?;
        Ok(Array2::from_shape_vec((n, n), values)?)
    }

    /// Fills `values`, which have room for the RDM in this shape.
    fn fill(&self, values: &mut [f32], shape: Shape, observer: &dyn Observer) -> Result<()> {
        let n = self.stimuli();
        let (side, compute): (usize, Box<Compute>) = match &self.source {
            Source::Computed(rdm) => (tiles::side(n), Box::new(|a, b| Ok(part(rdm, a, b)))),
            Source::Points(points, tiles) => ((tiles.side)(n), (tiles.compute)(points)),
        };
        tiles::fill(&Bands::new(values, n, side, shape), &|a, b| match observer.stopped() {
            Some(reason) => Err(Stopped(reason).into()),
            None => compute(a, b),
        })
    }
}

/// RDMs of several subjects or times in one file, `[…, N, N]` or `[…, pairs]`, of which one is computed at a time; it has its name
/// when it is whole.
pub(super) struct Stack {
    file: MappedFile,
    shape: Shape,
    /// The number of values of one RDM.
    size: usize,
}

impl Stack {
    /// Makes room for as many RDMs, float32, at `path`, as these axes have places.
    pub(super) fn create(path: &Path, axes: &[usize], stimuli: usize, shape: Shape) -> Result<Stack> {
        let one = shape.sizes(stimuli);
        let all: Vec<usize> = axes.iter().chain(&one).copied().collect();
        Ok(Stack { file: MappedFile::create(path, &all)?, shape, size: one.iter().product() })
    }

    /// Computes the RDM at this place, counted from 0 along all axes; it has as many stimuli as all others.
    pub(super) fn put(&mut self, place: usize, job: &Job, observer: &dyn Observer) -> Result<()> {
        job.fill(&mut self.file.values()[place * self.size..(place + 1) * self.size], self.shape, observer)
    }

    pub(super) fn finish(self) -> Result<()> {
        self.file.finish()
    }
}

/// Below this, float32 loses digits, and soon everything.
const SMALLEST: f64 = (f32::MIN_POSITIVE / f32::EPSILON) as f64;

/// Whether dissimilarities fit into the float32 in which they are stored: the lengths of the points tell, before anything is
/// computed. Fails if those of `points` may be too large, or would all vanish though the stimuli differ; none exceeds `bound`
/// of the largest squared length and the number of units.
fn check_scale(bound: fn(f64, f64) -> f64, points: &Points, name: &dyn Fn(usize) -> String) -> Result<()> {
    let Some(farthest) = points.rows.iter().max_by(|a, b| a.squared.total_cmp(&b.squared)) else { return Ok(()) };
    let largest = bound(farthest.squared, points.features.columns as f64);
    if largest > f64::from(f32::MAX) {
        return Err(errors::too_large(largest, &name(farthest.row)));
    }
    let differ = || {
        let first = points.features.row(points.rows[0].row);
        points.rows.iter().any(|row| points.features.row(row.row) != first)
    };
    if largest < SMALLEST && differ() { Err(errors::too_small(largest)) } else { Ok(()) }
}

/// The same of an RDM.
fn check_computed(rdm: &Array2<f64>, name: &dyn Fn(usize) -> String) -> Result<()> {
    let farthest = rdm.indexed_iter().max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()));
    match farthest.map(|((i, _), value)| (i, value.abs())) {
        Some((i, largest)) if largest.is_nan() || largest > f64::from(f32::MAX) => Err(errors::too_large(largest, &name(i))),
        Some((_, largest)) if largest > 0.0 && largest < SMALLEST => Err(errors::too_small(largest)),
        _ => Ok(()),
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
