//! DenseNet: Huang et al. 2016, "Densely connected convolutional networks", <https://arxiv.org/abs/1608.06993>.
//!
//! Names, order and constants are those of torchvision's `models/densenet.py`.

use super::{Family, Layout, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::Result;
use serde::Deserialize;
use tch::Tensor;

/// Channels between the two convolutions of a layer, for each that comes out.
const BOTTLENECK: i64 = 4;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Channels that each layer adds.
    pub growth: i64,
    /// The number of layers in each of the four blocks.
    pub depths: [usize; 4],
    /// Channels that come out of the first convolution.
    pub init_features: i64,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds([self.growth, self.init_features, self.classes])?;
        in_bounds(self.depths.map(|depth| depth as i64))
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(DenseNet::new(s, self)?))
    }

    /// Every layer's own default, in order; then all convolutions anew. The classifier keeps its weight.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        modules.iter().try_for_each(|module| init.reset(module))?;
        for module in modules.iter().filter(|module| module.class == "Conv2d") {
            init.kaiming_normal_fan_in(&format!("{}.weight", module.name))?;
        }
        init.fill("classifier.bias", 0.0)
    }

    /// In published files a layer's modules are called `norm.1` and so on, which PyTorch no longer allows.
    fn layouts(&self) -> Vec<Layout> {
        let renames = [[".norm1.", ".norm.1."], [".norm2.", ".norm.2."], [".conv1.", ".conv.1."], [".conv2.", ".conv.2."]];
        vec![Layout::of("PyTorch 0.3", renames)]
    }
}

/// A stem, four dense blocks with transitions between them, a classifier.
struct DenseNet {
    features: Sequential,
    classifier: Linear,
}

impl DenseNet {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let id = s.register("DenseNet");
        let (features, c) = features(&(&s / "features"), config)?;
        Ok(id.of(Self { features, classifier: linear(&s / "classifier", c, config.classes)? }))
    }
}

/// The modules before the classifier, and how many channels come out of them.
fn features(s: &Scope, config: &Config) -> Result<(Sequential, i64)> {
    let Config { growth, depths, init_features: mut c, .. } = *config;
    let mut features = Sequential::new(s);
    features.push_named(s, "conv0", |s| conv2d(s, 3, c, 7, Conv { stride: 2, padding: 3, ..NO_BIAS }))?;
    features.push_named(s, "norm0", |s| batch_norm2d(s, c))?;
    features.push_named(s, "relu0", |s| Ok(relu(s)))?;
    features.push_named(s, "pool0", |s| Ok(max_pool2d(s, 3, 2, 1)))?;
    for (i, depth) in (1..).zip(depths) {
        features.push_named(s, format!("denseblock{i}"), |s| DenseBlock::new(s, depth, c, growth))?;
        c += depth as i64 * growth;
        if i < depths.len() {
            features.push_named(s, format!("transition{i}"), |s| transition(&s, c, c / 2))?;
            c /= 2;
        }
    }
    features.push_named(s, "norm5", |s| batch_norm2d(s, c))?;
    Ok((features, c))
}

impl Forward for DenseNet {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run_then(pass, x, &[&self.features], Activation::Relu)?;
        self.classifier.forward(pass, &flatten(&y.f_adaptive_avg_pool2d([1, 1])?)?)
    }
}

/// Layers that each see the outputs of all before them.
struct DenseBlock {
    layers: Vec<Named<DenseLayer>>,
}

impl DenseBlock {
    fn new(s: Scope, depth: usize, c_in: i64, growth: i64) -> Result<Named<Self>> {
        let id = s.register("_DenseBlock");
        let layer = |i| DenseLayer::new(&s / format!("denselayer{}", i + 1), c_in + i as i64 * growth, growth);
        Ok(id.of(Self { layers: (0..depth).map(layer).collect::<Result<_>>()? }))
    }
}

impl Forward for DenseBlock {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let mut features = vec![x.shallow_clone()];
        for layer in &self.layers {
            features.push(layer.forward(pass, &Tensor::f_cat(&features, 1)?)?);
        }
        Ok(Tensor::f_cat(&features, 1)?)
    }
}

struct DenseLayer {
    norm1: BatchNorm2d,
    relu1: Function,
    conv1: Conv2d,
    norm2: BatchNorm2d,
    relu2: Function,
    conv2: Conv2d,
}

impl DenseLayer {
    fn new(s: Scope, c_in: i64, growth: i64) -> Result<Named<Self>> {
        let c = BOTTLENECK * growth;
        Ok(s.register("_DenseLayer").of(Self {
            norm1: batch_norm2d(&s / "norm1", c_in)?,
            relu1: relu(&s / "relu1"),
            conv1: conv2d(&s / "conv1", c_in, c, 1, NO_BIAS)?,
            norm2: batch_norm2d(&s / "norm2", c)?,
            relu2: relu(&s / "relu2"),
            conv2: conv2d(&s / "conv2", c, growth, 3, Conv { padding: 1, ..NO_BIAS })?,
        }))
    }
}

/// Of the features before it, which Python hands over as a list.
impl Forward for DenseLayer {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        run(pass, x, &[&self.norm1, &self.relu1, &self.conv1, &self.norm2, &self.relu2, &self.conv2])
    }
}

/// Fewer channels, and a quarter of the places.
fn transition(s: &Scope, c_in: i64, c_out: i64) -> Result<Sequential> {
    let mut transition = Sequential::of_class(s, "_Transition");
    transition.push_named(s, "norm", |s| batch_norm2d(s, c_in))?;
    transition.push_named(s, "relu", |s| Ok(relu(s)))?;
    transition.push_named(s, "conv", |s| conv2d(s, c_in, c_out, 1, NO_BIAS))?;
    transition.push_named(s, "pool", |s| Ok(avg_pool2d(s, 2)))?;
    Ok(transition)
}
