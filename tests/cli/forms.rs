//! `extract --format`: the same rows in other forms than NumPy's.

use crate::assert_output;
use crate::lab::Lab;
use crate::resume::{assert_same, signal, start};
use serde_json::Value;
use std::fs;
use std::time::Duration;
use thingsvision::npy;

const EXTRACT: &str =
    "extract --model cornet-z --weights random --images images --batch-size 2 --layer V2 --layer V4 --layer decoder.avgpool";
const RUN: &str = "cornet-z.random-0";
const LAYERS: [&str; 3] = ["V2", "V4", "decoder.avgpool"];
/// Flags, and what the file of a layer is called.
const FORMS: [(&str, &str); 5] = [
    ("--format hdf5", "LAYER.h5"),
    ("--format hdf5 --one-file", "features.h5"),
    ("--format mat", "LAYER.mat"),
    ("--format pt", "LAYER.pt"),
    ("--format csv --readout mean", "LAYER.csv"),
];

fn record(lab: &Lab, run: &str) -> Value {
    serde_json::from_slice(&lab.bytes(&format!("{run}/run.json"))).unwrap()
}

/// The numbers of a layer in C order, found by what the record says alone.
fn numbers(lab: &Lab, run: &str, layer: &str) -> Vec<f64> {
    let record = record(lab, run);
    let layer = record["layers"].as_array().unwrap().iter().find(|entry| entry["name"] == layer).unwrap();
    let file = format!("{run}/{}", layer["file"].as_str().unwrap());
    if file.ends_with(".npy") {
        return npy::read(&lab.path(&file)).unwrap().into_iter().collect();
    }
    let half = record["dtype"] == "f16";
    if file.ends_with(".csv") {
        // As many numbers as there are columns, whatever the name before them has.
        let text = String::from_utf8(lab.bytes(&file)).unwrap();
        let columns = text.lines().next().unwrap().split(',').count() - 1;
        let cells = text
            .lines()
            .skip(1)
            .flat_map(|line| line.rsplitn(columns + 1, ',').take(columns).collect::<Vec<_>>().into_iter().rev());
        return cells.map(|cell| f64::from(cell.parse::<f32>().unwrap())).collect();
    }
    let shape: Vec<usize> = layer["shape"].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect();
    let (rows, units) = (record["images"].as_u64().unwrap() as usize, shape.iter().product::<usize>());
    let bytes = &lab.bytes(&file)[layer["offset"].as_u64().unwrap() as usize..];
    let all: Vec<f64> = match half {
        true => bytes.as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f64()).collect(),
        false => bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect(),
    };
    let all = &all[..rows * units];
    if !file.ends_with(".mat") {
        return all.to_vec();
    }
    // By columns: the first axis runs fastest.
    let whole: Vec<usize> = [rows].into_iter().chain(shape).collect();
    let array = ndarray::ArrayViewD::from_shape(ndarray::ShapeBuilder::f(ndarray::IxDyn(&whole)), all).unwrap();
    array.iter().copied().collect()
}

#[test]
fn every_form_holds_the_same_rows_however_they_are_made() {
    let lab = Lab::new();
    lab.copy_image("rgb-97x61.png", "images/ =ä,\"b\".png");
    for (flags, name) in FORMS {
        let readout = flags.strip_prefix("--format csv").unwrap_or_default();
        lab.succeed(&format!("{EXTRACT} {readout} --out plain"));
        lab.succeed(&format!("{EXTRACT} {flags} --workers 1 --out one"));
        for (layer, rdm) in LAYERS.map(|layer| (layer, format!("{RUN}/{layer}.rdm.npy"))) {
            assert!(lab.path(&format!("one/{RUN}/{}", name.replace("LAYER", layer))).is_file(), "{flags}");
            let (found, wanted) = (numbers(&lab, &format!("one/{RUN}"), layer), numbers(&lab, &format!("plain/{RUN}"), layer));
            assert!(!wanted.is_empty() && found == wanted, "{layer} {flags}");
            assert_eq!(lab.bytes(&format!("one/{rdm}")), lab.bytes(&format!("plain/{rdm}")), "{flags}");
        }
        for (way, out) in [("--workers 4", "four"), ("--join", "joined")] {
            lab.succeed(&format!("{EXTRACT} {flags} {way} --out {out}"));
            assert_same(&lab, &format!("one/{RUN}"), &format!("{out}/{RUN}"));
        }
        for shard in ["1/3", "2/3", "3/3"] {
            lab.succeed(&format!("{EXTRACT} {flags} --shard {shard} --out shards"));
        }
        let shards: Vec<String> = (1..=3).map(|n| format!("shards/{RUN}.shard-{n}-of-3")).collect();
        lab.succeed(&format!("merge {}", shards.join(" ")));
        assert_same(&lab, &format!("one/{RUN}"), &format!("shards/{RUN}"));
        assert!(lab.succeed(&format!("{EXTRACT} {flags} --out one")).stderr.contains("is there already"), "{flags}");
        let verified = lab.succeed(&format!("verify one/{RUN}")).stdout;
        assert!(verified.contains("6 rows of every layer come out the same, to the bit"), "{flags}\n{verified}");
        for folder in ["plain", "one", "four", "joined", "shards"] {
            fs::remove_dir_all(lab.path(folder)).unwrap();
        }
    }
}

#[test]
fn whatever_reads_a_run_reads_every_form() {
    let lab = Lab::new();
    for (flags, name) in FORMS {
        let readout = flags.strip_prefix("--format csv").unwrap_or_default();
        let (plain, run) = (format!("plain/{RUN}"), format!("other/{RUN}"));
        for (flags, out) in [(readout, "plain"), (flags, "other")] {
            lab.succeed(&format!("{EXTRACT} {flags} --out {out}"));
        }
        let cka = |run: &str| lab.succeed(&format!("cka {run} --unbiased")).stdout;
        assert_eq!(cka(&run), cka(&plain), "{flags}");
        lab.succeed(&format!("rdm {plain}/V4.npy --metric euclidean --out wanted.npy"));
        // In its folder, and, but for PyTorch's, anywhere.
        let file = name.replace("LAYER", "V4");
        let array = if name == "features.h5" { ":features/V4" } else { "" };
        fs::copy(lab.path(&format!("{run}/{file}")), lab.path(&file)).unwrap();
        for place in [format!("{run}/{file}"), file.clone()] {
            if place == "V4.pt" {
                continue;
            }
            lab.succeed(&format!("rdm {place}{array} --metric euclidean --out found.npy"));
            assert_eq!(lab.bytes("found.ids.txt"), lab.bytes("wanted.ids.txt"), "{place}");
            if place != "V4.csv" {
                assert_eq!(lab.bytes("found.npy"), lab.bytes("wanted.npy"), "{place}");
            }
        }
        // Projections of whatever form, and what is not reduced.
        for reduction in
            ["--reduce srp --components 300", "--reduce pca --components 2", "--reduce srp --components 300 --rdm-of full"]
        {
            lab.succeed(&format!("reduce {plain} {reduction} --out a"));
            lab.succeed(&format!("reduce {run} {reduction} --out b"));
            for layer in LAYERS {
                assert_eq!(numbers(&lab, "a", layer), numbers(&lab, "b", layer), "{layer} {flags} {reduction}");
                let rdm = |run: &str| lab.bytes(&format!("{run}/{layer}.rdm.npy"));
                assert_eq!(rdm("a"), rdm("b"), "{layer} {flags} {reduction}");
            }
            let left = lab.names("b").into_iter().find(|name| name.contains("unreduced"));
            assert_eq!(left, None, "{flags} {reduction}");
            if !flags.contains("one-file") {
                let extracted = format!("{EXTRACT} {flags} {reduction} --out c");
                let run = lab.succeed(&extracted).stdout.trim().to_owned();
                for layer in LAYERS {
                    let of = |run: &str| lab.bytes(&format!("{run}/{}", name.replace("LAYER", layer)));
                    assert_eq!(of(&run), of("b"), "{layer} {flags} {reduction}");
                }
                assert!(lab.succeed(&format!("verify {run}")).stdout.contains("fine   again"), "{flags} {reduction}");
                fs::remove_dir_all(lab.path("c")).unwrap();
            }
            for folder in ["a", "b"] {
                fs::remove_dir_all(lab.path(folder)).unwrap();
            }
        }
        for folder in ["plain", "other"] {
            fs::remove_dir_all(lab.path(folder)).unwrap();
        }
    }
}

#[test]
fn half_precision_is_kept_where_the_form_has_it() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --readout mean --dtype f16 --out plain"));
    for format in ["hdf5", "pt", "csv"] {
        lab.succeed(&format!("{EXTRACT} --readout mean --dtype f16 --format {format}"));
        for layer in LAYERS {
            let of = |folder: &str| numbers(&lab, &format!("{folder}/{RUN}"), layer);
            assert_eq!(of("activations"), of("plain"), "{format}");
        }
        fs::remove_dir_all(lab.path("activations")).unwrap();
    }
    assert_output!(lab.fail(&format!("{EXTRACT} --dtype f16 --format mat")), @"
    error: MATLAB's files have no float16

    hint: take --dtype f32, or another --format
    ");
}

/// Turns the run `to` into an unfinished one, as a process that was killed among the layers leaves it.
fn unfinish(lab: &Lab, run: &str) -> String {
    let unfinished = format!("{run}.partial");
    fs::rename(lab.path(run), lab.path(&unfinished)).unwrap();
    let record = fs::read_to_string(lab.path(&format!("{unfinished}/run.json"))).unwrap();
    fs::write(lab.path(&format!("{unfinished}/run.json")), record.replace("\"complete\": true", "\"complete\": false")).unwrap();
    fs::write(lab.path(&format!("{unfinished}/done.txt")), "rows 0 5\n").unwrap();
    unfinished
}

#[test]
fn what_was_killed_while_files_were_made_goes_on() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --readout mean --out plain"));
    for format in ["mat", "csv"] {
        let (run, wanted) = (format!("activations/{RUN}"), format!("wanted/{RUN}"));
        lab.succeed(&format!("{EXTRACT} --readout mean --format {format}"));
        lab.succeed(&format!("{EXTRACT} --readout mean --format {format} --out wanted"));
        // V2 is made, V4 is half made, the last has not begun.
        let unfinished = unfinish(&lab, &run);
        fs::rename(lab.path(&format!("{unfinished}/V4.{format}")), lab.path(&format!("{unfinished}/V4.{format}.partial")))
            .unwrap();
        fs::remove_file(lab.path(&format!("{unfinished}/decoder.avgpool.{format}"))).unwrap();
        for layer in &LAYERS[1..] {
            fs::copy(lab.path(&format!("plain/{RUN}/{layer}.npy")), lab.path(&format!("{unfinished}/{layer}.npy"))).unwrap();
        }
        fs::remove_file(lab.path(&format!("{unfinished}/V2.rdm.npy"))).unwrap();
        lab.succeed(&format!("resume {run}"));
        assert_same(&lab, &run, &wanted);
        for folder in ["activations", "wanted"] {
            fs::remove_dir_all(lab.path(folder)).unwrap();
        }
    }
}

#[test]
fn killed_runs_give_the_same_bytes_in_every_form() {
    for (flags, _) in FORMS {
        let lab = crate::resume::lab_of(40);
        lab.succeed(&format!("{EXTRACT} {flags} --out wanted"));
        let command = format!("{EXTRACT} {flags} --workers 1");
        for milliseconds in [300, 450, 600] {
            let mut child = start(&lab, &command);
            std::thread::sleep(Duration::from_millis(milliseconds));
            signal(&child, "-KILL");
            child.wait().unwrap();
        }
        lab.succeed(&command);
        assert_same(&lab, &format!("activations/{RUN}"), &format!("wanted/{RUN}"));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let lab = Lab::new();
    assert_output!(lab.fail(&format!("{EXTRACT} --one-file")), @"
    error: --one-file is for --format hdf5

    hint: add that, or leave it out for a file of each layer
    ");
    assert_output!(lab.fail(&format!("{EXTRACT} --format hdf5 --one-file --reduce pca --components 2")), @"
    error: --one-file does not go with rows that are reduced when all are there

    hint: leave it out for a file of each layer; --reduce srp with RDMs of the reduced rows goes with it
    ");
    assert_output!(lab.fail(&format!("{EXTRACT} --format csv --layer V1")), @"
    error: `V1` has 200,704 numbers a row, and --format csv takes at most 100,000

    hint: few programs read a table of so many columns: take --format hdf5, or fewer numbers by --readout mean or --reduce srp
    ");
    lab.succeed(&format!("{EXTRACT} --format pt"));
    assert_output!(lab.fail(EXTRACT), @"
    error: there is another run in `activations/cornet-z.random-0`: format: npy, was pt

    hint: replace it with --force, or keep it and name another place with --out
    ");
    assert_output!(lab.fail(&format!("{EXTRACT} --format hdf5 --one-file")), @"
    error: there is another run in `activations/cornet-z.random-0`: format: hdf5, was pt; one file: true, was false

    hint: replace it with --force, or keep it and name another place with --out
    ");
    fs::copy(lab.path(&format!("activations/{RUN}/V4.pt")), lab.path("V4.pt")).unwrap();
    assert_output!(lab.fail("rdm V4.pt"), @"
    error: `V4.pt` is a file of PyTorch's, and these are not read as arrays

    hint: save the tensor for NumPy: np.save('features.npy', tensor.numpy()); features of a run are read in its folder
    ");
}

#[test]
fn the_names_of_an_rdm_are_in_its_matlab_file() {
    let lab = Lab::new();
    lab.succeed(EXTRACT);
    let rdm = format!("activations/{RUN}/V4.rdm.npy");
    lab.succeed(&format!("rdm convert {rdm} rdm.mat"));
    fs::rename(lab.path("rdm.ids.txt"), lab.path("names.txt")).unwrap();
    lab.succeed("rdm convert rdm.mat again.npy");
    assert_eq!(lab.bytes("again.ids.txt"), lab.bytes("names.txt"));
    assert_eq!(npy::read(&lab.path("again.npy")).unwrap(), npy::read(&lab.path(&rdm)).unwrap());
    lab.succeed("rdm convert again.npy rdm.pt");
    assert_output!(lab.fail("rdm check rdm.pt"), @"
    error: `rdm.pt` is a file of PyTorch's, and these are not read as arrays

    hint: save the tensor for NumPy: np.save('features.npy', tensor.numpy()); features of a run are read in its folder
    ");
}

#[test]
fn a_file_that_is_made_of_rows_that_are_still_to_come_is_none() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --format mat --out wanted"));
    let run = format!("activations/{RUN}");
    lab.succeed(&format!("{EXTRACT} --format mat"));
    let unfinished = unfinish(&lab, &run);
    fs::write(lab.path(&format!("{unfinished}/done.txt")), "rows 0 2\n").unwrap();
    lab.succeed(&format!("{EXTRACT} --format mat"));
    assert_same(&lab, &run, &format!("wanted/{RUN}"));
}

#[test]
fn unfinished_files_are_as_they_were_written_or_refused() {
    for (format, ending) in [("npy", "npy"), ("hdf5", "h5"), ("pt", "pt")] {
        let lab = Lab::new();
        lab.succeed(&format!("{EXTRACT} --format {format} --out wanted"));
        let run = format!("activations/{RUN}");
        lab.succeed(&format!("{EXTRACT} --format {format}"));
        let unfinished = unfinish(&lab, &run);
        // Longer than it was.
        let file = format!("{unfinished}/V4.{ending}");
        let whole = lab.bytes(&file);
        fs::write(lab.path(&file), [&whole[..], b"more"].concat()).unwrap();
        lab.succeed(&format!("{EXTRACT} --format {format}"));
        assert_same(&lab, &run, &format!("wanted/{RUN}"));
        let unfinished = unfinish(&lab, &run);
        let broken = [&[0; 40], &whole[40..]].concat();
        fs::write(lab.path(&format!("{unfinished}/V4.{ending}")), broken).unwrap();
        assert!(lab.fail(&format!("{EXTRACT} --format {format}")).contains("its beginning is not as it was written"), "{format}");
    }
}

#[test]
fn a_table_whose_rows_were_moved_is_not_read_by_the_names_of_the_run() {
    let lab = Lab::new();
    lab.succeed(&format!("{EXTRACT} --format csv --readout mean"));
    let file = format!("activations/{RUN}/V4.csv");
    let text = String::from_utf8(lab.bytes(&file)).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let moved: String = [header].into_iter().chain(rows.lines().rev()).map(|line| format!("{line}\n")).collect();
    fs::write(lab.path(&file), moved).unwrap();
    let problem = lab.fail(&format!("cka activations/{RUN}"));
    assert_eq!(problem, lab.fail(&format!("rdm {file} --out x.npy")));
    assert_output!(problem, @"
    error: `activations/cornet-z.random-0/V4.csv` names other images than images.txt of the run, or in another order

    hint: it was changed: make the run again; by itself, in another folder, it is read by its own names
    ");
    // The same of the other forms, whose files are changed with more pains.
    for (format, ending) in [("hdf5", "h5"), ("mat", "mat"), ("pt", "pt")] {
        lab.succeed(&format!("{EXTRACT} --format {format} --force"));
        let file = format!("activations/{RUN}/V4.{ending}");
        let changed = String::from_utf8_lossy(&lab.bytes(&file)).into_owned();
        assert!(changed.contains("one.png"), "{format}");
        let bytes = lab.bytes(&file);
        let at = bytes.windows(7).position(|part| part == b"one.png").unwrap();
        fs::write(lab.path(&file), [&bytes[..at], b"two.png", &bytes[at + 7..]].concat()).unwrap();
        // The archive has a check sum of it.
        let problem = if format == "pt" { "is not as the run has written it" } else { "names other images than images.txt" };
        assert!(lab.fail(&format!("cka activations/{RUN}")).contains(problem), "{format}");
    }
    // And a tensor of another layer.
    lab.succeed(&format!("{EXTRACT} --format pt --layer V4.nonlin --force"));
    fs::copy(lab.path(&format!("activations/{RUN}/V4.pt")), lab.path(&format!("activations/{RUN}/V4.nonlin.pt"))).unwrap();
    assert!(lab.fail(&format!("cka activations/{RUN}")).contains("it is not the file of the layer `V4.nonlin`"));
}

#[test]
fn offsets_are_verified() {
    let lab = Lab::new();
    for (flags, _) in &FORMS[..4] {
        lab.succeed(&format!("{EXTRACT} {flags} --force"));
        let record = fs::read_to_string(lab.path(&format!("activations/{RUN}/run.json"))).unwrap();
        fs::write(lab.path(&format!("activations/{RUN}/run.json")), record.replacen("\"offset\": ", "\"offset\": 1", 1)).unwrap();
        let said = lab.run(&format!("verify activations/{RUN} --rows 0")).stdout;
        assert!(said.contains("do not begin at the `offset` in the record"), "{flags}\n{said}");
    }
}

#[test]
fn files_that_are_not_what_the_run_wrote_are_refused() {
    let lab = Lab::new();
    for (format, ending) in [("hdf5", "h5"), ("mat", "mat"), ("pt", "pt"), ("csv --readout mean", "csv")] {
        lab.succeed(&format!("{EXTRACT} --format {format}"));
        let file = format!("activations/{RUN}/V4.{ending}");
        let whole = lab.bytes(&file);
        // Cut, and with the numbers of another layer.
        fs::write(lab.path(&file), &whole[..whole.len() / 2]).unwrap();
        lab.fail(&format!("cka activations/{RUN}"));
        assert!(lab.run(&format!("verify activations/{RUN}")).stdout.contains("is not as it was written"), "{format}");
        lab.fail(&format!("reduce activations/{RUN} --reduce srp --components 10"));
        fs::copy(lab.path(&format!("activations/{RUN}/V2.{ending}")), lab.path(&file)).unwrap();
        lab.fail(&format!("cka activations/{RUN}"));
        fs::write(lab.path(&file), "nothing").unwrap();
        lab.fail(&format!("cka activations/{RUN}"));
        fs::remove_dir_all(lab.path("activations")).unwrap();
    }
}
