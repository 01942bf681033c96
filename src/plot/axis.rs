//! The vertical axis of scores: round numbers from below the smallest to above the largest.

use super::colours::{FAINT, INK};
use super::font;
use super::picture::{Anchor, Picture, Text};

/// An axis upwards, `height` long.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
    decimals: usize,
    pub(super) height: f64,
}

const SIZE: f64 = 10.0;

impl Axis {
    /// An axis that holds all `values`, which are finite, and 0.
    pub(super) fn of(values: impl Iterator<Item = f64>, height: f64) -> Axis {
        let (low, high) = values.fold((0.0f64, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
        let span = if high > low { high - low } else { 1.0 };
        let step = round_step(span / 5.0);
        let (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        Axis { low, high: if high > low { high } else { low + step }, step, decimals, height }
    }

    /// Where a value lies, downwards from the upper end.
    pub(super) fn y(&self, value: f64) -> f64 {
        self.height * (self.high - value) / (self.high - self.low)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (first, count) = ((self.low / self.step).round() as i64, ((self.high - self.low) / self.step).round() as i64);
        (first..=first + count).map(|tick| tick as f64 * self.step)
    }

    fn label(&self, tick: f64) -> String {
        format!("{:.*}", self.decimals, tick + 0.0).replace('-', "−")
    }

    /// The room that its numbers and its title need on the left.
    pub(super) fn room(&self) -> f64 {
        let numbers = self.ticks().map(|tick| font::width(&self.label(tick), SIZE, false)).fold(0.0, f64::max);
        (numbers + 8.0 + SIZE + 8.0).ceil()
    }

    /// Draws lines across `width`, the numbers and the title left of `left`; the upper end is at `top`.
    pub(super) fn draw(&self, picture: &mut Picture, [left, top]: [f64; 2], width: f64, title: &str) {
        for tick in self.ticks() {
            let y = top + self.y(tick);
            let is_zero = tick.abs() < self.step / 2.0;
            picture.line([left, y], [left + width, y], if is_zero { INK } else { FAINT }, if is_zero { 1.0 } else { 0.7 });
            picture.write(Text::new(left - 5.0, y + 3.5, SIZE, self.label(tick)).anchored(Anchor::End));
        }
        let (x, y) = (left - self.room() + SIZE, top + self.height / 2.0);
        let title = font::shortened(title, SIZE, self.height + 20.0);
        picture.write(Text::new(x, y, SIZE, title).anchored(Anchor::Middle).turned(-90.0));
    }
}

/// The next of 1, 2, 5, 10 … times a power of ten.
pub(super) fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let leading = step / power;
    power * [1.0, 2.0, 5.0].into_iter().find(|&round| leading <= round + 1e-9).unwrap_or(10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_round_and_hold_all_values() {
        let labels = |values: &[f64]| {
            let axis = Axis::of(values.iter().copied(), 100.0);
            axis.ticks().map(|tick| axis.label(tick)).collect::<Vec<_>>()
        };
        assert_eq!(labels(&[0.41, 0.07]), ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(labels(&[-0.012, 0.03]), ["−0.02", "−0.01", "0.00", "0.01", "0.02", "0.03"]);
        assert_eq!(labels(&[1.0]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&[0.0]), ["0.0", "0.2"]);
        let axis = Axis::of([0.41].into_iter(), 100.0);
        assert_eq!((axis.y(0.5), axis.y(0.0)), (0.0, 100.0));
    }
}
