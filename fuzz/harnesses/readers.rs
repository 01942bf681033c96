//! What the program does with files of each kind, as far as it needs nothing but their bytes.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind};
use tempfile::TempDir;
use thingsvision::images::{self, AverageBy, ImageList, Reading, Selection, Window};
use thingsvision::models::{Card, Exported};
use thingsvision::registry::Registry;
use thingsvision::weights::Checkpoint;
use thingsvision::{arrays, extract, npy, output, rdm, run, study};

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// The file `name` with these bytes, in a folder of this thread. In memory it is fastest: `TMPDIR=/dev/shm`.
fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.with(|folder| folder.get_or_init(|| tempfile::tempdir().unwrap()).path().join(name));
    // A file that is cut off and written again some file systems bring to the disk at once.
    fs::remove_file(&path).ok();
    if fs::write(&path, bytes).is_err() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
    }
    path
}

/// The file `name`, made when it is first asked for.
fn fixed(name: &str, bytes: &dyn Fn() -> Vec<u8>) -> PathBuf {
    let path = FOLDER.with(|folder| folder.get_or_init(|| tempfile::tempdir().unwrap()).path().join(name));
    if path.exists() { path } else { file(name, &bytes()) }
}

/// Within the limits of the program, as stored and upright.
pub fn image(bytes: &[u8]) {
    let reading = Reading { upright: bytes.len().is_multiple_of(2), ..Reading::default() };
    images::decode_bytes(bytes, &reading, &Window::whole).ok();
}

pub fn stack(bytes: &[u8]) {
    let path = file("stack.h5", bytes);
    let selection = Selection { images: &[path], ..Selection::default() };
    if let Ok(list) = ImageList::find(&selection) {
        list.decode(0, &Window::whole).ok();
        list.decode(list.len() - 1, &Window::whole).ok();
    }
}

pub fn list(bytes: &[u8]) {
    for name in ["one.bmp", "two.bmp", "three.bmp"] {
        fixed(&format!("pictures/{name}"), &|| super::seeds::fixture("images/bmp-24.bmp"));
    }
    let by = AverageBy::Column("kind".into());
    for (name, average_by) in [("list.txt", None), ("list.csv", None), ("list.tsv", Some(&by))] {
        let path = file(&format!("pictures/{name}"), bytes);
        ImageList::find(&Selection { list: Some(&path), average_by, ..Selection::default() }).ok();
    }
}

pub fn npy(bytes: &[u8]) {
    let path = file("array.npy", bytes);
    npy::read(&path).ok();
    npy::Matrix::open(&path).ok();
    rdm::Rdms::read(&path).ok();
}

/// As the file of a run, in each form, and as anybody's.
pub fn features(bytes: &[u8]) {
    for name in ["layer.h5", "layer.mat", "layer.pt", "layer.csv"] {
        let path = file(name, bytes);
        let of_run = output::matrix(&path, "layer", 3, &[2]).ok();
        for matrix in of_run.into_iter().chain(arrays::features(&path).ok().map(|(matrix, _)| matrix)) {
            let last = matrix.rows.saturating_sub(1);
            (matrix.rows > 0).then(|| matrix.append(last, 0..matrix.columns, &mut Vec::new()));
        }
    }
}

fn rdms(name: &str, bytes: &[u8]) {
    rdm::Rdms::read(&file(name, bytes)).ok();
}

pub fn npz(bytes: &[u8]) {
    rdms("array.npz", bytes);
}

pub fn csv(bytes: &[u8]) {
    ["table.csv", "table.tsv", "table.txt"].into_iter().for_each(|name| rdms(name, bytes));
}

/// What is in it, and what a name leads to.
pub fn mat(bytes: &[u8]) {
    let path = file("array.mat", bytes);
    for name in ["", ":RDMs(2).RDM", ":results"] {
        rdm::Rdms::read(Path::new(&format!("{}{name}", path.display()))).ok();
    }
}

pub fn hdf5(bytes: &[u8]) {
    rdms("array.h5", bytes);
}

/// As an image, and as the mask of one.
pub fn nifti(bytes: &[u8]) {
    let path = file("image.nii.gz", bytes);
    let mask = fixed("mask.nii.gz", &|| super::seeds::fixture("nifti/mask.nii.gz"));
    let betas = fixed("betas.nii.gz", &|| super::seeds::fixture("nifti/sub-1.nii.gz"));
    arrays::nifti::patterns(&path, &mask).ok();
    arrays::nifti::patterns(&betas, &path).ok();
}

pub fn checkpoint(bytes: &[u8]) {
    let path = file("weights.pth", bytes);
    let Ok(checkpoint) = Checkpoint::open(&path) else { return };
    for (name, _) in checkpoint.tensors().unwrap_or_default() {
        checkpoint.read(&name).ok();
    }
}

/// Up to the point at which its code would run.
pub fn exported(bytes: &[u8]) {
    let path = file("network.pt", bytes);
    Card::read(&path).ok();
    Exported::open(&path, (Kind::Float, Device::Cpu)).ok();
}

pub fn registry(bytes: &[u8]) {
    Registry::load(Some(&file("models.toml", bytes))).ok();
}

pub fn study(bytes: &[u8]) {
    study::Study::read(&file("study.toml", bytes)).ok();
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap()
}

pub fn record(bytes: &[u8]) {
    let path = file("run/run.json", bytes);
    run::read_record(folder_of(&path)).ok();
    extract::Record::read(folder_of(&path)).ok();
}

pub fn resume(bytes: &[u8]) {
    let path = file("run/run.json", bytes);
    let refuse = |_: &[String]| anyhow::bail!("a command line");
    extract::resume(folder_of(&path), &extract::Request::default(), &refuse).ok();
}

pub fn journal(bytes: &[u8]) {
    let path = file("journal/done.txt", bytes);
    extract::Done::read(folder_of(&path), 1000).ok();
}
