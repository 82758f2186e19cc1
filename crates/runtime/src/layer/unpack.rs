//! Unpacks a source archive into a directory. Runs in a sandboxed child, never in the server.
//!
//! Everything is done below one directory descriptor, no link is ever followed, and every entry is
//! checked before anything of it is written (decision 36).

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path};

use flate2::read::GzDecoder;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use tar::{Archive, Entry, EntryType};

use super::archive::OpenEnded;
use super::links::stays_inside;

/// The most that the files of an archive may hold together.
pub const MAX_UNPACKED_BYTES: u64 = 200 << 20;
/// The most entries of an archive, directories and links included.
pub const MAX_UNPACKED_ENTRIES: u64 = 20_000;
/// The first argument that makes an executable an unpacker; the directory follows.
pub const UNPACK_ARGUMENT: &str = "__unpack-source";

const DIR_FLAGS: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

/// What is wrong with an archive. Each reads after "the source archive ".
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("cannot be read as a gzip-compressed tar archive")]
    Format(#[source] io::Error),
    #[error("ends in the middle of entry \"{entry}\"")]
    Truncated { entry: String },
    #[error("holds nothing")]
    Empty,
    #[error("holds more than {MAX_UNPACKED_ENTRIES} entries")]
    TooManyEntries,
    #[error("unpacks to more than {} MiB, at entry \"{entry}\"", MAX_UNPACKED_BYTES >> 20)]
    TooLarge { entry: String },
    #[error("holds entry \"{entry}\" with an absolute path")]
    Absolute { entry: String },
    #[error("holds entry \"{entry}\", which leaves its directory (\"..\")")]
    Outside { entry: String },
    #[error("holds entry \"{entry}\", a link out of the archive to \"{target}\"")]
    LinkOut { entry: String, target: String },
    #[error("holds entry \"{entry}\", which lies below a link or a file")]
    BelowLink { entry: String },
    #[error("holds entry \"{entry}\", a {kind}; only files, directories and links are allowed")]
    Kind { entry: String, kind: &'static str },
    #[error("holds entry \"{entry}\", which cannot be written")]
    Write {
        entry: String,
        #[source]
        source: io::Error,
    },
}

impl UnpackError {
    /// The error with its cause in one line.
    #[must_use]
    pub fn reason(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}

/// What was unpacked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    pub entries: u64,
    pub bytes: u64,
}

/// What the unpacker says at its end, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum UnpackReport {
    Done(Unpacked),
    /// [`UnpackError::reason`].
    Refused(String),
}

/// Call first in `main`: if the process was started as an unpacker, it reads an archive from
/// descriptor 3 until its end, unpacks it into the directory of its second argument, writes a
/// report to descriptor 3 and exits: 0 if all of it was unpacked.
pub fn unpack_main_if_asked() {
    // Not `std::env::args`: in tests this runs before the standard library has them.
    let line = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let mut arguments = line.split(|byte| *byte == 0).skip(1);
    if arguments.next() != Some(UNPACK_ARGUMENT.as_bytes()) {
        return;
    }
    let into = OsString::from_vec(arguments.next().unwrap_or_default().to_vec());
    let mut channel = channel();
    let unpacked = open_root(Path::new(&into)).and_then(|dir| unpack(&mut channel, &dir));
    let (report, status) = match unpacked {
        Ok(unpacked) => (UnpackReport::Done(unpacked), 0),
        Err(error) => (UnpackReport::Refused(error.reason()), 1),
    };
    let text = serde_json::to_vec(&report).expect("numbers and text always have a JSON form");
    let written = channel.write_all(&text);
    std::process::exit(if written.is_ok() { status } else { 2 })
}

#[expect(unsafe_code, reason = "the one descriptor that the process was started with")]
fn channel() -> std::fs::File {
    // SAFETY: whoever starts an unpacker gives it a socket at descriptor 3; nothing else owns it.
    std::fs::File::from(unsafe { OwnedFd::from_raw_fd(3) })
}

fn open_root(path: &Path) -> Result<OwnedFd, UnpackError> {
    rustix::fs::open(path, DIR_FLAGS, Mode::empty())
        .map_err(|errno| write_error(&path.to_string_lossy(), errno))
}

/// Unpacks a gzip-compressed tar stream into an empty directory. A tar stream that was never
/// closed is accepted, one that was cut inside an entry is not. Files are 0644, or 0755 if anybody
/// may execute them; owners, times and other modes of the archive are ignored.
pub fn unpack(archive: impl Read, into: &OwnedFd) -> Result<Unpacked, UnpackError> {
    let (stream, over) = OpenEnded::new(GzDecoder::new(archive));
    let mut archive = Archive::new(stream);
    let mut done = Unpacked::default();
    let mut last = String::new();
    for entry in archive.entries().map_err(UnpackError::Format)? {
        let mut entry = entry.map_err(UnpackError::Format)?;
        let path = entry.path_bytes().into_owned();
        let name = String::from_utf8_lossy(&path).into_owned();
        done.entries += 1;
        if done.entries > MAX_UNPACKED_ENTRIES {
            return Err(UnpackError::TooManyEntries);
        }
        done.bytes = done.bytes.saturating_add(entry.size());
        if done.bytes > MAX_UNPACKED_BYTES {
            return Err(UnpackError::TooLarge { entry: name });
        }
        put(&mut entry, &name, OsString::from_vec(path), into)?;
        // Zeros that the stream did not have were taken for the file's own.
        if over.get() {
            return Err(UnpackError::Truncated { entry: name });
        }
        last = name;
    }
    let stream = archive.into_inner();
    if stream.is_too_long() {
        return Err(UnpackError::TooLarge { entry: last });
    }
    if done.entries == 0 { Err(UnpackError::Empty) } else { Ok(done) }
}

type Stream<R> = OpenEnded<GzDecoder<R>>;

fn put<R: Read>(
    entry: &mut Entry<'_, Stream<R>>,
    name: &str,
    path: OsString,
    root: &OwnedFd,
) -> Result<(), UnpackError> {
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(());
    }
    let path = std::path::PathBuf::from(path);
    let parts = parts(&path, name)?;
    let Some((file, parents)) = parts.split_last() else {
        // `./`, the root itself.
        return if kind.is_dir() { Ok(()) } else { Err(not_allowed(name, kind)) };
    };
    let parent = open_parents(root, parents, name)?;
    match kind {
        EntryType::Directory => make_dir(&parent, file, name).map(drop),
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            write_file(entry, &parent, file, name)
        }
        EntryType::Symlink => {
            let target = link_target(entry, name)?;
            if !stays_inside(parents.len(), &target) {
                let target = target.to_string_lossy().into_owned();
                return Err(UnpackError::LinkOut { entry: name.to_owned(), target });
            }
            remove_file(&parent, file);
            rustix::fs::symlinkat(&*target, &parent, *file).map_err(|e| write_error(name, e))
        }
        EntryType::Link => hard_link(entry, root, &parent, file, name),
        kind => Err(not_allowed(name, kind)),
    }
}

/// The names on an entry's path, without `.`.
fn parts<'a>(path: &'a Path, name: &str) -> Result<Vec<&'a std::ffi::OsStr>, UnpackError> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => {
                return Err(UnpackError::Outside { entry: name.to_owned() });
            }
            Component::RootDir | Component::Prefix(_) => {
                return Err(UnpackError::Absolute { entry: name.to_owned() });
            }
        }
    }
    Ok(parts)
}

/// Opens the directory of an entry, making what is missing of it.
fn open_parents(
    root: &OwnedFd,
    parents: &[&std::ffi::OsStr],
    name: &str,
) -> Result<OwnedFd, UnpackError> {
    let mut dir = root.try_clone().map_err(|error| write_io(name, error))?;
    for part in parents {
        dir = make_dir(&dir, part, name)?;
    }
    Ok(dir)
}

fn make_dir(parent: impl AsFd, part: &std::ffi::OsStr, name: &str) -> Result<OwnedFd, UnpackError> {
    match rustix::fs::mkdirat(&parent, part, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(write_error(name, errno)),
    }
    rustix::fs::openat(&parent, part, DIR_FLAGS, Mode::empty()).map_err(|errno| match errno {
        Errno::LOOP | Errno::NOTDIR => UnpackError::BelowLink { entry: name.to_owned() },
        errno => write_error(name, errno),
    })
}

fn write_file<R: Read>(
    entry: &mut Entry<'_, Stream<R>>,
    parent: &OwnedFd,
    file: &std::ffi::OsStr,
    name: &str,
) -> Result<(), UnpackError> {
    let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
    let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
    remove_file(parent, file);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let out = rustix::fs::openat(parent, file, flags, mode).map_err(|e| write_error(name, e))?;
    let mut out = std::fs::File::from(out);
    let mut left = entry.size();
    let mut buffer = vec![0; 64 << 10];
    while left > 0 {
        let read = entry.read(&mut buffer).map_err(UnpackError::Format)?;
        if read == 0 {
            return Err(UnpackError::Truncated { entry: name.to_owned() });
        }
        left = left.saturating_sub(read as u64);
        let piece = buffer.get(..read).unwrap_or_default();
        out.write_all(piece).map_err(|error| write_io(name, error))?;
    }
    Ok(())
}

fn hard_link<R: Read>(
    entry: &Entry<'_, Stream<R>>,
    root: &OwnedFd,
    parent: &OwnedFd,
    file: &std::ffi::OsStr,
    name: &str,
) -> Result<(), UnpackError> {
    let target = link_target(entry, name)?;
    let out = || UnpackError::LinkOut {
        entry: name.to_owned(),
        target: target.to_string_lossy().into_owned(),
    };
    let parts = parts(Path::new(&target), name).map_err(|_| out())?;
    let (from, parents) = parts.split_last().ok_or_else(out)?;
    let from_dir = open_parents(root, parents, name)?;
    remove_file(parent, file);
    rustix::fs::linkat(&from_dir, *from, parent, file, AtFlags::empty())
        .map_err(|errno| write_error(name, errno))
}

fn link_target<R: Read>(entry: &Entry<'_, R>, name: &str) -> Result<OsString, UnpackError> {
    match entry.link_name_bytes() {
        Some(bytes) => Ok(OsString::from_vec(bytes.into_owned())),
        None => Err(UnpackError::LinkOut { entry: name.to_owned(), target: String::new() }),
    }
}

/// A later entry of the same name replaces an earlier one, unless that is a directory.
fn remove_file(parent: &OwnedFd, file: &std::ffi::OsStr) {
    let _ = rustix::fs::unlinkat(parent, file, AtFlags::empty());
}

fn not_allowed(name: &str, kind: EntryType) -> UnpackError {
    let kind = match kind {
        EntryType::Char | EntryType::Block => "device",
        EntryType::Fifo => "named pipe",
        EntryType::Symlink | EntryType::Link => "link in place of the archive's own directory",
        EntryType::Regular => "file in place of the archive's own directory",
        _ => "thing of an unknown kind",
    };
    UnpackError::Kind { entry: name.to_owned(), kind }
}

fn write_error(name: &str, errno: Errno) -> UnpackError {
    write_io(name, errno.into())
}

fn write_io(name: &str, source: io::Error) -> UnpackError {
    UnpackError::Write { entry: name.to_owned(), source }
}
