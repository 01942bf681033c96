//! GoogLeNet, also called Inception v1: Szegedy et al. 2014, "Going deeper with convolutions",
//! <https://arxiv.org/abs/1409.4842>.
//!
//! Names, order and constants are those of torchvision's `models/googlenet.py`, with 3×3 kernels where the paper has 5×5.

use super::inception::{BasicConv2d, basic_conv2d, same, transform_input, yes};
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
    /// Whether the auxiliary classifiers are there, which are called in training alone.
    #[serde(default = "yes")]
    pub aux_logits: bool,
    /// Whether images come with the mean and deviation of ImageNet and are to have 0.5 and 0.5, as published weights need.
    #[serde(default)]
    pub transform_input: bool,
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds([self.classes])
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    /// torchvision's own files have the auxiliary classifiers, and its pretrained network has not.
    fn own_layout(&self) -> Layout {
        Layout { ignored: &["aux1.", "aux2."], ..Layout::default() }
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(GoogLeNet::new(s, self)?))
    }

    /// Every layer's own default, in order; then the weights of all convolutions and linear layers anew.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        modules.iter().try_for_each(|module| init.reset(module))?;
        for module in modules.iter().filter(|module| matches!(module.class.as_str(), "Conv2d" | "Linear")) {
            init.trunc_normal(&format!("{}.weight", module.name), 0.01)?;
        }
        Ok(())
    }

    fn transforms_input(&self) -> bool {
        self.transform_input
    }
}

/// A stem, nine blocks of parallel branches, a classifier.
struct GoogLeNet {
    transform_input: bool,
    conv1: Named<BasicConv2d>,
    maxpool1: Function,
    conv2: Named<BasicConv2d>,
    conv3: Named<BasicConv2d>,
    maxpool2: Function,
    inception3a: Named<Inception>,
    inception3b: Named<Inception>,
    maxpool3: Function,
    inception4a: Named<Inception>,
    inception4b: Named<Inception>,
    inception4c: Named<Inception>,
    inception4d: Named<Inception>,
    inception4e: Named<Inception>,
    maxpool4: Function,
    inception5a: Named<Inception>,
    inception5b: Named<Inception>,
    /// `aux1` and `aux2`
    _aux: (),
    avgpool: Function,
    dropout: Function,
    fc: Linear,
}

impl GoogLeNet {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        Ok(s.register("GoogLeNet").of(Self {
            transform_input: config.transform_input,
            conv1: basic_conv2d(&s / "conv1", 3, 64, 7, Conv { stride: 2, padding: 3, ..NO_BIAS })?,
            maxpool1: max_pool2d_ceil(&s / "maxpool1", 3, 2),
            conv2: same(&s / "conv2", 64, 64, [1, 1])?,
            conv3: same(&s / "conv3", 64, 192, [3, 3])?,
            maxpool2: max_pool2d_ceil(&s / "maxpool2", 3, 2),
            inception3a: Inception::new(&s / "inception3a", 192, 64, [96, 128], [16, 32], 32)?,
            inception3b: Inception::new(&s / "inception3b", 256, 128, [128, 192], [32, 96], 64)?,
            maxpool3: max_pool2d_ceil(&s / "maxpool3", 3, 2),
            inception4a: Inception::new(&s / "inception4a", 480, 192, [96, 208], [16, 48], 64)?,
            inception4b: Inception::new(&s / "inception4b", 512, 160, [112, 224], [24, 64], 64)?,
            inception4c: Inception::new(&s / "inception4c", 512, 128, [128, 256], [24, 64], 64)?,
            inception4d: Inception::new(&s / "inception4d", 512, 112, [144, 288], [32, 64], 64)?,
            inception4e: Inception::new(&s / "inception4e", 528, 256, [160, 320], [32, 128], 128)?,
            maxpool4: max_pool2d_ceil(&s / "maxpool4", 2, 2),
            inception5a: Inception::new(&s / "inception5a", 832, 256, [160, 320], [32, 128], 128)?,
            inception5b: Inception::new(&s / "inception5b", 832, 384, [192, 384], [48, 128], 128)?,
            _aux: auxiliaries(&s, config)?,
            avgpool: adaptive_avg_pool2d(&s / "avgpool", 1),
            dropout: dropout(&s / "dropout"),
            fc: linear(&s / "fc", 1024, config.classes)?,
        }))
    }
}

impl Forward for GoogLeNet {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let x = if self.transform_input { transform_input(x)? } else { x.shallow_clone() };
        let y = run(pass, &x, &[&self.conv1, &self.maxpool1, &self.conv2, &self.conv3, &self.maxpool2])?;
        let y = run(pass, &y, &[&self.inception3a, &self.inception3b, &self.maxpool3])?;
        let y = run(pass, &y, &[&self.inception4a, &self.inception4b, &self.inception4c, &self.inception4d])?;
        let y = run(pass, &y, &[&self.inception4e, &self.maxpool4])?;
        let y = run(pass, &y, &[&self.inception5a, &self.inception5b, &self.avgpool])?;
        run(pass, &flatten(&y)?, &[&self.dropout, &self.fc])
    }
}

/// The auxiliary classifiers. They are listed like other modules, but nothing calls them.
fn auxiliaries(s: &Scope, config: &Config) -> Result<()> {
    let classifiers = if config.aux_logits { &[("aux1", 512), ("aux2", 528)][..] } else { &[] };
    for &(name, c_in) in classifiers {
        let s = s / name;
        s.register("InceptionAux");
        same(&s / "conv", c_in, 128, [1, 1])?;
        linear(&s / "fc1", 2048, 1024)?;
        linear(&s / "fc2", 1024, config.classes)?;
        dropout(&s / "dropout");
    }
    Ok(())
}

/// Convolutions by kernels of several sizes and a pool, side by side.
struct Inception {
    branch1: Named<BasicConv2d>,
    branch2: Sequential,
    branch3: Sequential,
    branch4: Sequential,
}

impl Inception {
    fn new(s: Scope, c: i64, by_1x1: i64, by_3x3: [i64; 2], by_5x5: [i64; 2], pooled: i64) -> Result<Named<Self>> {
        Ok(s.register("Inception").of(Self {
            branch1: same(&s / "branch1", c, by_1x1, [1, 1])?,
            branch2: reduced(&(&s / "branch2"), c, by_3x3)?,
            branch3: reduced(&(&s / "branch3"), c, by_5x5)?,
            branch4: projected_pool(&(&s / "branch4"), c, pooled)?,
        }))
    }
}

/// To fewer channels, which a 3×3 kernel sees.
fn reduced(s: &Scope, c_in: i64, [c, c_out]: [i64; 2]) -> Result<Sequential> {
    let mut branch = Sequential::new(s);
    branch.push(s, |s| same(s, c_in, c, [1, 1]))?;
    branch.push(s, |s| same(s, c, c_out, [3, 3]))?;
    Ok(branch)
}

fn projected_pool(s: &Scope, c_in: i64, c_out: i64) -> Result<Sequential> {
    let mut branch = Sequential::new(s);
    branch.push(s, |s| Ok(max_pool2d(s, 3, 1, 1)))?;
    branch.push(s, |s| same(s, c_in, c_out, [1, 1]))?;
    Ok(branch)
}

impl Forward for Inception {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let branch1 = self.branch1.forward(pass, x)?;
        let branch2 = self.branch2.forward(pass, x)?;
        let branch3 = self.branch3.forward(pass, x)?;
        let branch4 = self.branch4.forward(pass, x)?;
        Ok(Tensor::f_cat(&[branch1, branch2, branch3, branch4], 1)?)
    }
}
