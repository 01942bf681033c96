//! Matrix products where the numbers lie: libtorch multiplies slices, and copies neither factors nor result.
#![allow(unsafe_code)] // tensors over slices, reasoned at the one place

use anyhow::Result;
use std::ops::Range;
use tch::kind::Element;
use tch::{Device, Tensor};

/// Rows of numbers in memory, or some columns of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a, T> {
    values: &'a [T],
    rows: usize,
    /// Columns of a row that are part of the block.
    units: usize,
    /// From the start of a row to that of the next.
    stride: usize,
}

impl<'a, T> Block<'a, T> {
    /// Whole rows.
    pub(crate) fn new(values: &'a [T], units: usize) -> Block<'a, T> {
        Block { values, rows: values.len() / units, units, stride: units }
    }

    /// The `columns` of the `rows` of a matrix of `stride` columns.
    pub(crate) fn of(values: &'a [T], stride: usize, rows: &Range<usize>, columns: &Range<usize>) -> Block<'a, T> {
        let values = &values[rows.start * stride + columns.start..rows.end * stride];
        Block { values, rows: rows.len(), units: columns.len(), stride }
    }

    fn len(&self) -> usize {
        if self.rows == 0 { 0 } else { (self.rows - 1) * self.stride + self.units }
    }
}

/// `out[i, j] = Σₖ a[i, k] · b[j, k]`; `out` is `[rows of a, rows of b]`, row by row.
pub(crate) fn multiply<T: Element>(a: Block<T>, b: Block<T>, out: &mut [T]) -> Result<()> {
    assert!(a.len() <= a.values.len() && b.len() <= b.values.len(), "the rows lie in memory");
    assert!(a.units == b.units && out.len() == a.rows * b.rows, "sizes fit");
    let product = tensor(out.as_mut_ptr(), [a.rows, b.rows], b.rows)?;
    let [a, b] = [a, b].map(|block| tensor(block.values.as_ptr(), [block.rows, block.units], block.stride));
    let _out = a?.f_matmul_out(&product, &b?.f_tr()?)?;
    Ok(())
}

/// A tensor over the numbers from `values` on, only for use in [`multiply`].
fn tensor<T: Element>(values: *const T, size: [usize; 2], stride: usize) -> Result<Tensor> {
    let (size, strides) = (size.map(|size| size as i64), [stride as i64, 1]);
    // SAFETY: the tensor does not outlive `multiply`, which borrows the slice (that of `out` mutably, and only it is
    // written to) and has checked its size.
    Ok(unsafe { Tensor::f_from_blob(values.cast(), &size, &strides, T::KIND, Device::Cpu)? })
}
