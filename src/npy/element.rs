//! Element types: how each becomes float64, and float16, which `ndarray-npy` does not know.

use bytemuck::{Pod, Zeroable};
use ndarray_npy::{ReadDataError, ReadableElement, ViewDataError, ViewElement, WritableElement, WriteDataError};
use py_literal::Value;
use std::io::{Read, Write};

/// A number that float64 can stand for.
pub trait ToF64 {
    /// The same number, rounded if need be.
    fn to_f64(self) -> f64;
}

macro_rules! to_f64 {
    ($($number:ty),*) => { $(impl ToF64 for $number { fn to_f64(self) -> f64 { self as f64 } })* };
}
to_f64!(f64, f32, i64, i32, i16, i8, u64, u32, u16, u8);

impl ToF64 for bool {
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
}

impl ToF64 for F16 {
    fn to_f64(self) -> f64 {
        half::f16::from_bits(self.0).to_f64()
    }
}

/// IEEE half precision, by its bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Pod, Zeroable)]
#[repr(transparent)]
pub struct F16(u16);

const F16_DESCRIPTOR: &str = "<f2";

fn is_f16(descriptor: &Value) -> bool {
    descriptor.as_string().is_some_and(|descriptor| descriptor == F16_DESCRIPTOR)
}

impl WritableElement for F16 {
    fn type_descriptor() -> Value {
        Value::String(F16_DESCRIPTOR.into())
    }

    fn write<W: Write>(&self, writer: W) -> Result<(), WriteDataError> {
        Self::write_slice(&[*self], writer)
    }

    fn write_slice<W: Write>(slice: &[Self], mut writer: W) -> Result<(), WriteDataError> {
        Ok(writer.write_all(bytemuck::cast_slice(slice))?)
    }
}

impl ReadableElement for F16 {
    fn read_to_end_exact_vec<R: Read>(mut reader: R, descriptor: &Value, len: usize) -> Result<Vec<Self>, ReadDataError> {
        if !is_f16(descriptor) {
            return Err(ReadDataError::WrongDescriptor(descriptor.clone()));
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        match bytes.len().cmp(&(len * 2)) {
            std::cmp::Ordering::Less => Err(ReadDataError::MissingData),
            std::cmp::Ordering::Greater => Err(ReadDataError::ExtraBytes(bytes.len() - len * 2)),
            std::cmp::Ordering::Equal => {
                Ok(bytes.chunks_exact(2).map(|pair| F16(u16::from_le_bytes([pair[0], pair[1]]))).collect())
            }
        }
    }
}

impl ViewElement for F16 {
    fn bytes_as_slice<'a>(bytes: &'a [u8], descriptor: &Value, len: usize) -> Result<&'a [Self], ViewDataError> {
        if !is_f16(descriptor) {
            return Err(ViewDataError::WrongDescriptor(descriptor.clone()));
        }
        let missing = ViewDataError::MissingBytes((len * 2).saturating_sub(bytes.len()));
        let slice: &[F16] = bytemuck::try_cast_slice(bytes).map_err(|_| ViewDataError::Misaligned)?;
        if slice.len() == len { Ok(slice) } else { Err(missing) }
    }
}
