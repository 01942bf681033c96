//! The kinds of things, the parts they are made of, and how far these are from a point.

use crate::looks::Texture::{Bricked, Checked, Dotted, Marbled, Plain, Speckled, Striped, Wooden};
use crate::looks::{BARK, BLACK, BLUE, BROWN, CREAM, GLASS, GREEN, GREY, Look, ORANGE, PINK, PURPLE, RED, TEAL, WHITE, YELLOW};
use crate::vectors::{Vector, along, dot, fractal, length, polygon_distance};
use Shape::{Ball, Block, Extruded, Ring, Turned};
use std::array::from_fn;
use std::f32::consts::FRAC_PI_2;

/// A kind of thing: folder, noun, how round (0 to 1) and how elongated (longest by shortest side) it is, and its looks.
pub struct Kind(pub &'static str, pub &'static str, pub f64, pub f64, pub &'static [Look]);

/// All kinds, three of each folder.
pub const KINDS: [Kind; 18] = [
    Kind("balls", "ball", 1.0, 1.0, &[Look(RED, WHITE, Striped), Look(BLUE, YELLOW, Dotted), Look(PURPLE, CREAM, Marbled)]),
    Kind("balls", "pair", 0.9, 1.7, &[Look(GREEN, CREAM, Marbled), Look(ORANGE, BLACK, Checked), Look(TEAL, PINK, Plain)]),
    Kind("balls", "rugby-ball", 0.9, 1.8, &[Look(BROWN, ORANGE, Wooden), Look(YELLOW, RED, Striped)]),
    Kind("blocks", "cube", 0.1, 1.0, &[Look(BLUE, WHITE, Checked), Look(RED, CREAM, Dotted), Look(BROWN, ORANGE, Wooden)]),
    Kind("blocks", "stack", 0.1, 1.9, &[Look(YELLOW, BLUE, Plain), Look(PINK, PURPLE, Marbled), Look(GREEN, CREAM, Striped)]),
    Kind("blocks", "arch", 0.2, 1.2, &[Look(RED, GREY, Bricked), Look(TEAL, ORANGE, Plain)]),
    Kind("bottles", "bottle", 0.7, 2.2, &[Look(GREEN, BROWN, Plain), Look(BLUE, WHITE, Striped), Look(PURPLE, PINK, Dotted)]),
    Kind("bottles", "vase", 0.8, 1.5, &[Look(WHITE, BLUE, Marbled), Look(ORANGE, BROWN, Striped), Look(TEAL, CREAM, Checked)]),
    Kind("bottles", "mug", 0.6, 1.2, &[Look(YELLOW, RED, Dotted), Look(RED, BLACK, Plain)]),
    Kind("rings", "ring", 0.8, 3.6, &[Look(YELLOW, ORANGE, Plain), Look(PINK, WHITE, Speckled), Look(BLACK, WHITE, Striped)]),
    Kind("rings", "link", 0.8, 1.6, &[Look(BLUE, GREY, Marbled), Look(ORANGE, TEAL, Plain), BARK]),
    Kind("rings", "tower", 0.9, 1.1, &[Look(GREEN, YELLOW, Plain), Look(RED, WHITE, Checked)]),
    Kind("trees", "oak", 0.7, 1.2, &[Look(GREEN, YELLOW, Speckled), Look(ORANGE, RED, Speckled), Look(GREEN, RED, Dotted)]),
    Kind("trees", "fir", 0.4, 1.4, &[Look(TEAL, GREEN, Speckled), Look(TEAL, YELLOW, Dotted), Look(WHITE, TEAL, Striped)]),
    Kind("trees", "poplar", 0.6, 2.8, &[Look(GREEN, TEAL, Speckled), Look(YELLOW, ORANGE, Speckled)]),
    Kind("houses", "cottage", 0.0, 1.4, &[Look(WHITE, BROWN, Plain), Look(RED, GREY, Bricked), BARK]),
    Kind("houses", "villa", 0.0, 1.2, &[Look(YELLOW, RED, Plain), Look(CREAM, BROWN, Bricked), Look(TEAL, WHITE, Striped)]),
    Kind("houses", "turret", 0.5, 1.6, &[Look(GREY, BLUE, Checked), Look(PINK, PURPLE, Striped)]),
];

/// A ball (radius, roughness), block (half sides), ring (radius, thickness), or an outline of (radius or x, height) turned
/// about the vertical or extruded both ways.
#[derive(Clone)]
enum Shape {
    Ball(f32, f32),
    Block(Vector),
    Ring(f32, f32),
    Turned(Vec<[f32; 2]>),
    Extruded(Vec<[f32; 2]>, f32),
}

/// A solid with its look, its place and the axes of its own coordinates.
#[derive(Clone)]
pub struct Part {
    pub look: Look,
    shape: Shape,
    at: Vector,
    axes: [Vector; 3],
}

/// A part that stands straight.
fn part(look: Look, shape: Shape, at: Vector) -> Part {
    tilted(look, shape, at, 0.0, 0.0)
}

/// A part that leans, and then is turned about the vertical (radians).
fn tilted(look: Look, shape: Shape, at: Vector, lean: f32, turn: f32) -> Part {
    let ((sl, cl), (st, ct)) = (lean.sin_cos(), turn.sin_cos());
    Part { look, shape, at, axes: [[ct, 0.0, -st], [sl * st, cl, sl * ct], [cl * st, -sl, cl * ct]] }
}

/// The solid turned from a line through (radius, height) whose corners are cut three times.
fn lathe(line: &[[f32; 2]]) -> Shape {
    let (first, last, mut curve) = (line[0], line[line.len() - 1], line.to_vec());
    for _ in 0..3 {
        let cut = curve.windows(2).flat_map(|ends| [0.25, 0.75].map(|t| from_fn(|i| ends[0][i] + t * (ends[1][i] - ends[0][i]))));
        curve = [vec![first], cut.collect(), vec![last]].concat();
    }
    Turned([curve, vec![[-1.0, last[1]], [-1.0, first[1]]]].concat())
}

/// The parts of the balls, in the order of `KINDS` as those of all things below.
pub fn balls(main: Look, other: Look) -> [Vec<Part>; 3] {
    let ball = |look, radius, x, z| tilted(look, Ball(radius, 0.0), [x, radius, z], 0.5, 0.6);
    let rugby = lathe(&[[0.0, -1.3], [0.4, -1.25], [0.8, -0.5], [0.8, 0.5], [0.4, 1.25], [0.0, 1.3]]);
    let pair = vec![ball(main, 0.75, -0.5, 0.0), ball(other, 0.5, 0.75, 0.35)];
    [vec![ball(main, 1.0, 0.0, 0.0)], pair, vec![tilted(main, rugby, [0.0, 0.7, 0.0], FRAC_PI_2, 1.2)]]
}

/// The parts of the blocks.
pub fn blocks(main: Look, other: Look) -> [Vec<Part>; 3] {
    let cube = |look, half, y, turn| tilted(look, Block([half; 3]), [0.0, y, 0.0], 0.0, turn);
    let pillar = |x| part(main, Block([0.25, 0.6, 0.3]), [x, 0.6, 0.0]);
    let lintel = part(other, Block([1.0, 0.2, 0.32]), [0.0, 1.4, 0.0]);
    let gable = part(main, Extruded(vec![[-0.9, 1.6], [0.9, 1.6], [0.0, 2.2]], 0.3), [0.0; 3]);
    let stack = vec![cube(main, 0.48, 0.48, 0.2), cube(other, 0.38, 1.34, 0.8), cube(main, 0.28, 2.0, 0.4)];
    [vec![cube(main, 0.8, 0.8, 0.5)], stack, vec![pillar(-0.65), pillar(0.65), lintel, gable]]
}

/// The parts of the bottles.
pub fn bottles(main: Look, other: Look) -> [Vec<Part>; 3] {
    let bottle = lathe(&[[0.0, 0.0], [0.5, 0.0], [0.55, 0.1], [0.55, 1.0], [0.55, 1.3], [0.2, 1.4], [0.19, 2.0], [0.0, 2.0]]);
    let cap = lathe(&[[0.0, 1.95], [0.26, 1.95], [0.26, 2.0], [0.26, 2.2], [0.2, 2.2], [0.0, 2.2]]);
    let vase = lathe(&[[0.0, 0.0], [0.5, 0.0], [0.4, 0.2], [1.0, 0.9], [0.8, 1.5], [0.2, 1.5], [0.5, 2.2], [0.0, 1.5]]);
    let mug = lathe(&[[0.0, 0.0], [0.7, 0.0], [0.75, 0.1], [0.75, 1.5], [0.7, 1.6], [0.6, 1.5], [0.6, 0.1], [0.0, 0.1]]);
    let handle = tilted(other, Ring(0.42, 0.1), [0.75, 0.75, 0.0], FRAC_PI_2, 0.0);
    let stand = |shape| part(main, shape, [0.0; 3]);
    [vec![stand(bottle), part(other, cap, [0.0; 3])], vec![stand(vase)], vec![stand(mug), handle]]
}

/// The parts of the rings.
pub fn rings(main: Look, other: Look) -> [Vec<Part>; 3] {
    let flat = |look, radius, thickness, x, y| part(look, Ring(radius, thickness), [x, y, 0.0]);
    let upright = tilted(other, Ring(0.7, 0.16), [0.45, 0.86, 0.0], FRAC_PI_2, 0.2);
    let storey = |n: usize| flat([main, other][n % 2], 0.8 - 0.14 * n as f32, 0.2, 0.0, 0.2 + 0.36 * n as f32);
    [vec![flat(main, 0.9, 0.35, 0.0, 0.35)], vec![flat(main, 0.75, 0.16, -0.4, 0.16), upright], (0..5).map(storey).collect()]
}

/// The parts of the trees.
pub fn trees(main: Look, _: Look) -> [Vec<Part>; 3] {
    let trunk = part(BARK, lathe(&[[0.0, -0.1], [0.4, -0.1], [0.15, 0.2], [0.12, 1.3], [0.0, 1.3]]), [0.0; 3]);
    let blob = |[radius, x, y]: [f32; 3]| part(main, Ball(radius, 0.2), [x, y, 0.4 * x * x]);
    let cone = |[radius, y]: [f32; 2]| part(main, Turned(vec![[-radius, y], [radius, y], [0.0, y + 0.9]]), [0.0; 3]);
    let crown = [[0.6, 0.0, 1.6], [0.5, -0.6, 1.3], [0.5, 0.6, 1.35], [0.4, 0.1, 1.2], [0.4, -0.2, 1.9]].map(blob);
    let column = [[0.36, 0.0, 0.7], [0.4, 0.05, 1.1], [0.36, -0.05, 1.5], [0.28, 0.0, 1.85], [0.16, 0.0, 2.2]].map(blob);
    let cones = [[0.8, 0.35], [0.64, 0.8], [0.48, 1.3]].map(cone);
    [crown.to_vec(), cones.to_vec(), column.to_vec()].map(|foliage| [vec![trunk.clone()], foliage].concat())
}

/// A house of the given half width, height of walls and half depth, with windows at (x, height) in its front.
fn house(main: Look, other: Look, [width, height, depth]: Vector, windows: &[[f32; 2]]) -> Vec<Part> {
    let (eaves, low, ridge) = (width + 0.2, height - 0.1, height + 0.7 * width);
    let walls = vec![[-width, -0.1], [width, -0.1], [width, height], [0.0, ridge], [-width, height]];
    let roof = vec![[-eaves, low], [0.0, ridge], [eaves, low], [eaves, low + 0.12], [0.0, ridge + 0.15], [-eaves, low + 0.12]];
    let front = |look, [x, y]: [f32; 2], half: Vector| part(look, Block(half), [x, y, depth]);
    let window = |&at| [front(Look(WHITE, GREY, Plain), at, [0.2, 0.22, 0.04]), front(GLASS, at, [0.15, 0.17, 0.06])];
    let shell = [part(main, Extruded(walls, depth), [0.0; 3]), part(other, Extruded(roof, depth + 0.15), [0.0; 3])];
    let chimney = part(other, Block([0.12, 0.3, 0.12]), [0.5 * width, ridge - 0.1, -0.3]);
    let door = front(BARK, [0.0, 0.35], [0.19, 0.4, 0.05]);
    windows.iter().flat_map(window).chain(shell).chain([chimney, door]).collect()
}

/// The parts of the houses.
pub fn houses(main: Look, other: Look) -> [Vec<Part>; 3] {
    let walls = lathe(&[[0.0, -0.1], [0.7, -0.1], [0.55, 0.4], [0.55, 1.4], [0.55, 1.5], [0.0, 1.5]]);
    let cap = part(other, Turned(vec![[-0.8, 1.4], [0.8, 1.4], [0.0, 2.3]]), [0.0; 3]);
    let slit = part(GLASS, Block([0.1, 0.2, 0.06]), [0.0, 1.1, 0.54]);
    let door = part(BARK, Block([0.2, 0.4, 0.06]), [0.0, 0.3, 0.58]);
    let storeys = [[-0.5, 0.5], [0.5, 0.5], [-0.5, 1.1], [0.0, 1.1], [0.5, 1.1]];
    let cottage = house(main, other, [0.95, 0.85, 0.7], &[[-0.56, 0.5], [0.56, 0.5]]);
    [cottage, house(main, other, [0.85, 1.4, 0.6], &storeys), vec![part(main, walls, [0.0; 3]), cap, slit, door]]
}

impl Part {
    /// A point of space in the part's own coordinates.
    pub fn local(&self, p: Vector) -> Vector {
        self.axes.map(|axis| dot(axis, along(p, self.at, -1.0)))
    }

    /// Signed distance from a point of space to the surface, or less.
    pub fn distance(&self, p: Vector) -> f32 {
        let local @ [x, y, z] = self.local(p);
        match &self.shape {
            Ball(radius, roughness) => match length(local) - radius {
                near if near < 2.0 * roughness => 0.6 * (near - roughness * (fractal(local.map(|x| x * 4.0)) - 0.4)),
                far => far,
            },
            Block(half) => {
                let beyond: Vector = from_fn(|i| local[i].abs() - half[i] + 0.03);
                length(beyond.map(|d| d.max(0.0))) + beyond[0].max(beyond[1]).max(beyond[2]).min(0.0) - 0.03
            }
            Ring(radius, thickness) => (x.hypot(z) - radius).hypot(y) - thickness,
            Turned(outline) => polygon_distance(outline, [x.hypot(z), y]) - 0.01,
            Extruded(outline, depth) => polygon_distance(outline, [x, y]).max(z.abs() - depth),
        }
    }
}
