//! CLIP's tokenizer: byte pairs (Sennrich et al. 2016, <https://arxiv.org/abs/1508.07909>) of lower-case words, by the merges that
//! OpenAI publishes with CLIP under the MIT licence; tokens have the numbers of `clip/simple_tokenizer.py` and of open_clip.

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use regex::Regex;
use std::io::Read;
use std::sync::LazyLock;
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Vocab};

/// The first 48,894 merges of `bpe_simple_vocab_16e6.txt.gz`, one a line, packed: all that the vocabulary has.
static MERGES: &[u8] = include_bytes!("clip_merges.txt.gz");
/// What a word ends with in the vocabulary.
const END: &str = "</w>";
/// What stands before the tokens of a text.
pub(super) const START_OF_TEXT: u32 = 49_406;
/// What stands behind them: the highest number.
pub(super) const END_OF_TEXT: u32 = 49_407;
/// How the two are written; within a text they would be read as such.
pub(super) const SPECIAL: [&str; 4] = ["<start_of_text>", "<end_of_text>", "<|startoftext|>", "<|endoftext|>"];

/// Words: contractions, letters, single digits, all else. Upstream's pattern, which leaves case aside in all of it, matches all but
/// white space and U+0345, the iota below: neither a letter by its kind nor, for its capital is one, anything else.
static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|\p{L}+|\p{N}|[^\s\p{L}\p{N}\x{345}]+").expect("it is checked by a test")
});

/// The tokens of words.
pub(super) struct Clip {
    pairs: BPE,
    /// The letter that stands for each byte.
    letters: [char; 256],
}

impl Clip {
    pub(super) fn new() -> Result<Clip> {
        let mut text = String::new();
        GzDecoder::new(MERGES).read_to_string(&mut text).context("the built-in merges")?;
        let letters = letters();
        let mut sorted = letters;
        // Bytes that have letters of their own come first in the vocabulary, each part in order.
        sorted.sort_by_key(|letter| *letter as u32);
        let mut vocabulary: Vec<String> = sorted.iter().map(char::to_string).collect();
        vocabulary.extend(sorted.iter().map(|letter| format!("{letter}{END}")));
        let mut merges = Vec::new();
        for line in text.lines() {
            let (first, second) = line.split_once(' ').context("a merge is of two parts")?;
            vocabulary.push(format!("{first}{second}"));
            merges.push((first.to_owned(), second.to_owned()));
        }
        let vocabulary: Vocab = vocabulary.into_iter().zip(0..).collect();
        let builder = BPE::builder().vocab_and_merges(vocabulary, merges);
        let pairs = builder.end_of_word_suffix(END.to_owned()).build().map_err(anyhow::Error::from_boxed)?;
        Ok(Clip { pairs, letters })
    }

    /// The tokens of a text that is [cleaned](super::clean::lower).
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut tokens = Vec::new();
        for word in WORDS.find_iter(text) {
            let word: String = word.as_str().bytes().map(|byte| self.letters[usize::from(byte)]).collect();
            let found = self.pairs.tokenize(&word).map_err(anyhow::Error::from_boxed)?;
            tokens.extend(found.into_iter().map(|token| token.id));
        }
        Ok(tokens)
    }
}

/// Printable bytes stand for themselves, others for what follows Latin-1, in their order.
fn letters() -> [char; 256] {
    let is_printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut others = 256u32..;
    std::array::from_fn(|byte| match byte as u8 {
        byte if is_printable(byte) => char::from(byte),
        _ => others.next().and_then(char::from_u32).expect("there are 68 others"),
    })
}
