//! The file of an exported network: opened, or refused with what it is instead.

use super::dry_run::NOT_TWO;
use super::operators;
use crate::error::{Advice, advise, text_of};
use crate::libtorch;
use crate::plain_file;
use crate::torchscript::{self, Script};
use anyhow::{Context, Error, Result};
use std::io::Read;
use std::path::Path;

const EXPORT: &str = "export it in PyTorch: python examples/export_model.py, or torch.jit.script(network.eval()).save(\"my.pt\")";

const NO_EXPORT: &str = "PyTorch writes no such file: take files of networks from where you would take software";
const FOREIGN: &str =
    "export the network without it (a quantised one in float32); docs/promises.md says what is allowed, and why";

/// Opens the network in the file at `path`, which [`check_kind`] has passed. Needs [`on_large_stack`](crate::torchscript::on_large_stack).
pub fn open(path: &Path) -> Result<Script> {
    let script = Script::open(path).map_err(|error| explain(path, error))?;
    let refuse = |why: &str, hint: &str| Err(advise(format!("the network in `{}` {why}", path.display()), hint));
    if let Some(unused) = script.unused() {
        return refuse(&format!("holds code that it does not use: `{unused}`"), NO_EXPORT);
    }
    if let Some((operator, place)) = operators::foreign(&script)? {
        let why = format!("has `{operator}`, in `{place}`, which is none of the operators and values that networks may have");
        return refuse(&why, FOREIGN);
    }
    match script.inputs()? {
        Some(1) => {}
        None => return refuse("has no `forward`", EXPORT),
        Some(number) => {
            return refuse(
                &format!("takes {number} inputs, and only one of images can be given"),
                "export the part that takes images alone, such as the image tower `model.visual` of CLIP",
            );
        }
    }
    if script.modules()?.len() == 1 && script.tensors()?.is_empty() {
        return refuse(
            "was frozen: its modules and weights were merged into one function, so that it has no layers",
            "export it without torch.jit.freeze and torch.jit.optimize_for_inference",
        );
    }
    Ok(script)
}

/// Fails with what the file is, if it is no TorchScript archive.
pub fn check_kind(path: &Path) -> Result<()> {
    let unreadable = || format!("cannot read `{}`", path.display());
    let mut start = [0; 4];
    let is_zip = plain_file::open(path).with_context(unreadable)?.read_exact(&mut start).is_ok() && start.starts_with(b"PK");
    if !is_zip {
        return Err(advise(
            format!("`{}` holds no network of TorchScript", path.display()),
            format!("a file of weights alone goes with a model: --model resnet50 --weights FILE; a network: {EXPORT}"),
        ));
    }
    let archive = torchscript::archive(path).map_err(|error| {
        error.context(Advice {
            problem: format!("`{}` is damaged, or not whole", path.display()),
            hint: "copy, download or export it again".into(),
        })
    })?;
    let has = |end: &str| archive.file_names().any(|name| name.is_ok_and(|name| name.ends_with(end)));
    if has("/constants.pkl") {
        return Ok(());
    }
    Err(if has("models/model.json") || has("serialized_exported_program.json") {
        advise(format!("`{}` is a program of torch.export, and TorchScript is needed", path.display()), EXPORT)
    } else if has("data.pkl") {
        advise(
            format!("`{}` holds weights, and no network", path.display()),
            format!("name the network that they are of: --model resnet50 --weights {}", path.display()),
        )
    } else {
        advise(format!("`{}` is no network, but another archive", path.display()), EXPORT)
    })
}

/// What libtorch's `error` means for who has exported the file.
pub fn explain(path: &Path, error: Error) -> Error {
    let text = text_of(&error);
    let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let torch = libtorch::needed();
    let torch = torch.strip_suffix(".0").unwrap_or(torch);
    let newer = format!("it was written by a newer PyTorch than this program has: export it with torch {torch}");
    let hint = if says(&["Attempted to read a PyTorch file with version"]) {
        &newer
    } else if says(&[
        "Unknown builtin op",
        "Unknown type name",
        "isn't a registered",
        "Could not find any similar ops",
        "torchbind",
    ]) {
        "it needs operators of another library, which this program does not have: export the network without them"
    } else if says(&["while the file is opened"]) {
        FOREIGN
    } else if says(&["than that of any network", "stands in it twice", "other files than", "lie in one another"]) {
        NO_EXPORT
    } else if says(&["PyTorch 1.1"]) {
        "export it again, with a newer PyTorch"
    } else if says(&["can't allocate memory", "bad_alloc"]) {
        "it asks for more memory than there is: take smaller batches (--batch-size N) or pictures, or another network"
    } else if says(&["required keyword attribute", "mkldnn::", "mkldnn_"]) {
        "it was optimised for one machine: export it without torch.jit.optimize_for_inference"
    } else if says(&["PytorchStreamReader", "unpickler", "Unpickler", "archive", "EOF"]) {
        "the file is damaged or not whole: copy, download or export it again"
    } else if says(&["CUDA", "cuda", "same device", "devices"]) {
        "it is bound to another device: export it on the CPU"
    } else if says(&[NOT_TWO]) {
        "export it so that it takes any number of images, without a size of a batch in its code; examples/export_model.py checks that"
    } else if says(&["in another order for two images", "fewer modules are called for two"]) {
        "its code takes the images one by one, or asks how many there are: export it so that it takes all of a batch at once"
    } else if says(&["as in training"]) {
        "export it in evaluation mode, network.eval(), and without a part that compares the images of a batch"
    } else if says(&["scalar type", "same dtype", "dtype", "Half"]) {
        "it mixes kinds of numbers: export it in float32, after network.float()"
    } else if says(&["quantized", "Quantized"]) {
        "it is quantised: export it in float32"
    } else {
        "it may take images of another size (--crop N, --preprocess NAME), or batches of one size alone; \
         examples/export_model.py exports and checks networks"
    };
    error.context(Advice { problem: format!("the network in `{}` cannot be run", path.display()), hint: hint.into() })
}
