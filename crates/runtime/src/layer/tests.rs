//! Archives, trees and layers: what is kept, and what is refused.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;

const LIMITS: TreeLimits = TreeLimits { bytes: 1 << 20, entries: 100 };

/// A tar stream without its end: what the original client sends has none.
struct Tar(Vec<u8>);

impl Tar {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn with(mut self, kind: EntryType, path: &str, link: &str, mode: u32, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        // Not through set_path, which refuses what an attacker would write.
        let name = &mut header.as_old_mut().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, data: &[u8]) -> Self {
        self.with(EntryType::Regular, path, "", 0o600, data)
    }

    fn link(self, path: &str, to: &str) -> Self {
        self.with(EntryType::Symlink, path, to, 0o777, b"")
    }

    fn gz(&self) -> Vec<u8> {
        gz(&self.0)
    }
}

fn gz(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn unpacked(archive: &[u8]) -> (TempDir, Result<Unpacked, String>) {
    let dir = tempfile::tempdir().unwrap();
    let root: OwnedFd = fs::File::open(dir.path()).unwrap().into();
    let result = unpack(archive, &root).map_err(|error| error.reason());
    (dir, result)
}

fn check_refused(archive: &[u8], reason: &str) {
    let (_, result) = unpacked(archive);
    let error = result.expect_err(reason);
    assert!(error.starts_with(reason), "{error:?} instead of {reason:?}");
}

#[test]
fn an_archive_of_the_original_client_is_unpacked() {
    // One entry, `./hello.py` or `.//hello.py`, no padding, no end.
    for name in ["./hello.py", ".//hello.py"] {
        let mut tar = Tar::new().file(name, b"print(1)\n");
        tar.0.truncate(512 + 9);
        let (dir, result) = unpacked(&tar.gz());
        assert_eq!(result, Ok(Unpacked { entries: 1, bytes: 9 }), "{name}");
        assert_eq!(fs::read(dir.path().join("hello.py")).unwrap(), b"print(1)\n");
    }
}

#[test]
fn well_formed_archives_are_unpacked_too() {
    let mut builder = Builder::new(Vec::new());
    let long = format!("{}/{}/f.py", "d".repeat(90), "e".repeat(90));
    for (name, data) in [("a.py", "1"), ("p/b.py", "22"), (&*long, "333")] {
        let mut header = Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o640);
        builder.append_data(&mut header, name, data.as_bytes()).unwrap();
    }
    let (dir, result) = unpacked(&gz(&builder.into_inner().unwrap()));
    assert_eq!(result, Ok(Unpacked { entries: 3, bytes: 6 }));
    assert_eq!(fs::read(dir.path().join(long)).unwrap(), b"333");
}

#[test]
fn modes_links_and_repeated_names_come_out_as_they_should() {
    let tar = Tar::new()
        .with(EntryType::XGlobalHeader, "pax_global_header", "", 0o644, b"10 a=bcde\n")
        .with(EntryType::Directory, "./", "", 0o755, b"")
        .with(EntryType::Directory, "d/", "", 0o700, b"")
        .file("d/run.sh", b"old")
        .with(EntryType::Regular, "d/run.sh", "", 0o4711, b"new")
        .link("d/l", "../top")
        .file("top", b"t")
        .with(EntryType::Link, "hard", "d/run.sh", 0, b"");
    let (dir, result) = unpacked(&tar.gz());
    assert_eq!(result.unwrap().entries, 8);
    let mode = |name| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("d"), mode("d/run.sh"), mode("top")), (0o755, 0o755, 0o644));
    assert_eq!(fs::read(dir.path().join("hard")).unwrap(), b"new");
    assert_eq!(fs::read(dir.path().join("d/l")).unwrap(), b"t");
}

#[test]
fn archives_that_would_leave_their_directory_are_refused_by_name() {
    let t = Tar::new;
    check_refused(&t().file("../x", b"").gz(), "holds entry \"../x\", which leaves");
    check_refused(&t().file("a/../../x", b"").gz(), "holds entry \"a/../../x\", which leaves");
    check_refused(&t().file("/etc/x", b"").gz(), "holds entry \"/etc/x\" with an absolute path");
    check_refused(
        &t().link("l", "/etc").gz(),
        "holds entry \"l\", a link out of the archive to \"/etc\"",
    );
    check_refused(&t().link("l", "../x").gz(), "holds entry \"l\", a link out of");
    check_refused(
        &t().file("d/x", b"").link("d/l", "..").link("s", "d/l/../etc").gz(),
        "holds entry \"s\", a link out of the archive to \"d/l/../etc\"",
    );
    check_refused(
        &t().file("d/x", b"").link("l", "d").file("l/y", b"").gz(),
        "holds entry \"l/y\", which lies below a link",
    );
    let hard = |to| t().with(EntryType::Link, "h", to, 0, b"").gz();
    check_refused(&hard("/etc/passwd"), "holds entry \"h\", a link out of");
    check_refused(&hard("../x"), "holds entry \"h\", a link out of");
    check_refused(&hard("missing"), "holds entry \"h\", which cannot be written");
    for (kind, what) in [
        (EntryType::Char, "device"),
        (EntryType::Block, "device"),
        (EntryType::Fifo, "named pipe"),
        (EntryType::new(b'V'), "thing of an unknown kind"),
    ] {
        let archive = t().with(kind, "dev", "", 0, b"").gz();
        check_refused(&archive, &format!("holds entry \"dev\", a {what};"));
    }
    check_refused(&t().link("./", "x").gz(), "holds entry \"./\", a link in place of");
}

#[test]
fn archives_over_their_bounds_are_refused() {
    let mut tar = Tar::new();
    for _ in 0..MAX_UNPACKED_ENTRIES {
        tar = tar.with(EntryType::Directory, "d", "", 0, b"");
    }
    assert_eq!(unpacked(&tar.gz()).1.unwrap().entries, MAX_UNPACKED_ENTRIES);
    let tar = tar.with(EntryType::Directory, "d", "", 0, b"");
    check_refused(&tar.gz(), "holds more than 20000 entries");
    // The header alone says that it is too much; nothing is written.
    let mut tar = Tar::new().file("bomb", b"");
    let mut header = Header::new_gnu();
    header.set_size(MAX_UNPACKED_BYTES + 1);
    header.as_old_mut().name[..4].copy_from_slice(b"bomb");
    header.set_cksum();
    tar.0.splice(..512, header.as_bytes().iter().copied());
    check_refused(&tar.gz(), "unpacks to more than 200 MiB, at entry \"bomb\"");
}

#[test]
fn archives_that_are_none_or_not_whole_are_refused() {
    check_refused(b"", "cannot be read as a gzip-compressed tar archive");
    check_refused(b"not gzip", "cannot be read as a gzip-compressed tar archive");
    check_refused(&gz(b""), "holds nothing");
    check_refused(&gz(&[0; 1024]), "holds nothing");
    check_refused(&gz(b"hello, this is no tar"), "cannot be read as a gzip-compressed tar");
    let mut tar = Tar::new().file("a", &[7; 1000]);
    let whole = tar.gz();
    check_refused(&whole[..whole.len() - 10], "cannot be read as a gzip-compressed tar");
    tar.0.truncate(512 + 999);
    check_refused(&tar.gz(), "ends in the middle of entry \"a\"");
    tar.0.truncate(512);
    check_refused(&tar.gz(), "ends in the middle of entry \"a\"");
    tar.0.truncate(100);
    check_refused(&tar.gz(), "cannot be read as a gzip-compressed tar");
}

fn layers() -> (TempDir, Layers) {
    let dir = tempfile::tempdir().unwrap();
    let layers = Layers::open(dir.path().join("layers")).unwrap();
    (dir, layers)
}

fn keep(layers: &Layers, number: u128, fill: impl Fn(&Path)) -> Result<Digest, LayerError> {
    let staged = layers.stage(Uuid::from_u128(number)).unwrap();
    fill(&staged.output());
    let key = Digest::of(&number.to_be_bytes());
    layers.keep(staged, Uuid::nil(), key, LIMITS).map(|(layer, _)| layer.digest())
}

fn files_of(layers: &Layers) -> usize {
    fs::read_dir(layers.root()).unwrap().count()
}

#[test]
fn equal_trees_are_one_layer_and_every_difference_is_another() {
    let (_dir, layers) = layers();
    let base = |path: &Path| {
        fs::create_dir(path.join("d")).unwrap();
        fs::write(path.join("d/f"), "x").unwrap();
    };
    let first = keep(&layers, 1, base).unwrap();
    let with_mode = |mode| {
        move |path: &Path| {
            base(path);
            fs::set_permissions(path.join("d/f"), Permissions::from_mode(mode)).unwrap();
            fs::set_permissions(path.join("d"), Permissions::from_mode(0o700)).unwrap();
        }
    };
    assert_eq!(keep(&layers, 2, with_mode(0o400)).unwrap(), first, "readable modes are made");
    assert_eq!(files_of(&layers), 2, "the layer and the keys");
    let mode = |name: &str| {
        fs::metadata(layers.path(first).join(name)).unwrap().permissions().mode() & 0o7777
    };
    assert_eq!((mode(""), mode("d"), mode("d/f")), (0o755, 0o755, 0o644));
    let others = [
        keep(&layers, 3, with_mode(0o700)).unwrap(),
        keep(&layers, 4, |path| fs::write(path.join("f"), "x").unwrap()).unwrap(),
        keep(&layers, 5, |path| {
            base(path);
            fs::write(path.join("d/f"), "y").unwrap();
        })
        .unwrap(),
        keep(&layers, 6, |path| {
            base(path);
            symlink("d/f", path.join("l")).unwrap();
        })
        .unwrap(),
    ];
    assert!(others.iter().all(|other| *other != first), "{others:?}");
}

use std::fs::Permissions;

#[test]
fn a_layer_is_found_by_its_organization_and_key_until_it_is_swept() {
    let (dir, layers) = layers();
    let layer = keep(&layers, 1, |path| fs::write(path.join("f"), "x").unwrap()).unwrap();
    let key = Digest::of(&1_u128.to_be_bytes());
    let find = |organization, key| layers.find(organization, key).map(|held| held.digest());
    assert_eq!(find(Uuid::nil(), key), Some(layer));
    assert_eq!(find(Uuid::from_u128(1), key), None, "another organization's build");
    assert_eq!(find(Uuid::nil(), Digest::of(b"other")), None);
    fs::create_dir(layers.root().join("making-left-over")).unwrap();
    let layers = Layers::open(dir.path().join("layers")).unwrap();
    assert_eq!(files_of(&layers), 2, "leftovers go at the start");
    let sweep = |used: &dyn Fn(Digest) -> bool| layers.begin_sweep().unwrap().finish(used).unwrap();
    assert_eq!(sweep(&|used| used == layer), 0);
    assert_eq!(sweep(&|_| false), 1);
    assert_eq!(layers.find(Uuid::nil(), key), None);
    let keys = layers.root().join("by-key").join(Uuid::nil().to_string());
    assert_eq!(fs::read_dir(keys).unwrap().count(), 0, "nothing is remembered of it");
}

#[test]
fn a_sweep_leaves_what_was_held_since_it_began() {
    let (_dir, layers) = layers();
    let made = |number: u128| {
        keep(&layers, number, |path| fs::write(path.join("f"), number.to_string()).unwrap())
    };
    let made: Vec<Digest> = (1..=5).map(|number| made(number).unwrap()).collect();
    let [before, during, after, long_ago, used] = made[..] else { unreachable!() };
    let is_there = |layer: Digest| layers.path(layer).is_dir();
    drop(layers.hold(long_ago).unwrap());
    let held = layers.hold(before).unwrap();
    let sweep = layers.begin_sweep().unwrap();
    assert!(layers.begin_sweep().is_none(), "one at a time");
    // A build ends while it is asked what is used: the answer may be from before.
    drop(held);
    drop(layers.hold(during).unwrap());
    drop(layers.find(Uuid::nil(), Digest::of(&3_u128.to_be_bytes())).unwrap());
    assert_eq!(sweep.finish(|layer| layer == used).unwrap(), 1);
    let check = |layer, expect| assert_eq!(is_there(layer), expect);
    check(before, true);
    check(during, true);
    check(after, true);
    check(used, true);
    check(long_ago, false);

    let sweep = layers.begin_sweep().unwrap();
    let made_again = keep(&layers, 6, |path| fs::write(path.join("f"), "1").unwrap()).unwrap();
    assert_eq!(made_again, before, "a build makes an old layer again");
    assert_eq!(sweep.finish(|_| false).unwrap(), 3);
    check(before, true);
    assert_eq!(layers.begin_sweep().unwrap().finish(|_| false).unwrap(), 1);
    check(before, false);
    assert!(layers.hold(before).is_none(), "what is gone cannot be held");
}

#[test]
fn a_tree_that_is_no_layer_is_refused_and_removed() {
    let (_dir, layers) = layers();
    let check = |number, fill: &dyn Fn(&Path), expect: &str| {
        let error = keep(&layers, number, fill).unwrap_err().to_string();
        assert!(error.contains(expect), "{error} instead of {expect}");
        assert_eq!(files_of(&layers), 1, "nothing is left of it");
    };
    check(1, &|path| symlink("/etc/passwd", path.join("l")).unwrap(), "l is a link out of it");
    check(
        2,
        &|path| {
            let fifo = path.join("p");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                &fifo,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::from_raw_mode(0o600),
                0,
            )
            .unwrap();
        },
        "p is neither a file nor a directory nor a link",
    );
    check(
        3,
        &|path| fs::write(path.join("f"), vec![1; (1 << 20) + 1]).unwrap(),
        "more than 1048576 bytes",
    );
    check(
        4,
        &|path| {
            for n in 0..=100 {
                fs::write(path.join(n.to_string()), "").unwrap();
            }
        },
        "more than 100 files",
    );
    check(
        5,
        &|path| fs::create_dir_all(path.join("d/".repeat(66))).unwrap(),
        "nested deeper than 64",
    );
}

#[test]
fn a_staged_tree_that_is_dropped_is_gone() {
    let (_dir, layers) = layers();
    let staged = layers.stage(Uuid::nil()).unwrap();
    fs::write(staged.output().join("f"), "x").unwrap();
    assert_eq!(files_of(&layers), 2);
    drop(staged);
    assert_eq!(files_of(&layers), 1);
}

#[test]
fn digests_are_written_and_read() {
    let digest = Digest::of(b"x");
    assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
    for bad in ["", "00", &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
        assert!(bad.parse::<Digest>().is_err(), "{bad}");
    }
    assert_ne!(
        Digest::of_parts([b"ab".as_slice(), b"c"]),
        Digest::of_parts([b"a".as_slice(), b"bc"])
    );
}

#[test]
fn builds_of_one_key_at_one_time_are_all_kept() {
    let place = tempfile::tempdir().unwrap();
    let layers = Layers::open(place.path().join("layers")).unwrap();
    for round in 0..100u128 {
        let key = Digest::of(&round.to_le_bytes());
        let begin = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            let builds: Vec<_> = (0..4u128)
                .map(|number| {
                    let staged = layers.stage(Uuid::from_u128(round * 4 + number)).unwrap();
                    std::fs::write(staged.output().join("a"), "a").unwrap();
                    let (layers, begin) = (&layers, &begin);
                    scope.spawn(move || {
                        begin.wait();
                        layers.keep(staged, Uuid::nil(), key, LIMITS).map(drop)
                    })
                })
                .collect();
            for build in builds {
                build.join().unwrap().unwrap();
            }
        });
        assert!(layers.find(Uuid::nil(), key).is_some());
    }
}
