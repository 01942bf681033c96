//! VGG: Simonyan & Zisserman 2014, "Very deep convolutional networks for large-scale image recognition",
//! <https://arxiv.org/abs/1409.1556>.
//!
//! Names, order and constants are those of torchvision's `models/vgg.py`.

use super::misc::initialise;
use super::{Family, Layout, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::Result;
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of convolutions in each of the five stages.
    pub depths: [usize; 5],
    /// Whether each convolution is followed by a batch norm.
    #[serde(default)]
    pub batch_norm: bool,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds(self.depths.map(|depth| depth as i64))?;
        in_bounds([self.classes])
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    /// Trained in parallel without its classifier.
    fn layouts(&self) -> Vec<Layout> {
        vec![Layout::of("features in DataParallel", [["^features.", "features.module."]])]
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(s.register("VGG").of(Vgg {
            features: features(&(&s / "features"), self)?,
            avgpool: adaptive_avg_pool2d(&s / "avgpool", 7),
            classifier: classifier(&(&s / "classifier"), self.classes)?,
        })))
    }

    /// Every layer's own default, in order; then all convolutions and linear layers anew.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        initialise(init, |init, weight| init.normal(weight, 0.0, 0.01))
    }

    fn rows_stand_alone(&self) -> bool {
        true
    }
}

/// Convolutions, a grid of their means, fully connected layers: in VGG 3×3 in five stages, and three. AlexNet is one, too.
pub(super) struct Vgg {
    pub(super) features: Sequential,
    pub(super) avgpool: Function,
    pub(super) classifier: Sequential,
}

fn features(s: &Scope, config: &Config) -> Result<Sequential> {
    let mut features = Sequential::new(s);
    let mut c_in = 3;
    for (depth, c_out) in config.depths.into_iter().zip([64, 128, 256, 512, 512]) {
        for _ in 0..depth {
            features.push(s, |s| conv2d(s, c_in, c_out, 3, Conv { padding: 1, ..Conv::default() }))?;
            if config.batch_norm {
                features.push(s, |s| batch_norm2d(s, c_out))?;
            }
            features.push(s, |s| Ok(relu(s)))?;
            c_in = c_out;
        }
        features.push(s, |s| Ok(max_pool2d(s, 2, 2, 0)))?;
    }
    Ok(features)
}

fn classifier(s: &Scope, classes: i64) -> Result<Sequential> {
    let mut classifier = Sequential::new(s);
    for (d_in, d_out) in [(512 * 7 * 7, 4096), (4096, 4096)] {
        classifier.push(s, |s| linear(s, d_in, d_out))?;
        classifier.push(s, |s| Ok(relu(s)))?;
        classifier.push(s, |s| Ok(dropout(s)))?;
    }
    classifier.push(s, |s| linear(s, 4096, classes))?;
    Ok(classifier)
}

impl Forward for Vgg {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run(pass, x, &[&self.features, &self.avgpool])?;
        self.classifier.forward(pass, &flatten(&y)?)
    }
}
