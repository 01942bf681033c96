//! The README and the guide: their commands do what the pages show, their links lead somewhere, all pages are listed.
//!
//! Blocks of a page, by the words after their fence:
//! * `sh`: run as a whole, in the order of the page, in a folder with `examples/` and `my-images/`;
//! * `text` right after one: what that prints to stdout, exactly;
//! * `csv NAME`, `text NAME`, `toml NAME`: a file that the reader saves;
//! * `console` with lines that begin with `$ `: run, with all that they say;
//! * other `console`: not run, but each `thingsvision` in it has flags that there are;
//! * `python`, `matlab`, `r`, `rust`, `toml`: not looked at.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// The README and the pages that the guide's table of contents lists.
fn pages() -> Vec<String> {
    let listed = links(&read("docs/SUMMARY.md")).into_iter().map(|(_, page)| format!("docs/{page}"));
    std::iter::once("README.md".to_owned()).chain(listed).collect()
}

/// A fenced block: its line, the words after the fence, what is in it, and whether only blank lines part it from the block before.
struct Block {
    line: usize,
    words: Vec<String>,
    body: String,
    follows: bool,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut open, mut follows) = (None, false);
    for (number, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(words)) => {
                let words = words.split_whitespace().map(str::to_owned).collect();
                open = Some(Block { line: number + 1, words, body: String::new(), follows });
            }
            (Some(_), Some(_)) => {
                blocks.extend(open.take());
                follows = true;
            }
            (Some(block), None) => block.body.push_str(&format!("{line}\n")),
            (None, None) => follows &= line.trim().is_empty(),
        }
    }
    assert!(open.is_none(), "a block without an end");
    blocks
}

/// Where a reader of the guide works: the examples, and their images as `my-images`.
fn desk() -> TempDir {
    let desk = tempfile::tempdir().unwrap();
    copy(&root().join("examples"), &desk.path().join("examples"));
    copy(&root().join("examples/images"), &desk.path().join("my-images"));
    desk
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() { copy(&from, &to) } else { fs::copy(&from, &to).map(|_| ()).unwrap() }
    }
}

/// `script` in bash at a reader's desk, without network.
fn bash(desk: &Path, script: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_thingsvision")).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([program].into_iter().chain(std::env::split_paths(&others))).unwrap();
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(desk).stdin(Stdio::null());
    command.env("PATH", path).env("LC_ALL", "C").env_remove("THINGSVISION_TORCH");
    command.env("THINGSVISION_OFFLINE", "1").env("THINGSVISION_CACHE", desk.join(".cache")).env("SLURM_ARRAY_TASK_ID", "1");
    command
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What the page says and the program does not.
fn faults(page: &str) -> Vec<String> {
    let desk = desk();
    let (mut faults, mut stdout) = (Vec::new(), String::new());
    for block in blocks(&read(page)) {
        let place = format!("{page}:{}", block.line);
        let kinds: Vec<&str> = block.words.iter().map(String::as_str).collect();
        match kinds[..] {
            ["sh"] => {
                let output = bash(desk.path(), &block.body).output().unwrap();
                stdout = String::from_utf8_lossy(&output.stdout).into_owned();
                if !output.status.success() {
                    faults.push(format!("{place} fails\n{}{}", block.body, words(&output)));
                }
            }
            ["text"] if block.follows => faults.extend(differ(&place, &block.body, &stdout)),
            ["text"] => {}
            ["csv" | "text" | "toml", name] => fs::write(desk.path().join(name), &block.body).unwrap(),
            ["console"] if block.body.starts_with("$ ") => faults.extend(session(desk.path(), &place, &block.body)),
            ["console"] => faults.extend(flags(desk.path(), &place, &block.body)),
            ["python" | "matlab" | "r" | "rust" | "toml"] => {}
            _ => faults.push(format!("{place}: nothing is known of blocks of {kinds:?}")),
        }
    }
    faults
}

fn differ(place: &str, shown: &str, said: &str) -> Option<String> {
    (shown.trim_end() != said.trim_end()).then(|| format!("{place} shows\n{shown}and the program says\n{said}"))
}

/// Commands with all that they say, as a terminal has it.
fn session(desk: &Path, place: &str, body: &str) -> Vec<String> {
    let commands = format!("\n{body}");
    let parts = commands.split("\n$ ").skip(1);
    let run = |part: &str| {
        let (command, shown) = part.split_once('\n').unwrap_or((part, ""));
        let output = bash(desk, &format!("{{ {command}\n}} 2>&1")).output().unwrap();
        differ(&format!("{place} `{command}`"), &format!("{shown}\n"), &words(&output))
    };
    parts.filter_map(run).collect()
}

/// Commands that cannot be run here: their flags and values are understood.
fn flags(desk: &Path, place: &str, body: &str) -> Vec<String> {
    let body = body.replace("\\\n", " ");
    let ours = body.lines().map(str::trim).filter(|line| line.starts_with("thingsvision "));
    let check = |line: &str| {
        let command = line.split(" #").next().unwrap_or(line);
        let output = bash(desk, &format!("{command} --help")).output().unwrap();
        (!output.status.success()).then(|| format!("{place} `{command}`\n{}", words(&output)))
    };
    ours.filter_map(check).collect()
}

#[test]
fn the_commands_of_every_page_do_what_it_shows() {
    let (left, found) = (Mutex::new(VecDeque::from(pages())), Mutex::new(Vec::new()));
    let work = || {
        while let Some(page) = { left.lock().unwrap().pop_front() } {
            let faults = faults(&page);
            found.lock().unwrap().extend(faults);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{} faults\n\n{}", found.len(), found.join("\n\n"));
}

/// The lines of a page that are not in blocks, without code between backticks.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        if !inside && !fence {
            lines.push((number + 1, line.split('`').step_by(2).collect::<Vec<_>>().join("·")));
        }
    }
    lines
}

/// The targets of the links of a page, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let in_line = |(number, line): (usize, String)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned);
        targets.map(|target| (number, target)).collect::<Vec<_>>()
    };
    prose(text).into_iter().flat_map(in_line).collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut inside = false;
    let outside = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    let anchor = |heading: &str| {
        let letters = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = letters.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    outside.filter(|line| line.starts_with('#')).map(anchor).collect()
}

/// Why a link leads nowhere.
fn broken(page: &str, target: &str) -> Option<String> {
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let file: PathBuf = if path.is_empty() { page.into() } else { folder.join(path) };
    if !root().join(&file).exists() {
        return Some(format!("there is no {}", file.display()));
    }
    let lost = !anchor.is_empty() && !anchors(&fs::read_to_string(root().join(&file)).unwrap()).contains(anchor);
    lost.then(|| format!("{} has no heading #{anchor}", file.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    for page in pages().iter().map(String::as_str).chain(["docs/SUMMARY.md"]) {
        for (line, target) in links(&read(page)) {
            let elsewhere = target.starts_with("http://") || target.starts_with("https://");
            let problem = if elsewhere { None } else { broken(page, &target) };
            found.extend(problem.map(|problem| format!("{page}:{line}: `{target}`: {problem}")));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_table_of_contents_has_every_page() {
    let listed: BTreeSet<String> = pages().into_iter().skip(1).collect();
    let files = fs::read_dir(root().join("docs")).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let pages = files.filter(|name| name.ends_with(".md") && name != "SUMMARY.md").map(|name| format!("docs/{name}"));
    assert_eq!(listed, pages.collect());
}

#[test]
fn the_readme_stays_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "the README has {lines} lines, and 150 are enough: move what is no overview to the guide");
}
