//! The files that the rows of a run are in: while it is made, and when it is whole.

use super::record::Record;
use crate::error::advise;
use crate::hash::blake3_of_file;
use crate::npy::Matrix;
use crate::numbers::{bytes as in_words, count_of};
use crate::observer::Observer;
use crate::output::{Contents, Dtype, Format, Layout, Numbers, RowFile, StoredRows, convert, look, matrix};
use crate::parallel::parallel;
use crate::run::{FILES, LayerRecord, row_names};
use anyhow::{Context, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// The file of all layers, if there is one.
const ALL: &str = "features";

/// What the file of the features of `layer` is called in a run of this form.
pub(super) fn name(layer: &str, format: Format, one_file: bool) -> String {
    format!("{}.{}", if one_file { ALL } else { layer }, format.ending())
}

/// A file of rows.
pub(super) struct Written<'a> {
    pub(super) file: Cow<'a, str>,
    pub(super) shape: &'a [usize],
    pub(super) dtype: Dtype,
    format: Format,
}

impl Record {
    /// Where the rows of `layer` are as they are kept, before a file is made of them in another form: NumPy's in a shard, and where the
    /// form takes rows only when all are there.
    pub(super) fn kept<'a>(&self, layer: &'a LayerRecord) -> Written<'a> {
        let is_plain = self.shard.is_some() || self.format.is_made_at_the_end();
        let (file, format) = match is_plain {
            true => (name(&layer.name, Format::Npy, false).into(), Format::Npy),
            false => (layer.file.as_str().into(), self.format),
        };
        Written { file, shape: &layer.shape, dtype: self.dtype, format }
    }

    /// Where the rows of `layer` are written as they come: as they are kept, or in full if they are reduced later.
    pub(super) fn written<'a>(&self, layer: &'a LayerRecord) -> Written<'a> {
        match (&self.reduction, &layer.reduced) {
            (Some(reduction), Some(full)) if self.reduces_later(layer) => {
                Written { file: full.file.as_str().into(), shape: &full.shape, dtype: reduction.from, format: Format::Npy }
            }
            _ => self.kept(layer),
        }
    }

    /// How many rows there are: all, or those of a shard.
    pub(super) fn rows_here(&self) -> Result<usize> {
        let unit = if self.averaged.is_some() { 1 } else { self.batch_size };
        self.shard.map_or(Ok(self.images), |shard| Ok(shard.rows(self.images, unit)?.len()))
    }

    /// The file of `layer` in a run that is whole, or a shard that is.
    pub(super) fn file_of<'a>(&self, layer: &'a LayerRecord) -> Cow<'a, str> {
        if self.shard.is_some() { self.written(layer).file } else { layer.file.as_str().into() }
    }

    /// Whether no rows of `layer` are to be written to the run in `folder` any more, since what is made of them is there.
    pub(super) fn is_beyond_rows(&self, layer: &LayerRecord, folder: &Path) -> bool {
        let written = self.written(layer).file;
        let made = [self.kept(layer).file, layer.file.as_str().into()];
        made.iter().any(|file| *file != written && folder.join(&**file).is_file())
    }

    /// The same run with NumPy's files.
    pub(super) fn with_plain_files(&self) -> Record {
        let mut record = Record { format: Format::Npy, one_file: false, ..self.clone() };
        record.layers.iter_mut().for_each(|layer| layer.file = name(&layer.name, Format::Npy, false));
        record
    }

    /// The features of `layer` of the run in `folder`, as they are kept.
    pub(super) fn features(&self, layer: &LayerRecord, folder: &Path) -> Result<Matrix> {
        let kept = folder.join(&*self.kept(layer).file);
        let path = if kept.is_file() { kept } else { folder.join(&layer.file) };
        matrix(&path, &layer.name, self.images, &layer.shape)
    }
}

/// The files of rows of the run in `place`, for `rows` rows: made, unless what is there is to be kept, and opened for each of `layers`.
pub(super) fn open(place: &Path, record: &Record, layers: &[&LayerRecord], rows: usize, keep: bool) -> Result<Vec<RowFile>> {
    let mut by_file: BTreeMap<Cow<str>, Vec<&LayerRecord>> = BTreeMap::new();
    for layer in &record.layers {
        by_file.entry(record.written(layer).file).or_default().push(layer);
    }
    open_written(place, record, &by_file, layers, (rows, keep), &|layer| record.written(layer))
}

/// The file of the reduced rows of one layer of the run in `place`, made anew.
pub(super) fn open_kept(place: &Path, record: &Record, layer: &LayerRecord) -> Result<RowFile> {
    let kept = record.kept(layer);
    let by_file = BTreeMap::from([(kept.file, vec![layer])]);
    let files = open_written(place, record, &by_file, &[layer], (record.images, false), &|layer| record.kept(layer))?;
    files.into_iter().next().context("one layer is written")
}

fn open_written<'a>(
    place: &Path,
    record: &Record,
    by_file: &BTreeMap<Cow<str>, Vec<&'a LayerRecord>>,
    layers: &[&'a LayerRecord],
    (rows, keep): (usize, bool),
    written: &dyn Fn(&'a LayerRecord) -> Written<'a>,
) -> Result<Vec<RowFile>> {
    let mut files = BTreeMap::new();
    for (file, members) in by_file {
        if !layers.iter().any(|layer| members.iter().any(|member| member.name == layer.name)) {
            continue;
        }
        let Written { format, dtype, .. } = written(members[0]);
        let images = if format.is_npy() { Vec::new() } else { row_names(place)? };
        let arrays = members.iter().map(|layer| (layer.name.as_str(), written(layer).shape)).collect();
        let contents = Contents { images: &images, rows, arrays, dtype, in_group: record.one_file };
        let (path, layout) = (place.join(&**file), Layout::of(format, &contents)?);
        if !keep {
            RowFile::create(&path, &layout)?;
        }
        for (number, layer) in members.iter().enumerate() {
            if layers.iter().any(|wanted| wanted.name == layer.name) {
                files.insert(layer.name.as_str(), RowFile::open(&path, &layout, &contents, number)?);
            }
        }
    }
    layers.iter().map(|layer| files.remove(layer.name.as_str()).context("each layer has a file")).collect()
}

/// Makes the files of all layers of the run in `folder`, of which all rows are there, in a form that takes them only then; and says so.
/// What is made already stays.
pub(super) fn finish(folder: &Path, record: &Record, rows: &[String], observer: &dyn Observer) -> Result<()> {
    if !record.format.is_made_at_the_end() || record.shard.is_some() {
        return Ok(());
    }
    let mut bytes = 0;
    for layer in &record.layers {
        let (kept, path) = (record.kept(layer), folder.join(&layer.file));
        let from = folder.join(&*kept.file);
        if !path.is_file() {
            let stored = StoredRows::open(&from, &layer.name, record.images, kept.shape, kept.dtype)?;
            let arrays = vec![(layer.name.as_str(), kept.shape)];
            let contents = Contents { images: rows, rows: record.images, arrays, dtype: kept.dtype, in_group: false };
            convert(&path, &contents, &stored)?;
        }
        bytes += path.metadata().map_or(0, |metadata| metadata.len());
        std::fs::remove_file(&from).ok();
    }
    let files = count_of(record.layers.len(), "file");
    observer.fact("wrote", &format!("{files} of the form .{}, {}", record.format.ending(), in_words(bytes)));
    Ok(())
}

/// Records of the files of every layer their hashes, where the numbers begin, and how many of these are not finite.
pub(super) fn describe(folder: &Path, record: &mut Record) -> Result<()> {
    let in_shard = record.shard.is_some();
    let mut by_file: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, layer) in record.layers.iter().enumerate() {
        by_file.entry(record.file_of(layer).into_owned()).or_default().push(number);
    }
    let by_file: Vec<(String, Vec<usize>)> = by_file.into_iter().collect();
    let of_files = parallel(by_file.len(), &|number| {
        let (file, members) = &by_file[number];
        let written = |layer| if in_shard { record.written(layer) } else { record.kept(layer) };
        let layers: Vec<&LayerRecord> = members.iter().map(|number| &record.layers[*number]).collect();
        let rows = record.rows_here()?;
        let arrays: Vec<(&str, Vec<usize>)> =
            layers.iter().map(|layer| (layer.name.as_str(), [&[rows], written(layer).shape].concat())).collect();
        look(&folder.join(file), &arrays, written(layers[0]).dtype)
    })?;
    for ((_, members), (hash, arrays)) in by_file.iter().zip(of_files) {
        for (number, Numbers { start, nonfinite }) in members.iter().zip(arrays) {
            let layer = &mut record.layers[*number];
            layer.blake3 = Some(hash.clone());
            layer.nonfinite = (nonfinite > 0).then_some(nonfinite);
            layer.offset = start.filter(|_| !in_shard && !record.format.is_npy());
        }
    }
    let rdms = parallel(record.layers.len(), &|number| {
        let rdm = record.layers[number].rdm.as_ref().filter(|_| !in_shard);
        rdm.map(|rdm| blake3_of_file(&folder.join(rdm))).transpose()
    })?;
    record.layers.iter_mut().zip(rdms).for_each(|(layer, hash)| layer.rdm_blake3 = hash);
    Ok(())
}

/// Fails if a form has no place for the layers, or files would have one name.
pub(super) fn check(format: Format, dtype: Dtype, names: &[&str], shapes: &[Vec<usize>]) -> Result<()> {
    for (layer, shape) in names.iter().zip(shapes) {
        format.check(layer, shape, dtype)?;
        if FILES.contains(&&*name(layer, format, false)) {
            return Err(advise(
                format!("the file of the layer `{layer}` would be called as a file that every run has"),
                "take another --format for it",
            ));
        }
    }
    Ok(())
}
