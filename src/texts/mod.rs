//! Texts beside pictures: which in which order, cleaned and cut into the tokens that a text tower is shown.

mod clean;
mod clip;
mod list;
mod published;
mod templates;
mod tokenized;
mod tokenizer;

pub use list::TextList;
pub use templates::check as check_templates;
pub(crate) use templates::fill;
pub use tokenized::{Places, Tokenized};
pub use tokenizer::Tokenizer;
