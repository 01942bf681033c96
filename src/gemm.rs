//! Matrix products where the numbers lie: libtorch multiplies slices, and copies neither factors nor result.
#![allow(unsafe_code)] // tensors over slices, reasoned at the one place

use anyhow::Result;
use tch::kind::Element;
use tch::{Device, Tensor};

/// `out[i, j] = Σₖ a[i, k] · b[j, k]` of rows of `units` numbers; `out` is `[rows of a, rows of b]`, row by row.
pub(crate) fn multiply<T: Element>(a: &[T], b: &[T], units: usize, out: &mut [T]) -> Result<()> {
    let (rows, columns) = (a.len() / units, b.len() / units);
    assert!(a.len() == rows * units && b.len() == columns * units && out.len() == rows * columns, "whole rows");
    let (a, b) = (tensor(a.as_ptr(), rows, units)?, tensor(b.as_ptr(), columns, units)?);
    let _out = a.f_matmul_out(&tensor(out.as_mut_ptr(), rows, columns)?, &b.f_tr()?)?;
    Ok(())
}

/// A tensor `[rows, columns]` over the numbers from `values` on, only for use in [`multiply`].
fn tensor<T: Element>(values: *const T, rows: usize, columns: usize) -> Result<Tensor> {
    let (size, strides) = ([rows as i64, columns as i64], [columns as i64, 1]);
    // SAFETY: the tensor does not outlive `multiply`, which borrows the slice (that of `out` mutably, and only it is
    // written to) and has checked its size.
    Ok(unsafe { Tensor::f_from_blob(values.cast(), &size, &strides, T::KIND, Device::Cpu)? })
}
