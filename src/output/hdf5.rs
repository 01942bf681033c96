//! HDF5: `images`, the name of each row, and `features`, an array, or a group with one of each layer.

use super::hdf5_file::{Builder, Data, Element};
use super::{Contents, Dtype, Found, InPlace, Layout};
use crate::arrays::hdf5;
use anyhow::Result;
use std::path::Path;

pub(super) struct Hdf5;

/// What the array is called, or the group of arrays.
pub(super) const FEATURES: &str = "features";
/// What the names of the rows are called.
pub(super) const IMAGES: &str = "images";

impl InPlace for Hdf5 {
    fn layout(&self, contents: &Contents) -> Result<Layout> {
        let mut file = Builder::new(contents.arrays.len(), Vec::new())?;
        let longest = contents.images.iter().map(String::len).max().unwrap_or(0).max(1);
        let names = contents.images.iter().flat_map(|name| {
            let mut name = name.clone().into_bytes();
            name.resize(longest, 0);
            name
        });
        let names = Data::Here(names.collect());
        let images = file.dataset(&[contents.images.len() as u64], &Element::Text(longest), names, Vec::new());
        let mut layers = Vec::new();
        for (number, (name, _)) in contents.arrays.iter().enumerate() {
            let sizes: Vec<u64> = contents.shape(number).iter().map(|size| *size as u64).collect();
            let numbers = Data::Later(contents.size(number)?);
            layers.push((*name, file.dataset(&sizes, &Element::Float(contents.dtype), numbers, Vec::new())));
        }
        let features = match layers[..] {
            [(_, only)] if !contents.in_group => only,
            _ => file.group(&layers).address,
        };
        let root = file.group(&[(FEATURES, features), (IMAGES, images)]);
        let (header, starts, end) = file.finish(&root);
        Ok(Layout { header, starts, end, ..Layout::default() })
    }

    fn find(&self, path: &Path, layer: &str, _shape: &[usize]) -> Result<Option<Found>> {
        let file = hdf5::open_where_it_lies(path)?;
        let dataset = file.dataset(FEATURES).or_else(|_| file.dataset(&format!("{FEATURES}/{layer}")));
        let Some((start, half)) = dataset.as_ref().ok().and_then(hdf5::in_place) else { return Ok(None) };
        let shape = dataset?.shape()?.into_iter().map(|size| size as usize).collect();
        Ok(Some(Found { start, shape, dtype: if half { Dtype::F16 } else { Dtype::F32 } }))
    }
}

/// The names of rows in the file at `path`.
pub(super) fn names(path: &Path) -> Result<Vec<String>> {
    Ok(hdf5::open_where_it_lies(path)?.dataset(IMAGES)?.read_string()?)
}
