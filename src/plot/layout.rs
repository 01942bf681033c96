//! Tests of where things stand: no text covers another, nothing is cut off, whatever the number of models and stimuli.

use super::map::{Map, MapPlot};
use super::picture::Shape;
use super::*;
use crate::rdm::{Plane, Rdms, plane};
use crate::rsa::{Over, Score};

fn pairs(n: usize, seed: usize) -> Vec<f64> {
    (0..n * (n - 1) / 2).map(|pair| ((pair * 7919 + seed * 31) % 1009) as f64 / 1009.0).collect()
}

fn names(n: usize, length: usize) -> Vec<String> {
    (0..n).map(|i| format!("{}{i}", "stimulus ".repeat(length))).collect()
}

fn panels(n: usize, count: usize) -> Vec<Panel> {
    let panel = |i| Panel { title: format!("network number {i}"), subtitle: "layer4.2.conv3".repeat(i % 3), pairs: pairs(n, i) };
    (0..count).map(panel).collect()
}

fn groups(n: usize, count: usize, grey: bool) -> Groups {
    Groups { names: names(count, 1), of: (0..n).map(|i| i * count / n).collect(), grey }
}

/// The four corners around a text, letters reaching 0.73 of its size above their line and 0.21 below it.
fn corners(text: &Text) -> [[f64; 2]; 4] {
    let (left, right) = (text.start(), text.start() + text.length());
    let (top, bottom) = (-0.73 * text.size, 0.21 * text.size);
    let (sin, cos) = text.angle.to_radians().sin_cos();
    [[left, top], [right, top], [right, bottom], [left, bottom]]
        .map(|[x, y]| [text.x + x * cos - y * sin, text.y + x * sin + y * cos])
}

/// Whether two texts cover each other; a little of what is above and below small letters may.
fn covers(a: &Text, b: &Text) -> bool {
    let reach = |text: &Text| {
        let corners = corners(text);
        let low = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f64::INFINITY, f64::min);
        let high = |axis: usize| corners.iter().map(|corner| corner[axis]).fold(f64::NEG_INFINITY, f64::max);
        [low(0), low(1), high(0), high(1)]
    };
    if [a, b].iter().any(|text| text.angle != 0.0 && text.angle != -90.0) {
        // Slanted names stand side by side: their lines must be farther apart than letters are high.
        return a.angle == b.angle && (a.x - b.x).abs() * 45f64.to_radians().sin() < a.size * 0.7 && (a.y - b.y).abs() < 1.0;
    }
    let (a, b, slack) = (reach(a), reach(b), 1.0);
    a[0] + slack < b[2] && b[0] + slack < a[2] && a[1] + slack < b[3] && b[1] + slack < a[3]
}

/// Fails if a text is cut off or covered by another.
fn check(name: &str, picture: &Picture) {
    let texts: Vec<&Text> = picture.texts().collect();
    assert!(!texts.is_empty(), "{name}");
    for (number, text) in texts.iter().enumerate() {
        for [x, y] in corners(text) {
            let inside = (0.0..=picture.width).contains(&x) && (0.0..=picture.height).contains(&y);
            assert!(inside, "{name}: `{}` reaches {x:.1}, {y:.1} of {} × {}", text.text, picture.width, picture.height);
        }
        for other in &texts[..number] {
            assert!(!covers(text, other), "{name}: `{}` and `{}` cover each other", text.text, other.text);
        }
    }
    for shape in &picture.shapes {
        if let Shape::Rectangle { x, y, width, height, .. } | Shape::Raster { x, y, width, height, .. } = shape {
            let inside = *x >= 0.0 && *y >= 0.0 && x + width <= picture.width + 1e-9 && y + height <= picture.height + 1e-9;
            assert!(inside && *width >= 0.0 && *height >= 0.0, "{name}: {shape:?}");
        }
    }
}

fn rdm_plot(n: usize, count: usize, values: Values, group_count: usize) -> Picture {
    let rows: Vec<Vec<Panel>> = panels(n, count).chunks(4).map(<[Panel]>::to_vec).collect();
    let (names, notes) = (names(n, 2), ["Ordered by 5 clusters of behavior (hierarchical, average linkage).".to_owned()]);
    let groups = match group_count {
        0 => Vec::new(),
        count => vec![groups(n, count.min(n), true), groups(n, count.min(n), false)],
    };
    let plot = RdmPlot {
        rows: &rows,
        stimuli: n,
        values,
        scale: Scale::Viridis,
        unit: "1 − r, over the units of the layer",
        names: Some(&names),
        thumbnails: None,
        groups: &groups,
        notes: &notes,
    };
    plot.picture().unwrap()
}

#[test]
fn rdms_of_any_number_and_size_have_room() {
    for (n, count) in [4, 6, 12, 48, 92, 118, 156, 700].iter().flat_map(|n| [1, 2, 3, 9].map(|count| (*n, count))) {
        for (values, groups) in [(Values::Ranks, 0), (Values::Ranks, 5), (Values::Raw, 27)] {
            check(&format!("{count} RDMs of {n}, {groups} groups"), &rdm_plot(n, count, values, groups));
        }
    }
}

#[test]
fn a_pair_is_whole_pixels_and_more_pairs_than_pixels_are_said() {
    for (n, count, pixels) in [(48, 1, 48), (1854, 1, 1854), (1854, 4, 371), (4000, 1, 2000)] {
        let picture = rdm_plot(n, count, Values::Ranks, 3);
        let raster = picture.shapes.iter().find(|shape| matches!(shape, Shape::Raster { .. }));
        let Some(Shape::Raster { x, y, width, raster, .. }) = raster else { panic!("no raster") };
        let columns = raster.width;
        assert_eq!(columns, pixels);
        assert_eq!([x * 2.0, y * 2.0, width * 2.0 / columns as f64].map(f64::fract), [0.0; 3], "{n} {count}");
        let said = picture.texts().any(|text| text.text.contains("each pixel is the mean of"));
        assert_eq!(said, pixels < n, "{n} {count}");
    }
}

fn score(target: &str, model: &str, layer: &str, value: f64, full: bool) -> Score {
    Score {
        target: target.into(),
        kind: "fmri".into(),
        time: None,
        model: model.into(),
        layer: layer.into(),
        compare: "pearson".into(),
        controls: None,
        uncontrolled: None,
        stimuli: 92,
        pairs: 4186,
        subjects: 4,
        score: value,
        low: full.then_some(value - 0.05),
        high: full.then_some(value + 0.05),
        over: full.then_some(Over::Stimuli),
        draws: full.then_some(1000),
        draws_left_out: full.then_some(0),
        p: full.then_some(0.001),
        p_family: full.then_some(if value > 0.2 { 0.01 } else { 0.3 }),
        p_cluster: None,
        p_holm: None,
        q: None,
        ceiling_lower: full.then_some(0.5),
        ceiling_upper: full.then_some(0.6),
    }
}

fn scores(targets: usize, models: usize, layers: usize, full: bool) -> Vec<Score> {
    let mut scores = Vec::new();
    for (target, model) in (0..targets).flat_map(|target| (0..models).map(move |model| (target, model))) {
        for run in ["", ".random-0", ".random-1", ".random-2"] {
            for layer in 0..layers {
                let value = ((target + 3 * model + run.len() + layer) % 11) as f64 / 20.0 - 0.1;
                let (name, layer) = (format!("vision-network-{model}{run}"), format!("features.{layer}"));
                scores.push(score(&format!("area {target}"), &name, &layer, value, full));
            }
        }
    }
    scores
}

#[test]
fn bars_and_profiles_of_any_number_have_room() {
    for (targets, models, layers) in [(1, 1, 1), (1, 2, 1), (2, 7, 1), (6, 7, 1), (12, 3, 2), (1, 30, 1), (2, 1, 40), (3, 5, 12)]
    {
        for full in [false, true] {
            let scores = scores(targets, models, layers, full);
            let name = format!("{targets} targets, {models} models, {layers} layers, {full}");
            let more = ["92 stimuli.".to_owned()];
            check(&name, &bars(&scores, "Pearson correlation", "28 tests", &more));
            check(&name, &profiles(&scores, "whitened correlation", "28 tests", &more));
        }
    }
}

#[test]
fn maps_of_any_number_have_room() {
    for (n, count) in [(4, 1), (48, 1), (48, 3), (92, 2), (400, 1)] {
        let of = |i| plane(&Rdms { stimuli: n, ids: None, subjects: vec![pairs(n, i)] }).unwrap();
        let map = |i| Map { title: format!("network {i}"), subtitle: "avgpool".into(), plane: of(i) };
        let maps: Vec<Map> = (0..count).map(map).collect();
        let (names, groups) = (names(n, 1), groups(n, 3, false));
        let plot = MapPlot { maps: &maps, names: Some(&names), thumbnails: None, groups: Some(&groups), columns: 2, notes: &[] };
        check(&format!("{count} maps of {n}"), &plot.picture());
    }
    // All in one place.
    let plane = Plane { points: vec![[0.0; 2]; 5], shares: [0.5, 0.5] };
    let maps = [Map { title: "same".into(), subtitle: String::new(), plane }];
    check("same", &MapPlot { maps: &maps, names: None, thumbnails: None, groups: None, columns: 1, notes: &[] }.picture());
}

/// The places of all shapes, a line each.
fn places(picture: &Picture) -> String {
    let line = |shape: &Shape| match shape {
        Shape::Rectangle { x, y, width, height, fill } => format!("rectangle {x:.1} {y:.1} {width:.1} × {height:.1} {fill:?}"),
        Shape::Line { points, width, .. } => format!("line {points:.1?} {width}"),
        Shape::Area { points, .. } => format!("area of {} points", points.len()),
        Shape::Dot { x, y, radius, .. } => format!("dot {x:.1} {y:.1} {radius}"),
        Shape::Text(text) => format!("text {:.1} {:.1} {}° {:?}", text.x, text.y, text.angle, text.text),
        Shape::Raster { x, y, width, height, raster } => {
            format!("raster {x:.1} {y:.1} {width:.1} × {height:.1}, {} × {} pixels", raster.width, raster.height)
        }
    };
    picture.shapes.iter().map(|shape| line(shape) + "\n").collect()
}

#[test]
fn the_layout_of_bars() {
    let scores = [score("IT", "alexnet", "classifier.5", 0.3, true), score("IT", "alexnet.random-0", "classifier.5", 0.1, true)];
    insta::assert_snapshot!(places(&bars(&scores, "Pearson correlation", "2 tests", &[])), @r#"
    text 54.0 26.0 0° "IT"
    text 54.0 39.0 0° "fmri, mean of 4 subjects"
    rectangle 54.0 50.0 56.0 × 33.3 [224, 224, 224]
    line [[54.0, 250.0], [110.0, 250.0]] 1
    text 49.0 253.5 0° "0.0"
    line [[54.0, 183.3], [110.0, 183.3]] 0.7
    text 49.0 186.8 0° "0.2"
    line [[54.0, 116.7], [110.0, 116.7]] 0.7
    text 49.0 120.2 0° "0.4"
    line [[54.0, 50.0], [110.0, 50.0]] 0.7
    text 49.0 53.5 0° "0.6"
    text 24.0 150.0 -90° "Pearson correlation"
    rectangle 67.0 150.0 14.0 × 100.0 [0, 90, 160]
    line [[74.0, 133.3], [74.0, 166.7]] 1.2
    text 74.0 133.3 0° "*"
    rectangle 83.0 216.7 14.0 × 33.3 [165, 178, 190]
    line [[90.0, 200.0], [90.0, 233.3]] 1.2
    text 82.0 264.0 0° "alexnet"
    rectangle 14.0 280.0 10.0 × 10.0 [0, 90, 160]
    text 28.0 288.6 0° "trained weights"
    rectangle 109.3 280.0 10.0 × 10.0 [165, 178, 190]
    text 123.3 288.6 0° "random weights"
    rectangle 207.9 280.0 10.0 × 10.0 [224, 224, 224]
    text 221.9 288.6 0° "noise ceiling"
    text 14.0 314.0 0° "Lines: 95 % intervals over stimuli (1,000 bootstraps)."
    text 14.0 328.0 0° "* p < 0.05, two-sided permutation test, corrected over 2 tests by the maximum"
    text 14.0 342.0 0° "statistic."
    "#);
}

#[test]
fn the_layout_of_an_rdm() {
    insta::assert_snapshot!(places(&rdm_plot(4, 1, Values::Ranks, 2)), @r#"
    text 122.0 26.0 0° "network number 0"
    raster 122.0 140.0 160.0 × 160.0, 4 × 4 pixels
    rectangle 122.0 132.0 80.0 × 6.0 [60, 60, 60]
    rectangle 114.0 140.0 6.0 × 80.0 [60, 60, 60]
    rectangle 202.0 132.0 80.0 × 6.0 [210, 210, 210]
    rectangle 114.0 220.0 6.0 × 80.0 [210, 210, 210]
    rectangle 122.0 124.0 80.0 × 6.0 [0, 114, 178]
    rectangle 106.0 140.0 6.0 × 80.0 [0, 114, 178]
    rectangle 202.0 124.0 80.0 × 6.0 [230, 159, 0]
    rectangle 106.0 220.0 6.0 × 80.0 [230, 159, 0]
    text 100.0 163.6 0° "stimulus stimulus 0"
    text 145.6 118.0 -90° "stimulus stimulus 0"
    text 100.0 203.6 0° "stimulus stimulus 1"
    text 185.6 118.0 -90° "stimulus stimulus 1"
    text 100.0 243.6 0° "stimulus stimulus 2"
    text 225.6 118.0 -90° "stimulus stimulus 2"
    text 100.0 283.6 0° "stimulus stimulus 3"
    text 265.6 118.0 -90° "stimulus stimulus 3"
    raster 14.0 312.0 260.0 × 10.0, 254 × 1 pixels
    text 14.0 336.0 0° "lowest"
    text 274.0 336.0 0° "highest"
    text 144.0 349.0 0° "rank of the dissimilarity among all pairs"
    rectangle 14.0 364.0 10.0 × 10.0 [60, 60, 60]
    text 28.0 372.6 0° "stimulus 0"
    rectangle 87.0 364.0 10.0 × 10.0 [210, 210, 210]
    text 101.0 372.6 0° "stimulus 1"
    rectangle 14.0 388.0 10.0 × 10.0 [0, 114, 178]
    text 28.0 396.6 0° "stimulus 0"
    rectangle 87.0 388.0 10.0 × 10.0 [230, 159, 0]
    text 101.0 396.6 0° "stimulus 1"
    text 14.0 422.0 0° "Ordered by 5 clusters of behavior (hierarchical, average"
    text 14.0 436.0 0° "linkage)."
    "#);
}
