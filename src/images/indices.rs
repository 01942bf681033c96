//! Which images of a stack are wanted, by their numbers from 0.

use super::decode::cannot_read;
use super::stack::is_npy;
use crate::error::advise;
use crate::npy;
use crate::plain_file;
use anyhow::{Context, Result, bail};
use ndarray::Array1;
use ndarray_npy::read_npy;
use std::path::Path;

/// A list of more images is not kept in memory.
const MOST: usize = 20_000_000;

pub fn all(len: usize) -> Result<Vec<usize>> {
    if len > MOST {
        return Err(advise(format!("{len} images are more than can be listed at once"), "choose among them with --indices"));
    }
    Ok((0..len).collect())
}

/// The numbers that `text` names: `0-99,205`, or a file of them: text, apart by commas, spaces or lines, or an `.npy` array
/// of numbers, or of booleans, one for each image. Each must be below `len`.
pub fn parse(text: &str, len: usize) -> Result<Vec<usize>> {
    let wrong = |what: &str| {
        advise(format!("--indices {text}: {what}"), "write numbers and ranges from 0, 0-99,205, or name a file of numbers")
    };
    let numbers = match ranges(text, len) {
        Some(numbers) => numbers,
        None if Path::new(text).is_file() => in_file(Path::new(text), len)?,
        None => return Err(wrong("is neither a list of numbers nor a file")),
    };
    match numbers.iter().find(|number| **number >= len) {
        Some(&number) => {
            let from_1 = number == len && !numbers.contains(&0);
            let matlab = if from_1 { " (MATLAB counts from 1: subtract 1)" } else { "" };
            Err(wrong(&format!("there is no image {number}: {len} images have the numbers 0 to {}{matlab}", len - 1)))
        }
        None if numbers.is_empty() => Err(wrong("it names no image")),
        None => Ok(numbers),
    }
}

fn in_file(path: &Path, len: usize) -> Result<Vec<usize>> {
    if !is_npy(path) {
        let text = plain_file::read_to_string(path).with_context(|| cannot_read(path))?;
        let numbers = in_text(&text, len).ok_or_else(|| {
            advise(
                format!("`{}` holds something else than numbers from 0 on", path.display()),
                "write one a line, or one row of them; a first line of words, and lines after `#` or `%`, are left out",
            )
        })?;
        check_mask(path, &numbers, len)?;
        return Ok(numbers);
    }
    npy::check_header(path)?;
    if let Ok(mask) = read_npy::<_, Array1<bool>>(path) {
        return of_mask(path, &mask, len);
    }
    let numbers = npy::read(path)?;
    if numbers.ndim() != 1 {
        return Err(advise(
            format!("`{}` has the shape {:?}", path.display(), numbers.shape()),
            "give one axis of numbers, or of one boolean for each image",
        ));
    }
    let whole = |number: &f64| {
        let is_index = *number >= 0.0 && number.fract() == 0.0;
        if is_index { Ok(*number as usize) } else { bail!("`{}` holds {number}, which is no number of an image", path.display()) }
    };
    let numbers: Vec<usize> = numbers.iter().map(whole).collect::<Result<_>>()?;
    check_mask(path, &numbers, len)?;
    Ok(numbers)
}

/// Fails for numbers that say of each image whether it is wanted.
fn check_mask(path: &Path, numbers: &[usize], len: usize) -> Result<()> {
    if numbers.len() == len && len > 2 && numbers.iter().all(|number| *number < 2) {
        return Err(advise(
            format!("`{}` has a 0 or 1 for each image, and they are taken for numbers of images", path.display()),
            "save a mask as booleans: numpy.save(file, mask.astype(bool))",
        ));
    }
    Ok(())
}

/// Numbers as text editors, NumPy's `savetxt` and MATLAB's `writematrix` write them: after comments, or the title of a column.
fn in_text(text: &str, len: usize) -> Option<Vec<usize>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', '%'])).collect();
    let is_title = |line: &str| line.starts_with(|c: char| c.is_alphabetic() || c == '"') && !line.contains([',', ';', '\t']);
    if lines.first().is_some_and(|line| is_title(line)) {
        lines.remove(0);
    }
    let words = lines.iter().flat_map(|line| line.split([' ', '\t', ',', ';'])).filter(|word| !word.is_empty());
    let plain = words.map(|word| whole(word).map_or_else(|| word.to_owned(), |number| number.to_string()));
    ranges(&plain.collect::<Vec<_>>().join(","), len)
}

/// A whole number that is written as `3.000e+00`.
fn whole(word: &str) -> Option<usize> {
    let number: f64 = word.parse().ok().filter(|_| word.contains(['.', 'e', 'E']))?;
    (number >= 0.0 && number.fract() == 0.0 && number < 1e15).then_some(number as usize)
}

fn of_mask(path: &Path, mask: &Array1<bool>, len: usize) -> Result<Vec<usize>> {
    if mask.len() != len {
        return Err(advise(
            format!("`{}` has {} booleans, and there are {len} images", path.display(), mask.len()),
            "give one for each image, or the numbers of the images",
        ));
    }
    Ok(mask.iter().enumerate().filter(|(_, chosen)| **chosen).map(|(number, _)| number).collect())
}

/// A range is followed to the first number that there is not.
fn ranges(text: &str, len: usize) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('-') {
            None => numbers.push(part.parse().ok()?),
            Some((first, last)) => {
                let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
                let last = last.min(len.max(first));
                (first <= last && last - first < MOST).then_some(())?;
                numbers.extend(first..=last);
            }
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_numbers_and_ranges() {
        assert_eq!(parse("0-2, 7,7", 8).unwrap(), [0, 1, 2, 7, 7]);
        for wrong in ["8", "3-1", "-1", "a", "", "1.5", "0-8"] {
            assert!(parse(wrong, 8).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_are_read_as_numpy_and_matlab_write_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.txt");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            parse(path.to_str().unwrap(), 8)
        };
        assert_eq!(read("3.000000000000000000e+00\n0.000000000000000000e+00\n").unwrap(), [3, 0]);
        assert_eq!(read("# indices\n2\n1\n").unwrap(), [2, 1]);
        assert_eq!(read("index\r\n2\r\n1\r\n").unwrap(), [2, 1]);
        assert_eq!(read("1,3,5\n").unwrap(), [1, 3, 5]);
        assert_eq!(read("   1.0000000e+00   5.0000000e+00\n").unwrap(), [1, 5]);
        assert_eq!(read("0-2\n7\n").unwrap(), [0, 1, 2, 7]);
        for wrong in ["1.5\n", "a,b\n1,2\n", "1\nx\n", "-1.0e+00\n", "0\n1\n0\n1\n1\n1\n0\n0\n"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read("1\n8\n").unwrap_err().to_string().contains("MATLAB counts from 1"));
    }

    #[test]
    fn a_mask_chooses_where_it_is_true() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.npy");
        ndarray_npy::write_npy(&path, &Array1::from(vec![false, true, false, true])).unwrap();
        assert_eq!(parse(path.to_str().unwrap(), 4).unwrap(), [1, 3]);
        assert!(parse(path.to_str().unwrap(), 5).unwrap_err().to_string().contains("has 4 booleans"));
        ndarray_npy::write_npy(&path, &Array1::from(vec![3i64, 0])).unwrap();
        assert_eq!(parse(path.to_str().unwrap(), 4).unwrap(), [3, 0]);
    }
}
