//! Files as others may have left them: no pipe or device is read, which may never end, and nothing is written through a link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Opens `path` to be read; fails if it is, or leads to, a pipe, a socket or a device.
pub fn open(path: &Path) -> io::Result<File> {
    check(path)?;
    File::open(path)
}

/// Fails if `path` is, or leads to, a pipe, a socket or a device; for what is opened by others.
pub fn check(path: &Path) -> io::Result<()> {
    // Before it is opened: that alone may wait for ever.
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(());
    }
    let name = if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::other(format!("it is {name}, and only files are read: write what it gives to one")))
}

/// The bytes of the file at `path`.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of the file at `path`.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Makes a file at `path`, to be read and written, in the place of one that is there or of a link.
pub fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().read(true).write(true).create_new(true).open(path)
}

/// Opens the file at `path` with `options`, which may make it; fails if it is a link to a file elsewhere, or another name of one.
pub fn open_own(path: &Path, options: &OpenOptions) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_file() && there.nlink() == 1 => {}
        Ok(_) => return Err(io::Error::other("it is not a file of its own, but leads to something else: remove it")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    #[test]
    fn pipes_and_devices_are_not_read_and_links_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        symlink("/dev/zero", path("device")).unwrap();
        fs::write(path("file"), "text").unwrap();
        for (name, wanted) in [("pipe", "it is a pipe, "), ("device", "it is a device, ")] {
            assert!(read(&path(name)).unwrap_err().to_string().starts_with(wanted));
        }
        for (make, name) in [(symlink as fn(_, _) -> _, "link"), (|from, to| fs::hard_link(from, to), "name")] {
            make(path("file"), path(name)).unwrap();
            assert_eq!(read(&path(name)).unwrap(), b"text");
            let write = open_own(&path(name), File::options().write(true));
            assert!(write.unwrap_err().to_string().starts_with("it is not a file of its own"));
            create(&path(name)).unwrap();
            assert_eq!((read(&path(name)).unwrap(), read(&path("file")).unwrap()), (vec![], b"text".to_vec()));
            fs::remove_file(path(name)).unwrap();
        }
        assert!(open_own(&path("new"), File::options().append(true).create(true)).is_ok());
    }
}
