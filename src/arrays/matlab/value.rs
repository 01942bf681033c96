//! What variables of MATLAB's hold, and the arrays in them.

use crate::arrays::Axes;
use crate::error::advise;
use crate::memory;
use anyhow::{Context, Result};
use ndarray::{ArrayD, Axis, IxDyn};
use std::rc::Rc;

/// Cells and structures in each other.
pub(super) const DEEPEST: usize = 50;
/// Of longer cell arrays nobody wants the elements.
pub(super) const MOST_CELLS: usize = 100_000;

/// Reads numbers, column by column.
pub(super) type ReadNumbers = Rc<dyn Fn() -> Result<Vec<f64>>>;

/// What a variable, a field or a cell holds. Sizes are as MATLAB has them; elements are numbered column by column.
#[derive(Clone)]
pub(super) enum Value {
    Numbers {
        sizes: Vec<usize>,
        read: ReadNumbers,
    },
    /// A text for each row.
    Text(Vec<String>),
    /// A cell array, or one field of an array of structures.
    Cells {
        sizes: Vec<usize>,
        cells: Vec<Value>,
    },
    /// An array of structures: of each field the values in all of them.
    Structures {
        sizes: Vec<usize>,
        fields: Vec<(String, Vec<Value>)>,
    },
    /// What is not read, in words.
    Other(&'static str),
}

/// The field that holds the dissimilarities.
const RDM: &str = "rdm";

impl Value {
    pub(super) const UNREAD: Value = Value::Other("stored in a way that is not read");

    /// The text of `letters`, column by column.
    pub(super) fn text(letters: &[char], sizes: &[usize]) -> Value {
        let row = |letters: &mut dyn Iterator<Item = &char>| letters.collect::<String>().trim_end().to_owned();
        match *sizes {
            [1, _] => Value::Text(vec![row(&mut letters.iter())]),
            [rows, columns] if columns > 0 && rows.checked_mul(columns) == Some(letters.len()) => {
                Value::Text((0..rows).map(|first| row(&mut letters[first..].iter().step_by(rows))).collect())
            }
            _ => Value::Other("text of no or several axes"),
        }
    }

    pub(super) fn what(&self) -> &'static str {
        match self {
            Value::Numbers { .. } if self.count() == 0 => "empty",
            Value::Numbers { .. } => "a single number",
            Value::Text(_) => "text",
            Value::Cells { .. } => "a cell array",
            Value::Structures { .. } => "a structure",
            Value::Other(what) => what,
        }
    }

    /// The numbers, or several arrays of them: of structures with a field called RDM what that holds. A single number is no array.
    pub(super) fn array(&self) -> Option<Value> {
        match self {
            Value::Numbers { .. } => (self.count() > 1).then(|| self.clone()),
            Value::Cells { cells, .. } if cells.iter().all(|cell| matches!(cell, Value::Numbers { .. })) => {
                cells.iter().any(|cell| cell.count() > 1).then(|| self.clone())
            }
            Value::Cells { .. } | Value::Structures { .. } => self.field(self.name_of_rdm()?)?.array(),
            Value::Text(_) | Value::Other(_) => None,
        }
    }

    /// How many numbers these are.
    fn count(&self) -> usize {
        match self {
            Value::Numbers { sizes, .. } => sizes.iter().product(),
            _ => 0,
        }
    }

    fn field_names(&self) -> Vec<&str> {
        match self {
            Value::Structures { fields, .. } => fields.iter().map(|(name, _)| name.as_str()).collect(),
            Value::Cells { cells, .. } => cells.first().map(Value::field_names).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// The one field called RDM, however that is written.
    fn name_of_rdm(&self) -> Option<&str> {
        let names = self.field_names();
        let mut called = names.into_iter().filter(|name| name.eq_ignore_ascii_case(RDM));
        called.next().filter(|_| called.next().is_none())
    }

    /// The field `name` of a structure, or that of each of several.
    pub(super) fn field(&self, name: &str) -> Option<Value> {
        match self {
            Value::Structures { sizes, fields } => match &fields.iter().find(|(field, _)| field == name)?.1[..] {
                [only] => Some(only.clone()),
                several => Some(Value::Cells { sizes: sizes.clone(), cells: several.to_vec() }),
            },
            Value::Cells { sizes, cells } => {
                let cells = cells.iter().map(|cell| cell.field(name)).collect::<Option<_>>()?;
                Some(Value::Cells { sizes: sizes.clone(), cells })
            }
            _ => None,
        }
    }

    /// The element of this number, from 1, down the columns.
    pub(super) fn element(&self, number: usize) -> Option<Value> {
        let at = number.checked_sub(1)?;
        match self {
            Value::Cells { cells, .. } => cells.get(at).cloned(),
            Value::Structures { fields, .. } => {
                let of = |(name, values): &(String, Vec<Value>)| Some((name.clone(), vec![values.get(at)?.clone()]));
                Some(Value::Structures { sizes: vec![1, 1], fields: fields.iter().map(of).collect::<Option<_>>()? })
            }
            _ => None,
        }
    }

    /// The names of the arrays in the fields, at any depth, of what is called `name`.
    pub(super) fn arrays_within(&self, name: &str) -> Vec<String> {
        let within = |field: &str| {
            let value = self.field(field)?;
            let name = format!("{name}.{field}");
            Some(if value.array().is_some() { vec![name] } else { value.arrays_within(&name) })
        };
        let all = || self.field_names();
        self.name_of_rdm().map_or_else(all, |rdm| vec![rdm]).into_iter().filter_map(within).flatten().collect()
    }

    /// The name of the first RDM in structures called `name` that is no array of numbers, and what it is.
    pub(super) fn broken_rdm(&self, name: &str) -> Option<(String, &'static str)> {
        let field = self.name_of_rdm()?;
        match self.field(field)? {
            Value::Cells { cells, .. } => {
                let broken = |(_, cell): &(usize, &Value)| cell.count() < 2;
                cells.iter().enumerate().find(broken).map(|(at, cell)| (format!("{name}({}).{field}", at + 1), cell.what()))
            }
            other => (other.count() < 2).then(|| (format!("{name}.{field}"), other.what())),
        }
    }

    /// The numbers; several arrays, which must be of one shape, one after the other along a first axis.
    pub(super) fn stacked(&self, axes: Axes, what: &dyn Fn() -> String) -> Result<ArrayD<f64>> {
        let (sizes, cells) = match self {
            Value::Cells { sizes, cells } => (&sizes[..], &cells[..]),
            other => (&[][..], std::slice::from_ref(other)),
        };
        if sizes.iter().filter(|&&size| size > 1).count() > 1 {
            let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
            return Err(advise(
                format!("{} are {} arrays, and it is not known along which axis the subjects are", what(), sizes.join(" × ")),
                "name one by its number down the columns, 'FILE:RDMs(2)', or save one row or column: \
                 `rdms = RDMs(1, :); save('rdms.mat', 'rdms', '-v7')`",
            ));
        }
        // Once as they are read, once in the order of rows, and once together.
        let count = cells.iter().map(Value::count).fold(0, usize::saturating_add) as u64;
        memory::check(&what(), count.saturating_mul(3 * size_of::<f64>() as u64))?;
        let mut arrays: Vec<ArrayD<f64>> = cells.iter().map(|cell| cell.numbers(axes, what)).collect::<Result<_>>()?;
        if let Some(other) = arrays.iter().position(|array| array.shape() != arrays[0].shape()) {
            let (first, shape) = (arrays[0].shape(), arrays[other].shape());
            return Err(advise(
                format!("{} are arrays of several shapes: 1 is {first:?}, {} is {shape:?}", what(), other + 1),
                "RDMs of subjects have the same stimuli; name one by its number: 'FILE:RDMs(2)'",
            ));
        }
        if arrays.len() == 1 {
            return Ok(arrays.remove(0));
        }
        Ok(ndarray::stack(Axis(0), &arrays.iter().map(ArrayD::view).collect::<Vec<_>>())?)
    }

    fn numbers(&self, axes: Axes, what: &dyn Fn() -> String) -> Result<ArrayD<f64>> {
        let Value::Numbers { sizes, read } = self else { unreachable!("arrays are of numbers") };
        // Column by column in the file.
        let mut shape: Vec<usize> = sizes.iter().copied().filter(|&size| size != 1 || axes == Axes::All).rev().collect();
        if shape.is_empty() {
            shape.push(1);
        }
        let values = ArrayD::from_shape_vec(IxDyn(&shape), read()?).with_context(|| format!("{} is damaged", what()))?;
        Ok(values.reversed_axes().as_standard_layout().into_owned())
    }
}
