//! All texts of a run as tokens, each cut or filled up to the length that the network is shown.

use super::tokenizer::{Encoded, Tokenizer};
use crate::error::advise;
use crate::nn::one_of_each;
use crate::parallel::parallel;
use crate::text::short;
use anyhow::{Context, Result};
use std::ops::Range;
use tch::Tensor;

/// Texts as tokens.
pub struct Tokenized {
    /// The number of tokens of each.
    context: usize,
    /// `[texts, context]`
    tokens: Vec<u32>,
    /// How many tokens of each are its own.
    lengths: Vec<usize>,
    /// The numbers of those that were cut off.
    pub truncated: Vec<usize>,
    reads_last: bool,
}

/// Where in a batch of texts `[N, L]` readouts find what they look for.
#[derive(Debug)]
pub struct Places {
    /// The token that the network's own embedding is made of, `[N]`.
    end: Tensor,
    /// 1 for each token of the text, 0 for those behind it: `[N, L]`.
    own: Tensor,
}

impl Places {
    /// The features `[N, D]` of the token that the embedding is made of, of `[N, L, D]`.
    pub fn at_end(&self, x: &Tensor) -> Result<Tensor> {
        Ok(one_of_each(x, &self.end.f_to_device(x.device())?)?)
    }

    /// The mean over the tokens of each text, `[N, D]` of `[N, L, D]`.
    pub fn mean(&self, x: &Tensor) -> Result<Tensor> {
        let own = self.own.f_to_device(x.device())?.f_to_kind(x.kind())?.f_unsqueeze(-1)?;
        let sums = x.f_mul(&own)?.f_sum_dim_intlist(1i64, false, None)?;
        Ok(sums.f_div(&own.f_sum_dim_intlist(1i64, false, None)?)?)
    }
}

impl Tokenized {
    /// The tokens of `texts`. One that is too long is an error, unless it is to be cut off. If
    /// `reads_last`, the network makes its embedding of the last place, and not of the end of the text.
    pub fn new(tokenizer: &Tokenizer, texts: &[String], truncate: bool, reads_last: bool) -> Result<Tokenized> {
        let context = tokenizer.context();
        let encode = |i: usize| tokenizer.encode(&texts[i]).with_context(|| format!("the text `{}`", short(&texts[i])));
        let encoded = parallel(texts.len(), &encode)?;
        let is_long = |i: &usize| encoded[*i].tokens.len() > context;
        let truncated: Vec<usize> = (0..texts.len()).filter(is_long).collect();
        if let (Some(&first), false) = (truncated.first(), truncate) {
            let others = match truncated.len() - 1 {
                0 => String::new(),
                others => format!(" (and {others} others are too long)"),
            };
            return Err(advise(
                format!(
                    "the text `{}` has {} tokens, and the network is shown {context}{others}",
                    short(&texts[first]),
                    encoded[first].tokens.len()
                ),
                "shorten it, or have what is too long cut off: --truncate",
            ));
        }
        let mut tokens = Vec::with_capacity(texts.len() * context);
        let mut lengths = Vec::with_capacity(texts.len());
        for (number, Encoded { tokens: own, ending }) in encoded.into_iter().enumerate() {
            let behind = own.len() - ending;
            let kept = own.len().min(context);
            let ending = ending.min(kept);
            tokens.extend_from_slice(&own[..kept - ending]);
            tokens.extend_from_slice(&own[behind..][..ending]);
            tokens.resize((number + 1) * context, tokenizer.padding());
            lengths.push(kept);
        }
        Ok(Tokenized { context, tokens, lengths, truncated, reads_last })
    }

    /// The tokens of some texts `[size, L]`; those beyond `texts` are blank.
    pub fn batch(&self, texts: Range<usize>, size: usize) -> Result<Tensor> {
        let own = &self.tokens[texts.start * self.context..texts.end * self.context];
        let mut tokens: Vec<i64> = own.iter().map(|token| i64::from(*token)).collect();
        tokens.resize(size * self.context, 0);
        Ok(Tensor::f_from_slice(&tokens)?.f_view([size as i64, self.context as i64])?)
    }

    /// Where readouts look in that batch.
    pub fn places(&self, texts: Range<usize>, size: usize) -> Result<Places> {
        let mut lengths: Vec<i64> = self.lengths[texts].iter().map(|length| *length as i64).collect();
        lengths.resize(size, 1);
        let lengths = Tensor::f_from_slice(&lengths)?;
        let end = match self.reads_last {
            true => lengths.f_full_like(self.context as i64 - 1)?,
            false => lengths.f_sub_scalar(1)?,
        };
        let numbers = Tensor::f_arange(self.context as i64, (tch::Kind::Int64, tch::Device::Cpu))?;
        let own = numbers.f_unsqueeze(0)?.f_lt_tensor(&lengths.f_unsqueeze(1)?)?.f_to_kind(tch::Kind::Float)?;
        Ok(Places { end, own })
    }
}
