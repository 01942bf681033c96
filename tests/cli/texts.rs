//! `thingsvision extract --texts`: tokens and layers as upstream, what is refused, and what other commands make of such runs.
//! `fixtures/make_text_fixtures.py` makes the goldens.

use crate::assert_output;
use crate::lab::Lab;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};
use thingsvision::npy;
use thingsvision::registry::Registry;

/// The small networks of the fixtures.
const REGISTRY: &str = r#"
[preprocessing.small]
resize = 32
interpolation = "bicubic"
crop = 32
mean = [0.5, 0.5, 0.5]
std = [0.5, 0.5, 0.5]

[[model]]
name = "openai-vit"
architecture = { family = "clip", tower = "vit", patch = 16, resolution = 32, depth = 1, width = 64, outputs = 24 }
default_layer = "visual"
outputs = 24
text = { tower = { heads = 2, width = 32, depth = 2 } }
[[model.weights]]
tag = "none"
preprocessing = "small"

[[model]]
name = "openai-rn"
architecture = { family = "clip", tower = "resnet", depths = [1, 1, 1, 1], width = 64, resolution = 32, outputs = 24, text_width = 32 }
default_layer = "visual"
outputs = 24
text = { tower = { heads = 2, width = 32, depth = 2 } }
[[model.weights]]
tag = "none"
preprocessing = "small"

[[model]]
name = "openclip-vit"
architecture = { family = "clip", tower = "openclip", patch = 16, resolution = 32, depth = 1, width = 64, outputs = 24 }
default_layer = "visual"
outputs = 24
text = { tower = { style = "openclip", heads = 2, width = 32, depth = 2 } }
[[model.weights]]
tag = "none"
preprocessing = "small"

[[model]]
name = "siglip"
architecture = { family = "clip", tower = "openclip", patch = 16, resolution = 32, depth = 1, width = 64, outputs = 24 }
default_layer = "visual"
outputs = 24
text = { tower = { style = "siglip", context = 16, vocabulary = 21, padding = 1, heads = 2, width = 32, depth = 2, mlp_width = 112, tanh = true }, tokenizer = "https://example.org/tokenizer.json" }
[[model.weights]]
tag = "none"
preprocessing = "small"
text = { url = "https://example.org/model.safetensors" }
"#;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn golden() -> Value {
    serde_json::from_str(&fs::read_to_string(fixture("texts.json")).unwrap()).unwrap()
}

/// A folder with the registry, the texts of the goldens and SigLIP's kind of tokenizer.
fn lab() -> Lab {
    let lab = Lab::new();
    fs::write(lab.path("my.toml"), REGISTRY).unwrap();
    fs::copy(fixture("tokenizer.json"), lab.path("tokenizer.json")).unwrap();
    let golden = golden();
    let texts = golden["texts"].as_array().unwrap().iter().map(|text| format!("{}\n", text.as_str().unwrap()));
    fs::write(lab.path("texts.txt"), texts.collect::<String>()).unwrap();
    lab
}

fn extract(model: &str, more: &str) -> String {
    format!("--registry my.toml extract --model {model} --weights random --seed 11 {more}")
}

#[test]
fn every_layer_of_text_towers_equals_pytorch() {
    let (lab, golden) = (lab(), golden());
    for (model, tower) in golden["towers"].as_object().unwrap() {
        let tokenizer = if model == "siglip" { "--tokenizer tokenizer.json" } else { "--layer output" };
        let layers = tower["layers"].as_object().unwrap();
        for (readout, key) in [("", "eot"), ("--readout mean", "mean"), ("--readout none", "none")] {
            let flags = format!("--texts texts.txt --layer * {tokenizer} {readout} --rdm none --out {key}");
            let run = lab.succeed(&extract(model, &flags)).stdout.trim().to_owned();
            assert_eq!(run, format!("{key}/{model}.text.random-11"));
            let files = lab.names(&run).into_iter().filter(|name| name.ends_with(".npy")).count();
            assert_eq!(files, layers.len(), "{model}");
            for (layer, expected) in layers {
                let found = npy::read(&lab.path(&format!("{run}/{layer}.npy"))).unwrap();
                if key == "none" {
                    let sum = |of: &dyn Fn(f64) -> f64| found.iter().map(|value| of(*value)).sum::<f64>();
                    let (squares, scale) = (sum(&|value| value * value), expected["squares"].as_f64().unwrap());
                    assert!((squares - scale).abs() <= 1e-5 * scale, "{model} {layer}: {squares} instead of {scale}");
                    let (sum, wanted) = (sum(&|value| value), expected["sum"].as_f64().unwrap());
                    assert!((sum - wanted).abs() <= 1e-5 * (scale * found.len() as f64).sqrt(), "{model} {layer}: {sum}");
                    continue;
                }
                // An embedding is what it is whatever the readout.
                let rows = expected.get(key).unwrap_or(&expected["eot"]).as_array().unwrap();
                let scale = found.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
                for (row, expected) in rows.iter().enumerate() {
                    for (column, expected) in expected.as_array().unwrap().iter().enumerate() {
                        let (found, expected) = (found[[row, column]], expected.as_f64().unwrap());
                        assert!((found - expected).abs() <= 1e-5 * scale, "{model} {layer} {readout}: {found}, not {expected}");
                    }
                }
            }
        }
    }
}

#[test]
fn random_weights_equal_pytorch_to_the_bit() {
    let lab = lab();
    let registry = Registry::load(Some(&lab.path("my.toml"))).unwrap();
    for (model, tower) in golden()["towers"].as_object().unwrap() {
        let choice = registry.text_tower(&registry.choose(model).unwrap()).unwrap();
        let mut weights: Vec<_> = choice.architecture().seeded_weights(11).unwrap().into_iter().collect();
        weights.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut hash = Sha256::new();
        for (_, tensor) in weights {
            let mut bytes = vec![0; tensor.numel() * 4];
            tensor.copy_data_u8(&mut bytes, tensor.numel());
            hash.update(&bytes);
        }
        assert_eq!(format!("{:x}", hash.finalize()), tower["sha256"].as_str().unwrap(), "{model}");
    }
}

/// The keys and tensors of transformers' class for the same text tower.
fn as_in_transformers(key: &str, tensor: &Tensor) -> Vec<(String, Tensor)> {
    let key = key.trim_start_matches("text.");
    if let Some(ending) = key.strip_prefix("text_projection") {
        let head = if ending.is_empty() {
            ("text_projection.weight".to_owned(), tensor.tr().contiguous())
        } else {
            (format!("text_model.head{ending}"), tensor.shallow_clone())
        };
        return vec![head];
    }
    let key = [
        ("transformer.resblocks.", "encoder.layers."),
        ("token_embedding", "embeddings.token_embedding"),
        ("positional_embedding", "embeddings.position_embedding.weight"),
        ("ln_final", "final_layer_norm"),
        ("ln_1", "layer_norm1"),
        ("ln_2", "layer_norm2"),
        ("c_fc", "fc1"),
        ("c_proj", "fc2"),
        ("attn.out_proj", "self_attn.out_proj"),
    ]
    .iter()
    .fold(format!("text_model.{key}"), |key, (from, to)| key.replace(from, to));
    match key.split_once("attn.in_proj_") {
        None => vec![(key, tensor.shallow_clone())],
        Some((before, kind)) => {
            let parts = ["q_proj", "k_proj", "v_proj"].into_iter().zip(tensor.chunk(3, 0));
            parts.map(|(part, tensor)| (format!("{before}self_attn.{part}.{kind}"), tensor.contiguous())).collect()
        }
    }
}

#[test]
fn weights_are_read_from_files() {
    let lab = lab();
    let registry = Registry::load(Some(&lab.path("my.toml"))).unwrap();
    for model in ["openai-vit", "openai-rn", "openclip-vit", "siglip"] {
        let architecture = registry.text_tower(&registry.choose(model).unwrap()).unwrap().architecture();
        let weights = architecture.seeded_weights(11).unwrap();
        let mut own: Vec<(String, Tensor)> = weights.iter().map(|(key, tensor)| (key.clone(), tensor.shallow_clone())).collect();
        let others: Vec<(String, Tensor)> = weights.iter().flat_map(|(key, tensor)| as_in_transformers(key, tensor)).collect();
        // Of the image tower, which stands beside it.
        own.push(("visual.proj".to_owned(), Tensor::zeros([64, 24], (Kind::Float, Device::Cpu))));
        let tokenizer = if model == "siglip" { "--tokenizer tokenizer.json" } else { "" };
        let embedding = |weights: &str, out: &str| {
            let flags = format!("--texts texts.txt {tokenizer} --weights {weights} --out {out}");
            let run = lab.succeed(&format!("--registry my.toml extract --model {model} {flags}")).stdout.trim().to_owned();
            npy::read(&lab.path(&format!("{run}/{}.npy", if model == "siglip" { "text" } else { "output" }))).unwrap()
        };
        let drawn = embedding("random --seed 11", "random");
        for (file, tensors) in [("own", own), ("others", others)] {
            Tensor::write_safetensors(&tensors, lab.path(&format!("{file}.safetensors"))).unwrap();
            let function = match model {
                "siglip" => "",
                "openclip-vit" => "--activation gelu",
                _ => "--activation quickgelu",
            };
            let said = lab
                .run(&format!(
                    "--registry my.toml extract --model {model} --texts texts.txt {tokenizer} --weights {file}.safetensors"
                ))
                .stderr;
            assert_eq!(said.contains("does not tell which activation function"), !function.is_empty(), "{model}: {said}");
            assert_eq!(embedding(&format!("{file}.safetensors {function}"), &format!("{model}-{file}")), drawn, "{model} {file}");
        }
    }
}

#[test]
fn tokens_are_those_of_open_clip() {
    let (lab, golden) = (lab(), golden());
    let mut table = csv::Writer::from_path(lab.path("lines.csv")).unwrap();
    table.write_record(["id", "text"]).unwrap();
    let lines = golden["tokens"].as_array().unwrap();
    for (number, line) in lines.iter().enumerate() {
        table.write_record([&format!("line {number}"), line["text"].as_str().unwrap()]).unwrap();
    }
    drop(table);
    let run = lab.succeed(&extract("openai-vit", "--texts lines.csv --layer input --rdm none")).stdout;
    let found = npy::read(&lab.path(&format!("{}/input.npy", run.trim()))).unwrap();
    for (number, line) in lines.iter().enumerate() {
        let expected = line["tokens"].as_array().unwrap().iter().map(|token| token.as_f64().unwrap());
        let expected: Vec<f64> = expected.chain(std::iter::repeat(0.0)).take(77).collect();
        let row: Vec<f64> = (0..77).map(|place| found[[number, place]]).collect();
        assert_eq!(row, expected, "{line}");
    }
    let run = lab.succeed(&extract("siglip", "--texts texts.txt --tokenizer tokenizer.json --layer input --rdm none")).stdout;
    let found = npy::read(&lab.path(&format!("{}/input.npy", run.trim()))).unwrap();
    for (number, line) in golden["pieces"].as_array().unwrap().iter().enumerate() {
        let expected = line["tokens"].as_array().unwrap().iter().map(|token| token.as_f64().unwrap());
        let expected: Vec<f64> = expected.chain(std::iter::repeat(1.0)).take(16).collect();
        assert_eq!((0..16).map(|place| found[[number, place]]).collect::<Vec<_>>(), expected, "{line}");
    }
}

#[test]
fn templates_give_the_mean_of_rows_of_length_1() {
    let lab = lab();
    fs::write(lab.path("words.txt"), "dog\ncat\n").unwrap();
    let unit = |row: Vec<f64>| {
        let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
        row.into_iter().map(|value| value / length).collect::<Vec<_>>()
    };
    fs::write(lab.path("filled.txt"), "a photo of a dog\na photo of a cat\nno dog, a dog\nno cat, a cat\n").unwrap();
    let run = lab.succeed(&extract("openai-vit", "--texts filled.txt --out filled")).stdout;
    let filled = npy::read(&lab.path(&format!("{}/output.npy", run.trim()))).unwrap();
    let extract_in = |templates: &[&str], out: &str| {
        let words = extract("openai-vit", &format!("--texts words.txt --out {out}"));
        let templates = templates.iter().flat_map(|template| ["--template", template]);
        lab.run_words(&words.split(' ').chain(templates).collect::<Vec<_>>()).stdout.trim().to_owned()
    };
    let folder = extract_in(&["a photo of a {}"], "one");
    let one = npy::read(&lab.path(&format!("{folder}/output.npy"))).unwrap();
    let folder = extract_in(&["a photo of a {}", "no {}, a {}"], "both");
    let both = npy::read(&lab.path(&format!("{folder}/output.npy"))).unwrap();
    for word in 0..2 {
        let of = |row: usize| (0..24).map(|column| filled[[row, column]]).collect::<Vec<_>>();
        let sum = unit(of(word)).into_iter().zip(unit(of(word + 2))).map(|(one, other)| one + other).collect();
        for (column, expected) in unit(sum).into_iter().enumerate() {
            assert!((both[[word, column]] - expected).abs() < 1e-6);
            assert!((one[[word, column]] - of(word)[column]).abs() < 1e-6);
        }
    }
    assert_output!(String::from_utf8(lab.bytes(&format!("{folder}/conditions.csv"))).unwrap(), @"
    condition,image
    dog,dog/1
    dog,dog/2
    cat,cat/1
    cat,cat/2
    ");
    assert_output!(String::from_utf8(lab.bytes(&format!("{folder}/images.txt"))).unwrap(), @"
    dog
    cat
    ");
}

#[test]
fn what_cannot_be_shown_is_refused_by_line() {
    let lab = lab();
    let long = "word ".repeat(80);
    let files: [(&str, &[u8]); 13] = [
        ("empty.txt", b""),
        ("blank.txt", b"dog\n \ncat\n"),
        ("twice.txt", b"dog\ncat\ndog\n"),
        ("latin.txt", b"dog\ncaf\xe9\n"),
        ("long.txt", long.as_bytes()),
        ("special.txt", b"dog\na <|EndOfText|> cat\n"),
        ("columns.csv", b"name,text\na,dog\n"),
        ("ids.csv", b"id,text\na,dog\na,cat\n"),
        ("ragged.csv", b"id,text\na,dog\nb\n"),
        ("open.csv", b"id,text\na,\"dog\nb,cat\n"),
        ("nothing.txt", b"dog\n&nbsp;\n"),
        ("blanks.txt", b"dog\n dog \n"),
        ("tabs.txt", b"a\tdog\n"),
    ];
    for (name, content) in files {
        fs::write(lab.path(name), content).unwrap();
    }
    let mut said = String::new();
    for (name, _) in files {
        said += &format!("{}\n", lab.fail(&extract("openai-vit", &format!("--texts {name}"))));
    }
    for flags in [
        "--texts texts.txt --template dog",
        "--texts texts.txt --resize 100",
        "--texts texts.txt --readout patches --layer ln_final",
        "--texts texts.txt --layer nothing",
        "--texts texts.txt --tokenizer tokenizer.json",
        "--texts missing.txt",
    ] {
        said += &format!("{}\n", lab.fail(&extract("openai-vit", flags)));
    }
    fs::write(lab.path("long.json"), format!(r#"{{"model": {{"vocab": [["{}", 0.0]]}}}}"#, "a".repeat(300_000))).unwrap();
    said += &lab.fail(&extract("siglip", "--texts texts.txt --tokenizer long.json"));
    fs::write(lab.path("marks.txt"), "dog\n!?!\n").unwrap();
    said += &lab.fail(&extract("siglip", "--texts marks.txt --tokenizer tokenizer.json"));
    fs::write(lab.path("no.json"), "{}").unwrap();
    said += &lab.fail(&extract("siglip", "--texts texts.txt --tokenizer no.json"));
    said += &lab.fail(&extract("siglip", "--texts texts.txt"));
    said += &lab.fail("extract --model resnet50 --weights random --texts texts.txt");
    assert_output!(said, @"
    error: there are no texts in `empty.txt`

    hint: write one a line

    error: line 2 of `blank.txt` has no text

    hint: take the line out: each row of the activations is of a text

    error: line 3 of `twice.txt` has the ID `dog`, as line 1

    hint: IDs must differ; to show a text twice, give both an ID in a table: id,text

    error: line 2 of `latin.txt` is not UTF-8

    hint: save the file as UTF-8

    error: the texts cannot be shown to `openai-vit`: the text `word word word word word word word word word word word word …` has 82 tokens, and the network is shown 77

    hint: shorten it, or have what is too long cut off: --truncate

    error: the texts cannot be shown to `openai-vit`: the text `a <|EndOfText|> cat`: `<|endoftext|>` in a text is read as letters by some of CLIP's tokenizers, and by others as a token

    hint: write it otherwise

    error: the table `columns.csv` has no column `id`

    hint: the first line is to say `id,text`, with a comma between (in .tsv a tab); a file with a text a line is called .txt

    error: line 3 of `ids.csv` has the ID `a`, as line 2

    hint: IDs must differ; to show a text twice, give both an ID in a table: id,text

    error: cannot read the table `ragged.csv`: CSV error: record 2 (line: 3, byte: 14): found record with 1 fields, but the previous record has 2 fields

    hint: its columns are id and text; a text with a comma in it stands in quotes

    error: a quote in line 2 of `open.csv` has no end, so that rows after it are taken for one text

    hint: close it, or write it twice where it is meant as it stands

    error: the texts cannot be shown to `openai-vit`: the text `&nbsp;`: nothing is left of it when it is cleaned: the network would be shown no text

    hint: take it out, or write it in words; SigLIP's texts are cleaned of punctuation

    error: line 2 of `blanks.txt` has the ID `dog`, as line 1

    hint: IDs must differ; to show a text twice, give both an ID in a table: id,text

    error: line 1 of `tabs.txt` has a control character in its ID

    hint: of a tab: call a table with the columns id and text .tsv; of others: save the file as UTF-8 with one text a line

    error: the template `dog` has no place for the text

    hint: write {} where it goes: --template 'a photo of a {}'

    error: --texts does not go with what is said of pixels, which is of images

    hint: leave it out

    error: a text has no patches

    hint: readouts that fit: none, flatten, eot, cls or mean

    error: `openai-vit --texts` has no layer `nothing`

    hint: `thingsvision layers --model openai-vit --texts` lists all 24

    error: `openai-vit` has CLIP's tokenizer, which comes with the program

    hint: leave --tokenizer out

    error: cannot read the texts in `missing.txt`: No such file or directory (os error 2)

    error: `long.json` has a token of more than 1000 bytes

    hint: name the tokenizer.json that is published with the network
    error: the texts cannot be shown to `siglip`: the text `!?!`: nothing is left of it when it is cleaned: the network would be shown no text

    hint: take it out, or write it in words; SigLIP's texts are cleaned of punctuation
    error: `no.json` is no tokenizer of Hugging Face's library: Model missing. at line 1 column 2

    hint: name the tokenizer.json that is published with the network
    error: the weights of the tokenizer of `siglip` are not on this machine, and --offline or THINGSVISION_OFFLINE is set

    hint: download https://example.org/tokenizer.json elsewhere, and name the file: --tokenizer tokenizer.json
    error: `resnet50` has no text tower

    hint: take a model of CLIP, OpenCLIP or SigLIP: `thingsvision models clip` and `models siglip` list them
    ");
}

#[test]
fn what_is_too_long_is_cut_off_and_listed() {
    let lab = lab();
    fs::write(lab.path("long.txt"), format!("dog\n{}\n", "word ".repeat(80).trim())).unwrap();
    let outcome = lab.succeed(&extract("openai-vit", "--texts long.txt --truncate --layer input --layer output"));
    let folder = outcome.stdout.trim();
    let tokens = npy::read(&lab.path(&format!("{folder}/input.npy"))).unwrap();
    assert_eq!((tokens[[1, 0]], tokens[[1, 75]], tokens[[1, 76]]), (49406.0, 2653.0, 49407.0));
    let record: Value = serde_json::from_slice(&lab.bytes(&format!("{folder}/run.json"))).unwrap();
    assert_eq!(record["texts"]["truncated"], serde_json::json!(["word ".repeat(80).trim()]));
    let said = outcome.stderr.lines().find(|line| line.contains("tokens")).unwrap().trim();
    assert_output!(said, @"tokens    77 of each text, by CLIP's tokenizer; 1 text cut off, among them `word word word word word word word word word word word word …`; run.json lists them");
}

#[test]
fn runs_of_texts_go_through_the_other_commands() {
    let lab = lab();
    fs::write(lab.path("words.txt"), "dog\ncat\nhouse\nzebra\ntree\n").unwrap();
    let run = lab.succeed(&extract("openai-vit", "--texts words.txt --layer output --layer ln_final")).stdout.trim().to_owned();
    let again = lab.succeed(&extract("openai-vit", "--texts words.txt --layer output --layer ln_final"));
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    lab.succeed(&format!("verify {run}"));
    lab.succeed(&format!("rsa --behavior {run}/output.rdm.npy {run} --permutations 50 --bootstrap 50"));
    lab.succeed(&format!("cka {run} {run}"));
    lab.succeed(&format!("reduce {run} --reduce pca --components 2"));
    let whole = lab.bytes(&format!("{run}/output.npy"));
    let shards = ["1/2", "2/2"].map(|part| {
        let flags = format!("--texts words.txt --layer output --batch-size 2 --out parts --shard {part}");
        lab.succeed(&extract("openai-vit", &flags)).stdout.trim().to_owned()
    });
    let merged = lab.succeed(&format!("merge {}", shards.join(" "))).stdout.trim().to_owned();
    assert_eq!(lab.bytes(&format!("{merged}/output.npy")).len(), whole.len());
    let layers: Value =
        serde_json::from_str(&lab.succeed("--registry my.toml layers --model openai-vit --texts --json").stdout).unwrap();
    let default: Vec<&str> = layers
        .as_array()
        .unwrap()
        .iter()
        .filter(|layer| layer["default"] == true)
        .map(|layer| layer["layer"].as_str().unwrap())
        .collect();
    assert_eq!(default, ["output"]);
    assert_output!(lab.succeed("--registry my.toml models siglip").stdout, @"
    model               siglip
    family              clip
    names and numbers
    default layer       visual (24 values)
    parameters          101,312
    licence
    citation
    text tower          16 tokens a text, the tokenizer at https://example.org/tokenizer.json
    weights             siglip.none
      pixels            resize 32 (bicubic), crop 32, mean 0.5 0.5 0.5, std 0.5 0.5 0.5
    ");
}
