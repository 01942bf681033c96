//! AlexNet, the one-tower version of Krizhevsky 2014, "One weird trick for parallelizing convolutional neural
//! networks", <https://arxiv.org/abs/1404.5997>.
//!
//! Names, order and constants are those of torchvision's `models/alexnet.py`.

use super::vgg::Vgg;
use super::{Family, Layout, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::Result;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds([self.classes])
    }

    /// Five convolutions, three fully connected layers.
    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    /// Trained in parallel without its classifier.
    fn layouts(&self) -> Vec<Layout> {
        vec![Layout::of("features in DataParallel", [["^features.", "features.module."]])]
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(s.register("AlexNet").of(Vgg {
            features: features(&(&s / "features"))?,
            avgpool: adaptive_avg_pool2d(&s / "avgpool", 6),
            classifier: classifier(&(&s / "classifier"), self.classes)?,
        })))
    }

    /// Every layer's own default, in order.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        init.modules().iter().try_for_each(|module| init.reset(module))
    }

    fn rows_stand_alone(&self) -> bool {
        true
    }
}

fn features(s: &Scope) -> Result<Sequential> {
    let mut features = Sequential::new(s);
    features.push(s, |s| conv2d(s, 3, 64, 11, Conv { stride: 4, padding: 2, ..Conv::default() }))?;
    features.push(s, |s| Ok(relu(s)))?;
    features.push(s, |s| Ok(max_pool2d(s, 3, 2, 0)))?;
    features.push(s, |s| conv2d(s, 64, 192, 5, Conv { padding: 2, ..Conv::default() }))?;
    features.push(s, |s| Ok(relu(s)))?;
    features.push(s, |s| Ok(max_pool2d(s, 3, 2, 0)))?;
    for (c_in, c_out) in [(192, 384), (384, 256), (256, 256)] {
        features.push(s, |s| conv2d(s, c_in, c_out, 3, Conv { padding: 1, ..Conv::default() }))?;
        features.push(s, |s| Ok(relu(s)))?;
    }
    features.push(s, |s| Ok(max_pool2d(s, 3, 2, 0)))?;
    Ok(features)
}

fn classifier(s: &Scope, classes: i64) -> Result<Sequential> {
    let mut classifier = Sequential::new(s);
    for (d_in, d_out) in [(256 * 6 * 6, 4096), (4096, 4096)] {
        classifier.push(s, |s| Ok(dropout(s)))?;
        classifier.push(s, |s| linear(s, d_in, d_out))?;
        classifier.push(s, |s| Ok(relu(s)))?;
    }
    classifier.push(s, |s| linear(s, 4096, classes))?;
    Ok(classifier)
}
