//! From a folder to tensors: which images in which order, their pixels, and what the network is shown of them.

mod decode;
mod jpeg;
mod list;
mod preprocess;
mod resize;
mod rgb;

pub use decode::decode;
pub use list::ImageList;
pub use preprocess::Preprocessing;
pub use resize::{Interpolation, Window, resize};
pub use rgb::Rgb;
