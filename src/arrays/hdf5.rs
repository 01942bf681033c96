//! HDF5: RDMs as rsatoolbox stores them, and any file of arrays.

use super::{Axes, Labelled, array, cannot_be_read, choose, split, trimmed};
use crate::atomic_file;
use crate::error::advise;
use crate::memory;
use crate::npy::Matrix;
use crate::plain_file;
use anyhow::{Context, Result};
use half::f16;
use hdf5_pure::{AttrValue, DType, Dataset, Datatype, DatatypeByteOrder, File, FileBuilder, FloatingPointLayout, Group, Layout};
use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// rsatoolbox's name of the pairs, `[RDMs, pairs]`.
const PAIRS: &str = "dissimilarities";

/// rsatoolbox's folder of what is known of each stimulus.
const STIMULI: &str = "pattern_descriptors";

/// Groups in each other.
const DEEPEST: usize = 50;
/// Groups in a file.
const MOST_GROUPS: usize = 100_000;

/// Whether the file is HDF5, perhaps after MATLAB's header of 512 bytes.
pub(crate) fn is_hdf5(path: &Path) -> bool {
    let signature = |at: u64| {
        let mut start = [0; 8];
        let mut file = plain_file::open(path).ok()?;
        file.seek(SeekFrom::Start(at)).ok()?;
        file.read_exact(&mut start).ok()?;
        Some(start == *b"\x89HDF\r\n\x1a\n")
    };
    [0, 512].into_iter().any(|at| signature(at).unwrap_or(false))
}

pub(super) fn open(path: &Path) -> Result<File> {
    plain_file::check(path).map_err(|error| cannot_be_read(path, error))?;
    let unreadable = || advise(format!("`{}` is not a whole HDF5 file", path.display()), "write it again, or convert it to .npy");
    File::open(path).map_err(|error| unreadable().context(error.to_string()))
}

/// The same without reading it into memory: parts are read as they are asked for.
pub(crate) fn open_where_it_lies(path: &Path) -> Result<File> {
    plain_file::check(path)?;
    Ok(File::open_streaming(path)?)
}

/// Where in the file the numbers of a dataset begin, and whether they are float16, if they lie there as float32 or float16 do in memory.
pub(crate) fn in_place(dataset: &Dataset) -> Option<(u64, bool)> {
    let Datatype::FloatingPoint { size, byte_order: DatatypeByteOrder::LittleEndian, layout } = dataset.datatype().ok()? else {
        return None;
    };
    let half = size == 2 && layout == HALF;
    let width = if half { 2 } else { 4 };
    let count = dataset.shape().ok()?.iter().try_fold(width, |count: u64, size| count.checked_mul(*size))?;
    match dataset.layout().ok()? {
        Layout::Contiguous { address: Some(start), size: bytes } if (half || size == 4 && layout == SINGLE) && bytes == count => {
            Some((start, half))
        }
        _ => None,
    }
}

/// The dataset `name`, or rsatoolbox's, or the only one.
pub(super) fn read(path: &Path, name: Option<&str>, axes: Axes) -> Result<Labelled> {
    let file = open(path)?;
    let names = names(&file, name.is_some()).with_context(|| format!("cannot read `{}`", path.display()))?;
    let of_rsatoolbox = (name.is_none() && names.iter().any(|name| name == PAIRS)).then_some(PAIRS);
    let name = choose(path, &names, name.or(of_rsatoolbox))?;
    let dataset = file.dataset(name).with_context(|| format!("cannot read `{name}` in `{}`", path.display()))?;
    let mut shape: Vec<usize> = dataset.shape()?.into_iter().map(|size| size as usize).collect();
    let values = numbers(&dataset, &format!("`{name}` in `{}`", path.display()))?;
    let ids = match name {
        PAIRS => stimuli(&file),
        _ => images(&file, name, shape.first().copied()),
    };
    if ids.is_none() && axes == Axes::Long {
        // One RDM is a vector.
        shape.retain(|&size| size != 1);
    }
    Ok(Labelled { values: array(&shape, values, path)?, ids, are_rdms: name == PAIRS })
}

/// Features where they lie.
pub(super) struct InPlace {
    /// Of all axes.
    pub(super) sizes: Vec<usize>,
    pub(super) matrix: Matrix,
    /// The names of the rows.
    pub(super) ids: Option<Vec<String>>,
}

/// The features in the file `path`, where they lie, and the names of their rows; none if they do not lie there as in memory, or it is
/// not clear which array is meant.
pub(super) fn features(path: &Path) -> Result<Option<InPlace>> {
    let (file, name) = split(path);
    if !file.is_file() || !is_hdf5(&file) {
        return Ok(None);
    }
    let open = open_where_it_lies(&file)?;
    let names = names(&open, name.is_some()).unwrap_or_default();
    let Ok(name) = choose(&file, &names, name.as_deref()) else { return Ok(None) };
    let Ok(dataset) = open.dataset(name) else { return Ok(None) };
    let shape: Vec<usize> = dataset.shape()?.into_iter().map(|size| size as usize).collect();
    let ids = images(&open, name, shape.first().copied());
    let units = shape.iter().skip(1).try_fold(1usize, |units, size| units.checked_mul(*size));
    let (Some((start, half)), Some(units), [rows, _, ..]) = (in_place(&dataset), units, &shape[..]) else { return Ok(None) };
    Ok(Matrix::map(&file, start, [*rows, units], half)?.map(|matrix| InPlace { sizes: shape, matrix, ids }))
}

/// The numbers of a dataset as they lie there.
pub(super) fn numbers(dataset: &Dataset, what: &str) -> Result<Vec<f64>> {
    let shape = dataset.shape()?;
    // Of chunks that are left out or deflated, a small file may have any number. Once as they lie there, once as they are read.
    let needed = shape.iter().try_fold(16u64, |bytes, &size| bytes.checked_mul(size)).unwrap_or(u64::MAX);
    memory::check(&what, needed)?;
    let unread = || {
        let hint = "write it as float64 without further options, or convert it to .npy";
        advise(format!("{what} is stored in a way that is not read"), hint)
    };
    let values = match half_order(&dataset.datatype()?) {
        Some(order) => dataset.read_raw().map(|bytes| halves(&bytes, order)),
        None => dataset.read_f64(),
    };
    let values = values.map_err(|error| unread().context(error.to_string()))?;
    // Of other small floats, numbers come out that are none.
    if values.len() as u64 != shape.iter().product::<u64>() {
        return Err(unread());
    }
    Ok(values)
}

/// IEEE half precision, `float16` of NumPy.
const HALF: FloatingPointLayout = FloatingPointLayout {
    bit_offset: 0,
    bit_precision: 16,
    exponent_location: 10,
    exponent_size: 5,
    mantissa_location: 0,
    mantissa_size: 10,
    exponent_bias: 15,
};

/// IEEE single precision.
const SINGLE: FloatingPointLayout = FloatingPointLayout {
    bit_offset: 0,
    bit_precision: 32,
    exponent_location: 23,
    exponent_size: 8,
    mantissa_location: 0,
    mantissa_size: 23,
    exponent_bias: 127,
};

/// The order of the bytes, if numbers are of half precision.
fn half_order(datatype: &Datatype) -> Option<DatatypeByteOrder> {
    match datatype {
        Datatype::FloatingPoint { size: 2, byte_order, layout } if *layout == HALF => Some(*byte_order),
        _ => None,
    }
}

fn halves(bytes: &[u8], order: DatatypeByteOrder) -> Vec<f64> {
    let half = |&bytes: &[u8; 2]| match order {
        DatatypeByteOrder::BigEndian => f16::from_be_bytes(bytes),
        _ => f16::from_le_bytes(bytes),
    };
    bytes.as_chunks().0.iter().map(|bytes| half(bytes).to_f64()).collect()
}

/// The datasets of numbers: those of the root, or of all folders if it has none or `all` are wanted.
fn names(file: &File, all: bool) -> Result<Vec<String>> {
    let mut names = Vec::new();
    collect(&file.root(), "", &mut names, &mut { MOST_GROUPS })?;
    if !all && names.iter().any(|name| !name.contains('/')) {
        names.retain(|name| !name.contains('/'));
    }
    Ok(names)
}

/// Links may lead back to where one has been, and so on without an end.
fn collect(group: &Group, prefix: &str, names: &mut Vec<String>, left: &mut usize) -> Result<()> {
    *left = left.saturating_sub(1);
    if *left == 0 || prefix.matches('/').count() > DEEPEST {
        return Err(advise("its groups have no end: some may lie in themselves", "write it again, or convert it to .npy"));
    }
    for name in group.datasets()? {
        if is_of_numbers(&group.dataset(&name)?) {
            names.push(format!("{prefix}{name}"));
        }
    }
    for name in group.groups()? {
        collect(&group.group(&name)?, &format!("{prefix}{name}/"), names, left)?;
    }
    Ok(())
}

/// Neither a single number nor text nor references.
fn is_of_numbers(dataset: &Dataset) -> bool {
    let is_single = dataset.shape().is_ok_and(|shape| shape.iter().product::<u64>() == 1);
    !is_single && dataset.dtype().is_ok_and(|dtype| !is_other(&dtype))
}

/// What is not a number.
pub(super) fn is_other(dtype: &DType) -> bool {
    use DType::{Compound, ObjectReference, String, VariableLengthString};
    matches!(dtype, String | VariableLengthString | ObjectReference | Compound(_))
}

/// The first text that tells stimuli apart, or else the first whole numbers that do; `index` only counts them.
fn stimuli(file: &File) -> Option<Vec<String>> {
    let descriptors = file.group(STIMULI).ok()?;
    let mut names = descriptors.datasets().ok()?;
    names.retain(|name| name != "index");
    names.sort();
    let datasets: Vec<Dataset> = names.iter().filter_map(|name| descriptors.dataset(name).ok()).collect();
    let texts = datasets.iter().filter_map(|dataset| dataset.read_string().ok());
    let whole = |dataset: &Dataset| dataset.dtype().is_ok_and(|dtype| !matches!(dtype, DType::F32 | DType::F64));
    let numbers = datasets.iter().filter(|dataset| whole(dataset)).filter_map(|dataset| dataset.read_i64().ok());
    let numbers = numbers.map(|numbers| numbers.iter().map(i64::to_string).collect());
    texts.chain(numbers).find(|names: &Vec<String>| names.iter().collect::<HashSet<_>>().len() == names.len())
}

/// The names of the `rows` of `features`, as `thingsvision extract --format hdf5` writes them.
fn images(file: &File, array: &str, rows: Option<usize>) -> Option<Vec<String>> {
    let is_features = array == "features" || array.starts_with("features/");
    let names = file.dataset("images").ok().filter(|_| is_features)?.read_string().ok()?;
    Some(trimmed(names)).filter(|names| Some(names.len()) == rows)
}

/// The pairs of one RDM or several, as `rsatoolbox.rdm.load_rdm` reads them.
pub(super) fn write(path: &Path, labelled: &Labelled) -> Result<()> {
    let pairs = match labelled.values.ndim() {
        1 => labelled.values.clone().insert_axis(ndarray::Axis(0)),
        _ => labelled.values.clone(),
    };
    let [rdms, count] = *pairs.shape() else {
        return Err(advise("an HDF5 file for rsatoolbox holds the pairs of RDMs", "write it condensed"));
    };
    let mut file = FileBuilder::new();
    let values: Vec<f64> = pairs.iter().copied().collect();
    file.create_dataset(PAIRS).with_f64_data(&values).with_shape(&[rdms as u64, count as u64]);
    file.set_attr("dissimilarity_measure", AttrValue::VarLenString("unknown".into()));
    file.set_attr("rsatoolbox_version", AttrValue::VarLenString("0.3.2".into()));
    let descriptors = file.create_group("descriptors").finish();
    file.add_group(descriptors);
    let mut of_rdms = file.create_group("rdm_descriptors");
    of_rdms.create_dataset("index").with_i64_data(&(0..rdms as i64).collect::<Vec<_>>()).with_shape(&[rdms as u64]);
    file.add_group(of_rdms.finish());
    let mut of_stimuli = file.create_group(STIMULI);
    // n (n − 1) / 2 = count.
    let n = 1 + ((1 + 8 * count).isqrt() - 1) / 2;
    of_stimuli.create_dataset("index").with_i64_data(&(0..n as i64).collect::<Vec<_>>()).with_shape(&[n as u64]);
    if let Some(ids) = &labelled.ids {
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        of_stimuli.create_dataset("stimuli").with_strings(&ids)?.with_shape(&[n as u64]);
    }
    file.add_group(of_stimuli.finish());
    atomic_file::write(path, &file.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stimuli_of_rsatoolbox_may_be_named_by_whole_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rdm.h5");
        let mut file = FileBuilder::new();
        file.create_dataset(PAIRS).with_f64_data(&[1.0, 2.0, 3.0]).with_shape(&[1, 3]);
        let mut stimuli = file.create_group(STIMULI);
        stimuli.create_dataset("index").with_i64_data(&[0, 1, 2]).with_shape(&[3]);
        stimuli.create_dataset("session").with_i64_data(&[1, 1, 2]).with_shape(&[3]);
        stimuli.create_dataset("stim_id").with_i64_data(&[73, 12, 5]).with_shape(&[3]);
        file.add_group(stimuli.finish());
        atomic_file::write(&path, &file.finish().unwrap()).unwrap();
        assert_eq!(read(&path, None, Axes::Long).unwrap().ids.unwrap(), ["73", "12", "5"]);
    }
}
