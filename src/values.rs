//! The values of a tensor as bytes in C order, with as few copies as its layout allows.
#![allow(unsafe_code)] // reads a tensor's memory, reasoned at the one place

use anyhow::{Result, bail, ensure};
use bytemuck::Pod;
use tch::{Device, Kind, Tensor};

/// Bytes that a processor keeps at hand: rearranged rows are handed on before they leave its cache.
const PART: usize = 1 << 20;

/// Takes whole rows as bytes, with the number of the first.
pub(crate) type Take<'a> = dyn FnMut(usize, &[u8]) -> Result<()> + 'a;

/// Hands the float32 or float16 rows of `tensor` `[N, …]`, which is on the CPU, to `take` in C order, some at a time: their
/// own memory if they lie there so, else `room`.
pub(crate) fn each_part(tensor: &Tensor, room: &mut Vec<f32>, take: &mut Take) -> Result<()> {
    match tensor.kind() {
        Kind::Float => parts::<f32>(tensor, room, take),
        Kind::Half => parts::<u16>(tensor, room, take),
        kind => bail!("values of {kind:?} are not stored"),
    }
}

/// `T` is as large as a value.
fn parts<T: Pod>(tensor: &Tensor, room: &mut Vec<f32>, take: &mut Take) -> Result<()> {
    let plain = match channels_last(tensor) {
        _ if tensor.is_contiguous() => tensor.shallow_clone(),
        None => tensor.f_contiguous()?,
        Some([c, places]) => {
            let row = c * places;
            let rows = (PART / (row * size_of::<T>())).max(1);
            room.resize((rows * row * size_of::<T>()).div_ceil(size_of::<f32>()), 0.0);
            for (part, images) in memory::<T>(tensor)?.chunks(rows * row).enumerate() {
                let room: &mut [T] = &mut bytemuck::cast_slice_mut(room)[..images.len()];
                images.chunks_exact(row).zip(room.chunks_exact_mut(row)).for_each(|(image, row)| transpose(image, row, c));
                take(part * rows, bytemuck::cast_slice(room))?;
            }
            return Ok(());
        }
    };
    take(0, bytemuck::cast_slice(memory::<T>(&plain)?))
}

/// All values of `dense`, which has no gaps, in the order of memory.
pub(crate) fn memory<T: Pod>(dense: &Tensor) -> Result<&[T]> {
    let is_here = dense.device() == Device::Cpu && dense.kind().elt_size_in_bytes() == size_of::<T>();
    ensure!(is_here, "a tensor on the CPU with values of {} bytes is needed", size_of::<T>());
    // SAFETY: a tensor without gaps has `numel` aligned values of this size from its pointer on, and any bits are a `Pod`.
    // They live as long as it, and nobody writes to an output (the rule of `nn`).
    Ok(unsafe { std::slice::from_raw_parts(dense.data_ptr().cast(), dense.numel()) })
}

/// The numbers of channels and places, if `x` is `[N, C, H, W]` with its channels side by side and no gaps.
fn channels_last(x: &Tensor) -> Option<[usize; 2]> {
    let (size, stride) = (x.size(), x.stride());
    let [_, c, h, w] = size[..] else { return None };
    let dense = stride == [c * h * w, 1, w * c, c];
    dense.then_some([c as usize, (h * w) as usize])
}

/// `[places, C]` to `[C, places]`, in blocks that stay in the nearest cache.
fn transpose<T: Copy>(from: &[T], to: &mut [T], c: usize) {
    const CHANNELS: usize = 16;
    const PLACES: usize = 8;
    let places = from.len() / c;
    for first_place in (0..places).step_by(PLACES) {
        for first in (0..c).step_by(CHANNELS) {
            for channel in first..c.min(first + CHANNELS) {
                let to = &mut to[channel * places..][..places];
                for place in first_place..places.min(first_place + PLACES) {
                    to[place] = from[place * c + channel];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_gives_the_order_of_c() {
        let x = Tensor::arange(2 * 19 * 5 * 3, (Kind::Float, Device::Cpu));
        let room = &mut Vec::new();
        let expected: Vec<f32> = (0..2 * 19 * 5 * 3).map(|i| i as f32).collect();
        let expected: &[u8] = bytemuck::cast_slice(&expected);
        let plain = x.view([2, 19, 5, 3]);
        let channels_last = plain.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let mirrored = plain.permute([0, 1, 3, 2]).contiguous().permute([0, 1, 3, 2]);
        assert!(!channels_last.is_contiguous() && !mirrored.is_contiguous());
        let mut bytes = |tensor: &Tensor| {
            let mut all = Vec::new();
            each_part(tensor, room, &mut |first, part| {
                assert_eq!(first * 19 * 5 * 3 * 4, all.len());
                all.extend_from_slice(part);
                Ok(())
            })
            .map(|()| all)
        };
        for tensor in [&plain, &channels_last, &mirrored] {
            assert_eq!(bytes(tensor).unwrap(), expected);
        }
        assert_eq!(bytes(&channels_last.narrow(0, 0, 1)).unwrap(), &expected[..expected.len() / 2]);
        assert_eq!(bytes(&plain.narrow(1, 3, 4)).unwrap().len(), 2 * 4 * 5 * 3 * 4);
        assert!(bytes(&x.to_kind(Kind::Double)).is_err());

        let mut halves = Vec::new();
        let odd = channels_last.narrow(0, 0, 1).to_kind(Kind::Half);
        assert!(!odd.is_contiguous());
        each_part(&odd, &mut Vec::new(), &mut |_, part| {
            halves.extend_from_slice(part);
            Ok(())
        })
        .unwrap();
        let expected: Vec<u8> = (0..19 * 5 * 3).flat_map(|i| half::f16::from_f32(i as f32).to_le_bytes()).collect();
        assert_eq!(halves, expected);

        let large = Tensor::rand([5, 64, 56, 56], (Kind::Float, Device::Cpu));
        let channels_last = large.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let mut firsts = Vec::new();
        each_part(&channels_last, &mut Vec::new(), &mut |first, part| {
            let rows = part.len() / (64 * 56 * 56 * 4);
            let expected = large.narrow(0, first as i64, rows as i64);
            firsts.push(first);
            assert_eq!(part, bytemuck::cast_slice::<f32, u8>(memory(&expected)?));
            Ok(())
        })
        .unwrap();
        assert_eq!(firsts, [0, 1, 2, 3, 4]);
    }
}
