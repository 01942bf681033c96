//! Colours: of dissimilarities, of categories, of lines and letters.

use colorous::{CIVIDIS, VIRIDIS};

/// Red, green, blue.
pub type Colour = [u8; 3];

/// Of letters and axes.
pub const INK: Colour = [38, 38, 38];

/// Of what is less important.
pub const GREY: Colour = [120, 120, 120];

/// Of lines that help the eye.
pub const FAINT: Colour = [224, 224, 224];

pub const WHITE: Colour = [255, 255, 255];

/// How dissimilarities become colours. Both scales are perceptually uniform, and read by people who do not see all colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Blue to yellow
    #[default]
    Cividis,
    /// Violet over green to yellow
    Viridis,
}

impl Scale {
    /// The colour of a share between 0 and 1.
    pub fn at(self, share: f64) -> Colour {
        let gradient = match self {
            Scale::Cividis => CIVIDIS,
            Scale::Viridis => VIRIDIS,
        };
        let colour = gradient.eval_continuous(share.clamp(0.0, 1.0));
        [colour.r, colour.g, colour.b]
    }
}

/// Okabe and Ito's colours (2008), which can be told apart by all; black and the light yellow are left out.
const APART: [Colour; 7] =
    [[0, 114, 178], [230, 159, 0], [0, 158, 115], [213, 94, 0], [204, 121, 167], [86, 180, 233], [110, 80, 50]];

/// The colour of category `number` of `count`: of few categories all differ for everyone, of more in hue and lightness.
pub fn category(number: usize, count: usize) -> Colour {
    if count <= APART.len() {
        return APART[number % APART.len()];
    }
    // Hues around the circle, neighbours light and dark in turn.
    let hue = number as f64 / count as f64 * 360.0;
    let lightness = [0.45, 0.62, 0.32][number % 3];
    of_hue(hue, 0.65, lightness)
}

/// The shade of grey of group `number` of `count`, from dark to light.
pub fn shade(number: usize, count: usize) -> Colour {
    let share = if count > 1 { number as f64 / (count - 1) as f64 } else { 0.0 };
    [(60.0 + 150.0 * share).round() as u8; 3]
}

/// From hue in degrees, saturation and lightness (CSS Color 3, section 4.2.4).
fn of_hue(hue: f64, saturation: f64, lightness: f64) -> Colour {
    let reach = saturation * lightness.min(1.0 - lightness);
    [0.0, 8.0, 4.0].map(|n| {
        let k = (n + hue / 30.0) % 12.0;
        let value = lightness - reach * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        (value * 255.0).round() as u8
    })
}

/// A lighter shade: `share` of the colour, the rest white.
pub fn lighter(colour: Colour, share: f64) -> Colour {
    colour.map(|value| (255.0 - (255.0 - f64::from(value)) * share).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_differ() {
        for count in [2, 7, 8, 27, 60] {
            let mut colours: Vec<_> = (0..count).map(|number| category(number, count)).collect();
            colours.sort_unstable();
            colours.dedup();
            assert_eq!(colours.len(), count);
        }
        assert_eq!(of_hue(120.0, 1.0, 0.5), [0, 255, 0]);
    }
}
