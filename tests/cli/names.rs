//! Stimuli that files call in other words than the images are called.

use crate::lab::Lab;
use ndarray::Array2;
use std::fs;
use thingsvision::npy;
use unicode_width::UnicodeWidthStr;

const IMAGES: [&str; 6] = ["cat/a.jpg", "cat/b.jpg", "cat/c.jpg", "dog/a2.jpg", "dog/d.png", "dog/e.jpg"];
const BY_STEM: [&str; 6] = ["e", "d", "a2", "c", "b", "a"];

fn write(lab: &Lab, name: &str, ids: &[&str], turned: bool) {
    let at = |i: usize| if turned { ids.len() - 1 - i } else { i };
    let distance =
        |(i, j)| (at(i) as f64 - at(j) as f64).abs().sqrt() + ((at(i) + at(j)) % 3) as f64 * f64::from(u8::from(i != j));
    npy::write(&lab.path(&format!("{name}.npy")), &Array2::from_shape_fn((ids.len(), ids.len()), distance).into_dyn()).unwrap();
    fs::write(lab.path(&format!("{name}.ids.txt")), ids.join("\n")).unwrap();
}

/// `model.npy`, called as the images are, and `judged.npy`, the same in another order by stems.
fn lab() -> Lab {
    let lab = Lab::new();
    write(&lab, "model", &IMAGES, false);
    write(&lab, "judged", &BY_STEM, true);
    lab
}

#[test]
fn stimuli_are_found_without_their_folders_and_endings_and_it_is_said() {
    let lab = lab();
    let said = "`e` of `judged.npy` is taken for `dog/e.jpg`, and 5 more likewise";
    for arguments in ["--behavior judged.npy model.npy", "--behavior model.npy judged.npy"] {
        let outcome = lab.succeed(&format!("rsa {arguments} --json"));
        let scores: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert!((scores[0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-12, "{outcome}");
        assert!(outcome.stderr.contains("more likewise") && outcome.stderr.contains("matched by name"), "{outcome}");
    }
    assert!(lab.succeed("rsa --behavior judged.npy model.npy").stderr.contains(said));
    assert!(lab.succeed("plot rdm model.npy judged.npy").stderr.contains(said));
    assert!(lab.succeed("rdm average model.npy judged.npy --out mean.npy").stderr.contains(said));
    assert_eq!(fs::read_to_string(lab.path("mean.ids.txt")).unwrap().trim().split('\n').collect::<Vec<_>>(), IMAGES);
    assert_eq!(npy::read(&lab.path("mean.npy")).unwrap(), npy::read(&lab.path("model.npy")).unwrap());
    let table: String = BY_STEM.iter().map(|id| format!("{id},{}\n", id.len())).collect();
    fs::write(lab.path("kinds.csv"), table).unwrap();
    let outcome = lab.succeed("plot rdm model.npy --categories kinds.csv");
    assert!(outcome.stderr.contains("`e` of `kinds.csv` is taken for `dog/e.jpg`"), "{outcome}");
    assert!(String::from_utf8(lab.bytes("rdms.order.csv")).unwrap().contains("dog/a2.jpg,2"));
}

#[test]
fn a_stem_that_two_images_have_is_refused_with_both() {
    let lab = lab();
    write(&lab, "model", &["cat/a.jpg", "dog/a.jpg", "cat/c.jpg", "dog/a2.jpg", "dog/d.png", "dog/e.jpg"], false);
    let said = lab.fail("rsa --behavior judged.npy model.npy");
    assert!(said.contains("and `a` may be `cat/a.jpg` or `dog/a.jpg`"), "{said}");
    // Other images of the same names are none.
    write(&lab, "model", &["x/a.jpg", "x/b.jpg", "x/c.jpg", "x/a2.jpg", "x/d.png", "x/e.jpg"], false);
    write(&lab, "judged", &IMAGES, true);
    let said = lab.fail("rsa --behavior judged.npy model.npy");
    assert!(said.contains("are not of the same stimuli"), "{said}");
}

#[test]
fn columns_stand_below_each_other_whatever_the_letters() {
    let lab = lab();
    for name in ["模型", "abc", "e\u{301}tude"] {
        fs::copy(lab.path("model.npy"), lab.path(&format!("{name}.npy"))).unwrap();
    }
    let table = lab.succeed("rsa --behavior model.npy 模型.npy abc.npy e\u{301}tude.npy").stdout;
    let before: Vec<usize> = table.lines().skip(1).map(|line| line.split("1.000").next().unwrap().width()).collect();
    assert_eq!(before, [before[0]; 3], "{table}");
}

#[test]
fn ids_that_count_are_names_where_images_are_called_so_and_unclear_where_the_order_differs() {
    let lab = lab();
    let images = ["1.jpg", "10.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg", "7.jpg", "8.jpg", "9.jpg"];
    write(&lab, "model", &images, false);
    let counted = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
    write(&lab, "judged", &counted, false);
    for command in ["rsa --behavior judged.npy model.npy", "rdm average judged.npy model.npy --out mean.npy"] {
        let said = lab.fail(command);
        assert!(said.contains("`2` is `2.jpg` by its name, and `10.jpg` by its place"), "{said}");
    }
    // Where both orders are one, or there is no place for all, they are names.
    let padded = ["01.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"];
    write(&lab, "model", &padded[1..], false);
    write(&lab, "judged", &counted[..5], false);
    assert!(lab.succeed("rsa --behavior judged.npy model.npy").stderr.contains("matched by name"));
    write(&lab, "model", &images, false);
    assert!(lab.succeed("rsa --behavior judged.npy model.npy --intersect").stderr.contains("5 stimuli"));
    // Those that are no names of images say nothing.
    write(&lab, "model", &["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"], false);
    assert!(lab.succeed("rsa --behavior judged.npy model.npy").stderr.contains("taken to be in the same order"));
}
