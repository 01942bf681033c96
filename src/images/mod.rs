//! From files to tensors: which images in which order, their pixels, and what the network is shown of them.

mod claims;
mod conditions;
mod decode;
mod find;
mod formats;
mod indices;
mod list;
mod list_table;
mod listed;
mod look;
mod named;
mod orientation;
mod preprocess;
mod resize;
mod rgb;
mod stack;
mod summary;
mod vector;

pub use conditions::AverageBy;
pub use decode::{decode, decode_bytes};
pub use formats::Reading;
pub use list::{ImageList, Selection};
pub use preprocess::{MOST_SHOWN, Preprocessing, Size};
pub use resize::{Interpolation, Pillow, Resize};
pub use rgb::{Rgb, Window};

pub(crate) use conditions::Conditions;
pub(crate) use list::{Origin, Skipped};
