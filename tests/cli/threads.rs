//! Results do not depend on the number of cores.

use crate::lab::Lab;
use ndarray::Array3;
use std::fs;
use std::process::Command;
use thingsvision::npy;

/// The first core that this process may use.
fn core() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("0").trim().to_owned();
    list.split([',', '-']).next().unwrap().to_owned()
}

/// The program takes as many threads as it may use cores, which `taskset` limits; where there is none this tests nothing.
#[test]
fn one_core_gives_the_same_bytes_as_all() {
    if !Command::new("taskset").arg("--version").output().is_ok_and(|said| said.status.success()) {
        return;
    }
    let lab = Lab::new();
    let value = |s: usize, i: usize, j: usize| ((i * j * (s + 3) + (i + j) * 7919 + s * 31) % 1009) as f64;
    for (file, first) in [("area.npy", 0), ("models.npy", 40)] {
        let rdms =
            Array3::from_shape_fn((4, 30, 30), |(s, i, j)| if i == j { 0.0 } else { value(first + s, i.min(j), i.max(j)) });
        npy::write(&lab.path(file), &rdms.clone().into_dyn()).unwrap();
        npy::write(&lab.path(&format!("one-{file}")), &rdms.index_axis(ndarray::Axis(0), 1).to_owned().into_dyn()).unwrap();
    }
    for compare in ["pearson", "spearman", "kendall-tau-b"] {
        let rsa = format!(
            "rsa -q --fmri area.npy --behavior one-area.npy one-models.npy one-area.npy --compare {compare} --permutations 199 \
             --bootstrap 99 --differences"
        );
        lab.succeed(&format!("{rsa} --out all"));
        let alone = Command::new("taskset")
            .args(["-c", &core(), env!("CARGO_BIN_EXE_thingsvision")])
            .args(format!("{rsa} --out alone").split_whitespace())
            .current_dir(lab.path(""))
            .output()
            .unwrap();
        assert!(alone.status.success(), "{}", String::from_utf8_lossy(&alone.stderr));
        for ending in ["npy", "csv", "json", "differences.csv"] {
            assert!(lab.bytes(&format!("all.{ending}")) == lab.bytes(&format!("alone.{ending}")), "{compare} {ending}");
        }
    }
}
