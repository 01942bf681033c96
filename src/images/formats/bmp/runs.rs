//! Runs of pixels, by Pillow's rules: what a row or the file leaves out is 0, and a row that has begun is filled before the next.

/// The numbers of the colours from `start` on, row after row as they stand in the file; fewer than there are pixels if it ends early.
pub fn decode(bytes: &[u8], start: usize, (width, height): (usize, usize), is_of_4_bits: bool) -> Vec<u8> {
    let all = width * height;
    let (mut at, mut x) = (start, 0);
    let mut numbers: Vec<u8> = Vec::new();
    while let (true, Some(&[count, value])) = (numbers.len() < all, bytes.get(at..at + 2)) {
        at += 2;
        match (count, value) {
            (0, 0) => {
                numbers.resize(numbers.len().next_multiple_of(width), 0);
                x = 0;
            }
            (0, 1) => break,
            (0, 2) => {
                let Some(&[right, up]) = bytes.get(at..at + 2) else { break };
                at += 2;
                let jump = usize::from(right) + usize::from(up) * width;
                numbers.resize(all.min(numbers.len() + jump), 0);
                x = numbers.len() % width;
            }
            (0, literals) => {
                let count = usize::from(literals).min(all - numbers.len());
                let length = if is_of_4_bits { count.div_ceil(2) } else { count };
                let Some(found) = bytes.get(at..at + length) else { break };
                let halves = found.iter().flat_map(|byte| [byte >> 4, byte & 15]);
                if is_of_4_bits {
                    numbers.extend(halves.take(count))
                } else {
                    numbers.extend(found)
                }
                // In the file, not in the data.
                at = (at + length).next_multiple_of(2);
                x += usize::from(literals);
            }
            (count, value) => {
                // What is too long for the row is left out.
                let count = usize::from(count).min(width.saturating_sub(x));
                let pair = if is_of_4_bits { [value >> 4, value & 15] } else { [value; 2] };
                numbers.extend(pair.into_iter().cycle().take(count));
                x += count;
            }
        }
    }
    numbers
}
