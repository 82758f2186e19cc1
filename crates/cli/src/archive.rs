//! Packs a function's source as the first command line did: a gzip'd tar of relative paths (contract §2.4, §3.3).
//! Equal sources give equal bytes, so that the server stores them once.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};

use crate::{error::CliError, files};

/// What a server unpacks (decision 36).
pub const MAX_BYTES: u64 = 200 * 1024 * 1024;
pub const MAX_ENTRIES: usize = 20_000;

/// The time of every entry, 1980-01-01: the oldest that every tool can write down.
const ENTRY_TIME: u64 = 315_532_800;

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("failed to determine if path is dir: '{path}': stat {path}: {why}")]
    NoSource { path: String, why: String },
    #[error("{path} is a symbolic link; put the file itself there")]
    SymbolicLink { path: String },
    #[error("{path} is neither a file nor a directory")]
    Special { path: String },
    #[error("{path} has a name that is not UTF-8")]
    Name { path: String },
    #[error("{path} has more than {MAX_ENTRIES} files")]
    TooMany { path: String },
    #[error("{path} is larger than {} MiB", MAX_BYTES / 1024 / 1024)]
    TooLarge { path: String },
    #[error("{path} is empty")]
    Empty { path: String },
    #[error("cannot pack {path}")]
    Io {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// One file: its path on disk and its name in the archive.
#[derive(Debug)]
struct Entry {
    path: PathBuf,
    name: String,
    executable: bool,
    bytes: u64,
}

/// Whether the source is a directory.
pub fn is_directory(path: &Path) -> Result<bool, ArchiveError> {
    // The given path may be a link to the source; only links inside it are refused.
    fs::metadata(path).map(|metadata| metadata.is_dir()).map_err(|e| ArchiveError::NoSource {
        path: path.display().to_string(),
        why: files::why_not(path, &e),
    })
}

/// Packs a file or all of a directory.
pub fn pack(path: &Path) -> Result<Vec<u8>, ArchiveError> {
    let place = path.display().to_string();
    let mut entries = if is_directory(path)? {
        let mut entries = Vec::new();
        collect(path, "", &mut entries)?;
        entries
    } else {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| ArchiveError::Name { path: place.clone() })?;
        vec![entry(path, name.to_owned(), &fs::metadata(path).map_err(io_error(path))?)?]
    };
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    if entries.is_empty() {
        return Err(ArchiveError::Empty { path: place });
    }
    if entries.len() > MAX_ENTRIES {
        return Err(ArchiveError::TooMany { path: place });
    }
    if entries.iter().map(|entry| entry.bytes).sum::<u64>() > MAX_BYTES {
        return Err(ArchiveError::TooLarge { path: place });
    }
    write(&entries).map_err(|(path, source)| ArchiveError::Io { path, source })
}

fn collect(folder: &Path, prefix: &str, entries: &mut Vec<Entry>) -> Result<(), ArchiveError> {
    for found in fs::read_dir(folder).map_err(io_error(folder))? {
        let path = found.map_err(io_error(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| ArchiveError::Name { path: path.display().to_string() })?;
        let name = format!("{prefix}{name}");
        let metadata = fs::symlink_metadata(&path).map_err(io_error(&path))?;
        if metadata.is_dir() {
            collect(&path, &format!("{name}/"), entries)?;
        } else {
            entries.push(entry(&path, name, &metadata)?);
        }
        if entries.len() > MAX_ENTRIES {
            return Err(ArchiveError::TooMany { path: folder.display().to_string() });
        }
    }
    Ok(())
}

fn entry(path: &Path, name: String, metadata: &fs::Metadata) -> Result<Entry, ArchiveError> {
    use std::os::unix::fs::PermissionsExt as _;
    let place = || path.display().to_string();
    if metadata.is_symlink() {
        return Err(ArchiveError::SymbolicLink { path: place() });
    }
    if !metadata.is_file() {
        return Err(ArchiveError::Special { path: place() });
    }
    let executable = metadata.permissions().mode() & 0o111 != 0;
    Ok(Entry { path: path.to_owned(), name, executable, bytes: metadata.len() })
}

fn write(entries: &[Entry]) -> Result<Vec<u8>, (String, io::Error)> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for entry in entries {
        append(&mut archive, entry).map_err(|e| (entry.path.display().to_string(), e))?;
    }
    let end = |e| ("the archive".to_owned(), e);
    let mut compressed = archive.into_inner().map_err(end)?;
    compressed.flush().map_err(end)?;
    compressed.finish().map_err(end)
}

fn append(archive: &mut tar::Builder<GzEncoder<Vec<u8>>>, entry: &Entry) -> io::Result<()> {
    let file = fs::File::open(&entry.path)?;
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(entry.bytes);
    header.set_mode(if entry.executable { 0o755 } else { 0o644 });
    header.set_mtime(ENTRY_TIME);
    // A file that grows meanwhile is cut, one that shrinks is an error.
    let content = io::Read::take(file, entry.bytes);
    archive.append_data(&mut header, &entry.name, content)
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.display().to_string();
    |source| ArchiveError::Io { path, source }
}

/// A file or directory as it is sent: base64 of its archive.
pub fn text(path: &Path) -> Result<String, CliError> {
    let packed = pack(path).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        CliError::input(format!("{error}{}", cause.unwrap_or_default()))
    })?;
    Ok(STANDARD.encode(packed))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read as _,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    /// Names, modes and contents of an archive.
    fn listing(packed: &[u8]) -> Vec<(String, u32, String)> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            (name, entry.header().mode().unwrap(), content)
        });
        entries.collect()
    }

    #[test]
    fn a_file_and_a_directory_are_packed_under_their_relative_names() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("src");
        fs::create_dir_all(source.join("lib")).unwrap();
        fs::write(source.join("run.sh"), "b").unwrap();
        fs::set_permissions(source.join("run.sh"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(source.join("lib/a.py"), "a").unwrap();
        let expect = |name: &str, mode, content: &str| (name.to_owned(), mode, content.to_owned());
        assert_eq!(
            listing(&pack(&source).unwrap()),
            [expect("lib/a.py", 0o644, "a"), expect("run.sh", 0o755, "b")]
        );
        let one = pack(&source.join("lib/a.py")).unwrap();
        assert_eq!(listing(&one), [expect("a.py", 0o644, "a")]);
    }

    #[test]
    fn equal_sources_give_equal_bytes_whenever_and_by_whomever_they_are_packed() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, files: &[&str]| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            for file in files {
                fs::write(path.join(file), file).unwrap();
            }
            pack(&path).unwrap()
        };
        let first = make("first", &["a", "b", "c"]);
        let file = fs::File::open(folder.path().join("first/a")).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(first, make("second", &["c", "a", "b"]));
        assert_eq!(first, pack(&folder.path().join("first")).unwrap());
    }

    #[test]
    fn what_cannot_be_packed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let check = |path: &Path, expect: &str| {
            let error = pack(path).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(
            Path::new("nodir"),
            "failed to determine if path is dir: 'nodir': stat nodir: no such file or directory",
        );
        check(folder.path(), "is empty");
        symlink("/etc/passwd", folder.path().join("link")).unwrap();
        check(folder.path(), "link is a symbolic link; put the file itself there");
        fs::remove_file(folder.path().join("link")).unwrap();
        let big = fs::File::create(folder.path().join("big")).unwrap();
        big.set_len(MAX_BYTES + 1).unwrap();
        check(folder.path(), "is larger than 200 MiB");
    }

    #[test]
    fn a_directory_with_a_file_too_many_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MAX_ENTRIES {
            fs::File::create(folder.path().join(number.to_string())).unwrap();
        }
        assert!(pack(folder.path()).is_ok());
        fs::File::create(folder.path().join("one-more")).unwrap();
        assert!(pack(folder.path()).unwrap_err().to_string().contains("more than 20000 files"));
    }
}
