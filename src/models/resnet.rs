//! ResNet: He et al. 2015, "Deep residual learning for image recognition", <https://arxiv.org/abs/1512.03385>;
//! ResNeXt: Xie et al. 2016, <https://arxiv.org/abs/1611.05431>; Wide ResNet: Zagoruyko & Komodakis 2016,
//! <https://arxiv.org/abs/1605.07146>.
//!
//! Names, order and constants are those of torchvision's `models/resnet.py`; the stride of a bottleneck is on its
//! 3×3 convolution ("version 1.5").

use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::Result;
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The kind of block.
    pub block: Block,
    /// The number of blocks in `layer1` to `layer4`.
    pub depths: [usize; 4],
    /// Groups of the 3×3 convolutions of bottlenecks (ResNeXt: 32).
    #[serde(default = "one")]
    pub groups: i64,
    /// Channels of a group in `layer1` (ResNeXt-50 32×4d: 4, Wide ResNet-50-2: 128).
    #[serde(default = "sixty_four")]
    pub width_per_group: i64,
    /// The number of classes of the last layer; 0 if `fc` is the identity, as in networks trained without labels.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

fn one() -> i64 {
    1
}

fn sixty_four() -> i64 {
    64
}

/// The two kinds of block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3, 1×1; four times as many channels come out as the 3×3 has.
    Bottleneck,
}

impl Block {
    fn expansion(self) -> i64 {
        match self {
            Block::Basic => 1,
            Block::Bottleneck => 4,
        }
    }
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds([self.groups, self.width_per_group, self.classes + 1])?;
        in_bounds(self.depths.map(|depth| depth as i64))
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(ResNet::new(s, self)?))
    }

    /// Every layer's own default, but a block's `downsample` is made before the block that it is handed to; then all
    /// convolutions anew, in the order of `modules()`. Where `fc` is the identity it has taken the place of a classifier of ImageNet
    /// that was drawn.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        for module in modules {
            let first = format!("{}.downsample.", module.name);
            modules.iter().filter(|module| module.name.starts_with(&first)).try_for_each(|module| init.reset(module))?;
            if !module.name.contains(".downsample.") {
                init.reset(module)?;
            }
        }
        if self.classes == 0 {
            init.skip_uniform(512 * self.block.expansion() * imagenet_classes())?;
            init.skip_uniform(imagenet_classes())?;
        }
        for module in modules.iter().filter(|module| module.class == "Conv2d") {
            init.kaiming_normal_fan_out(&format!("{}.weight", module.name))?;
        }
        Ok(())
    }

    fn rows_stand_alone(&self) -> bool {
        true
    }
}

/// A stem, four layers of residual blocks, a classifier.
struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    relu: Function,
    maxpool: Function,
    layer1: Sequential,
    layer2: Sequential,
    layer3: Sequential,
    layer4: Sequential,
    avgpool: Function,
    fc: Box<dyn Module>,
}

impl ResNet {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let Config { depths, classes, .. } = *config;
        let expansion = config.block.expansion();
        Ok(s.register("ResNet").of(Self {
            conv1: conv2d(&s / "conv1", 3, 64, 7, Conv { stride: 2, padding: 3, ..NO_BIAS })?,
            bn1: batch_norm2d(&s / "bn1", 64)?,
            relu: relu(&s / "relu"),
            maxpool: max_pool2d(&s / "maxpool", 3, 2, 1),
            layer1: layer(&(&s / "layer1"), config, 64, 64, depths[0], 1)?,
            layer2: layer(&(&s / "layer2"), config, 64 * expansion, 128, depths[1], 2)?,
            layer3: layer(&(&s / "layer3"), config, 128 * expansion, 256, depths[2], 2)?,
            layer4: layer(&(&s / "layer4"), config, 256 * expansion, 512, depths[3], 2)?,
            avgpool: adaptive_avg_pool2d(&s / "avgpool", 1),
            fc: match classes {
                0 => Box::new(identity(&s / "fc")),
                classes => Box::new(linear(&s / "fc", 512 * expansion, classes)?),
            },
        }))
    }
}

impl Forward for ResNet {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run(pass, x, &[&self.conv1, &self.bn1, &self.relu, &self.maxpool])?;
        let y = run(pass, &y, &[&self.layer1, &self.layer2, &self.layer3, &self.layer4, &self.avgpool])?;
        self.fc.forward(pass, &flatten(&y)?)
    }
}

fn layer(s: &Scope, config: &Config, c_in: i64, planes: i64, depth: usize, stride: i64) -> Result<Sequential> {
    let c_out = planes * config.block.expansion();
    let width = planes * config.width_per_group / 64 * config.groups;
    let mut layer = Sequential::new(s);
    for i in 0..depth {
        let (c_in, stride) = if i == 0 { (c_in, stride) } else { (c_out, 1) };
        match config.block {
            Block::Basic => layer.push(s, |s| BasicBlock::new(s, c_in, c_out, stride))?,
            Block::Bottleneck => layer.push(s, |s| Bottleneck::new(s, c_in, width, c_out, stride, config.groups))?,
        }
    }
    Ok(layer)
}

struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    relu: Function,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential>,
}

impl BasicBlock {
    fn new(s: Scope, c_in: i64, c_out: i64, stride: i64) -> Result<Named<Self>> {
        Ok(s.register("BasicBlock").of(Self {
            conv1: conv2d(&s / "conv1", c_in, c_out, 3, Conv { stride, padding: 1, ..NO_BIAS })?,
            bn1: batch_norm2d(&s / "bn1", c_out)?,
            relu: relu(&s / "relu"),
            conv2: conv2d(&s / "conv2", c_out, c_out, 3, Conv { padding: 1, ..NO_BIAS })?,
            bn2: batch_norm2d(&s / "bn2", c_out)?,
            downsample: downsample(&s, c_in, c_out, stride)?,
        }))
    }
}

impl Forward for BasicBlock {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run(pass, x, &[&self.conv1, &self.bn1, &self.relu, &self.conv2, &self.bn2])?;
        let identity = shortcut(pass, x, self.downsample.as_ref())?;
        add_relu(pass, y, &identity, &self.relu)
    }
}

struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    conv3: Conv2d,
    bn3: BatchNorm2d,
    relu: Function,
    downsample: Option<Sequential>,
}

impl Bottleneck {
    fn new(s: Scope, c_in: i64, width: i64, c_out: i64, stride: i64, groups: i64) -> Result<Named<Self>> {
        Ok(s.register("Bottleneck").of(Self {
            conv1: conv2d(&s / "conv1", c_in, width, 1, NO_BIAS)?,
            bn1: batch_norm2d(&s / "bn1", width)?,
            conv2: conv2d(&s / "conv2", width, width, 3, Conv { stride, padding: 1, groups, ..NO_BIAS })?,
            bn2: batch_norm2d(&s / "bn2", width)?,
            conv3: conv2d(&s / "conv3", width, c_out, 1, NO_BIAS)?,
            bn3: batch_norm2d(&s / "bn3", c_out)?,
            relu: relu(&s / "relu"),
            downsample: downsample(&s, c_in, c_out, stride)?,
        }))
    }
}

impl Forward for Bottleneck {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run(pass, x, &[&self.conv1, &self.bn1, &self.relu])?;
        let y = run(pass, &y, &[&self.conv2, &self.bn2, &self.relu])?;
        let y = run(pass, &y, &[&self.conv3, &self.bn3])?;
        let identity = shortcut(pass, x, self.downsample.as_ref())?;
        add_relu(pass, y, &identity, &self.relu)
    }
}

/// The projection of a block whose output differs in shape from its input.
fn downsample(s: &Scope, c_in: i64, c_out: i64, stride: i64) -> Result<Option<Sequential>> {
    if stride == 1 && c_in == c_out {
        return Ok(None);
    }
    let s = &(s / "downsample");
    let mut downsample = Sequential::new(s);
    downsample.push(s, |s| conv2d(s, c_in, c_out, 1, Conv { stride, ..NO_BIAS }))?;
    downsample.push(s, |s| batch_norm2d(s, c_out))?;
    Ok(Some(downsample))
}

pub(super) fn shortcut(pass: &mut Pass, x: &Tensor, downsample: Option<&Sequential>) -> Flow<Tensor> {
    match downsample {
        Some(downsample) => downsample.forward(pass, x),
        None => Ok(x.shallow_clone()),
    }
}
