//! The RGB bytes of Pillow, and to the bit the tensors that torchvision makes of them.

use crate::{fixtures, table};
use sha2::{Digest, Sha256};
use thingsvision::images::{Preprocessing, decode};

#[test]
fn pixels_equal_pillow_and_tensors_equal_torchvision() {
    let mut wrong = Vec::new();
    for row in table("pixels.tsv") {
        let [file, what, how, digest] = &row[..] else { panic!("{row:?}") };
        let image = decode(&fixtures().join("images").join(file)).unwrap();
        let bytes = match what.as_str() {
            "rgb" => {
                assert_eq!(format!("{}x{}", image.width, image.height), *how, "{file}");
                image.pixels.clone()
            }
            _ => {
                let recipe = recipe(how);
                let mut tensor = vec![f32::NAN; recipe.len()];
                recipe.apply(&image, &mut tensor);
                tensor.iter().flat_map(|value| value.to_le_bytes()).collect()
            }
        };
        if format!("{:x}", Sha256::digest(bytes)) != *digest {
            wrong.push(format!("{file} {what} {how}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// From "resize crop interpolation".
fn recipe(text: &str) -> Preprocessing {
    let [resize, crop, interpolation] = text.split(' ').collect::<Vec<_>>()[..] else { panic!("{text}") };
    Preprocessing {
        resize: resize.parse().unwrap(),
        crop: crop.parse().unwrap(),
        interpolation: serde_json::from_value(interpolation.into()).unwrap(),
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    }
}
