//! Vectors, distances in the plane, scrambled bits and noise.

use std::array::from_fn;

/// A point, a direction or a colour (linear red, green and blue).
pub type Vector = [f32; 3];

/// `a + t * b`.
pub fn along(a: Vector, b: Vector, t: f32) -> Vector {
    from_fn(|i| a[i] + t * b[i])
}

/// `a` where `t` is 0, `b` where it is 1.
pub fn mix(a: Vector, b: Vector, t: f32) -> Vector {
    from_fn(|i| a[i] + t * (b[i] - a[i]))
}

/// The scalar product.
pub fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// How long a vector is.
pub fn length(a: Vector) -> f32 {
    dot(a, a).sqrt()
}

/// The vector of length 1 in the same direction.
pub fn unit(a: Vector) -> Vector {
    a.map(|x| x / length(a))
}

/// The direction of an azimuth (from the z axis) and an elevation in degrees.
pub fn direction(azimuth: f32, elevation: f32) -> Vector {
    let ((sa, ca), (se, ce)) = (azimuth.to_radians().sin_cos(), elevation.to_radians().sin_cos());
    [sa * ce, se, ca * ce]
}

/// 0 up to `from`, 1 beyond `to`, smooth between.
pub fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Scrambled bits of a state (SplitMix64), always the same for the same state.
pub fn scramble(state: u64) -> u64 {
    let z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number from 0 to 1 that looks random.
pub fn random(state: u64) -> f32 {
    (scramble(state) >> 40) as f32 / (1 << 24) as f32
}

/// Smooth noise from 0 to 1 with about one hill or dale per unit of length.
pub fn noise(p: Vector) -> f32 {
    let cell = p.map(f32::floor);
    let corner = |n: usize| {
        let (mut key, mut share) = (0, 1.0);
        for i in 0..3 {
            let (next, t) = (n >> i & 1, smoothstep(0.0, 1.0, p[i] - cell[i]));
            key = key << 20 | (cell[i] as i64 + next as i64) as u64 & 0xF_FFFF;
            share *= if next == 1 { t } else { 1.0 - t };
        }
        share * random(key)
    };
    (0..8).map(corner).sum()
}

/// Noise from 0 to 1 with details of four sizes.
pub fn fractal(p: Vector) -> f32 {
    (0..4).map(|octave| noise(p.map(|x| x * (1 << octave) as f32)) / (2 << octave) as f32).sum()
}

/// Signed distance from a point to a polygon, negative inside.
pub fn polygon_distance(corners: &[[f32; 2]], [x, y]: [f32; 2]) -> f32 {
    let (mut nearest, mut side, mut from) = (f32::MAX, 1.0, corners[corners.len() - 1]);
    for &to in corners {
        let (ex, ey, px, py) = (from[0] - to[0], from[1] - to[1], x - to[0], y - to[1]);
        let t = ((px * ex + py * ey) / (ex * ex + ey * ey)).clamp(0.0, 1.0);
        nearest = nearest.min((px - t * ex).powi(2) + (py - t * ey).powi(2));
        if (from[1] > y) != (to[1] > y) && px < ex * py / ey {
            side = -side;
        }
        from = to;
    }
    side * nearest.sqrt()
}
