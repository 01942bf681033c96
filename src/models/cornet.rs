//! CORnet, networks after the areas of the ventral stream: Kubilius, Schrimpf et al. 2018,
//! <https://doi.org/10.1101/408385>, and 2019, <https://arxiv.org/abs/1909.06161>.
//!
//! Z is feed-forward, S, R and RT call an area several times: `V4.output@0` is its first output. Written from the papers
//! and from the names, shapes and order of the published networks, not from their code.

use super::{Family, imagenet_classes, in_bounds};
use crate::nn::*;
use anyhow::Result;
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which of the four.
    pub variant: Variant,
    /// The number of classes of the last layer.
    #[serde(default = "imagenet_classes")]
    pub classes: i64,
}

/// The published networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// Skip connections within areas, recurrence by repeated calls.
    S,
    /// One convolution an area.
    Z,
    /// Recurrent areas; within a time step each sees the new output of the area below.
    R,
    /// As R, but each sees the output of the area below one step before.
    RT,
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        in_bounds([self.classes])
    }

    fn classes(&mut self) -> Option<&mut i64> {
        Some(&mut self.classes)
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(match self.variant {
            Variant::S => Box::new(cornet_s(&s, self.classes)?),
            Variant::Z => Box::new(cornet_z(&s, self.classes)?),
            Variant::R | Variant::RT => Box::new(RecurrentCornet::new(s, self)?),
        })
    }

    /// Every layer's own default, in order; then, in S, all convolutions normal with deviation `√(2 / (k² · c_out))`, and in
    /// Z, all weights Xavier uniform and all biases 0.
    fn initialise(&self, init: &mut Init) -> Result<()> {
        let modules = init.modules();
        modules.iter().try_for_each(|module| init.reset(module))?;
        for module in modules {
            let (weight, bias) = (format!("{}.weight", module.name), format!("{}.bias", module.name));
            match (self.variant, module.class.as_str()) {
                (Variant::S, "Conv2d") => {
                    let fan_out = init.fans(&weight)?.1;
                    init.normal(&weight, 0.0, (2.0 / fan_out).sqrt())?;
                }
                (Variant::Z, "Conv2d" | "Linear") => {
                    init.xavier_uniform(&weight)?;
                    init.fill(&bias, 0.0)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn rows_stand_alone(&self) -> bool {
        true
    }
}

fn cornet_s(s: &Scope, classes: i64) -> Result<Sequential> {
    let mut areas = Sequential::new(s);
    areas.push_named(s, "V1", v1_of_s)?;
    areas.push_named(s, "V2", |s| BlockS::new(s, 64, 128, 2))?;
    areas.push_named(s, "V4", |s| BlockS::new(s, 128, 256, 4))?;
    areas.push_named(s, "IT", |s| BlockS::new(s, 256, 512, 2))?;
    areas.push_named(s, "decoder", |s| decoder(&s, classes, true))?;
    Ok(areas)
}

fn v1_of_s(s: Scope) -> Result<Sequential> {
    let mut v1 = Sequential::new(&s);
    v1.push_named(&s, "conv1", |s| conv2d(s, 3, 64, 7, Conv { stride: 2, padding: 3, ..NO_BIAS }))?;
    v1.push_named(&s, "norm1", |s| batch_norm2d(s, 64))?;
    v1.push_named(&s, "nonlin1", |s| Ok(relu(s)))?;
    v1.push_named(&s, "pool", |s| Ok(max_pool2d(s, 3, 2, 1)))?;
    v1.push_named(&s, "conv2", |s| conv2d(s, 64, 64, 3, Conv { padding: 1, ..NO_BIAS }))?;
    v1.push_named(&s, "norm2", |s| batch_norm2d(s, 64))?;
    v1.push_named(&s, "nonlin2", |s| Ok(relu(s)))?;
    v1.push_named(&s, "output", |s| Ok(identity(s)))?;
    Ok(v1)
}

/// A bottleneck that is run `norms.len()` times on its own output; weights are shared over time, batch norms are not.
struct BlockS {
    conv_input: Conv2d,
    skip: Conv2d,
    norm_skip: BatchNorm2d,
    conv1: Conv2d,
    nonlin1: Function,
    conv2: Conv2d,
    nonlin2: Function,
    conv3: Conv2d,
    nonlin3: Function,
    output: Function,
    norms: Vec<[BatchNorm2d; 3]>,
}

impl BlockS {
    fn new(s: Scope, c_in: i64, c_out: i64, times: usize) -> Result<Named<Self>> {
        let wide = 4 * c_out;
        let norms = |time: usize| -> Result<[BatchNorm2d; 3]> {
            Ok([
                batch_norm2d(&s / format!("norm1_{time}"), wide)?,
                batch_norm2d(&s / format!("norm2_{time}"), wide)?,
                batch_norm2d(&s / format!("norm3_{time}"), c_out)?,
            ])
        };
        Ok(s.register("CORblock_S").of(Self {
            conv_input: conv2d(&s / "conv_input", c_in, c_out, 1, NO_BIAS)?,
            skip: conv2d(&s / "skip", c_out, c_out, 1, Conv { stride: 2, ..NO_BIAS })?,
            norm_skip: batch_norm2d(&s / "norm_skip", c_out)?,
            conv1: conv2d(&s / "conv1", c_out, wide, 1, NO_BIAS)?,
            nonlin1: relu(&s / "nonlin1"),
            conv2: conv2d(&s / "conv2", wide, wide, 3, Conv { stride: 2, padding: 1, ..NO_BIAS })?,
            nonlin2: relu(&s / "nonlin2"),
            conv3: conv2d(&s / "conv3", wide, c_out, 1, NO_BIAS)?,
            nonlin3: relu(&s / "nonlin3"),
            output: identity(&s / "output"),
            norms: (0..times).map(norms).collect::<Result<_>>()?,
        }))
    }
}

impl Forward for BlockS {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let mut x = self.conv_input.forward(pass, x)?;
        for (time, [norm1, norm2, norm3]) in self.norms.iter().enumerate() {
            // The first time shrinks the picture; after it input and output have the same size.
            let (skip, stride) = match time {
                0 => (run(pass, &x, &[&self.skip, &self.norm_skip])?, 2),
                _ => (x.shallow_clone(), 1),
            };
            let y = run(pass, &x, &[&self.conv1, norm1, &self.nonlin1])?;
            let y = run(pass, &y, &[&self.conv2.with_stride(stride), norm2, &self.nonlin2, &self.conv3, norm3])?;
            let y = add_relu(pass, y, &skip, &self.nonlin3)?;
            x = self.output.forward(pass, &y)?;
        }
        Ok(x)
    }
}

fn cornet_z(s: &Scope, classes: i64) -> Result<Sequential> {
    let mut areas = Sequential::new(s);
    areas.push_named(s, "V1", |s| block_z(&s, 3, 64, 7, 2))?;
    areas.push_named(s, "V2", |s| block_z(&s, 64, 128, 3, 1))?;
    areas.push_named(s, "V4", |s| block_z(&s, 128, 256, 3, 1))?;
    areas.push_named(s, "IT", |s| block_z(&s, 256, 512, 3, 1))?;
    areas.push_named(s, "decoder", |s| decoder(&s, classes, true))?;
    Ok(areas)
}

fn block_z(s: &Scope, c_in: i64, c_out: i64, kernel: i64, stride: i64) -> Result<Sequential> {
    let mut block = Sequential::of_class(s, "CORblock_Z");
    block.push_named(s, "conv", |s| conv2d(s, c_in, c_out, kernel, Conv { stride, padding: kernel / 2, ..Conv::default() }))?;
    block.push_named(s, "nonlin", |s| Ok(relu(s)))?;
    block.push_named(s, "pool", |s| Ok(max_pool2d(s, 3, 2, 1)))?;
    block.push_named(s, "output", |s| Ok(identity(s)))?;
    Ok(block)
}

fn decoder(s: &Scope, classes: i64, output: bool) -> Result<Sequential> {
    let mut decoder = Sequential::new(s);
    decoder.push_named(s, "avgpool", |s| Ok(adaptive_avg_pool2d(s, 1)))?;
    decoder.push_named(s, "flatten", |s| Ok(flatten_module(s)))?;
    decoder.push_named(s, "linear", |s| linear(s, 512, classes))?;
    if output {
        decoder.push_named(s, "output", |s| Ok(identity(s)))?;
    }
    Ok(decoder)
}

/// Time steps of R and RT.
const TIMES: usize = 5;

/// R and RT: four recurrent areas and a decoder of the last one's last output.
struct RecurrentCornet {
    variant: Variant,
    areas: [BlockR; 4],
    decoder: Sequential,
}

impl RecurrentCornet {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let (network, block) = match config.variant {
            Variant::RT => ("CORnet_RT", "CORblock_RT"),
            _ => ("CORnet_R", "CORblock_R"),
        };
        Ok(s.register(network).of(Self {
            variant: config.variant,
            areas: [
                BlockR::new(&s / "V1", block, 3, 64, 7, 4, 56)?,
                BlockR::new(&s / "V2", block, 64, 128, 3, 2, 28)?,
                BlockR::new(&s / "V4", block, 128, 256, 3, 2, 14)?,
                BlockR::new(&s / "IT", block, 256, 512, 3, 2, 7)?,
            ],
            decoder: decoder(&(&s / "decoder"), config.classes, false)?,
        }))
    }
}

impl Forward for RecurrentCornet {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        // Before the first step no area has put out anything.
        let mut outputs: [Option<Tensor>; 4] = [None, None, None, None];
        for time in 0..TIMES {
            let before: Vec<_> = outputs.iter().map(|y| y.as_ref().map(Tensor::shallow_clone)).collect();
            for (i, area) in self.areas.iter().enumerate() {
                let below = match (i, self.variant) {
                    (0, _) => Some(x),
                    _ if time == 0 => None,
                    (_, Variant::RT) => before[i - 1].as_ref(),
                    _ => outputs[i - 1].as_ref(),
                };
                outputs[i] = Some(area.step(pass, x, below, before[i].as_ref())?);
            }
        }
        match &outputs[3] {
            Some(it) => self.decoder.forward(pass, it),
            None => unreachable!("there is more than one time step"),
        }
    }
}

/// An area of R and RT: its input and its own last output are added, convolved and normalised.
struct BlockR {
    id: ModuleId,
    conv_input: Conv2d,
    norm_input: GroupNorm,
    nonlin_input: Function,
    conv1: Conv2d,
    norm1: GroupNorm,
    nonlin1: Function,
    output: Function,
    /// Channels and side of the output for an image of 224 × 224 pixels, the only size that these networks take.
    shape: [i64; 2],
}

impl BlockR {
    fn new(s: Scope, class: &'static str, c_in: i64, c_out: i64, kernel: i64, stride: i64, side: i64) -> Result<Self> {
        let input = Conv { stride, padding: kernel / 2, ..Conv::default() };
        Ok(Self {
            id: s.register(class),
            conv_input: conv2d(&s / "conv_input", c_in, c_out, kernel, input)?,
            norm_input: group_norm(&s / "norm_input", 32, c_out)?,
            nonlin_input: relu(&s / "nonlin_input"),
            conv1: conv2d(&s / "conv1", c_out, c_out, 3, Conv { padding: 1, ..NO_BIAS })?,
            norm1: group_norm(&s / "norm1", 32, c_out)?,
            nonlin1: relu(&s / "nonlin1"),
            output: identity(&s / "output"),
            shape: [c_out, side],
        })
    }

    /// One time step. Without input from below it is taken to be zero; `images` tells the batch size and device.
    fn step(&self, pass: &mut Pass, images: &Tensor, below: Option<&Tensor>, state: Option<&Tensor>) -> Flow<Tensor> {
        let input = match below {
            Some(x) => run(pass, x, &[&self.conv_input, &self.norm_input, &self.nonlin_input])?,
            None => {
                let [c, side] = self.shape;
                Tensor::f_zeros([images.size()[0], c, side, side], (images.kind(), images.device()))?
            }
        };
        let sum = match state {
            Some(state) => input.f_add(state)?,
            None => input,
        };
        let y = run(pass, &sum, &[&self.conv1, &self.norm1, &self.nonlin1, &self.output])?;
        pass.visit(self.id, &y)?;
        Ok(y)
    }
}
