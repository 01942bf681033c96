//! Rows of features as points whose distances follow from inner products: of unit length for correlation and cosine,
//! centred for the Euclidean family.

use super::check::is_constant;
use super::{Centre, OnConstant, errors, lanes};
use crate::npy::Matrix;
use crate::parallel::parallel;
use anyhow::Result;
use std::ops::Range;
use std::sync::OnceLock;

/// What is done to a row before it is multiplied with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// Less its mean, divided by its norm: the product is Pearson's r.
    Correlation,
    /// Divided by its norm: the product is the cosine.
    Cosine,
    /// Less the mean of all rows, which moves no point against another, so that a large common offset cancels.
    Euclidean,
    /// As it is.
    Plain,
}

/// The points, one for each kept row.
pub(super) struct Points {
    pub(super) features: Matrix,
    pub(super) space: Space,
    pub(super) rows: Vec<Row>,
    /// The mean of each unit over the rows; empty but for [`Space::Euclidean`].
    centre: Vec<Centre>,
    /// Made when first asked for.
    single: OnceLock<Option<Vec<f32>>>,
}

/// Points of this many bytes in float32 are kept in memory; larger ones are made anew for each tile.
const KEPT: usize = 512 << 20;

/// Rows that are converted together.
const BAND: usize = 64;

/// Units that are multiplied or subtracted at a time, so that they stay in the cache.
const BLOCK: usize = 512;

/// The ranges of units, one after the other, that are worked on together.
pub(super) fn blocks(units: usize) -> impl Iterator<Item = Range<usize>> {
    (0..units).step_by(BLOCK).map(move |first| first..units.min(first + BLOCK))
}

/// A row, and how it becomes a point: `(x · lift − centre) · scale`, or `x` less the centre of each unit in Euclidean space.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Its number in the features.
    pub(super) row: usize,
    /// 1, or what brings values to where neither their squares nor the scale are infinite.
    lift: f64,
    centre: Centre,
    scale: f64,
    /// The squared length of the point.
    pub(super) squared: f64,
}

impl Points {
    /// Looks at every row. Those of which no correlation or cosine is defined are an error, give NaN, or are dropped.
    pub(super) fn new(features: Matrix, space: Space, on_constant: OnConstant, name: &dyn Fn(usize) -> String) -> Result<Points> {
        let all: Vec<usize> = (0..features.rows).collect();
        Points::of(features, &all, space, on_constant, name)
    }

    /// The same of some rows of the features, in this order.
    pub(super) fn of(
        features: Matrix,
        rows: &[usize],
        space: Space,
        on_constant: OnConstant,
        name: &dyn Fn(usize) -> String,
    ) -> Result<Points> {
        let centre = if space == Space::Euclidean { centre(&features)? } else { Vec::new() };
        let mut rows: Vec<Row> = parallel(rows.len(), &|place| Ok(Row::of(&features, space, &centre, rows[place])))?;
        check_finite(&rows, name)?;
        let flat: Vec<usize> = rows.iter().filter(|row| row.is_flat()).map(|row| row.row).collect();
        if !flat.is_empty() && on_constant == OnConstant::Error {
            return Err(errors::constant(&flat, space == Space::Cosine, name));
        }
        if on_constant == OnConstant::Drop {
            rows.retain(|row| !row.is_flat());
        }
        if rows.len() < 2 && !flat.is_empty() {
            return Err(errors::no_pairs(flat.len(), flat.len() + rows.len()));
        }
        Ok(Points { features, space, rows, centre, single: OnceLock::new() })
    }

    /// Appends the `columns` of the points, row by row.
    pub(super) fn append(&self, points: Range<usize>, columns: Range<usize>, to: &mut Vec<f64>) {
        for Row { row, lift, centre, scale, .. } in &self.rows[points] {
            let start = to.len();
            match self.space {
                Space::Plain => self.features.append(*row, columns.clone(), to),
                Space::Euclidean => {
                    self.features.append(*row, columns.clone(), to);
                    let centre = &self.centre[columns.clone()];
                    to[start..].iter_mut().zip(centre).for_each(|(value, centre)| *value = centre.deviation(*value));
                }
                Space::Correlation | Space::Cosine => {
                    self.features.append_mapped(*row, columns.clone(), &|value| centre.deviation(value * lift) * scale, to);
                }
            }
        }
    }

    /// The same of points of unit length, rounded to float32.
    pub(super) fn append_single(&self, points: Range<usize>, columns: Range<usize>, to: &mut Vec<f32>) {
        for Row { row, lift, centre, scale, .. } in &self.rows[points] {
            self.features.append_mapped(*row, columns.clone(), &|value| (centre.deviation(value * lift) * scale) as f32, to);
        }
    }

    /// All points of unit length in float32, `[N, P]`, if there is room for them.
    pub(super) fn single(&self) -> Option<&[f32]> {
        let make = || {
            let units = self.features.columns;
            let count = self.rows.len() * units;
            (count * size_of::<f32>() <= KEPT).then(|| {
                let bands = (0..self.rows.len()).step_by(BAND).map(|first| first..self.rows.len().min(first + BAND));
                let bands: Vec<Range<usize>> = bands.collect();
                let convert = |band: usize| {
                    let mut values = Vec::with_capacity(bands[band].len() * units);
                    self.append_single(bands[band].clone(), 0..units, &mut values);
                    Ok(values)
                };
                parallel(bands.len(), &convert).unwrap_or_default().concat()
            })
        };
        self.single.get_or_init(make).as_deref()
    }

    /// Puts in the place of those `values` of the points `a` and `b`, row by row, that `is_near` picks, by value and points, what `of`
    /// makes of the squared distance, summed directly: exact where two products would cancel. The diagonal and what lies below it
    /// are filled in afterwards.
    pub(super) fn refine(
        &self,
        [a, b]: [&Range<usize>; 2],
        values: &mut [f64],
        is_near: impl Fn(f64, (usize, usize)) -> bool,
        of: impl Fn(f64) -> f64,
    ) {
        let pair = |k: usize| (a.start + k / b.len(), b.start + k % b.len());
        let near: Vec<usize> = (0..values.len()).filter(|&k| pair(k).0 < pair(k).1 && is_near(values[k], pair(k))).collect();
        let exact = self.squared_distances(&near.iter().map(|&k| pair(k)).collect::<Vec<_>>());
        near.into_iter().zip(exact).for_each(|(k, exact)| values[k] = of(exact));
    }

    /// The squared distances of `pairs` of points.
    fn squared_distances(&self, pairs: &[(usize, usize)]) -> Vec<f64> {
        let mut points: Vec<usize> = pairs.iter().flat_map(|&(i, j)| [i, j]).collect();
        points.sort_unstable();
        points.dedup();
        let place = |point: usize| points.partition_point(|&other| other < point);
        let places: Vec<(usize, usize)> = pairs.iter().map(|&(i, j)| (place(i), place(j))).collect();
        let mut sums = vec![0.0; pairs.len()];
        let mut values = Vec::new();
        for columns in blocks(self.features.columns) {
            values.clear();
            points.iter().for_each(|&point| match self.space {
                // Without the means, which both have and by which both would be rounded.
                Space::Euclidean => self.features.append(self.rows[point].row, columns.clone(), &mut values),
                Space::Correlation | Space::Cosine | Space::Plain => self.append(point..point + 1, columns.clone(), &mut values),
            });
            let of = |place: usize| &values[place * columns.len()..(place + 1) * columns.len()];
            for (sum, &(i, j)) in sums.iter_mut().zip(&places) {
                *sum += lanes::sum(of(i), of(j), |a, b| (a - b) * (a - b));
            }
        }
        sums
    }
}

impl Row {
    /// Whether it has no correlation or no cosine.
    pub(super) fn is_flat(&self) -> bool {
        self.scale.is_nan()
    }

    fn of(features: &Matrix, space: Space, centre: &[Centre], row: usize) -> Row {
        let values = features.row(row);
        if !values.iter().all(|value| value.is_finite()) {
            return Row { row, lift: 1.0, centre: Centre::default(), scale: f64::NAN, squared: f64::NAN };
        }
        match space {
            Space::Euclidean | Space::Plain => {
                let centre = centre.iter().copied().chain(std::iter::repeat(Centre::default()));
                let apart = values.iter().zip(centre).map(|(&value, centre)| centre.deviation(value));
                let squared = apart.map(|apart| apart * apart).sum();
                Row { row, lift: 1.0, centre: Centre::default(), scale: 1.0, squared }
            }
            Space::Correlation => {
                let (values, lift) = lifted(values);
                let centre = Centre::of(&values);
                let norm = norm(&values.iter().map(|&value| centre.deviation(value)).collect::<Vec<_>>());
                Row::unit(row, lift, centre, norm, is_constant(&values, centre.mean(), norm))
            }
            Space::Cosine => {
                let (values, lift) = lifted(values);
                let norm = norm(&values);
                Row::unit(row, lift, Centre::default(), norm, norm == 0.0)
            }
        }
    }

    /// A point of unit length. If it is flat, the NaN spreads to all products of the row.
    fn unit(row: usize, lift: f64, centre: Centre, norm: f64, flat: bool) -> Row {
        let scale = if flat { f64::NAN } else { 1.0 / norm };
        Row { row, lift, centre, scale, squared: if norm.is_finite() { 1.0 } else { f64::NAN } }
    }
}

/// Fails if the squared length of a row is not finite: NaN if a value is not, infinite if that is too large.
fn check_finite(rows: &[Row], name: &dyn Fn(usize) -> String) -> Result<()> {
    let bad: Vec<usize> = rows.iter().filter(|row| row.squared.is_nan()).map(|row| row.row).collect();
    if !bad.is_empty() {
        return Err(errors::not_finite(&bad, name));
    }
    match rows.iter().find(|row| row.squared.is_infinite()) {
        Some(row) => Err(errors::too_large(f64::INFINITY, &name(row.row))),
        None => Ok(()),
    }
}

/// The values of a row multiplied by a power of two if they are extreme, and that power.
fn lifted(values: Vec<f64>) -> (Vec<f64>, f64) {
    let lift = match values.iter().fold(0.0f64, |largest, value| largest.max(value.abs())) {
        largest if largest < 1e-280 => 2f64.powi(300),
        largest if largest > 1e280 => 2f64.powi(-300),
        _ => return (values, 1.0),
    };
    (values.into_iter().map(|value| value * lift).collect(), lift)
}

/// `√Σ xᵢ²`; in units of the largest where squares would overflow or vanish.
fn norm(values: &[f64]) -> f64 {
    let squares = |unit: f64| values.iter().map(|value| (value / unit) * (value / unit)).sum::<f64>();
    let sum = squares(1.0);
    if sum.is_normal() {
        return sum.sqrt();
    }
    let unit = values.iter().fold(0.0f64, |unit, value| unit.max(value.abs()));
    if unit == 0.0 { 0.0 } else { unit * squares(unit).sqrt() }
}

/// The mean of each column.
fn centre(features: &Matrix) -> Result<Vec<Centre>> {
    const BLOCK: usize = 1024;
    if features.rows == 0 {
        return Ok(Vec::new());
    }
    let blocks: Vec<Vec<Centre>> = parallel(features.columns.div_ceil(BLOCK), &|block| {
        let columns = block * BLOCK..features.columns.min((block + 1) * BLOCK);
        let mut values = Vec::with_capacity(columns.len());
        features.append(0, columns.clone(), &mut values);
        let mut centre: Vec<Centre> = values.iter().map(|&first| Centre { first, rest: 0.0 }).collect();
        for row in 1..features.rows {
            values.clear();
            features.append(row, columns.clone(), &mut values);
            for (Centre { first, rest }, value) in centre.iter_mut().zip(&values) {
                *rest += (value - *first) / features.rows as f64;
            }
        }
        Ok(centre)
    })?;
    Ok(blocks.concat())
}
