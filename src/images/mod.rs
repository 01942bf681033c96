//! From files to tensors: which images in which order, their pixels, and what the network is shown of them.

mod bmp;
mod conditions;
mod decode;
mod find;
mod format;
mod gif;
mod ifd;
mod indices;
mod jpeg;
mod list;
mod orientation;
mod png;
mod pnm;
mod preprocess;
mod resize;
mod rgb;
mod stack;
mod summary;
mod tiff;
mod vector;
mod webp;

pub use conditions::{AverageBy, Conditions};
pub use decode::{decode, decode_bytes};
pub use format::Reading;
pub use list::{ImageList, Origin, Selection, Skipped};
pub use preprocess::{MOST_SHOWN, Preprocessing, Size};
pub use resize::{Interpolation, Pillow, Resize};
pub use rgb::{Pixel, Rgb, Window};
