//! `thingsvision plot`: which files, which order, which errors. How pictures are laid out is tested in `src/plot`.

use crate::lab::Lab;
use ndarray::Array2;
use std::fs;
use thingsvision::images::{Reading, Window, decode};
use thingsvision::npy;

/// A lab with a run of five images, and an RDM of twelve stimuli in two groups, `d.npy`, with IDs.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.succeed("extract --model alexnet --weights random --images images");
    let group = |i: usize| i % 2;
    let distance = |(i, j): (usize, usize)| match (i == j, group(i) == group(j)) {
        (true, _) => 0.0,
        (_, true) => 0.1 + ((i + j) % 5) as f64 / 100.0,
        (_, false) => 0.9 + ((i * j) % 7) as f64 / 100.0,
    };
    npy::write(&lab.path("d.npy"), &Array2::from_shape_fn((12, 12), distance).into_dyn()).unwrap();
    let ids: Vec<String> = (0..12).map(|i| format!("stimulus-{i}\n")).collect();
    fs::write(lab.path("d.ids.txt"), ids.concat()).unwrap();
    lab
}

/// Width and height of a PNG.
fn size(lab: &Lab, file: &str) -> (usize, usize) {
    let image = decode(&lab.path(file), &Reading::default(), &|width, height| Window::whole(width, height)).unwrap();
    (image.width, image.height)
}

#[test]
fn png_and_svg_show_the_same_and_the_order_is_written() {
    let lab = lab();
    let outcome = lab.succeed("plot rdm d.npy twice=d.npy --cluster d.npy --clusters 2");
    assert_eq!(outcome.stdout, "rdms.png\nrdms.svg\n");
    assert_eq!(outcome.stderr, "2 RDMs of 12 stimuli; their order is in rdms.order.csv\n");
    let svg = String::from_utf8(lab.bytes("rdms.svg")).unwrap();
    let number =
        |name: &str| svg.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse::<usize>().unwrap();
    assert_eq!(size(&lab, "rdms.png"), (2 * number("width"), 2 * number("height")));
    for text in ["d", "twice", "cluster 1 (6)", "stimulus-11", "Ordered by 2 clusters of d (hierarchical, average linkage)."] {
        assert!(svg.contains(&format!("aria-label=\"{text}\"")), "{text}");
    }
    assert!(!svg.contains("<text"), "letters are outlines");
    let order = String::from_utf8(lab.bytes("rdms.order.csv")).unwrap();
    let mut lines = order.lines();
    assert_eq!(lines.next(), Some("position,row,stimulus,cluster"));
    let parities: Vec<usize> = lines.map(|line| line.split(',').nth(1).unwrap().parse::<usize>().unwrap() % 2).collect();
    assert!(parities[..6].iter().all(|parity| *parity == parities[0]), "{order}");
    assert!(parities[6..].iter().all(|parity| *parity != parities[0]), "{order}");
}

#[test]
fn runs_are_ordered_by_their_folders_with_thumbnails_on_request() {
    let lab = lab();
    let order = |file: &str| -> Vec<String> {
        let text = String::from_utf8(lab.bytes(file)).unwrap();
        text.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().to_owned()).collect()
    };
    fs::write(lab.path("kinds.csv"), "image,kind\na/one.png,x\na/two.png,y\nb/four.png,x\nb/five.jpg,y\nb/three.png,x\n")
        .unwrap();
    lab.succeed("plot rdm --categories kinds.csv --raw --unit r --thumbnails images --out k.svg");
    assert_eq!(order("k.order.csv"), ["a/one.png", "b/four.png", "b/three.png", "a/two.png", "b/five.jpg"]);
    let svg = String::from_utf8(lab.bytes("k.svg")).unwrap();
    // The RDM, its scale, and two of each stimulus.
    assert_eq!(svg.matches("<image").count(), 2 + 10);
    assert!(!lab.path("k.png").exists());
    lab.succeed("plot rdm --categories folder --keep-order --out f.png");
    assert_eq!(order("f.order.csv"), ["a/one.png", "a/two.png", "b/five.jpg", "b/four.png", "b/three.png"]);
    lab.succeed("plot rdm --max-conditions 4 --seed 3 --out m.png");
    assert_eq!(order("m.order.csv").len(), 4);
    // Behaviour first, whose names lack folders and endings: those of the run tell them.
    fs::write(
        lab.path("beh.csv"),
        ",three,one,two,four,five\nthree,0,1,2,3,4\none,1,0,5,6,7\ntwo,2,5,0,8,9\nfour,3,6,8,0,1\nfive,4,7,9,1,0\n",
    )
    .unwrap();
    let run = lab.names("activations").remove(0);
    lab.succeed(&format!("plot rdm beh.csv activations/{run} --categories folder --thumbnails images --out b.png"));
    assert!(order("b.order.csv").contains(&"b/five.jpg".into()));
}

#[test]
fn maps_bars_and_profiles_are_drawn() {
    let lab = lab();
    lab.succeed("plot mds d.npy --cluster d.npy --clusters 2");
    let points = String::from_utf8(lab.bytes("mds.points.csv")).unwrap();
    assert!(points.starts_with("position,row,stimulus,cluster,d x,d y\n"), "{points}");
    let side = |line: &str| line.split(',').nth(4).unwrap().parse::<f64>().unwrap() > 0.0;
    let sides: Vec<bool> = points.lines().skip(1).map(side).collect();
    assert!(sides[..6].iter().all(|one| *one == sides[0]) && sides[6..].iter().all(|one| *one != sides[0]), "{points}");
    lab.succeed("extract --model alexnet --weights random --images images --seed 1");
    lab.succeed("rsa --behavior activations/alexnet.random-0/classifier.5.rdm.npy --permutations 100");
    let outcome = lab.succeed("plot bars rsa.json");
    assert_eq!(outcome.stdout, "bars.png\nbars.svg\n");
    let svg = String::from_utf8(lab.bytes("bars.svg")).unwrap();
    for text in ["alexnet", "random weights", "Bars of random weights: mean of 2 seeds, of which each is a dot."] {
        assert!(svg.contains(&format!("aria-label=\"{text}\"")), "{text}");
    }
    assert_eq!(lab.succeed("plot layers rsa.json --out l.png").stdout, "l.png\n");
}

#[test]
fn maps_of_the_same_stimuli_lie_on_the_first() {
    let lab = lab();
    let near = npy::read(&lab.path("d.npy"))
        .unwrap()
        .indexed_iter()
        .map(|(at, d)| d + if at[0] == at[1] { 0.0 } else { 0.01 * ((at[0] + at[1]) % 3) as f64 })
        .collect();
    npy::write(&lab.path("near.npy"), &Array2::from_shape_vec((12, 12), near).unwrap().into_dyn()).unwrap();
    fs::copy(lab.path("d.ids.txt"), lab.path("near.ids.txt")).unwrap();
    lab.succeed("plot mds d.npy near.npy");
    let table = String::from_utf8(lab.bytes("mds.points.csv")).unwrap();
    let rows: Vec<Vec<f64>> =
        table.lines().skip(1).map(|line| line.split(',').rev().take(4).map(|x| x.parse().unwrap()).collect()).collect();
    // Were one turned further, the sum of the products would be smaller.
    let sum = |a: usize, b: usize| rows.iter().map(|row| row[a] * row[b]).sum::<f64>();
    let (cos, sin) = (sum(0, 2) + sum(1, 3), sum(0, 3) - sum(1, 2));
    assert!(cos > 0.0 && sin.abs() < 1e-9 * cos, "{cos} {sin}");
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let lab = lab();
    let problem = |arguments: &str| lab.fail(arguments).lines().next().unwrap().to_owned();
    assert_eq!(problem("plot rdm d.npy --cluster d.npy --clusters 13"), "error: 12 stimuli cannot be in 13 clusters");
    assert!(problem("plot rdm d.npy --categories folder").contains("`stimulus-0` lies in no folder"));
    assert_eq!(problem("plot rdm d.npy --thumbnails images"), "error: there is no picture `images/stimulus-0`");
    assert!(problem("plot rdm d.npy activations/alexnet.random-0").contains("are not of the same stimuli"));
    assert!(problem("plot bars d.npy").contains("`d.npy`"));
    assert_eq!(problem("plot bars none.json").split(':').nth(1).unwrap().trim(), "cannot read `none.json`");
    assert!(problem("plot rdm d.npy --out none/rdms").contains("there is no folder `none`"));
    fs::copy(lab.path("d.npy"), lab.path("kinds.order.csv")).unwrap();
    assert!(problem("plot rdm d.npy --categories kinds.order.csv --out kinds").contains("would be overwritten"));
    assert_eq!(lab.names("").iter().filter(|name| name.ends_with(".png") || name.ends_with(".svg")).count(), 0);
}
