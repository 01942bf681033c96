//! The parsers of foreign bytes, each as a function of bytes: one place for libFuzzer (`fuzz_targets/parser.rs`), for runs by
//! hand (`by_hand.rs`) and for the tests (`tests/fuzz.rs`). What they return is looked at by nobody: they are to return.
#![allow(clippy::unwrap_used, dead_code)] // as in tests; not every user takes all

pub mod archives;
mod mutate;
pub mod parts;
mod readers;
pub mod seeds;

use parts::Packing;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A parser: of its seeds come the mutants that it is given.
pub struct Parser {
    pub name: &'static str,
    /// How many mutants it is given in the tests: what takes a second or two.
    pub tested: u64,
    /// Above this many megabytes something is wrong. Pictures may be as large as the program takes them.
    pub most_megabytes: u64,
    /// How the content is packed, so that mutants of it can be packed again.
    packing: Packing,
    seeds: fn() -> Vec<Vec<u8>>,
    pub read: fn(&[u8]),
}

const PICTURE: u64 = 4096;
const OTHER: u64 = 512;

macro_rules! parser {
    ($name:literal, $tested:literal, $megabytes:expr, $packing:ident, $read:path, $seeds:expr) => {
        Parser {
            name: $name,
            tested: $tested,
            most_megabytes: $megabytes,
            packing: Packing::$packing,
            seeds: || $seeds,
            read: $read,
        }
    };
}

pub static PARSERS: &[Parser] = &[
    parser!("jpeg", 20_000, PICTURE, None, readers::image, seeds::images("jpg")),
    parser!("png", 20_000, PICTURE, Png, readers::image, seeds::images("png")),
    parser!("gif", 20_000, PICTURE, None, readers::image, seeds::images("gif")),
    parser!("webp", 20_000, PICTURE, None, readers::image, seeds::images("webp")),
    parser!("bmp", 20_000, PICTURE, None, readers::image, seeds::images("bmp")),
    parser!("tiff", 20_000, PICTURE, None, readers::image, seeds::images("tif")),
    parser!("pnm", 20_000, PICTURE, None, readers::image, seeds::pictures_of_text()),
    parser!("stack", 2_000, OTHER, None, readers::stack, seeds::stacks()),
    parser!("list", 2_000, OTHER, None, readers::list, seeds::lists()),
    parser!("npy", 5_000, OTHER, None, readers::npy, seeds::npy()),
    parser!("npz", 5_000, OTHER, Zip, readers::npz, seeds::npz()),
    parser!("csv", 5_000, OTHER, None, readers::csv, seeds::tables()),
    parser!("mat", 5_000, OTHER, Mat, readers::mat, seeds::mat()),
    parser!("mat73", 5_000, OTHER, None, readers::mat, seeds::mat73()),
    parser!("hdf5", 5_000, OTHER, None, readers::hdf5, seeds::hdf5()),
    parser!("features", 5_000, OTHER, None, readers::features, seeds::features()),
    parser!("nifti", 5_000, OTHER, Gzip, readers::nifti, seeds::nifti()),
    parser!("safetensors", 10_000, OTHER, None, readers::checkpoint, seeds::safetensors()),
    parser!("pickle", 10_000, OTHER, None, readers::checkpoint, seeds::pickles()),
    parser!("checkpoint", 5_000, OTHER, Zip, readers::checkpoint, seeds::checkpoints()),
    parser!("torchscript", 150, OTHER, Zip, readers::exported, seeds::exported()),
    parser!("registry", 500, OTHER, None, readers::registry, seeds::registries()),
    parser!("study", 5_000, OTHER, None, readers::study, seeds::studies()),
    parser!("record", 5_000, OTHER, None, readers::record, seeds::records()),
    parser!("resume", 500, OTHER, None, readers::resume, seeds::records()),
    parser!("journal", 10_000, OTHER, None, readers::journal, seeds::journals()),
];

/// The parser called `name`.
pub fn parser(name: &str) -> &'static Parser {
    PARSERS.iter().find(|parser| parser.name == name).unwrap_or_else(|| panic!("no parser `{name}`"))
}

/// The seeds of a parser, as they are and taken apart.
pub struct Mutator {
    parser: &'static Parser,
    seeds: Vec<Vec<u8>>,
    parts: Vec<Vec<archives::Part>>,
}

impl Mutator {
    pub fn new(parser: &'static Parser) -> Mutator {
        let seeds = (parser.seeds)();
        assert!(!seeds.is_empty(), "{} has seeds", parser.name);
        let parts = seeds.iter().filter_map(|seed| parser.packing.unpack(seed)).collect();
        Mutator { parser, seeds, parts }
    }

    /// The mutant of this number, the same whenever it is asked for.
    pub fn mutant(&self, seed: u64, number: u64) -> Vec<u8> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        if !self.parts.is_empty() && random.random_ratio(2, 3) {
            let mut parts = self.parts[random.random_range(0..self.parts.len())].clone();
            parts::mutate(&mut parts, &self.parts, &mut random);
            return self.parser.packing.pack(&parts);
        }
        let mut bytes = self.seeds[random.random_range(0..self.seeds.len())].clone();
        mutate::bytes(&mut bytes, &self.seeds, &mut random);
        bytes
    }

    /// A mutant of `bytes`, which come from elsewhere.
    pub fn mutant_of(&self, bytes: &[u8], seed: u64) -> Vec<u8> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        match self.parser.packing.unpack(bytes) {
            Some(mut parts) => {
                parts::mutate(&mut parts, &self.parts, &mut random);
                self.parser.packing.pack(&parts)
            }
            None => {
                let mut bytes = bytes.to_vec();
                mutate::bytes(&mut bytes, &self.seeds, &mut random);
                bytes
            }
        }
    }
}
