//! What is said of the images of a run before it begins.

use super::formats::FORMATS;
use super::list::{ImageList, Origin, Pixels};
use super::look::Look;
use super::stack::Stack;
use crate::numbers::count as number;
use std::collections::BTreeMap;

/// Images with a shorter side below this many pixels are mentioned.
const TINY: usize = 32;

type Of = fn(&Look) -> bool;

/// What is not shown of pictures: which, and how it is said of one and of several.
const NOT_SHOWN: [(Of, &str, &str, &str); 3] = [
    (
        |look| look.turned,
        "image has",
        "images have",
        "an EXIF orientation, which Pillow and torchvision do not apply (--exif-orientation does)",
    ),
    (|look| look.transparent, "image is", "images are", "transparent in parts, where Pillow shows the colours that were hidden"),
    (|look| look.continued, "image has", "images have", "further pages or frames, and the first is taken"),
];

impl ImageList {
    /// "48 in 6 folders of 8: 46 JPEG, 2 PNG".
    pub fn summary(&self) -> String {
        let headers = match &self.pixels {
            Pixels::Files { headers, .. } => headers,
            Pixels::Stack { stack, indices } => return stack_summary(stack, indices.len()),
            Pixels::Texts(texts) => return text_summary(texts, &self.origin),
        };
        let count = |name| headers.iter().filter(|header| header.format == name).count();
        let counts = FORMATS.names().map(|name| (name, count(name))).filter(|(_, count)| *count > 0);
        let formats: Vec<_> = counts.map(|(name, count)| format!("{} {name}", number(count))).collect();
        let place = match &self.origin {
            Origin::List { file, .. } => format!(" named by {}", file.file_name().unwrap_or_default().display()),
            Origin::File(file) => format!(", the file {}", file.file_name().unwrap_or_default().display()),
            _ => self.folders(),
        };
        format!("{}{place}: {}", number(self.len()), formats.join(", "))
    }

    /// " in 6 folders of 8", or nothing.
    fn folders(&self) -> String {
        let mut folders = BTreeMap::<&str, usize>::new();
        for (folder, _) in self.ids.iter().filter_map(|id| id.rsplit_once('/')) {
            *folders.entry(folder).or_default() += 1;
        }
        let (least, most) = (folders.values().min(), folders.values().max());
        match (folders.len(), least, most) {
            (0, ..) => String::new(),
            (1, ..) => " in 1 folder".to_owned(),
            (count, Some(least), Some(most)) if least < most => format!(" in {} folders of {least} to {most}", number(count)),
            (count, _, most) => format!(" in {} folders of {}", number(count), most.unwrap_or(&0)),
        }
    }

    /// What is odd about the images, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = self.said.clone();
        if self.hidden > 0 {
            notes.push(format!("{} left out", of(self.hidden, "hidden file or folder", "hidden files or folders")));
        }
        if let Some(first) = self.others.first() {
            let count = of(self.others.len(), "file that is no image", "files that are no images");
            notes.push(format!("{count} left out, among them `{first}`; run.json lists them"));
        }
        if let Some(first) = self.skipped.first() {
            let count = of(self.skipped.len(), "file cannot be read and is", "files cannot be read and are");
            notes.push(format!("{count} left out, among them `{}`; skipped.txt lists them", first.id));
        }
        if self.texts().is_some() {
            return notes;
        }
        let tiny = |i: &usize| self.size(*i).0.min(self.size(*i).1) < TINY;
        let tiny: Vec<_> = (0..self.len()).filter(tiny).collect();
        if let Some(&first) = tiny.first() {
            let count = of(tiny.len(), "image is", "images are");
            notes.push(format!("{count} smaller than {TINY} pixels, among them `{}`", self.ids[first]));
        }
        for (of_look, one, many, what) in NOT_SHOWN {
            let found: Vec<usize> = (0..self.looks.len()).filter(|&i| of_look(&self.looks[i])).collect();
            if let Some(&first) = found.first() {
                let (count, which) = (of(found.len(), one, many), &self.ids[first]);
                notes.push(format!("{count} {what}: `{which}`"));
            }
        }
        let clipped = |i: &usize| matches!(&self.pixels, Pixels::Files { headers, .. } if headers[*i].is_clipped);
        let clipped: Vec<_> = (0..self.len()).filter(clipped).collect();
        if let Some(&first) = clipped.first() {
            let (count, which) = (of(clipped.len(), "image has", "images have"), &self.ids[first]);
            let problem = "more than 8 bits of gray, which Pillow clips, so most of it may be white or black";
            notes.push(format!("{count} {problem}: `{which}`; convert to 8 bits"));
        }
        notes
    }
}

fn text_summary(texts: &[String], origin: &Origin) -> String {
    let file = if let Origin::Texts(file) = origin { file.file_name() } else { None };
    format!("{} in {}", number(texts.len()), file.unwrap_or_default().display())
}

fn stack_summary(stack: &Stack, chosen: usize) -> String {
    let file = stack.path.file_name().unwrap_or_default().display();
    let dataset = stack.dataset.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let all = if chosen == stack.len { String::new() } else { format!(", chosen from {}", number(stack.len)) };
    format!("{} of {} × {} pixels in {file}{dataset}{all}", number(chosen), stack.width, stack.height)
}

fn of(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", number(count), if count == 1 { one } else { many })
}
