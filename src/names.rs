//! The order of names: that of rows, and the one that people may take them to be in.

use std::cmp::Ordering;

/// The order of rows: by the parts of paths, each by its bytes, as a sorted list of folders has them: `dog/1` before `dog house/1`.
pub fn by_parts(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}

/// Of names that are in the order of rows, the first two neighbours that their numbers would put the other way round: `10.jpg`
/// before `2.jpg`. None of names in any other order, which somebody chose.
pub fn not_by_number(names: &[String]) -> Option<[&str; 2]> {
    if !names.is_sorted_by(|a, b| by_parts(a, b).is_le()) {
        return None;
    }
    let found = names.windows(2).find(|pair| by_number(&pair[0], &pair[1]).is_gt())?;
    Some([&found[0], &found[1]])
}

/// What to mind where something without names is taken to be in the order of `names`, if these are not in that of their numbers.
pub fn doubt(names: &[String]) -> Option<String> {
    not_by_number(names).map(|[one, other]| {
        format!("the order is that of the names' bytes and not of numbers: `{one}` before `{other}`. Is what has no names in it?")
    })
}

/// By the parts of paths, and in these by the values of numbers.
fn by_number(a: &str, b: &str) -> Ordering {
    let parts = a.split('/').map(str::as_bytes).zip(b.split('/').map(str::as_bytes));
    let mut orders = parts.map(|(a, b)| part_by_number(a, b));
    orders.find(|order| order.is_ne()).unwrap_or_else(|| a.split('/').count().cmp(&b.split('/').count()))
}

fn part_by_number(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while let ([first, rest_of_a @ ..], [other, rest_of_b @ ..]) = (a, b) {
        let order = if first.is_ascii_digit() && other.is_ascii_digit() {
            let (one, two);
            (one, a) = number(a);
            (two, b) = number(b);
            one.len().cmp(&two.len()).then(one.cmp(two))
        } else {
            (a, b) = (rest_of_a, rest_of_b);
            first.cmp(other)
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// The digits that `text` begins with, without zeros before them, and what follows.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let start = text[..end].iter().position(|byte| *byte != b'0').unwrap_or(end);
    (&text[start..end], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_name_stands_before_those_that_continue_it() {
        let mut paths = names(&["dog.2/a", "dog house/a", "dog/b", "dog-sled/a", "dog/a/c", "cat"]);
        paths.sort_by(|a, b| by_parts(a, b));
        assert_eq!(paths, ["cat", "dog/a/c", "dog/b", "dog house/a", "dog-sled/a", "dog.2/a"]);
    }

    #[test]
    fn names_whose_numbers_are_in_another_order_are_found() {
        assert_eq!(not_by_number(&names(&["1.jpg", "10.jpg", "2.jpg"])), Some(["10.jpg", "2.jpg"]));
        assert_eq!(not_by_number(&names(&["s1/a", "s12/a", "s3/a"])), Some(["s12/a", "s3/a"]));
        assert_eq!(not_by_number(&names(&["100", "99999999999999999999999"])), None);
        let longest = names(&["1000000000000000000000000", "99999999999999999999999"]);
        assert_eq!(not_by_number(&longest), Some(["1000000000000000000000000", "99999999999999999999999"]));
        for in_order in
            [&["01.jpg", "02.jpg", "10.jpg"][..], &["a.jpg", "a1.jpg", "ab.jpg"], &["01", "1"], &["1/b", "1/b/c"], &[]]
        {
            assert_eq!(not_by_number(&names(in_order)), None, "{in_order:?}");
        }
        // Somebody's own order.
        assert_eq!(not_by_number(&names(&["2.jpg", "10.jpg", "1.jpg"])), None);
    }
}
