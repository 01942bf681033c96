//! Colours, and how two of them alternate in a solid.

use crate::vectors::{Vector, fractal, mix, noise, smoothstep};
use Texture::{Bricked, Checked, Dotted, Marbled, Plain, Speckled, Striped, Wooden};

/// A named colour: hue in degrees, saturation and lightness from 0 to 1.
#[derive(Clone, Copy)]
pub struct Colour(pub &'static str, pub f32, pub f32, pub f32);

pub const RED: Colour = Colour("red", 2.0, 0.75, 0.45);
pub const ORANGE: Colour = Colour("orange", 26.0, 0.9, 0.52);
pub const YELLOW: Colour = Colour("yellow", 48.0, 0.9, 0.55);
pub const GREEN: Colour = Colour("green", 100.0, 0.5, 0.36);
pub const TEAL: Colour = Colour("teal", 170.0, 0.6, 0.34);
pub const BLUE: Colour = Colour("blue", 214.0, 0.7, 0.48);
pub const PURPLE: Colour = Colour("purple", 275.0, 0.45, 0.45);
pub const PINK: Colour = Colour("pink", 340.0, 0.7, 0.74);
pub const BROWN: Colour = Colour("brown", 26.0, 0.5, 0.36);
const UMBER: Colour = Colour("umber", 24.0, 0.5, 0.25);
pub const CREAM: Colour = Colour("cream", 42.0, 0.55, 0.82);
pub const WHITE: Colour = Colour("white", 40.0, 0.1, 0.94);
pub const GREY: Colour = Colour("grey", 215.0, 0.06, 0.6);
pub const BLACK: Colour = Colour("black", 230.0, 0.12, 0.16);

/// How two colours alternate in a solid.
#[derive(Clone, Copy, Debug)]
pub enum Texture {
    Plain,
    Striped,
    Checked,
    Dotted,
    Bricked,
    Wooden,
    Marbled,
    Speckled,
}

/// Two colours and how they alternate.
#[derive(Clone, Copy)]
pub struct Look(pub Colour, pub Colour, pub Texture);

pub const BARK: Look = Look(BROWN, UMBER, Wooden);
pub const GLASS: Look = Look(Colour("glass", 208.0, 0.35, 0.3), GREY, Plain);
const GRASS: Look = Look(Colour("meadow", 92.0, 0.45, 0.35), Colour("straw", 72.0, 0.45, 0.43), Speckled);
const SNOW: Look = Look(WHITE, Colour("frost", 212.0, 0.4, 0.86), Speckled);
/// The grounds outdoors.
pub const GROUNDS: [Look; 3] = [GRASS, GRASS, SNOW];
const TABLE: Look = Look(Colour("oak", 30.0, 0.45, 0.55), Colour("walnut", 26.0, 0.45, 0.44), Wooden);
const SLATE: Look = Look(Colour("slate", 215.0, 0.15, 0.42), Colour("coal", 215.0, 0.15, 0.3), Speckled);
/// The floors of the studio.
pub const FLOORS: [Look; 4] = [TABLE, SLATE, Look(GREY, WHITE, Checked), Look(CREAM, GREY, Marbled)];
/// The walls of the studio.
pub const WALLS: [Colour; 4] = [CREAM, GREY, Colour("sky", 205.0, 0.4, 0.7), Colour("moss", 90.0, 0.2, 0.6)];

/// How much of a look's second colour there is at a point of a solid, 0 to 1.
fn pattern(texture: Texture, [x, y, z]: Vector) -> f32 {
    let row = (y * 7.0).floor();
    match texture {
        Plain => 0.0,
        Striped => smoothstep(-0.05, 0.05, (y * 11.0).sin()),
        Checked => [x, y, z].map(|x| (x * 2.5 + 0.27).floor()).iter().sum::<f32>().rem_euclid(2.0),
        Dotted => smoothstep(0.12, 0.1, [x, y, z].map(|x| ((x * 3.1).rem_euclid(1.0) - 0.5).powi(2)).iter().sum()),
        Bricked => f32::from(y * 7.0 - row < 0.14 || ((x + z) * 3.0 + 0.5 * row).rem_euclid(1.0) < 0.07),
        Wooden => 0.5 + 0.5 * (26.0 * x.hypot(y + 1.3) + 9.0 * noise([x * 2.0, y * 2.0, z * 0.7])).sin(),
        Marbled => (1.0 - (x * 3.0 + y * 2.0 + 8.0 * fractal([x, y, z].map(|x| x * 1.5))).sin().abs()).powi(2),
        Speckled => smoothstep(0.42, 0.66, fractal([x, y, z].map(|x| x * 9.0))),
    }
}

/// The linear red, green and blue of a colour.
pub fn rgb(Colour(_, hue, saturation, lightness): Colour) -> Vector {
    [0.0, 8.0, 4.0].map(|n| {
        let k = (n + hue / 30.0) % 12.0;
        (lightness - saturation * lightness.min(1.0 - lightness) * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0)).powi(2)
    })
}

/// The colour of a look at a point of a solid.
pub fn painted(Look(first, second, texture): Look, p: Vector) -> Vector {
    mix(rgb(first), rgb(second), pattern(texture, p))
}
