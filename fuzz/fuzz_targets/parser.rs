//! libFuzzer on the parser that this binary is called after: `cargo +nightly fuzz run png`.
#![no_main]

#[path = "../harnesses/mod.rs"]
mod harnesses;

use harnesses::{Mutator, Parser, parser};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use std::sync::LazyLock;

static PARSER: LazyLock<&Parser> = LazyLock::new(|| parser(env!("CARGO_BIN_NAME")));
static MUTATOR: LazyLock<Mutator> = LazyLock::new(|| Mutator::new(&PARSER));

fuzz_target!(|bytes: &[u8]| (PARSER.read)(bytes));

// Its own mutations, and, of packed files, of what is packed.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 2 == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let mutant = if size == 0 { MUTATOR.mutant(0, seed.into()) } else { MUTATOR.mutant_of(&data[..size], seed.into()) };
    let size = mutant.len().min(max_size);
    data[..size].copy_from_slice(&mutant[..size]);
    size
});
