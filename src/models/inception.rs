//! Inception v3: Szegedy et al. 2015, "Rethinking the inception architecture for computer vision",
//! <https://arxiv.org/abs/1512.00567>.
//!
//! Names, order and constants are those of torchvision's `models/inception.py`.

use super::{Family, Layout, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::Result;
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
    /// Whether the auxiliary classifier is there, which is called in training alone.
    #[serde(default = "yes")]
    pub aux_logits: bool,
    /// Whether images come with the mean and deviation of ImageNet and are to have 0.5 and 0.5, as published weights need.
    #[serde(default)]
    pub transform_input: bool,
}

pub(super) fn yes() -> bool {
    true
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds([self.classes])
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    /// Files of networks with the auxiliary classifier fit those without.
    fn own_layout(&self) -> Layout {
        Layout { ignored: &["AuxLogits."], ..Layout::default() }
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(Inception3::new(s, self)?))
    }

    /// Every layer's own default, in order; then the weights of all convolutions and linear layers anew. Of the auxiliary
    /// classifier only `fc` has a deviation of its own: that of `conv1` is set on the module around the convolution.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        modules.iter().try_for_each(|module| init.reset(module))?;
        for module in modules.iter().filter(|module| matches!(module.class.as_str(), "Conv2d" | "Linear")) {
            let std = if module.name == "AuxLogits.fc" { 0.001 } else { 0.1 };
            init.trunc_normal(&format!("{}.weight", module.name), std)?;
        }
        Ok(())
    }

    fn transforms_input(&self) -> bool {
        self.transform_input
    }
}

/// A stem, eleven blocks of parallel branches, a classifier.
struct Inception3 {
    transform_input: bool,
    conv2d_1a_3x3: Named<BasicConv2d>,
    conv2d_2a_3x3: Named<BasicConv2d>,
    conv2d_2b_3x3: Named<BasicConv2d>,
    maxpool1: Function,
    conv2d_3b_1x1: Named<BasicConv2d>,
    conv2d_4a_3x3: Named<BasicConv2d>,
    maxpool2: Function,
    mixed_5b: Named<InceptionA>,
    mixed_5c: Named<InceptionA>,
    mixed_5d: Named<InceptionA>,
    mixed_6a: Named<InceptionB>,
    mixed_6b: Named<InceptionC>,
    mixed_6c: Named<InceptionC>,
    mixed_6d: Named<InceptionC>,
    mixed_6e: Named<InceptionC>,
    /// `AuxLogits`
    _aux: (),
    mixed_7a: Named<InceptionD>,
    mixed_7b: Named<InceptionE>,
    mixed_7c: Named<InceptionE>,
    avgpool: Function,
    dropout: Function,
    fc: Linear,
}

impl Inception3 {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        Ok(s.register("Inception3").of(Self {
            transform_input: config.transform_input,
            conv2d_1a_3x3: valid(&s / "Conv2d_1a_3x3", 3, 32, 3, 2)?,
            conv2d_2a_3x3: valid(&s / "Conv2d_2a_3x3", 32, 32, 3, 1)?,
            conv2d_2b_3x3: same(&s / "Conv2d_2b_3x3", 32, 64, [3, 3])?,
            maxpool1: max_pool2d(&s / "maxpool1", 3, 2, 0),
            conv2d_3b_1x1: same(&s / "Conv2d_3b_1x1", 64, 80, [1, 1])?,
            conv2d_4a_3x3: valid(&s / "Conv2d_4a_3x3", 80, 192, 3, 1)?,
            maxpool2: max_pool2d(&s / "maxpool2", 3, 2, 0),
            mixed_5b: InceptionA::new(&s / "Mixed_5b", 192, 32)?,
            mixed_5c: InceptionA::new(&s / "Mixed_5c", 256, 64)?,
            mixed_5d: InceptionA::new(&s / "Mixed_5d", 288, 64)?,
            mixed_6a: InceptionB::new(&s / "Mixed_6a", 288)?,
            mixed_6b: InceptionC::new(&s / "Mixed_6b", 768, 128)?,
            mixed_6c: InceptionC::new(&s / "Mixed_6c", 768, 160)?,
            mixed_6d: InceptionC::new(&s / "Mixed_6d", 768, 160)?,
            mixed_6e: InceptionC::new(&s / "Mixed_6e", 768, 192)?,
            _aux: if config.aux_logits {
                auxiliary(&(&s / "AuxLogits"), 768, config.classes)?
            },
            mixed_7a: InceptionD::new(&s / "Mixed_7a", 768)?,
            mixed_7b: InceptionE::new(&s / "Mixed_7b", 1280)?,
            mixed_7c: InceptionE::new(&s / "Mixed_7c", 2048)?,
            avgpool: adaptive_avg_pool2d(&s / "avgpool", 1),
            dropout: dropout(&s / "dropout"),
            fc: linear(&s / "fc", 2048, config.classes)?,
        }))
    }
}

impl Forward for Inception3 {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let x = if self.transform_input { transform_input(x)? } else { x.shallow_clone() };
        let y = run(pass, &x, &[&self.conv2d_1a_3x3, &self.conv2d_2a_3x3, &self.conv2d_2b_3x3, &self.maxpool1])?;
        let y = run(pass, &y, &[&self.conv2d_3b_1x1, &self.conv2d_4a_3x3, &self.maxpool2])?;
        let y = run(pass, &y, &[&self.mixed_5b, &self.mixed_5c, &self.mixed_5d])?;
        let y = run(pass, &y, &[&self.mixed_6a, &self.mixed_6b, &self.mixed_6c, &self.mixed_6d, &self.mixed_6e])?;
        let y = run(pass, &y, &[&self.mixed_7a, &self.mixed_7b, &self.mixed_7c, &self.avgpool, &self.dropout])?;
        self.fc.forward(pass, &flatten(&y)?)
    }
}

/// Each channel of `x` `[N, 3, H, W]`, normalised by ImageNet's mean and deviation, normalised by 0.5 and 0.5 instead.
pub(super) fn transform_input(x: &Tensor) -> Flow<Tensor> {
    let channel = |c, mean: f64, std: f64| x.f_narrow(1, c, 1)?.f_mul_scalar(std / 0.5)?.f_add_scalar((mean - 0.5) / 0.5);
    Ok(Tensor::f_cat(&[channel(0, 0.485, 0.229)?, channel(1, 0.456, 0.224)?, channel(2, 0.406, 0.225)?], 1)?)
}

/// The auxiliary classifier. It is listed like other modules, but nothing calls it.
fn auxiliary(s: &Scope, c_in: i64, classes: i64) -> Result<()> {
    s.register("InceptionAux");
    same(s / "conv0", c_in, 128, [1, 1])?;
    valid(s / "conv1", 128, 768, 5, 1)?;
    linear(s / "fc", 768, classes)?;
    Ok(())
}

/// A convolution, a batch norm, and a ReLU that is no module.
pub(super) struct BasicConv2d {
    conv: Conv2d,
    bn: BatchNorm2d,
}

fn basic(s: Scope, c_out: i64, conv: impl FnOnce(Scope) -> Result<Conv2d>) -> Result<Named<BasicConv2d>> {
    let id = s.register("BasicConv2d");
    Ok(id.of(BasicConv2d { conv: conv(&s / "conv")?, bn: batch_norm2d_eps(&s / "bn", c_out, 1e-3)? }))
}

pub(super) fn basic_conv2d(s: Scope, c_in: i64, c_out: i64, kernel: i64, options: Conv) -> Result<Named<BasicConv2d>> {
    basic(s, c_out, |s| conv2d(s, c_in, c_out, kernel, options))
}

/// Without padding.
fn valid(s: Scope, c_in: i64, c_out: i64, kernel: i64, stride: i64) -> Result<Named<BasicConv2d>> {
    basic_conv2d(s, c_in, c_out, kernel, Conv { stride, ..NO_BIAS })
}

/// With a kernel of this height and width, so padded that the picture keeps its size.
pub(super) fn same(s: Scope, c_in: i64, c_out: i64, kernel: [i64; 2]) -> Result<Named<BasicConv2d>> {
    basic(s, c_out, |s| conv2d_same(s, c_in, c_out, kernel, NO_BIAS))
}

impl Forward for BasicConv2d {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        run_then(pass, x, &[&self.conv, &self.bn], Activation::Relu)
    }
}

/// The mean of the places around each, beyond the edge 0.
fn avg_pool(x: &Tensor) -> Flow<Tensor> {
    Ok(x.f_avg_pool2d([3, 3], [1, 1], [1, 1], false, true, None)?)
}

fn max_pool(x: &Tensor) -> Flow<Tensor> {
    Ok(x.f_max_pool2d([3, 3], [2, 2], [0, 0], [1, 1], false)?)
}

struct InceptionA {
    branch1x1: Named<BasicConv2d>,
    branch5x5_1: Named<BasicConv2d>,
    branch5x5_2: Named<BasicConv2d>,
    branch3x3dbl_1: Named<BasicConv2d>,
    branch3x3dbl_2: Named<BasicConv2d>,
    branch3x3dbl_3: Named<BasicConv2d>,
    branch_pool: Named<BasicConv2d>,
}

impl InceptionA {
    fn new(s: Scope, c_in: i64, pool_features: i64) -> Result<Named<Self>> {
        Ok(s.register("InceptionA").of(Self {
            branch1x1: same(&s / "branch1x1", c_in, 64, [1, 1])?,
            branch5x5_1: same(&s / "branch5x5_1", c_in, 48, [1, 1])?,
            branch5x5_2: same(&s / "branch5x5_2", 48, 64, [5, 5])?,
            branch3x3dbl_1: same(&s / "branch3x3dbl_1", c_in, 64, [1, 1])?,
            branch3x3dbl_2: same(&s / "branch3x3dbl_2", 64, 96, [3, 3])?,
            branch3x3dbl_3: same(&s / "branch3x3dbl_3", 96, 96, [3, 3])?,
            branch_pool: same(&s / "branch_pool", c_in, pool_features, [1, 1])?,
        }))
    }
}

impl Forward for InceptionA {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let branch1x1 = self.branch1x1.forward(pass, x)?;
        let branch5x5 = run(pass, x, &[&self.branch5x5_1, &self.branch5x5_2])?;
        let branch3x3dbl = run(pass, x, &[&self.branch3x3dbl_1, &self.branch3x3dbl_2, &self.branch3x3dbl_3])?;
        let branch_pool = self.branch_pool.forward(pass, &avg_pool(x)?)?;
        Ok(Tensor::f_cat(&[branch1x1, branch5x5, branch3x3dbl, branch_pool], 1)?)
    }
}

struct InceptionB {
    branch3x3: Named<BasicConv2d>,
    branch3x3dbl_1: Named<BasicConv2d>,
    branch3x3dbl_2: Named<BasicConv2d>,
    branch3x3dbl_3: Named<BasicConv2d>,
}

impl InceptionB {
    fn new(s: Scope, c_in: i64) -> Result<Named<Self>> {
        Ok(s.register("InceptionB").of(Self {
            branch3x3: valid(&s / "branch3x3", c_in, 384, 3, 2)?,
            branch3x3dbl_1: same(&s / "branch3x3dbl_1", c_in, 64, [1, 1])?,
            branch3x3dbl_2: same(&s / "branch3x3dbl_2", 64, 96, [3, 3])?,
            branch3x3dbl_3: valid(&s / "branch3x3dbl_3", 96, 96, 3, 2)?,
        }))
    }
}

impl Forward for InceptionB {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let branch3x3 = self.branch3x3.forward(pass, x)?;
        let branch3x3dbl = run(pass, x, &[&self.branch3x3dbl_1, &self.branch3x3dbl_2, &self.branch3x3dbl_3])?;
        Ok(Tensor::f_cat(&[branch3x3, branch3x3dbl, max_pool(x)?], 1)?)
    }
}

struct InceptionC {
    branch1x1: Named<BasicConv2d>,
    branch7x7_1: Named<BasicConv2d>,
    branch7x7_2: Named<BasicConv2d>,
    branch7x7_3: Named<BasicConv2d>,
    branch7x7dbl_1: Named<BasicConv2d>,
    branch7x7dbl_2: Named<BasicConv2d>,
    branch7x7dbl_3: Named<BasicConv2d>,
    branch7x7dbl_4: Named<BasicConv2d>,
    branch7x7dbl_5: Named<BasicConv2d>,
    branch_pool: Named<BasicConv2d>,
}

impl InceptionC {
    fn new(s: Scope, c_in: i64, c7: i64) -> Result<Named<Self>> {
        Ok(s.register("InceptionC").of(Self {
            branch1x1: same(&s / "branch1x1", c_in, 192, [1, 1])?,
            branch7x7_1: same(&s / "branch7x7_1", c_in, c7, [1, 1])?,
            branch7x7_2: same(&s / "branch7x7_2", c7, c7, [1, 7])?,
            branch7x7_3: same(&s / "branch7x7_3", c7, 192, [7, 1])?,
            branch7x7dbl_1: same(&s / "branch7x7dbl_1", c_in, c7, [1, 1])?,
            branch7x7dbl_2: same(&s / "branch7x7dbl_2", c7, c7, [7, 1])?,
            branch7x7dbl_3: same(&s / "branch7x7dbl_3", c7, c7, [1, 7])?,
            branch7x7dbl_4: same(&s / "branch7x7dbl_4", c7, c7, [7, 1])?,
            branch7x7dbl_5: same(&s / "branch7x7dbl_5", c7, 192, [1, 7])?,
            branch_pool: same(&s / "branch_pool", c_in, 192, [1, 1])?,
        }))
    }
}

impl Forward for InceptionC {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let branch1x1 = self.branch1x1.forward(pass, x)?;
        let branch7x7 = run(pass, x, &[&self.branch7x7_1, &self.branch7x7_2, &self.branch7x7_3])?;
        let branch7x7dbl = run(pass, x, &[&self.branch7x7dbl_1, &self.branch7x7dbl_2, &self.branch7x7dbl_3])?;
        let branch7x7dbl = run(pass, &branch7x7dbl, &[&self.branch7x7dbl_4, &self.branch7x7dbl_5])?;
        let branch_pool = self.branch_pool.forward(pass, &avg_pool(x)?)?;
        Ok(Tensor::f_cat(&[branch1x1, branch7x7, branch7x7dbl, branch_pool], 1)?)
    }
}

struct InceptionD {
    branch3x3_1: Named<BasicConv2d>,
    branch3x3_2: Named<BasicConv2d>,
    branch7x7x3_1: Named<BasicConv2d>,
    branch7x7x3_2: Named<BasicConv2d>,
    branch7x7x3_3: Named<BasicConv2d>,
    branch7x7x3_4: Named<BasicConv2d>,
}

impl InceptionD {
    fn new(s: Scope, c_in: i64) -> Result<Named<Self>> {
        Ok(s.register("InceptionD").of(Self {
            branch3x3_1: same(&s / "branch3x3_1", c_in, 192, [1, 1])?,
            branch3x3_2: valid(&s / "branch3x3_2", 192, 320, 3, 2)?,
            branch7x7x3_1: same(&s / "branch7x7x3_1", c_in, 192, [1, 1])?,
            branch7x7x3_2: same(&s / "branch7x7x3_2", 192, 192, [1, 7])?,
            branch7x7x3_3: same(&s / "branch7x7x3_3", 192, 192, [7, 1])?,
            branch7x7x3_4: valid(&s / "branch7x7x3_4", 192, 192, 3, 2)?,
        }))
    }
}

impl Forward for InceptionD {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let branch3x3 = run(pass, x, &[&self.branch3x3_1, &self.branch3x3_2])?;
        let branch7x7x3 = run(pass, x, &[&self.branch7x7x3_1, &self.branch7x7x3_2, &self.branch7x7x3_3, &self.branch7x7x3_4])?;
        Ok(Tensor::f_cat(&[branch3x3, branch7x7x3, max_pool(x)?], 1)?)
    }
}

struct InceptionE {
    branch1x1: Named<BasicConv2d>,
    branch3x3_1: Named<BasicConv2d>,
    branch3x3_2a: Named<BasicConv2d>,
    branch3x3_2b: Named<BasicConv2d>,
    branch3x3dbl_1: Named<BasicConv2d>,
    branch3x3dbl_2: Named<BasicConv2d>,
    branch3x3dbl_3a: Named<BasicConv2d>,
    branch3x3dbl_3b: Named<BasicConv2d>,
    branch_pool: Named<BasicConv2d>,
}

impl InceptionE {
    fn new(s: Scope, c_in: i64) -> Result<Named<Self>> {
        Ok(s.register("InceptionE").of(Self {
            branch1x1: same(&s / "branch1x1", c_in, 320, [1, 1])?,
            branch3x3_1: same(&s / "branch3x3_1", c_in, 384, [1, 1])?,
            branch3x3_2a: same(&s / "branch3x3_2a", 384, 384, [1, 3])?,
            branch3x3_2b: same(&s / "branch3x3_2b", 384, 384, [3, 1])?,
            branch3x3dbl_1: same(&s / "branch3x3dbl_1", c_in, 448, [1, 1])?,
            branch3x3dbl_2: same(&s / "branch3x3dbl_2", 448, 384, [3, 3])?,
            branch3x3dbl_3a: same(&s / "branch3x3dbl_3a", 384, 384, [1, 3])?,
            branch3x3dbl_3b: same(&s / "branch3x3dbl_3b", 384, 384, [3, 1])?,
            branch_pool: same(&s / "branch_pool", c_in, 192, [1, 1])?,
        }))
    }
}

impl Forward for InceptionE {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let branch1x1 = self.branch1x1.forward(pass, x)?;
        let branch3x3 = self.branch3x3_1.forward(pass, x)?;
        let branch3x3 = split(pass, &branch3x3, [&self.branch3x3_2a, &self.branch3x3_2b])?;
        let branch3x3dbl = run(pass, x, &[&self.branch3x3dbl_1, &self.branch3x3dbl_2])?;
        let branch3x3dbl = split(pass, &branch3x3dbl, [&self.branch3x3dbl_3a, &self.branch3x3dbl_3b])?;
        let branch_pool = self.branch_pool.forward(pass, &avg_pool(x)?)?;
        Ok(Tensor::f_cat(&[branch1x1, branch3x3, branch3x3dbl, branch_pool], 1)?)
    }
}

/// Two convolutions side by side.
fn split(pass: &mut Pass, x: &Tensor, [a, b]: [&Named<BasicConv2d>; 2]) -> Flow<Tensor> {
    Ok(Tensor::f_cat(&[a.forward(pass, x)?, b.forward(pass, x)?], 1)?)
}
