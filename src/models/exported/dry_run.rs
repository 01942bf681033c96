//! What an exported network gives, from a run of one image and a run of two.
//!
//! The two runs tell which axis of an output is that of the images, also where tokens come first or windows are folded into it,
//! and whether an image's activation depends on the images beside it.

use super::Exported;
use crate::nn::{Call, Channels, ModuleId, Trace};
use crate::torchscript::Output;
use anyhow::{Context, Result, bail, ensure};
use std::borrow::Cow;
use tch::{Device, Kind, Tensor};

/// So many values of an activation are compared.
const SAMPLE: i64 = 256;
/// Relative to the largest of them. One image is multiplied by other kernels than two, and rounding adds up.
const TOLERANCE: f64 = 1e-3;
/// The same on a GPU, which rounds more where it may.
const ROUGH_TOLERANCE: f64 = 0.1;

/// What is said of a network that one image alone can be shown.
pub const NOT_TWO: &str = "it runs with one image, and not with two";

const NOTHING: &str = "it gives no tensor: nothing at all, or the export left out what computes nothing (such as Identity)";
const NO_NUMBERS: &str = "what it gives are no plain numbers";
const NOT_PER_IMAGE: &str = "what it gives does not depend on the number of images";
const OTHER_AXES: &str = "what it gives has no axis for the images";
const MIXED: &str = "what it gives for an image depends on the images beside it";

/// What was seen of one image alone.
struct Seen {
    module: usize,
    begins: bool,
    element: String,
    /// None if the call gave no tensor.
    shape: Option<Vec<i64>>,
    sample: Option<Sample>,
}

/// Some values of an activation, and the size of its largest.
struct Sample {
    values: Tensor,
    scale: f64,
}

/// Runs `network` and records every call.
pub fn trace(network: &Exported, [height, width]: [usize; 2]) -> Result<Trace> {
    let image = noise([1, 3, height as i64, width as i64], network.like)?;
    // Brighter and with more contrast, so that the statistics of a batch, also its extremes, differ from those of an image.
    let other = (image.f_flip([3])? * 1.7).f_add_scalar(0.6)?;
    let tolerance = if network.like == (Kind::Float, Device::Cpu) { TOLERANCE } else { ROUGH_TOLERANCE };
    let mut alone = Vec::new();
    let mut fault = None;
    let mut see = |output: Output, _| {
        let Output { module, begins, element, tensor } = output;
        let real = tensor.as_ref().filter(|tensor| is_real(tensor));
        let sample = real.map(Sample::of).transpose().map_err(|error| fault = Some(error)).unwrap_or_default();
        let shape = tensor.map(|tensor| tensor.size());
        alone.push(Seen { module, begins, element: element.to_owned(), shape, sample });
        true
    };
    network.run_script(&image, None, &mut see)?;
    let mut calls = vec![Call::new(ModuleId::INPUT, vec![1, 3, height as i64, width as i64])];
    let two = Tensor::f_cat(&[&other, &image], 0)?;
    let mut before = alone.iter();
    let mut see = |output: Output, _| {
        let call = match before.next() {
            Some(seen) if (seen.module, seen.element.as_str()) == (output.module, output.element) => {
                let class = &network.manifest.modules[seen.module].class;
                call(seen, &output, tolerance)
                    .map(|call| Call { channels: channels(class, seen, &call.shape, [height, width]), ..call })
            }
            _ => Err(anyhow::anyhow!("its modules are called in another order for two images than for one")),
        };
        match call {
            Ok(call) => calls.push(call),
            Err(error) => fault = Some(error),
        }
        fault.is_none()
    };
    network.run_script(&two, None, &mut see).context(NOT_TWO)?;
    if let Some(fault) = fault {
        return Err(fault);
    }
    ensure!(calls.len() == alone.len() + 1, "fewer modules are called for two images than for one");
    if calls.iter().any(|call| call.module == ModuleId(0) && call.unusable.as_deref() == Some(MIXED)) {
        bail!("its output for an image changes with the images beside it or from run to run, as in training");
    }
    Ok(Trace { calls, interpolation: None })
}

/// The call of which `seen` was seen for the image that is the second of the two of `output`.
fn call(seen: &Seen, output: &Output, tolerance: f64) -> Result<Call> {
    let unusable = |why: &'static str| Call { unusable: Some(Cow::Borrowed(why)), ..describe(seen, 0, vec![1]) };
    let (Some(one), Some(tensor)) = (&seen.shape, &output.tensor) else { return Ok(unusable(NOTHING)) };
    let Some(expected) = &seen.sample else { return Ok(unusable(NO_NUMBERS)) };
    let Some((axis, shape)) = axis_of_images(one, &tensor.size()) else {
        return Ok(unusable(if *one == tensor.size() { NOT_PER_IMAGE } else { OTHER_AXES }));
    };
    let second = tensor.f_movedim_int(axis as i64, 0)?.f_reshape([2, -1])?.f_select(0, 1)?;
    let alike = || -> Result<bool> { Ok(largest(&(some(&second)? - &expected.values))? <= tolerance * expected.scale) };
    Ok(if alike()? { describe(seen, axis, shape) } else { unusable(MIXED) })
}

fn describe(seen: &Seen, axis: usize, shape: Vec<i64>) -> Call {
    let Seen { module, begins, element, .. } = seen;
    Call { begins: *begins, element: element.clone(), axis, ..Call::new(ModuleId(*module), shape) }
}

/// The axis along which images lie, and the shape for one image, batch first; from the shapes for one image and for two.
fn axis_of_images(one: &[i64], two: &[i64]) -> Option<(usize, Vec<i64>)> {
    if one.len() + 1 == two.len() && two[0] == 2 && one == &two[1..] {
        // An axis of one image alone was squeezed away.
        return Some((0, [&[1], one].concat()));
    }
    let differs: Vec<usize> = (0..one.len().min(two.len())).filter(|&axis| one[axis] != two[axis]).collect();
    let &[axis] = differs.as_slice() else { return None };
    if one.len() != two.len() || two[axis] != 2 * one[axis] {
        return None;
    }
    // With windows or the like folded into the axis of the images, which come first in it.
    let folded = if one[axis] == 1 { vec![1] } else { vec![1, one[axis]] };
    let rest = one.iter().enumerate().filter(|(other, _)| *other != axis).map(|(_, size)| *size);
    Some((axis, folded.into_iter().chain(rest).collect()))
}

/// The modules of PyTorch that give channels first.
const CHANNELS_FIRST: [&str; 14] = [
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "ConvTranspose2d",
    "FractionalMaxPool2d",
    "InstanceNorm2d",
    "LPPool2d",
    "LocalResponseNorm",
    "MaxPool2d",
    "SyncBatchNorm",
    "Upsample",
    "UpsamplingBilinear2d",
];

/// Where the channels of an activation `[1, a, b, c]` are: first by the module's class, or the sides of a picture are to each other as those of the image. None
/// if both may be, if neither is, or if windows or the like were folded into the axis of the images.
fn channels(class: &str, seen: &Seen, shape: &[i64], [height, width]: [usize; 2]) -> Option<Channels> {
    let &[_, a, b, c] = shape else { return None };
    let is_folded = seen.shape.as_ref().is_some_and(|seen| seen.len() < shape.len());
    if !is_folded && CHANNELS_FIRST.contains(&class) {
        return Some(Channels::First);
    }
    let like = |rows: i64, columns: i64| {
        let ratio = (rows as f64 / columns as f64) / (height as f64 / width as f64);
        // A side may have been rounded.
        (ratio.ln().abs() - 1.0 / rows.min(columns) as f64) < 0.0 || ratio == 1.0
    };
    match (like(b, c), like(a, b)) {
        (true, false) if !is_folded => Some(Channels::First),
        (false, true) if !is_folded => Some(Channels::Last),
        // A vector for each channel, or one place.
        _ => None,
    }
}

fn is_real(tensor: &Tensor) -> bool {
    let is_plain = !tensor.is_sparse() && tensor.numel() > 0;
    is_plain
        && (tensor.is_floating_point()
            || matches!(tensor.kind(), Kind::Bool | Kind::Uint8 | Kind::Int8 | Kind::Int16 | Kind::Int | Kind::Int64))
}

impl Sample {
    fn of(tensor: &Tensor) -> Result<Sample> {
        Ok(Sample { values: some(tensor)?, scale: largest(tensor)? })
    }
}

/// Values spread evenly, but not always at the same place of a row, as doubles.
fn some(tensor: &Tensor) -> Result<Tensor> {
    let values = tensor.f_reshape([-1])?;
    let step = (values.numel() as i64 / SAMPLE) | 1;
    // The network may change the tensor afterwards.
    Ok(values.f_slice(0, None, None, step)?.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?.copy())
}

/// The largest absolute value that is a number.
fn largest(values: &Tensor) -> Result<f64> {
    let values = values.f_to_kind(Kind::Double)?.f_abs()?.f_nan_to_num(0.0, Some(0.0), Some(0.0))?;
    Ok(values.f_max()?.f_double_value(&[])?)
}

/// Values between −1 and 1 without a pattern that a network may take for one; always the same.
fn noise(shape: [i64; 4], (kind, device): (Kind, Device)) -> Result<Tensor> {
    let count = shape.iter().product::<i64>();
    let places = Tensor::f_arange(count, (Kind::Double, Device::Cpu))?;
    Ok(((places * 12.9898).f_sin()? * 43_758.545_3).f_sin()?.f_view(shape)?.f_to_kind(kind)?.f_to_device(device)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_where_the_sides_of_the_picture_are_not() {
        let of = |shape: [i64; 4], height, width| {
            let seen = Seen { module: 0, begins: true, element: String::new(), shape: Some(shape.to_vec()), sample: None };
            channels("Block", &seen, &shape, [height, width])
        };
        assert_eq!(of([1, 7, 7, 768], 224, 224), Some(Channels::Last));
        assert_eq!(of([1, 768, 7, 7], 224, 224), Some(Channels::First));
        assert_eq!(of([1, 768, 1, 1], 224, 224), Some(Channels::First));
        assert_eq!(of([1, 4, 7, 16], 128, 224), Some(Channels::Last));
        assert_eq!(of([1, 16, 4, 7], 128, 224), Some(Channels::First));
        assert_eq!(of([1, 7, 7, 7], 224, 224), None);
        assert_eq!(of([1, 4, 49, 384], 224, 224), None);
    }

    #[test]
    fn images_are_found_wherever_they_lie() {
        assert_eq!(axis_of_images(&[1, 5], &[2, 5]), Some((0, vec![1, 5])));
        assert_eq!(axis_of_images(&[50, 1, 8], &[50, 2, 8]), Some((1, vec![1, 50, 8])));
        assert_eq!(axis_of_images(&[4, 49, 8], &[8, 49, 8]), Some((0, vec![1, 4, 49, 8])));
        assert_eq!(axis_of_images(&[50, 4, 8], &[50, 8, 8]), Some((1, vec![1, 4, 50, 8])));
        assert_eq!(axis_of_images(&[5], &[2, 5]), Some((0, vec![1, 5])));
        assert_eq!(axis_of_images(&[49, 49], &[49, 49]), None);
        assert_eq!(axis_of_images(&[1, 1], &[2, 2]), None);
        assert_eq!(axis_of_images(&[3, 5], &[5, 5]), None);
    }
}
