//! The blocks that image and text towers have in common, of OpenAI's `clip/model.py` and of open_clip's `transformer.py`.

use crate::nn::{self, *};
use anyhow::Result;
use tch::Tensor;

/// The numbers of a stack of blocks.
pub struct Blocks {
    /// Whether they are open_clip's, which have identities for what can be left out.
    pub are_openclips: bool,
    /// How many.
    pub depth: usize,
    /// The number of features of a token.
    pub width: i64,
    /// The number of heads of attention.
    pub heads: i64,
    /// The number of features between the two layers of a perceptron.
    pub mlp_width: i64,
    /// The non-linearity.
    pub activation: nn::Activation,
    /// Added to variances.
    pub eps: f64,
    /// Whether tokens see those before them alone.
    pub is_causal: bool,
}

impl Blocks {
    /// OpenAI's stack is called with its one child, a `Sequential`; open_clip's child is a `ModuleList`, which is never called.
    pub fn transformer(&self, s: Scope) -> Result<Box<dyn Module>> {
        if self.are_openclips {
            let id = s.register("Transformer");
            let s = &s / "resblocks";
            s.register("ModuleList");
            let blocks = (0..self.depth).map(|i| Block::new(&s / i, self));
            return Ok(Box::new(id.of(Stack(blocks.collect::<Result<_>>()?))));
        }
        let mut transformer = Sequential::of_class(&s, "Transformer");
        transformer.push_named(&s, "resblocks", |s| {
            let mut resblocks = Sequential::new(&s);
            (0..self.depth).try_for_each(|_| resblocks.push(&s, |s| Block::new(s, self)))?;
            Ok(resblocks)
        })?;
        Ok(Box::new(transformer))
    }

    fn attention(&self, s: Scope) -> Result<MultiheadAttention> {
        let make = if self.is_causal { causal_attention } else { multihead_attention };
        make(s, self.width, self.heads)
    }

    fn mlp(&self, s: &Scope) -> Result<Sequential> {
        let mut mlp = Sequential::new(s);
        mlp.push_named(s, "c_fc", |s| linear(s, self.width, self.mlp_width))?;
        mlp.push_named(s, "gelu", |s| Ok(nn::activation(s, self.activation)))?;
        mlp.push_named(s, "c_proj", |s| linear(s, self.mlp_width, self.width))?;
        Ok(mlp)
    }
}

struct Stack(Vec<Named<Block>>);

impl Forward for Stack {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        self.0.iter().try_fold(x.shallow_clone(), |y, block| block.forward(pass, &y))
    }
}

/// A `ResidualAttentionBlock`.
struct Block {
    attn: MultiheadAttention,
    ln_1: LayerNorm,
    ls_1: Option<Function>,
    mlp: Sequential,
    ln_2: LayerNorm,
    ls_2: Option<Function>,
}

impl Block {
    fn new(s: Scope, blocks: &Blocks) -> Result<Named<Self>> {
        let id = s.register("ResidualAttentionBlock");
        let norm = |name: &str| layer_norm(&s / name, blocks.width, blocks.eps);
        let attention = || blocks.attention(&s / "attn");
        let mlp = || blocks.mlp(&(&s / "mlp"));
        if !blocks.are_openclips {
            let (attn, ln_1) = (attention()?, norm("ln_1")?);
            return Ok(id.of(Self { attn, ln_1, ls_1: None, mlp: mlp()?, ln_2: norm("ln_2")?, ls_2: None }));
        }
        let (ln_1, attn, ls_1) = (norm("ln_1")?, attention()?, Some(identity(&s / "ls_1")));
        let (ln_2, mlp, ls_2) = (norm("ln_2")?, mlp()?, Some(identity(&s / "ls_2")));
        Ok(id.of(Self { attn, ln_1, ls_1, mlp, ln_2, ls_2 }))
    }
}

impl Forward for Block {
    fn compute(&self, pass: &mut Pass, x: &Tensor) -> Flow<Tensor> {
        let mut attend: Vec<&dyn Module> = vec![&self.ln_1, &self.attn];
        attend.extend(self.ls_1.as_ref().map(|scale| scale as &dyn Module));
        let mut perceive: Vec<&dyn Module> = vec![&self.ln_2, &self.mlp];
        perceive.extend(self.ls_2.as_ref().map(|scale| scale as &dyn Module));
        let x = add(run(pass, x, &attend)?, x)?;
        add(run(pass, &x, &perceive)?, &x)
    }
}
