//! A thing in its surroundings, and the light that comes from there to the eye.

use crate::looks::{Look, painted};
use crate::things::Part;
use crate::vectors::{Vector, along, dot, fractal, mix, smoothstep, unit};
use std::array::from_fn;

/// A thing, what is around it, the direction of the sun, and the eye with its directions right, up and back.
pub struct Scene {
    pub parts: Vec<Part>,
    pub outdoor: bool,
    pub ground: Look,
    pub wall: Vector,
    pub sun: Vector,
    pub eye: Vector,
    pub axes: [Vector; 3],
}

impl Scene {
    /// Signed distance from a point to the thing.
    fn distance(&self, p: Vector) -> f32 {
        self.parts.iter().map(|part| part.distance(p)).fold(f32::MAX, f32::min)
    }

    /// How far along a ray the thing is hit, if within 8, and how much of a soft light at its end gets through (0 to 1).
    fn march(&self, from: Vector, ray: Vector) -> (Option<f32>, f32) {
        let (mut t, mut light) = (0.0, 1.0f32);
        while t < 8.0 {
            let gap = self.distance(along(from, ray, t));
            if gap < 0.0004 * (t + 1.0) {
                return (Some(t), 0.0);
            }
            light = light.min(10.0 * gap / (t + 0.01));
            t += gap.max(0.002);
        }
        (None, light)
    }

    /// The direction in which the distance to the thing grows.
    fn normal(&self, p: Vector) -> Vector {
        let beside = |i, step| self.distance(from_fn(|k| if k == i { p[k] + step } else { p[k] }));
        unit(from_fn(|i| beside(i, 0.002) - beside(i, -0.002)))
    }

    /// How much of the sky a point of a surface sees, 0 to 1.
    fn openness(&self, p: Vector, normal: Vector) -> f32 {
        let hidden = [0.08, 0.2, 0.4].map(|step| 1.0 - (self.distance(along(p, normal, step)) / step).clamp(0.0, 1.0));
        1.0 - 0.3 * hidden.iter().sum::<f32>()
    }

    /// The studio's wall, or hills and a sky with clouds.
    fn background(&self, ray: Vector) -> Vector {
        if !self.outdoor {
            return self.wall.map(|x| x * (0.8 + 0.5 * ray[1] + 0.25 * dot(ray, self.sun)));
        }
        let (up, far) = (ray[1].max(0.0), 1.0 / (ray[1].max(0.0) + 0.12));
        let clouds = smoothstep(0.45, 0.75, fractal([ray[0] * far, self.sun[0] * 9.0, ray[2] * far]));
        let sky = mix(mix([0.62, 0.75, 0.86], [0.12, 0.32, 0.72], smoothstep(0.0, 0.6, up)), [0.95; 3], clouds);
        let hill = 0.16 * fractal([ray[0] * 4.0, self.sun[2] * 9.0, ray[2] * 4.0]).max(0.25) - 0.03;
        mix([0.2, 0.32, 0.3], sky, smoothstep(hill - 0.003, hill + 0.003, up))
    }

    /// The light that a surface of the given colour sends back against a ray.
    fn lit(&self, p: Vector, normal: Vector, ray: Vector, colour: Vector, gloss: f32) -> Vector {
        let facing = dot(normal, self.sun);
        let sun = if facing > 0.0 { facing * self.march(along(p, normal, 0.01), self.sun).1 } else { 0.0 };
        let sky = self.openness(p, normal) * (0.7 + 0.3 * normal[1]);
        let shine = gloss * sun * dot(normal, unit(along(self.sun, ray, -1.0))).max(0.0).powi(70);
        let mirror = self.background(along(ray, normal, -2.0 * dot(normal, ray)));
        let seen = gloss * (0.06 + 0.5 * (1.0 + dot(normal, ray)).clamp(0.0, 1.0).powi(4)) * sky;
        from_fn(|i| colour[i] * ([0.95, 0.88, 0.78][i] * sun + [0.34, 0.38, 0.44][i] * sky) + shine + seen * mirror[i])
    }

    /// The light that the thing sends back against a ray from one of its points.
    fn thing(&self, p: Vector, ray: Vector) -> Vector {
        let nearest = self.parts.iter().min_by(|a, b| a.distance(p).total_cmp(&b.distance(p)));
        let colour = nearest.map_or([0.0; 3], |part| painted(part.look, part.local(p)));
        self.lit(p, self.normal(p), ray, colour, if self.outdoor { 0.1 } else { 0.6 })
    }

    /// The light that comes along a ray to the eye: from the thing, from the ground, or from what the ground fades into.
    fn light(&self, ray: Vector) -> Vector {
        let down = if ray[1] < 0.0 { -self.eye[1] / ray[1] } else { f32::MAX };
        match self.march(self.eye, ray).0 {
            Some(t) if t < down => self.thing(along(self.eye, ray, t), ray),
            _ if down < f32::MAX => {
                let p = along(self.eye, ray, down);
                let (near, far) = if self.outdoor { (6.0, 60.0) } else { (3.0, 7.0) };
                let lit = self.lit(p, [0.0, 1.0, 0.0], ray, painted(self.ground, p), 0.1);
                mix(lit, self.background(ray), smoothstep(near, far, p[0].hypot(p[2])))
            }
            _ => self.background(ray),
        }
    }

    /// The red, green and blue of all pixels, each the mean over its four quarters.
    pub fn render(&self, width: u16, height: u16) -> Vec<u8> {
        let [right, up, back] = self.axes;
        let seen = |x: f32, y: f32| {
            let scale = 1.5 * f32::from(width.min(height));
            let (x, y) = ((x - f32::from(width) / 2.0) / scale, (f32::from(height) / 2.0 - y) / scale);
            self.light(unit(from_fn(|i| x * right[i] + y * up[i] - back[i])))
        };
        let pixel = |(x, y)| {
            let quarters = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]];
            let light = quarters.map(|[dx, dy]| seen(f32::from(x) + dx, f32::from(y) + dy));
            let exposed = |light: f32| (255.0 * (1.0 - (-0.45 * light).exp()).sqrt()) as u8;
            [0, 1, 2].map(|i| exposed(light.iter().map(|quarter| quarter[i]).sum()))
        };
        (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(pixel).collect()
    }
}
