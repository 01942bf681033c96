//! The variables in a `.mat` of version 7.3 (`save` with `-v7.3`), which is HDF5: a matrix lies there transposed, a structure is a group,
//! and of cells and arrays of structures there are references. Only what is asked for is read.

use super::Variable;
use super::value::{DEEPEST, MOST_CELLS, Value};
use crate::arrays::hdf5;
use anyhow::{Context, Result};
use hdf5_pure::{AttrValue, DType, Dataset, Group, Object};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

/// In a file; what lies behind more is not looked at.
const MOST_OBJECTS: usize = 200_000;
/// Of a text that is looked at.
const MOST_LETTERS: usize = 1 << 20;

/// Reads all variables; what cannot be read is one of words.
pub(super) fn variables(path: &Path) -> Result<Vec<Variable>> {
    let file = hdf5::open(path)?;
    let mut looks = Looks { left: MOST_OBJECTS };
    let variables = looks.members(&file.root(), 0).with_context(|| format!("cannot read `{}`", path.display()))?;
    // MATLAB keeps the contents of cells in `#refs#`.
    Ok(variables.into_iter().filter(|(name, _)| !name.starts_with('#')).collect())
}

/// How many objects may be looked at: references may lead back to where one has been.
struct Looks {
    left: usize,
}

impl Looks {
    fn members(&mut self, group: &Group, depth: usize) -> Result<Vec<Variable>> {
        let mut members = Vec::new();
        for name in group.datasets()? {
            let value = group.dataset(&name).ok().and_then(|dataset| self.of_dataset(dataset, depth).ok());
            members.push((name, value.unwrap_or(Value::UNREAD)));
        }
        for name in group.groups()?.into_iter().filter(|name| !name.starts_with('#')) {
            let value = group.group(&name).ok().and_then(|group| self.of_group(&group, depth).ok());
            members.push((name, value.unwrap_or(Value::UNREAD)));
        }
        Ok(members)
    }

    /// A structure, or an array of such: then each field is of references, which are no cells.
    fn of_group(&mut self, group: &Group, depth: usize) -> Result<Value> {
        if self.is_enough(depth) {
            return Ok(Value::UNREAD);
        }
        if group.attrs()?.contains_key("MATLAB_sparse") {
            return Ok(Value::Other("a sparse matrix"));
        }
        let is_column = |name: &String| {
            let is_it = |dataset: &Dataset| Ok(is_of_references(dataset) && !is_called(&dataset.attrs()?, "cell"));
            group.dataset(name).and_then(|dataset| is_it(&dataset)).unwrap_or(false)
        };
        let names = group.datasets()?;
        let is_array = !names.is_empty() && group.groups()?.is_empty() && names.iter().all(is_column);
        let members = self.members(group, depth + 1)?;
        if !is_array {
            let fields = members.into_iter().map(|(name, value)| (name, vec![value])).collect();
            return Ok(Value::Structures { sizes: vec![1, 1], fields });
        }
        let (mut sizes, mut fields) = (Vec::new(), Vec::new());
        for (name, value) in members {
            let Value::Cells { sizes: own, cells } = value else { return Ok(Value::UNREAD) };
            if !fields.is_empty() && own != sizes {
                return Ok(Value::UNREAD);
            }
            sizes = own;
            fields.push((name, cells));
        }
        Ok(Value::Structures { sizes, fields })
    }

    fn of_dataset(&mut self, dataset: Dataset, depth: usize) -> Result<Value> {
        if self.is_enough(depth) {
            return Ok(Value::UNREAD);
        }
        // HDF5 names the axes in the other order.
        let sizes: Vec<usize> = dataset.shape()?.into_iter().rev().map(|size| size as usize).collect();
        let count = sizes.iter().try_fold(1usize, |count, &size| count.checked_mul(size)).context("too many")?;
        let (attributes, dtype) = (dataset.attrs()?, dataset.dtype()?);
        match dtype {
            _ if attributes.contains_key("MATLAB_empty") => Ok(Value::Other("empty")),
            _ if attributes.contains_key("MATLAB_object_decode") => Ok(Value::Other("an object")),
            DType::ObjectReference if count > MOST_CELLS.min(self.left) => Ok(Value::Other("a cell array of very many cells")),
            DType::ObjectReference => {
                self.left -= count;
                let cells = dataset.dereference()?.into_iter().map(|object| self.of_object(object, depth + 1)).collect();
                Ok(Value::Cells { sizes, cells })
            }
            DType::U16 if is_called(&attributes, "char") && count <= MOST_LETTERS => {
                let letters = char::decode_utf16(dataset.read_u16()?).map(|letter| letter.unwrap_or('\u{fffd}'));
                Ok(Value::text(&letters.collect::<Vec<_>>(), &sizes))
            }
            _ if is_called(&attributes, "char") => Ok(Value::Other("text")),
            DType::Compound(_) => Ok(Value::Other("complex numbers")),
            dtype if hdf5::is_other(&dtype) => Ok(Value::UNREAD),
            _ => Ok(Value::Numbers { sizes, read: Rc::new(move || hdf5::numbers(&dataset, "an array in it")) }),
        }
    }

    fn of_object(&mut self, object: Object, depth: usize) -> Value {
        let value = match object {
            Object::Group(group) => self.of_group(&group, depth),
            Object::Dataset(dataset) => self.of_dataset(*dataset, depth),
            _ => Ok(Value::UNREAD),
        };
        value.unwrap_or(Value::UNREAD)
    }

    fn is_enough(&mut self, depth: usize) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0 || depth > DEEPEST
    }
}

fn is_of_references(dataset: &Dataset) -> bool {
    matches!(dataset.dtype(), Ok(DType::ObjectReference))
}

/// Whether MATLAB says that a value is of this class.
fn is_called(attributes: &HashMap<String, AttrValue>, class: &str) -> bool {
    attributes.get("MATLAB_class").is_some_and(|found| format!("{found:?}").contains(class))
}
