//! ShuffleNetV2: Ma et al. 2018, "ShuffleNet V2: practical guidelines for efficient CNN architecture design",
//! <https://arxiv.org/abs/1807.11164>.
//!
//! Names, order and constants are those of torchvision's `models/shufflenetv2.py`.

use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of channels that come out of `conv1`, `stage2` to `stage4`, and `conv5`.
    pub stages_out_channels: [i64; 5],
    /// The number of blocks in `stage2` to `stage4`.
    #[serde(default = "stages_repeats")]
    pub stages_repeats: [usize; 3],
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

fn stages_repeats() -> [usize; 3] {
    [4, 8, 4]
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        let repeats = self.stages_repeats.map(|repeats| repeats as i64);
        in_bounds(self.stages_out_channels.into_iter().chain(repeats).chain([self.classes]))?;
        ensure!(self.stages_out_channels[1..4].iter().all(|c| c % 2 == 0), "the stages must have even numbers of channels");
        Ok(())
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        let (c, repeats) = (self.stages_out_channels, self.stages_repeats);
        Ok(Box::new(s.register("ShuffleNetV2").of(ShuffleNetV2 {
            conv1: conv_bn_relu(&(&s / "conv1"), 3, c[0], 3, Conv { stride: 2, padding: 1, ..NO_BIAS })?,
            maxpool: max_pool2d(&s / "maxpool", 3, 2, 1),
            stage2: stage(&(&s / "stage2"), c[0], c[1], repeats[0])?,
            stage3: stage(&(&s / "stage3"), c[1], c[2], repeats[1])?,
            stage4: stage(&(&s / "stage4"), c[2], c[3], repeats[2])?,
            conv5: conv_bn_relu(&(&s / "conv5"), c[3], c[4], 1, NO_BIAS)?,
            fc: linear(&s / "fc", c[4], self.classes)?,
        })))
    }

    /// Every layer's own default, in order.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        init.modules().iter().try_for_each(|module| init.reset(module))
    }
}

/// A stem, three stages, a convolution, a classifier of the means over places.
struct ShuffleNetV2 {
    conv1: Sequential,
    maxpool: Function,
    stage2: Sequential,
    stage3: Sequential,
    stage4: Sequential,
    conv5: Sequential,
    fc: Linear,
}

impl Forward for ShuffleNetV2 {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run(pass, x, &[&self.conv1, &self.maxpool, &self.stage2, &self.stage3, &self.stage4, &self.conv5])?;
        let y = y.f_mean_dim([2i64, 3].as_slice(), false, None)?;
        self.fc.forward(pass, &y)
    }
}

fn conv_bn_relu(s: &Scope, c_in: i64, c_out: i64, kernel: i64, options: Conv) -> Result<Sequential> {
    let mut layers = Sequential::new(s);
    layers.push(s, |s| conv2d(s, c_in, c_out, kernel, options))?;
    layers.push(s, |s| batch_norm2d(s, c_out))?;
    layers.push(s, |s| Ok(relu(s)))?;
    Ok(layers)
}

fn stage(s: &Scope, c_in: i64, c_out: i64, repeats: usize) -> Result<Sequential> {
    let mut stage = Sequential::new(s);
    stage.push(s, |s| InvertedResidual::new(s, c_in, c_out, 2))?;
    for _ in 1..repeats {
        stage.push(s, |s| InvertedResidual::new(s, c_out, c_out, 1))?;
    }
    Ok(stage)
}

/// Half of the channels from each of two branches, then taken in turns; with stride 1 the first branch hands on its half of
/// the input.
struct InvertedResidual {
    branch1: Sequential,
    branch2: Sequential,
    stride: i64,
}

impl InvertedResidual {
    fn new(s: Scope, c_in: i64, c_out: i64, stride: i64) -> Result<Named<Self>> {
        let c = c_out / 2;
        Ok(s.register("InvertedResidual").of(Self {
            branch1: branch1(&(&s / "branch1"), c_in, c, stride)?,
            branch2: branch2(&(&s / "branch2"), if stride > 1 { c_in } else { c }, c, stride)?,
            stride,
        }))
    }
}

fn branch1(s: &Scope, c_in: i64, c: i64, stride: i64) -> Result<Sequential> {
    let mut branch = Sequential::new(s);
    if stride > 1 {
        branch.push(s, |s| conv2d(s, c_in, c_in, 3, Conv { stride, padding: 1, groups: c_in, ..NO_BIAS }))?;
        branch.push(s, |s| batch_norm2d(s, c_in))?;
        branch.push(s, |s| conv2d(s, c_in, c, 1, NO_BIAS))?;
        branch.push(s, |s| batch_norm2d(s, c))?;
        branch.push(s, |s| Ok(relu(s)))?;
    }
    Ok(branch)
}

fn branch2(s: &Scope, c_in: i64, c: i64, stride: i64) -> Result<Sequential> {
    let mut branch = Sequential::new(s);
    branch.push(s, |s| conv2d(s, c_in, c, 1, NO_BIAS))?;
    branch.push(s, |s| batch_norm2d(s, c))?;
    branch.push(s, |s| Ok(relu(s)))?;
    branch.push(s, |s| conv2d(s, c, c, 3, Conv { stride, padding: 1, groups: c, ..NO_BIAS }))?;
    branch.push(s, |s| batch_norm2d(s, c))?;
    branch.push(s, |s| conv2d(s, c, c, 1, NO_BIAS))?;
    branch.push(s, |s| batch_norm2d(s, c))?;
    branch.push(s, |s| Ok(relu(s)))?;
    Ok(branch)
}

impl Forward for InvertedResidual {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let (y1, y2) = if self.stride == 1 {
            let half = x.size()[1] / 2;
            (x.f_narrow(1, 0, half)?, self.branch2.forward(pass, &x.f_narrow(1, half, half)?)?)
        } else {
            (self.branch1.forward(pass, x)?, self.branch2.forward(pass, x)?)
        };
        if pass.is_fused() { interleave(&y1, &y2) } else { channel_shuffle(&Tensor::f_cat(&[y1, y2], 1)?, 2) }
    }
}

/// The channels of `groups` groups taken in turns: `[N, C, H, W]` to the same.
fn channel_shuffle(x: &Tensor, groups: i64) -> Flow<Tensor> {
    let (n, c, h, w) = x.size4()?;
    let x = x.f_view([n, groups, c / groups, h, w])?;
    let x = x.f_transpose(1, 2)?.f_contiguous()?;
    Ok(x.f_view([n, c, h, w])?)
}

/// The same of two groups, of pictures that have their channels side by side in memory: up to 18 times as fast.
fn interleave(x: &Tensor, y: &Tensor) -> Flow<Tensor> {
    let last = |x: &Tensor| x.f_permute([0, 2, 3, 1]);
    Ok(Tensor::f_stack(&[last(x)?, last(y)?], 4)?.f_flatten(3, 4)?.f_permute([0, 3, 1, 2])?)
}
