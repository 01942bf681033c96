//! Small BMP and TIFF files with all kinds of header fields: Pillow's pixels, or an error; never other pixels.

use crate::table;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use thingsvision::images::{Reading, Window, decode_bytes};

#[test]
fn header_fields_mean_what_they_mean_to_pillow() {
    let (mut wrong, mut refused, mut read) = (Vec::new(), Vec::new(), 0);
    for line in table("variants.tsv") {
        let [name, file, size, expected] = &line[..] else { panic!("{line:?}") };
        let bytes = STANDARD.decode(file).unwrap();
        match decode_bytes(&bytes, &Reading::default(), &Window::whole) {
            Ok(picture) => {
                let digest = format!("{:x}", Sha256::digest(picture.bytes()));
                if (size, expected) == (&format!("{}x{}", picture.width, picture.height), &digest) {
                    read += 1;
                } else {
                    wrong.push(format!("{name}: {}x{} instead of {size}", picture.width, picture.height));
                }
            }
            Err(error) if size != "refused" => refused.push(format!("{name}: {error}")),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{} differ from Pillow: {wrong:#?}", wrong.len());
    // Of the others most are files that Pillow misreads: samples in planes that it takes for something else, bytes turned twice.
    assert_eq!((read, refused.len()), (688, 71), "{refused:#?}");
}
