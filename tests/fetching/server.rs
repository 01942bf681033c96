//! A web server on 127.0.0.1 with one file, which answers each request as it is told.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How a request is answered.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// The file, or the part that is asked for.
    Content,
    /// The whole file, whatever part is asked for.
    Whole,
    /// As `Content`, but the connection breaks after so many bytes.
    Break(usize),
    /// As `Break`, but the connection stays open and nothing more comes.
    Stall(usize),
    /// Nothing at all comes.
    Hang,
    /// As `Content`, but a few bytes at a time.
    Slow,
    /// To `/moved`, where `Content` is.
    Redirect,
    /// An error.
    Status(u16),
}

/// The server, and what it was asked for: of each request the path, and the value of `Range` or nothing.
pub struct Server {
    address: String,
    asked: Arc<Mutex<Vec<[String; 2]>>>,
}

impl Server {
    /// Serves `file`. Request `i` gets `answers[i]`, later ones the last.
    pub fn start(file: Vec<u8>, answers: &[Answer]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answers) = (asked.clone(), answers.to_vec());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (file, log, answers) = (file.clone(), log.clone(), answers.clone());
                thread::spawn(move || {
                    // A client that goes away in the middle is one of the cases.
                    answer(stream.unwrap(), &file, &log, &answers).ok();
                });
            }
        });
        Server { address, asked }
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|[_, range]| range.clone()).collect()
    }

    pub fn paths(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|[path, _]| path.clone()).collect()
    }
}

fn answer(mut stream: TcpStream, file: &[u8], log: &Mutex<Vec<[String; 2]>>, answers: &[Answer]) -> std::io::Result<()> {
    let mut path = String::new();
    let mut range = String::new();
    for (i, line) in BufReader::new(stream.try_clone()?).lines().enumerate() {
        let line = line?;
        if line.is_empty() {
            break;
        } else if i == 0 {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        } else if let Some(value) = line.to_lowercase().strip_prefix("range: bytes=") {
            range = value.to_owned();
        }
    }
    let mut asked = log.lock().unwrap();
    let answer = if path == "/moved" { Answer::Content } else { answers[asked.len().min(answers.len() - 1)] };
    asked.push([path.clone(), range.clone()]);
    drop(asked);

    let start: usize = range.trim_end_matches('-').parse().unwrap_or(0);
    let (status, body) = match answer {
        Answer::Whole => ("200 OK".to_owned(), file),
        Answer::Status(status) => (format!("{status} Error"), &b"<html>no</html>"[..]),
        Answer::Redirect => ("302 Found\r\nLocation: /moved".to_owned(), &b""[..]),
        _ if start > 0 && start >= file.len() => ("416 Range Not Satisfiable".to_owned(), &b""[..]),
        _ if start > 0 => ("206 Partial Content".to_owned(), &file[start..]),
        _ => ("200 OK".to_owned(), file),
    };
    if let Answer::Hang = answer {
        thread::sleep(Duration::from_secs(30));
    }
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    match answer {
        Answer::Break(count) => stream.write_all(&body[..count.min(body.len())]),
        Answer::Stall(count) => {
            stream.write_all(&body[..count.min(body.len())])?;
            thread::sleep(Duration::from_secs(30));
            Ok(())
        }
        Answer::Slow => body.chunks(body.len() / 20 + 1).try_for_each(|chunk| {
            thread::sleep(Duration::from_millis(20));
            stream.write_all(chunk)
        }),
        _ => stream.write_all(body),
    }
}
