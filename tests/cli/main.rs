//! The program as a user meets it: stdout, stderr, exit code, and the files it writes.

mod extract;
mod lab;
mod models;
mod rdm;
mod rsa;
