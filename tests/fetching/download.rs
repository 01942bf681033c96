//! One file, in as many attempts as it takes.

use crate::server::{Answer, Server};
use std::fs;
use std::time::{Duration, Instant};
use thingsvision::weights::{Patience, download};

pub const HASTY: Patience = Patience { request: Duration::from_millis(500), attempts: 3, pause: Duration::from_millis(10) };

pub fn content() -> Vec<u8> {
    (0..200_000u32).map(|i| (i * 31 % 251) as u8).collect()
}

/// What arrives of a file when requests are answered so, or the error; and what was asked for.
fn try_download(answers: &[Answer], before: &[u8]) -> (Result<Vec<u8>, String>, Vec<String>) {
    let server = Server::start(content(), answers);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    if !before.is_empty() {
        fs::write(&file, before).unwrap();
    }
    let result = download(&server.url("file.pth"), &file, HASTY, &mut |_, _| {});
    (result.map(|()| fs::read(&file).unwrap()).map_err(|error| format!("{error:#}")), server.asked())
}

#[test]
fn a_whole_file_arrives() {
    assert_eq!(try_download(&[Answer::Content], &[]), (Ok(content()), vec![String::new()]));
    assert_eq!(try_download(&[Answer::Slow], &[]).0, Ok(content()));
    assert_eq!(try_download(&[Answer::Redirect], &[]).0, Ok(content()));
}

#[test]
fn after_a_break_the_rest_is_asked_for() {
    let (result, asked) = try_download(&[Answer::Break(70_000), Answer::Break(30_000), Answer::Content], &[]);
    assert_eq!(result, Ok(content()));
    assert_eq!(asked[0], "");
    assert!(asked[1..].iter().all(|range| range.ends_with('-')), "{asked:?}");
    assert_eq!(asked.len(), 3);
}

#[test]
fn what_an_earlier_call_left_is_continued() {
    let (result, asked) = try_download(&[Answer::Content], &content()[..150_000]);
    assert_eq!((result, asked), (Ok(content()), vec!["150000-".to_owned()]));
}

#[test]
fn a_server_that_knows_no_ranges_sends_all_again() {
    let (result, _) = try_download(&[Answer::Break(70_000), Answer::Whole], &[]);
    assert_eq!(result, Ok(content()));
}

#[test]
fn too_long_a_beginning_is_thrown_away() {
    let (result, _) = try_download(&[Answer::Content], &[7; 300_000]);
    assert_eq!(result, Ok(content()));
}

#[test]
fn a_server_that_stalls_is_asked_again_for_the_rest() {
    let begun = Instant::now();
    let (result, asked) = try_download(&[Answer::Stall(100_000), Answer::Hang, Answer::Content], &[]);
    assert_eq!(result, Ok(content()));
    assert_eq!(asked.len(), 3);
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn errors_of_the_server_are_tried_again_and_refusals_are_not() {
    assert_eq!(try_download(&[Answer::Status(503), Answer::Status(500), Answer::Content], &[]).0, Ok(content()));
    let (result, asked) = try_download(&[Answer::Status(404)], &[]);
    assert!(result.unwrap_err().contains("the server answers 404"));
    assert_eq!(asked.len(), 1);
}

#[test]
fn without_progress_it_gives_up() {
    let (result, asked) = try_download(&[Answer::Break(0)], &[]);
    assert!(result.unwrap_err().contains("gave up after 3 attempts"));
    assert_eq!(asked.len(), 3);
    let nobody = download("http://127.0.0.1:1/x", &tempfile::tempdir().unwrap().path().join("x"), HASTY, &mut |_, _| {});
    assert!(format!("{:#}", nobody.unwrap_err()).contains("gave up after 3 attempts"));
}
