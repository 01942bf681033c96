//! The learnt positions of tokens, for images of the size that they were learnt for and interpolated for others.

use crate::nn::{Flow, Halt, Interpolation, Parameter, Pass, Scope};
use anyhow::Result;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tch::Tensor;

pub struct Positions {
    /// `[1, L, D]`: of special tokens, then of patches row by row.
    table: Parameter,
    /// How many special tokens have a position.
    prefix: i64,
    /// The number of patches along a side.
    grid: i64,
    patch: i64,
    /// Whether patches must cover an image to its edges.
    whole: bool,
    way: Way,
    made: Mutex<HashMap<[i64; 2], Arc<Parameter>>>,
}

/// How upstream interpolates; all by bicubic splines, corners not aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Smoothed first where they become fewer.
    Antialiased,
    /// As for a grid that is larger by 0.1, which upstream added against rounding.
    Offset,
}

impl Positions {
    /// The parameter `pos_embed` at `s` for `grid × grid` patches of `patch × patch` pixels and, before them, `prefix` special
    /// tokens, each with `d` features.
    pub fn new(s: &Scope, [prefix, grid, patch, d]: [i64; 4], whole: bool, way: Way) -> Result<Positions> {
        let table = s.tensor("pos_embed", &[1, prefix + grid * grid, d])?;
        Ok(Positions { table, prefix, grid, patch, whole, way, made: Mutex::default() })
    }

    /// For images of this height and width in pixels.
    pub fn of(&self, pass: &mut Pass, [h, w]: [i64; 2]) -> Flow<Tensor> {
        let grid = [h / self.patch, w / self.patch];
        check_sides([h, w], self.patch, self.whole)?;
        // Upstream looks at the sides in pixels, too, where it adds 0.1.
        if grid == [self.grid; 2] && (h == w || self.way == Way::Antialiased) {
            return Ok(self.table.shallow_clone());
        }
        pass.interpolates(Interpolation { from: [self.grid; 2], to: grid });
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(positions) = made.get(&grid) {
            return Ok(positions.shallow_clone());
        }
        let positions = Parameter::new(self.interpolated(grid)?);
        let positions = made.entry(grid).or_insert(Arc::new(positions));
        Ok(positions.shallow_clone())
    }

    fn interpolated(&self, [h, w]: [i64; 2]) -> Flow<Tensor> {
        let (grid, d) = (self.grid, self.table.size()[2]);
        let kind = self.table.kind();
        let patches = self.table.f_slice(1, self.prefix, None, 1)?.f_to_kind(tch::Kind::Float)?;
        let picture = patches.f_reshape([1, grid, grid, d])?.f_permute([0, 3, 1, 2])?;
        let picture = match self.way {
            Way::Antialiased => picture.f_internal_upsample_bicubic2d_aa([h, w], false, None, None)?,
            Way::Offset => {
                let scale = |side: i64| Some((side as f64 + 0.1) / grid as f64);
                picture.f_upsample_bicubic2d([h, w], false, scale(h), scale(w))?
            }
        };
        let patches = picture.f_permute([0, 2, 3, 1])?.f_reshape([1, h * w, d])?.f_to_kind(kind)?;
        Ok(Tensor::f_cat(&[self.table.f_narrow(1, 0, self.prefix)?, patches], 1)?)
    }
}

/// Images are not of a size that a network can take; says which are.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UnfitSize(String);

/// Fails if images of this height and width have no patch or, if patches must cover them whole, something left at an edge.
pub fn check_sides(sides: [i64; 2], patch: i64, whole: bool) -> Flow<()> {
    let fits = |side: &i64| *side >= patch && !(whole && side % patch != 0);
    let Some(side) = sides.iter().find(|side| !fits(side)) else { return Ok(()) };
    let below = (side / patch * patch).max(patch);
    let sizes = match whole {
        true => format!("both sides must be multiples of {patch} pixels, as {below} and {} are", below + patch),
        false => format!("both sides must have {patch} pixels or more"),
    };
    Err(Halt::Failed(UnfitSize(sizes).into()))
}
