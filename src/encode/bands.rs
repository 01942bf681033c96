//! Weightings of feature spaces that banded ridge tries: those that himalaya draws (Dupré la Tour et al. 2022), bit for bit.

/// `count` weightings of `spaces`, each of sum 1: all alike first, then in turn of Dirichlet distributions of concentration 0.1
/// and 1, as `generate_dirichlet_samples(count, spaces, [0.1, 1.0], seed)`.
pub(super) fn weightings(spaces: usize, count: usize, seed: u64) -> Vec<Vec<f64>> {
    if spaces == 1 {
        return vec![vec![1.0]];
    }
    let mut random = Twister::new(seed as u32);
    let half = count.div_ceil(CONCENTRATIONS.len());
    let of = CONCENTRATIONS.map(|shape| (0..half).map(|_| random.dirichlet(shape, spaces)).collect::<Vec<_>>());
    let mut all: Vec<Vec<f64>> =
        (0..half).flat_map(|number| of.iter().map(move |some| some[number].clone())).take(count).collect();
    all[0] = vec![1.0 / spaces as f64; spaces];
    all
}

const CONCENTRATIONS: [f64; 2] = [0.1, 1.0];

/// MT19937 (Matsumoto & Nishimura 1998), and what `numpy.random.RandomState` makes of it.
struct Twister {
    state: [u32; SIZE],
    next: usize,
}

const SIZE: usize = 624;
const MIDDLE: usize = 397;

impl Twister {
    fn new(seed: u32) -> Twister {
        let mut state = [seed; SIZE];
        for at in 1..SIZE {
            let before = state[at - 1];
            state[at] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(at as u32);
        }
        Twister { state, next: SIZE }
    }

    fn bits(&mut self) -> u32 {
        if self.next == SIZE {
            for at in 0..SIZE {
                let joined = (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % SIZE] & 0x7fff_ffff);
                let twisted = (joined >> 1) ^ if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[at] = self.state[(at + MIDDLE) % SIZE] ^ twisted;
            }
            self.next = 0;
        }
        let mut bits = self.state[self.next];
        self.next += 1;
        bits ^= bits >> 11;
        bits ^= (bits << 7) & 0x9d2c_5680;
        bits ^= (bits << 15) & 0xefc6_0000;
        bits ^ (bits >> 18)
    }

    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        let (high, low) = (self.bits() >> 5, self.bits() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// Of a shape of at most 1 (Ahrens & Dieter 1974).
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape == 1.0 {
            return self.exponential();
        }
        loop {
            let (u, v) = (self.uniform(), self.exponential());
            if u <= 1.0 - shape {
                let x = u.powf(1.0 / shape);
                if x <= v {
                    return x;
                }
            } else {
                let y = -((1.0 - u) / shape).ln();
                let x = (1.0 - shape + shape * y).powf(1.0 / shape);
                if x <= v + y {
                    return x;
                }
            }
        }
    }

    fn dirichlet(&mut self, shape: f64, count: usize) -> Vec<f64> {
        let drawn: Vec<f64> = (0..count).map(|_| self.gamma(shape)).collect();
        let factor = 1.0 / drawn.iter().sum::<f64>();
        drawn.into_iter().map(|value| value * factor).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those of himalaya's `generate_dirichlet_samples`, by `tests/fixtures/encode/make.py`.
    #[test]
    fn weightings_are_those_of_himalaya() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../../tests/fixtures/encode/golden.json")).unwrap();
        let expected: Vec<Vec<f64>> = serde_json::from_value(golden["weightings"].clone()).unwrap();
        let own = weightings(expected[0].len(), expected.len(), golden["seed"].as_u64().unwrap());
        for (own, expected) in own.iter().flatten().zip(expected.iter().flatten()) {
            assert!((own - expected).abs() <= 1e-15, "{own} {expected}");
        }
    }
}
