//! What is shown of a file that holds more than is shown: turned, transparent and further pictures.

use super::decode::opened;
use super::formats::Reading;

/// What of a picture is not shown, as Pillow and torchvision do not show it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Its EXIF orientation says that it lies on a side or is mirrored, and that is not applied.
    pub turned: bool,
    /// Some of its pixels are transparent, and their colours are shown.
    pub transparent: bool,
    /// There are further pages or frames.
    pub continued: bool,
}

impl Look {
    /// At the file that holds `bytes`. Of one that cannot be read nothing is said here.
    pub fn at(bytes: &[u8], reading: &Reading) -> Look {
        opened(bytes, reading, |picture| {
            let turned = !reading.upright && !picture.is_turned_by_pillow();
            Look {
                turned: turned && picture.orientation() != image::metadata::Orientation::NoTransforms,
                continued: picture.is_continued(),
                transparent: picture.is_transparent().unwrap_or(false),
            }
        })
        .unwrap_or_default()
    }
}
