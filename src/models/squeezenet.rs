//! SqueezeNet: Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
//! <https://arxiv.org/abs/1602.07360>.
//!
//! Names, order and constants are those of torchvision's `models/squeezenet.py`.

use super::misc::draw_anew;
use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::Result;
use serde::Deserialize;
use tch::Tensor;

/// Channels of each of the two expanding convolutions, for one that they expand.
const EXPANSION: i64 = 4;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Channels of the first convolution, and the side of its kernel.
    pub stem: [i64; 2],
    /// Squeezed channels of each [`Fire`], by stages; each stage begins with a pool.
    pub stages: [Vec<i64>; 3],
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds(self.stem.into_iter().chain([self.classes]))?;
        in_bounds(self.stages.iter().flatten().copied())
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(SqueezeNet::new(s, self)?))
    }

    /// Every layer's own default, in order; then all convolutions anew, the last one otherwise than the rest.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        modules.iter().try_for_each(|module| init.reset(module))?;
        for module in modules.iter().filter(|module| module.class == "Conv2d") {
            match module.name.as_str() {
                "classifier.1" => draw_anew(init, module, |init, weight| init.normal(weight, 0.0, 0.01))?,
                _ => draw_anew(init, module, |init, weight| init.kaiming_uniform_fan_in(weight))?,
            }
        }
        Ok(())
    }
}

/// Convolutions, the last of which gives a picture of each class; its mean is the logit.
struct SqueezeNet {
    features: Sequential,
    classifier: Sequential,
}

impl SqueezeNet {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let id = s.register("SqueezeNet");
        let (features, c) = features(&(&s / "features"), config)?;
        Ok(id.of(Self { features, classifier: classifier(&(&s / "classifier"), c, config.classes)? }))
    }
}

/// The modules before the classifier, and how many channels come out of them.
fn features(s: &Scope, config: &Config) -> Result<(Sequential, i64)> {
    let [mut c, kernel] = config.stem;
    let mut features = Sequential::new(s);
    features.push(s, |s| conv2d(s, 3, c, kernel, Conv { stride: 2, ..Conv::default() }))?;
    features.push(s, |s| Ok(relu(s)))?;
    for stage in &config.stages {
        features.push(s, |s| Ok(max_pool2d_ceil(s, 3, 2)))?;
        for &squeezed in stage {
            features.push(s, |s| Fire::new(s, c, squeezed, EXPANSION * squeezed))?;
            c = 2 * EXPANSION * squeezed;
        }
    }
    Ok((features, c))
}

fn classifier(s: &Scope, c: i64, classes: i64) -> Result<Sequential> {
    let mut classifier = Sequential::new(s);
    classifier.push(s, |s| Ok(dropout(s)))?;
    classifier.push(s, |s| conv2d(s, c, classes, 1, Conv::default()))?;
    classifier.push(s, |s| Ok(relu(s)))?;
    classifier.push(s, |s| Ok(adaptive_avg_pool2d(s, 1)))?;
    Ok(classifier)
}

impl Forward for SqueezeNet {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        flatten(&run(pass, x, &[&self.features, &self.classifier])?)
    }
}

/// A convolution to few channels, then two side by side to many.
struct Fire {
    squeeze: Conv2d,
    squeeze_activation: Function,
    expand1x1: Conv2d,
    expand1x1_activation: Function,
    expand3x3: Conv2d,
    expand3x3_activation: Function,
}

impl Fire {
    fn new(s: Scope, c_in: i64, squeezed: i64, expanded: i64) -> Result<Named<Self>> {
        Ok(s.register("Fire").of(Self {
            squeeze: conv2d(&s / "squeeze", c_in, squeezed, 1, Conv::default())?,
            squeeze_activation: relu(&s / "squeeze_activation"),
            expand1x1: conv2d(&s / "expand1x1", squeezed, expanded, 1, Conv::default())?,
            expand1x1_activation: relu(&s / "expand1x1_activation"),
            expand3x3: conv2d(&s / "expand3x3", squeezed, expanded, 3, Conv { padding: 1, ..Conv::default() })?,
            expand3x3_activation: relu(&s / "expand3x3_activation"),
        }))
    }
}

impl Forward for Fire {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let x = run(pass, x, &[&self.squeeze, &self.squeeze_activation])?;
        let by_1x1 = run(pass, &x, &[&self.expand1x1, &self.expand1x1_activation])?;
        let by_3x3 = run(pass, &x, &[&self.expand3x3, &self.expand3x3_activation])?;
        Ok(Tensor::f_cat(&[by_1x1, by_3x3], 1)?)
    }
}
