//! CLIP's ResNet: a stem of three convolutions, anti-aliased strides (average pooling), attention instead of the last
//! pooling. OpenCLIP's is the same network, whose activations have other names and whose weights are drawn without the text tower.

use crate::models::resnet::shortcut;
use crate::models::{Family, in_bounds};
use crate::nn::*;
use anyhow::{Result, ensure};
use serde::Deserialize;
use tch::Tensor;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The number of blocks in `layer1` to `layer4`.
    pub depths: [usize; 4],
    /// The channels of `layer1` before expansion.
    pub width: i64,
    /// The side of the image in pixels.
    pub resolution: i64,
    /// The length of the embedding.
    pub outputs: i64,
    /// Whose network it is.
    #[serde(default)]
    pub style: Style,
    /// The width of OpenAI's text tower, whose random draws come between those of this one.
    pub text_width: Option<i64>,
}

/// The two writers of this network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// `clip/model.py`: activations are `relu1` to `relu3`.
    #[default]
    OpenAi,
    /// `open_clip/modified_resnet.py`: `act1` to `act3`.
    OpenClip,
}

impl Style {
    fn activations(self) -> [&'static str; 3] {
        match self {
            Style::OpenAi => ["relu1", "relu2", "relu3"],
            Style::OpenClip => ["act1", "act2", "act3"],
        }
    }
}

impl Config {
    /// The channels of the last layer.
    fn embedding(&self) -> i64 {
        self.width * 8 * EXPANSION
    }
}

impl Family for Config {
    fn check(&self) -> Result<()> {
        let Config { depths, width, resolution, outputs, style, text_width } = *self;
        ensure!(
            text_width.is_some() == (style == Style::OpenAi),
            "`text_width` is to be said of OpenAI's network, and of no other"
        );
        in_bounds([width / 2, resolution / 32, outputs, text_width.unwrap_or(1)])?;
        in_bounds(depths.map(|depth| depth as i64))
    }

    fn construct(&self, s: Scope) -> Result<Box<dyn Module>> {
        Ok(Box::new(ModifiedResNet::new(s, self)?))
    }

    fn initialise(&self, init: &mut Init) -> Result<()> {
        self.initialise_around(init, &mut |init| self.text_width.map_or(Ok(()), |width| skip_text_tower(init, width)))
    }

    /// Every layer's own default, OpenAI's text tower, then the attention pooling anew; each block begins as the identity.
    fn initialise_around(&self, init: &mut Init, text: &mut dyn FnMut(&mut Init) -> Result<()>) -> Result<()> {
        let modules = init.modules();
        let d = self.embedding() as f64;
        for module in modules {
            if module.class == "AttentionPool2d" {
                init.randn("visual.attnpool.positional_embedding", |randn| randn.f_div_scalar(d.sqrt()))?;
            }
            init.reset(module)?;
        }
        // OpenCLIP's comes when this one is whole.
        if self.style == Style::OpenAi {
            text(init)?;
        }
        for projection in ["q_proj", "k_proj", "v_proj", "c_proj"] {
            init.normal(&format!("visual.attnpool.{projection}.weight"), 0.0, d.powf(-0.5))?;
        }
        for module in modules.iter().filter(|module| module.name.starts_with("visual.layer") && module.name.ends_with("bn3")) {
            init.fill(&format!("{}.weight", module.name), 0.0)?;
        }
        if self.style == Style::OpenClip { text(init) } else { Ok(()) }
    }
}

const EXPANSION: i64 = 4;

struct ModifiedResNet {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    relu1: Function,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    relu2: Function,
    conv3: Conv2d,
    bn3: BatchNorm2d,
    relu3: Function,
    avgpool: Function,
    layer1: Sequential,
    layer2: Sequential,
    layer3: Sequential,
    layer4: Sequential,
    attnpool: Named<AttentionPool2d>,
}

impl ModifiedResNet {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let w = config.width;
        let [depth1, depth2, depth3, depth4] = config.depths;
        let [act1, act2, act3] = config.style.activations();
        Ok(s.register("ModifiedResNet").of(Self {
            conv1: conv2d(&s / "conv1", 3, w / 2, 3, Conv { stride: 2, padding: 1, ..NO_BIAS })?,
            bn1: batch_norm2d(&s / "bn1", w / 2)?,
            relu1: relu(&s / act1),
            conv2: conv2d(&s / "conv2", w / 2, w / 2, 3, Conv { padding: 1, ..NO_BIAS })?,
            bn2: batch_norm2d(&s / "bn2", w / 2)?,
            relu2: relu(&s / act2),
            conv3: conv2d(&s / "conv3", w / 2, w, 3, Conv { padding: 1, ..NO_BIAS })?,
            bn3: batch_norm2d(&s / "bn3", w)?,
            relu3: relu(&s / act3),
            avgpool: avg_pool2d(&s / "avgpool", 2),
            layer1: layer(&(&s / "layer1"), config.style, w, w, depth1, 1)?,
            layer2: layer(&(&s / "layer2"), config.style, w * EXPANSION, w * 2, depth2, 2)?,
            layer3: layer(&(&s / "layer3"), config.style, w * 2 * EXPANSION, w * 4, depth3, 2)?,
            layer4: layer(&(&s / "layer4"), config.style, w * 4 * EXPANSION, w * 8, depth4, 2)?,
            attnpool: AttentionPool2d::new(&s / "attnpool", config)?,
        }))
    }
}

impl Forward for ModifiedResNet {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run(pass, x, &[&self.conv1, &self.bn1, &self.relu1])?;
        let y = run(pass, &y, &[&self.conv2, &self.bn2, &self.relu2])?;
        let y = run(pass, &y, &[&self.conv3, &self.bn3, &self.relu3, &self.avgpool])?;
        run(pass, &y, &[&self.layer1, &self.layer2, &self.layer3, &self.layer4, &self.attnpool])
    }
}

fn layer(s: &Scope, style: Style, c_in: i64, planes: i64, depth: usize, stride: i64) -> Result<Sequential> {
    let mut layer = Sequential::new(s);
    layer.push(s, |s| Bottleneck::new(s, style, c_in, planes, stride))?;
    for _ in 1..depth {
        layer.push(s, |s| Bottleneck::new(s, style, planes * EXPANSION, planes, 1))?;
    }
    Ok(layer)
}

/// All convolutions have stride 1; the picture shrinks by average pooling.
struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    relu1: Function,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    relu2: Function,
    avgpool: Function,
    conv3: Conv2d,
    bn3: BatchNorm2d,
    relu3: Function,
    downsample: Option<Sequential>,
}

impl Bottleneck {
    fn new(s: Scope, style: Style, c_in: i64, planes: i64, stride: i64) -> Result<Named<Self>> {
        let c_out = planes * EXPANSION;
        let [act1, act2, act3] = style.activations();
        Ok(s.register("Bottleneck").of(Self {
            conv1: conv2d(&s / "conv1", c_in, planes, 1, NO_BIAS)?,
            bn1: batch_norm2d(&s / "bn1", planes)?,
            relu1: relu(&s / act1),
            conv2: conv2d(&s / "conv2", planes, planes, 3, Conv { padding: 1, ..NO_BIAS })?,
            bn2: batch_norm2d(&s / "bn2", planes)?,
            relu2: relu(&s / act2),
            avgpool: match stride {
                1 => identity(&s / "avgpool"),
                _ => avg_pool2d(&s / "avgpool", stride),
            },
            conv3: conv2d(&s / "conv3", planes, c_out, 1, NO_BIAS)?,
            bn3: batch_norm2d(&s / "bn3", c_out)?,
            relu3: relu(&s / act3),
            downsample: downsample(&s, c_in, c_out, stride)?,
        }))
    }
}

fn downsample(s: &Scope, c_in: i64, c_out: i64, stride: i64) -> Result<Option<Sequential>> {
    if stride == 1 && c_in == c_out {
        return Ok(None);
    }
    let s = &(s / "downsample");
    let mut downsample = Sequential::new(s);
    downsample.push_named(s, "-1", |s| Ok(avg_pool2d(s, stride)))?;
    downsample.push_named(s, "0", |s| conv2d(s, c_in, c_out, 1, NO_BIAS))?;
    downsample.push_named(s, "1", |s| batch_norm2d(s, c_out))?;
    Ok(Some(downsample))
}

impl Forward for Bottleneck {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let y = run(pass, x, &[&self.conv1, &self.bn1, &self.relu1])?;
        let y = run(pass, &y, &[&self.conv2, &self.bn2, &self.relu2])?;
        let y = run(pass, &y, &[&self.avgpool, &self.conv3, &self.bn3])?;
        let identity = shortcut(pass, x, self.downsample.as_ref())?;
        add_relu(pass, y, &identity, &self.relu3)
    }
}

/// Attention of the mean of all places to all places. Its projections are listed, but PyTorch reads their weights and
/// never calls them.
struct AttentionPool2d {
    heads: i64,
    positional_embedding: Parameter,
    k_proj: Affine,
    q_proj: Affine,
    v_proj: Affine,
    c_proj: Affine,
}

impl AttentionPool2d {
    fn new(s: Scope, config: &Config) -> Result<Named<Self>> {
        let d = config.embedding();
        let places = (config.resolution / 32).pow(2);
        let projection = |name: &str, outputs: i64| {
            let s = &s / name;
            s.register("Linear");
            Affine::new(&s, ["weight", "bias"], d, outputs)
        };
        Ok(s.register("AttentionPool2d").of(Self {
            heads: d / 64,
            positional_embedding: s.tensor("positional_embedding", &[places + 1, d])?,
            k_proj: projection("k_proj", d)?,
            q_proj: projection("q_proj", d)?,
            v_proj: projection("v_proj", d)?,
            c_proj: projection("c_proj", config.outputs)?,
        }))
    }
}

impl Forward for AttentionPool2d {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let places = x.f_flatten(2, -1)?.f_transpose(1, 2)?;
        let mean = places.f_mean_dim(1, true, None)?;
        let tokens = Tensor::f_cat(&[&mean, &places], 1)?.f_add(&self.positional_embedding)?;
        let q = self.q_proj.apply(pass, &tokens.f_narrow(1, 0, 1)?)?;
        let (k, v) = (self.k_proj.apply(pass, &tokens)?, self.v_proj.apply(pass, &tokens)?);
        let y = attend(pass, &q, &k, &v, self.heads)?;
        Ok(self.c_proj.apply(pass, &y)?.f_squeeze_dim(1)?)
    }
}

const TEXT_LAYERS: usize = 12;
const VOCABULARY: i64 = 49_408;
const CONTEXT: i64 = 77;

/// What the constructor of the text tower draws, and the first draws of `initialize_parameters`.
fn skip_text_tower(init: &mut Init, width: i64) -> Result<()> {
    for _ in 0..TEXT_LAYERS {
        // attn.out_proj, attn.in_proj_weight, mlp.c_fc, mlp.c_proj: weights and biases
        for count in [width * width, width, 3 * width * width, 4 * width * width, 4 * width, 4 * width * width, width] {
            init.skip_uniform(count)?;
        }
    }
    // token_embedding when made, then token_embedding and positional_embedding again
    for count in [VOCABULARY * width, VOCABULARY * width, CONTEXT * width] {
        init.skip_normal(count)?;
    }
    Ok(())
}
