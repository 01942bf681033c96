//! fMRI images in NIfTI-1, `.nii` or `.nii.gz`: the voxels of a mask, one volume at a time, so that an image may be larger
//! than memory.
//!
//! Values and affines are nibabel's: `get_fdata()` and `get_best_affine()`.

mod map;

pub(crate) use map::Voxels;

use super::{array, cannot_read};
use crate::error::advise;
use crate::memory;
use crate::npy::{Matrix, ToF64};
use crate::plain_file;
use anyhow::Result;
use flate2::bufread::MultiGzDecoder;
use ndarray::ArrayD;
use nifti::volume::element::DataElement;
use nifti::{InMemNiftiVolume, NiftiError, NiftiHeader, NiftiType, NiftiVolume, StreamedNiftiVolume};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// How far two affines may be apart, in millimetres for a step of a voxel: the rounding of float32 and of quaternions.
const APART: f64 = 1e-3;

/// Where the values of an image without extensions begin, less the 4 bytes that say so.
const HEADER: u64 = 348;

/// No byte of a deflated file stands for more than this many.
const DEFLATED: u64 = 1032;

/// The patterns `[conditions, voxels]` of the 4-D image `betas`, of which the last axis is the conditions, in the voxels
/// that are neither 0 nor NaN in the 3-D image `mask`, in the order of the file.
pub fn patterns(betas: &Path, mask: &Path) -> Result<ArrayD<f64>> {
    let (conditions, mask, values) = inside(betas, mask)?;
    check_finite(&values, betas, &mask)?;
    array(&[conditions, mask.voxels.len()], values, betas)
}

/// The same, which may have NaN, and where the voxels lie.
pub(crate) fn responses(betas: &Path, mask: &Path) -> Result<(Matrix, Voxels)> {
    let (conditions, found, values) = inside(betas, mask)?;
    let voxels = Voxels::of(mask, &found.sizes, found.voxels)?;
    Ok((Matrix::from_rows(conditions, voxels.places.len(), values), voxels))
}

/// How many conditions there are, the mask, and the values of its voxels.
fn inside(betas: &Path, mask: &Path) -> Result<(usize, Mask, Vec<f64>)> {
    let mask = Mask::read(mask)?;
    let image = Image::open(betas)?;
    let conditions = image.conditions()?;
    mask.check_grid(&image)?;
    let needed = (conditions * mask.voxels.len()) as u64 * 8;
    memory::check(&format_args!("the voxels of the mask in `{}`", betas.display()), needed)?;
    let mut values = Vec::with_capacity(conditions * mask.voxels.len());
    for volume in image.volumes {
        let volume = image.scale.values(volume.map_err(|error| damaged(betas, error))?, betas)?;
        values.extend(mask.voxels.iter().map(|&voxel| volume[voxel]));
    }
    Ok((conditions, mask, values))
}

/// Whether the file is called as NIfTI images are.
pub(crate) fn is_called_nifti(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    name.ends_with(".nii") || name.ends_with(".nii.gz")
}

/// An image of which the header was read.
struct Image {
    path: PathBuf,
    sizes: Vec<usize>,
    affine: Affine,
    scale: Scale,
    /// Along the last axis.
    volumes: StreamedNiftiVolume<Box<dyn Read>>,
}

impl Image {
    fn open(path: &Path) -> Result<Image> {
        let mut bytes = decompressed(path)?;
        let header = NiftiHeader::from_reader(&mut bytes).map_err(|_| no_nifti(path))?;
        if header.magic != *b"n+1\0" {
            return Err(no_nifti(path));
        }
        let sizes: Vec<usize> =
            header.dim().map_err(|error| damaged(path, error))?.iter().map(|&size| usize::from(size)).collect();
        if sizes.len() < 3 {
            return Err(advise(
                format!("`{}` is no image of voxels: its shape is {sizes:?}", path.display()),
                "give a NIfTI image",
            ));
        }
        check_size(path, &header, &sizes)?;
        let start = offset(path, header.vox_offset)?;
        // Extensions and gaps.
        io::copy(&mut bytes.by_ref().take(start - HEADER), &mut io::sink()).map_err(|error| damaged(path, error.into()))?;
        let volumes = StreamedNiftiVolume::from_reader(bytes, &header).map_err(|error| damaged(path, error))?;
        Ok(Image { path: path.to_owned(), sizes, affine: Affine::of(&header), scale: Scale::of(&header), volumes })
    }

    /// The size of the fourth axis.
    fn conditions(&self) -> Result<usize> {
        match self.sizes[..] {
            [_, _, _, conditions] if conditions > 1 => Ok(conditions),
            _ => Err(advise(
                format!("`{}` is no series of volumes: its shape is {:?}", self.path.display(), self.sizes),
                "give one 4-D image of all conditions, the last axis in their order (`fslmerge -t`, `nibabel.concat_images`)",
            )),
        }
    }
}

/// Where values begin; 0 stands for the first place that there is, as in nibabel.
fn offset(path: &Path, offset: f32) -> Result<u64> {
    const FIRST: u64 = HEADER + 4;
    match offset {
        0.0 => Ok(FIRST),
        offset if offset >= FIRST as f32 && offset.is_finite() => Ok(offset as u64),
        _ => Err(advise(
            format!("`{}` says that its values begin at byte {offset}, within its header", path.display()),
            "copy it again, or make it anew",
        )),
    }
}

/// The bytes of the image, which may be compressed, in one member or several.
fn decompressed(path: &Path) -> Result<Box<dyn Read>> {
    let file = plain_file::open(path).ok().filter(|_| !path.is_dir()).ok_or_else(|| cannot_read(path))?;
    let mut file = BufReader::with_capacity(1 << 16, file);
    let is_compressed = file.fill_buf().map_err(|error| damaged(path, error.into()))?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Fails if the file cannot hold as many values as its header says, for which room would be made first; or if there is no
/// room for a volume as it lies there and as float64.
fn check_size(path: &Path, header: &NiftiHeader, sizes: &[usize]) -> Result<()> {
    let width = header.data_type().map_err(|error| damaged(path, error))?.size_of() as u64;
    let of = |sizes: &[usize], width| sizes.iter().try_fold(width, |bytes: u64, &size| bytes.checked_mul(size as u64));
    let file = std::fs::metadata(path)?;
    let most = file.len().saturating_mul(DEFLATED);
    if file.is_file() && of(sizes, width).is_none_or(|bytes| bytes > most) {
        let problem = format!("`{}` is too short for an image of the shape {sizes:?}", path.display());
        return Err(advise(problem, "copy it again, or make it anew"));
    }
    let volume = of(&sizes[..sizes.len() - 1], width + 8).unwrap_or(u64::MAX);
    memory::check(&format_args!("a volume of `{}`", path.display()), volume)
}

fn no_nifti(path: &Path) -> anyhow::Error {
    advise(
        format!("`{}` is no NIfTI-1 image", path.display()),
        "give a .nii or .nii.gz; of NIfTI-2, Analyze, MGH or CIFTI make one with `nibabel.Nifti1Image(image.get_fdata(), image.affine)`",
    )
}

fn damaged(path: &Path, error: NiftiError) -> anyhow::Error {
    let reason = match error {
        NiftiError::Io(error) => error.to_string(),
        error => error.to_string(),
    };
    advise(format!("`{}` is not a whole NIfTI image: {reason}", path.display()), "copy it again, or make it anew")
}

/// What turns stored numbers into values: `slope · x + intercept`.
#[derive(Debug, Clone, Copy)]
struct Scale {
    slope: f64,
    intercept: f64,
}

impl Scale {
    /// A slope of 0, or one that is no number, stands for none.
    fn of(header: &NiftiHeader) -> Scale {
        let [slope, intercept] = [header.scl_slope, header.scl_inter].map(f64::from);
        match slope != 0.0 && slope.is_finite() {
            true => Scale { slope, intercept },
            false => Scale { slope: 1.0, intercept: 0.0 },
        }
    }

    /// The values of a volume, the first axis fastest.
    fn values(self, volume: InMemNiftiVolume, path: &Path) -> Result<Vec<f64>> {
        let mut values = stored(volume, path)?;
        values.iter_mut().for_each(|value| *value = *value * self.slope + self.intercept);
        Ok(values)
    }
}

fn stored(volume: InMemNiftiVolume, path: &Path) -> Result<Vec<f64>> {
    match volume.data_type() {
        NiftiType::Uint8 => numbers::<u8>(volume),
        NiftiType::Int8 => numbers::<i8>(volume),
        NiftiType::Uint16 => numbers::<u16>(volume),
        NiftiType::Int16 => numbers::<i16>(volume),
        NiftiType::Uint32 => numbers::<u32>(volume),
        NiftiType::Int32 => numbers::<i32>(volume),
        NiftiType::Uint64 => numbers::<u64>(volume),
        NiftiType::Int64 => numbers::<i64>(volume),
        NiftiType::Float32 => numbers::<f32>(volume),
        NiftiType::Float64 => numbers::<f64>(volume),
        other => {
            let text = format!("{other:?}").to_lowercase();
            Err(advise(format!("`{}` holds values of type {text}", path.display()), "save it as float32"))
        }
    }
}

fn numbers<T: DataElement + ToF64>(volume: InMemNiftiVolume) -> Result<Vec<f64>> {
    Ok(volume.into_nifti_typed_data::<T>()?.into_iter().map(ToF64::to_f64).collect())
}

/// The voxels that are looked at.
struct Mask {
    path: PathBuf,
    sizes: Vec<usize>,
    affine: Affine,
    /// By their places in a volume.
    voxels: Vec<usize>,
}

impl Mask {
    fn read(path: &Path) -> Result<Mask> {
        let Image { sizes, affine, scale, volumes, .. } = Image::open(path)?;
        if !matches!(sizes[..], [_, _, _] | [_, _, _, 1]) {
            return Err(advise(
                format!("`{}` is no mask: its shape is {sizes:?}", path.display()),
                "a mask is a 3-D image, 1 in the voxels that are wanted and 0 elsewhere",
            ));
        }
        let mut values = Vec::new();
        for part in volumes {
            values.extend(scale.values(part.map_err(|error| damaged(path, error))?, path)?);
        }
        let is_inside = |&voxel: &usize| values[voxel].is_finite() && values[voxel] != 0.0;
        let voxels: Vec<usize> = (0..values.len()).filter(is_inside).collect();
        if voxels.is_empty() {
            return Err(advise(
                format!("the mask `{}` is empty: all its voxels are 0", path.display()),
                "a mask is 1, or another number, in the voxels that are wanted",
            ));
        }
        Ok(Mask { path: path.to_owned(), sizes: sizes[..3].to_vec(), affine, voxels })
    }

    /// Fails if the voxels of `image` are others.
    fn check_grid(&self, image: &Image) -> Result<()> {
        let (mask, betas) = (self.path.display(), image.path.display());
        if image.sizes[..3] != self.sizes {
            return Err(advise(
                format!("`{mask}` has the shape {:?}, but the volumes of `{betas}` have {:?}", self.sizes, &image.sizes[..3]),
                "resample the mask to the betas, by nearest neighbour",
            ));
        }
        let apart = self.affine.apart(&image.affine);
        // Not `>`, for an affine may be NaN.
        if apart <= APART {
            return Ok(());
        }
        Err(advise(
            format!("`{mask}` and `{betas}` are not of the same voxels in space: their affines differ by {apart:.3}"),
            "take a mask in the space of the betas, or resample it to them, by nearest neighbour",
        ))
    }
}

/// Fails if a voxel of the mask was not measured in all conditions.
fn check_finite(values: &[f64], betas: &Path, mask: &Mask) -> Result<()> {
    let voxels = mask.voxels.len();
    let lacking = (0..voxels).filter(|&voxel| values[voxel..].iter().step_by(voxels).any(|value| !value.is_finite())).count();
    if lacking == 0 {
        return Ok(());
    }
    Err(advise(
        format!(
            "NaN or infinite values in {lacking} of the {voxels} voxels of `{}` in `{}`, in one condition or more",
            mask.path.display(),
            betas.display()
        ),
        "tighten the mask to voxels that were measured: `mask & np.isfinite(betas).all(axis=-1)`",
    ))
}

/// From the numbers of a voxel to millimetres: three rows of a 4 × 4 matrix.
#[derive(Debug, Clone, Copy)]
struct Affine([[f64; 4]; 3]);

impl Affine {
    /// The `sform` if it has a code, else the `qform` if that has one, else what the sizes of voxels say.
    fn of(header: &NiftiHeader) -> Affine {
        if header.sform_code > 0 {
            return Affine([header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from)));
        }
        if header.qform_code > 0 { Affine::of_quaternion(header) } else { Affine::of_sizes(header) }
    }

    /// The rotation of a unit quaternion of which the first number is left out, as the standard has it.
    fn of_quaternion(header: &NiftiHeader) -> Affine {
        let [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from);
        let a = (1.0 - (b * b + c * c + d * d)).max(0.0).sqrt();
        let rotation = [
            [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
            [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
            [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ];
        let [flip, x, y, z] = [0, 1, 2, 3].map(|axis| f64::from(header.pixdim[axis]));
        let z = if flip < 0.0 { -z } else { z };
        let offsets = [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from);
        Affine([0, 1, 2].map(|row| [rotation[row][0] * x, rotation[row][1] * y, rotation[row][2] * z, offsets[row]]))
    }

    /// Voxels of these sizes around the middle of the image, the first axis from right to left.
    fn of_sizes(header: &NiftiHeader) -> Affine {
        let row = |axis: usize| {
            let size = f64::from(header.pixdim[axis + 1]) * if axis == 0 { -1.0 } else { 1.0 };
            let middle = (f64::from(header.dim[axis + 1]) - 1.0) / 2.0;
            let mut row = [0.0, 0.0, 0.0, -middle * size];
            row[axis] = size;
            row
        };
        Affine([0, 1, 2].map(row))
    }

    /// The largest difference of two numbers at the same place; NaN if one is.
    fn apart(&self, other: &Affine) -> f64 {
        let differences = self.0.iter().flatten().zip(other.0.iter().flatten()).map(|(a, b)| (a - b).abs());
        differences
            .fold(0.0, |largest, difference| if difference > largest || difference.is_nan() { difference } else { largest })
    }
}
