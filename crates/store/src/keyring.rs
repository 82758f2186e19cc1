//! Key-encryption keys: files of 32 random bytes in hexadecimal, outside the database.
//!
//! `kek-<n>` in a directory of mode 0700, each file 0600. The newest encrypts; older ones still decrypt
//! until [`Store::rewrap`](crate::Store::rewrap) has replaced them. A file is never changed.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

pub(crate) type KeyBytes = Zeroizing<[u8; 32]>;

/// The keys of one directory. Cheap to clone; shows its numbers only.
#[derive(Clone)]
pub struct Keyring {
    directory: PathBuf,
    /// Who may own the keys besides root and this process.
    owner: Option<u32>,
    keys: Arc<BTreeMap<u32, KeyBytes>>,
}

/// Why keys cannot be used or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error(
        "use {path}: its mode is {mode:04o}, others than its owner may use it; run chmod {wanted:04o} {path}"
    )]
    TooWide { path: PathBuf, mode: u32, wanted: u32 },
    #[error(
        "use {path}: it belongs to user {owner}, keys are taken from their own user or root only"
    )]
    ForeignOwner { path: PathBuf, owner: u32 },
    #[error("use {path}: it is not a key (64 hexadecimal digits)")]
    Malformed { path: PathBuf },
    #[error("{action} {path}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl Keyring {
    /// Loads the keys of `directory`, which is made if it is missing. There may be none yet: the first
    /// is made when a new database is opened, and never for an existing one.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, KeyringError> {
        Self::open_of(directory, None)
    }

    /// The same where the keys may belong to another user, whom this process is about to become.
    pub fn open_of(
        directory: impl Into<PathBuf>,
        owner: Option<u32>,
    ) -> Result<Self, KeyringError> {
        let directory = directory.into();
        // Only the directory itself is closed: what is above it may hold what others read.
        let made = match directory.parent() {
            Some(above) => fs::create_dir_all(above),
            None => Ok(()),
        };
        let made = made
            .and_then(|()| fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory));
        made.map_err(io_error("create", &directory))?;
        check_access(&directory, &fs::metadata(&directory), owner, 0o700)?;

        let mut keys = BTreeMap::new();
        let entries = fs::read_dir(&directory).map_err(io_error("list", &directory))?;
        for entry in entries {
            let entry = entry.map_err(io_error("list", &directory))?;
            if let Some(number) = entry.file_name().to_str().and_then(key_number) {
                keys.insert(number, load_key(&entry.path(), owner)?);
            }
        }
        Ok(Self { directory, owner, keys: Arc::new(keys) })
    }

    /// As it is on disk now.
    pub(crate) fn again(&self) -> Result<Self, KeyringError> {
        Self::open_of(&self.directory, self.owner)
    }

    /// Makes a new key, which becomes the newest. The returned keyring has it; others learn of it by `open`.
    pub fn add_key(&self) -> Result<Self, KeyringError> {
        let number = self.newest().map_or(1, |newest| newest + 1);
        let mut key = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *key).map_err(|_| {
            io_error("make a random key for", &self.directory)(io::Error::other("no random bytes"))
        })?;
        write_key(&self.directory, number, &key)?;
        let mut keys = (*self.keys).clone();
        keys.insert(number, key);
        Ok(Self { keys: Arc::new(keys), ..self.clone() })
    }

    /// The number of the key that encrypts.
    pub fn newest(&self) -> Option<u32> {
        self.keys.last_key_value().map(|(number, _)| *number)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn newest_key(&self) -> Option<(u32, &KeyBytes)> {
        self.keys.last_key_value().map(|(number, key)| (*number, key))
    }

    pub(crate) fn key(&self, number: u32) -> Option<&KeyBytes> {
        self.keys.get(&number)
    }

    /// Whether everything that `other` decrypts is decrypted by this one too.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        other.keys.iter().all(|(number, key)| self.key(*number) == Some(key))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("directory", &self.directory)
            .field("numbers", &self.keys.keys())
            .finish()
    }
}

/// 64 hexadecimal digits, of either case.
pub(crate) fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// `kek-7` is 7. Anything else (an editor's copy, a file being written) is no key.
fn key_number(file: &str) -> Option<u32> {
    let digits = file.strip_prefix("kek-")?;
    let number = digits.parse::<u32>().ok()?;
    (number > 0 && number.to_string() == digits).then_some(number)
}

fn load_key(path: &Path, owner: Option<u32>) -> Result<KeyBytes, KeyringError> {
    check_access(path, &fs::metadata(path), owner, 0o600)?;
    let text = Zeroizing::new(fs::read(path).map_err(io_error("read", path))?);
    let key = from_hex(text.trim_ascii_end()).map(Zeroizing::new);
    key.ok_or_else(|| KeyringError::Malformed { path: path.to_owned() })
}

fn check_access(
    path: &Path,
    found: &io::Result<fs::Metadata>,
    other: Option<u32>,
    wanted: u32,
) -> Result<(), KeyringError> {
    let found = match found {
        Ok(found) => found,
        Err(e) => return Err(io_error("look at", path)(io::Error::from(e.kind()))),
    };
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyringError::TooWide { path: path.to_owned(), mode, wanted });
    }
    let owner = found.uid();
    let own = rustix::process::geteuid().as_raw();
    if owner != 0 && owner != own && Some(owner) != other {
        return Err(KeyringError::ForeignOwner { path: path.to_owned(), owner });
    }
    Ok(())
}

/// Complete and synced under its name, or not there at all. An existing file is never replaced.
fn write_key(directory: &Path, number: u32, key: &[u8; 32]) -> Result<(), KeyringError> {
    let path = directory.join(format!("kek-{number}"));
    let half = directory.join(format!(".kek-{number}.new"));
    let mut text = Zeroizing::new(Vec::with_capacity(65));
    for byte in key {
        write!(text, "{byte:02x}").expect("memory takes every byte");
    }
    text.push(b'\n');

    let _left_by_a_crash = fs::remove_file(&half);
    let written = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half);
    let written = written.and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
    let linked = written.and_then(|()| fs::hard_link(&half, &path));
    let removed = fs::remove_file(&half);
    linked.and(removed).map_err(io_error("write", &path))?;
    let synced = fs::File::open(directory).and_then(|handle| handle.sync_all());
    synced.map_err(io_error("sync", directory))
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> KeyringError + 'a {
    move |source| KeyringError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn directory() -> (tempfile::TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let keys = temp.path().join("config/keys");
        (temp, keys)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_new_keyring_is_private_and_empty_until_a_key_is_added() {
        let (_temp, path) = directory();
        let empty = Keyring::open(&path).unwrap();
        assert_eq!((mode(&path), empty.newest()), (0o700, None));
        let first = empty.add_key().unwrap();
        let second = first.add_key().unwrap();
        assert_eq!((first.newest(), second.newest()), (Some(1), Some(2)));
        assert_eq!(mode(&path.join("kek-1")), 0o600);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "nothing but the two keys");

        let read_again = Keyring::open(&path).unwrap();
        assert!(read_again.includes(&second) && second.includes(&read_again));
        assert!(!first.includes(&second));
    }

    #[test]
    fn an_existing_key_is_never_replaced() {
        let (_temp, path) = directory();
        let empty = Keyring::open(&path).unwrap();
        let first = empty.add_key().unwrap();
        assert!(matches!(empty.add_key(), Err(KeyringError::Io { .. })));
        assert!(Keyring::open(&path).unwrap().includes(&first));
    }

    #[test]
    fn permissions_that_let_others_in_are_refused() {
        let check = |file: &str, mode: u32, wanted: u32| {
            let (_temp, path) = directory();
            Keyring::open(&path).unwrap().add_key().unwrap();
            let wide = path.join(file);
            fs::set_permissions(&wide, fs::Permissions::from_mode(mode)).unwrap();
            let error = Keyring::open(&path).unwrap_err();
            assert!(matches!(&error, KeyringError::TooWide { wanted: w, .. } if *w == wanted));
            assert!(error.to_string().contains(&format!("chmod {wanted:04o}")), "{error}");
        };
        check("kek-1", 0o640, 0o600);
        check("kek-1", 0o604, 0o600);
        check("", 0o710, 0o700);
        check("", 0o701, 0o700);
    }

    #[test]
    fn only_complete_keys_are_taken() {
        let (_temp, path) = directory();
        Keyring::open(&path).unwrap().add_key().unwrap();
        for other in [".kek-2.new", "kek-2~", "kek-02", "kek-", "broker"] {
            fs::write(path.join(other), "x").unwrap();
        }
        assert_eq!(Keyring::open(&path).unwrap().newest(), Some(1));
        let check = |text: &str| {
            let bad = path.join("kek-3");
            fs::write(&bad, text).unwrap();
            fs::set_permissions(&bad, fs::Permissions::from_mode(0o600)).unwrap();
            let error = Keyring::open(&path).unwrap_err();
            assert!(matches!(error, KeyringError::Malformed { .. }), "{text:?}: {error}");
        };
        check("");
        check(&"a".repeat(63));
        check(&"a".repeat(65));
        check(&"g".repeat(64));
    }

    #[test]
    fn debug_shows_no_key() {
        let (_temp, path) = directory();
        let ring = Keyring::open(&path).unwrap().add_key().unwrap();
        let key = fs::read_to_string(path.join("kek-1")).unwrap();
        let shown = format!("{ring:?}");
        assert!(shown.contains("numbers: {1}") || shown.contains("[1]"), "{shown}");
        assert!(!shown.contains(key.trim()));
    }

    #[test]
    fn keys_of_another_user_are_taken_only_by_who_becomes_that_user() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root gives files away");
            return;
        }
        let (_temp, path) = directory();
        Keyring::open(&path).unwrap().add_key().unwrap();
        for file in [path.join("kek-1"), path.clone()] {
            std::os::unix::fs::chown(file, Some(65_534), None).unwrap();
        }
        assert_eq!(Keyring::open_of(&path, Some(65_534)).unwrap().newest(), Some(1));
        for other in [None, Some(1)] {
            let error = Keyring::open_of(&path, other).unwrap_err();
            assert!(matches!(error, KeyringError::ForeignOwner { owner: 65_534, .. }), "{error}");
        }
    }
}
