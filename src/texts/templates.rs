//! Sentences around a text, as CLIP's recipe for classes has them: `a photo of a {}`.

use crate::error::advise;
use anyhow::Result;

/// Where the text goes.
const GAP: &str = "{}";

/// Fails if a template has no place for the text, or is there twice.
pub fn check(templates: &[String]) -> Result<()> {
    for (number, template) in templates.iter().enumerate() {
        if !template.contains(GAP) {
            return Err(advise(
                format!("the template `{template}` has no place for the text"),
                "write {} where it goes: --template 'a photo of a {}'",
            ));
        }
        if templates[..number].contains(template) {
            return Err(advise(format!("the template `{template}` is given twice"), "give each once"));
        }
    }
    Ok(())
}

/// `text` in the place that `template` has for it.
pub(crate) fn fill(template: &str, text: &str) -> String {
    template.replace(GAP, text)
}
