//! Which symbolic links a layer may hold.

use std::ffi::OsStr;
use std::path::{Component, Path};

/// Whether a link whose directory lies `depth` real directories below the root of the tree stays
/// inside it. `..` may only stand at the front: after a name, that name could be a link itself.
pub(super) fn stays_inside(depth: usize, target: &OsStr) -> bool {
    let mut up = 0;
    let mut names = 0_usize;
    for part in Path::new(target).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => names += 1,
            Component::ParentDir if names == 0 => up += 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    up <= depth && (names > 0 || up > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_the_tree_are_told_from_links_inside() {
        for (depth, target, expect) in [
            (0, "a", true),
            (0, "./a/b", true),
            (1, "../a", true),
            (2, "../../a", true),
            (0, "..", false),
            (0, "../a", false),
            (1, "../../a", false),
            (0, "/", false),
            (0, "/etc/passwd", false),
            // Lexically inside, but `d/l` could be a link to the root.
            (0, "d/l/../etc", false),
            (0, "", false),
        ] {
            assert_eq!(stays_inside(depth, OsStr::new(target)), expect, "{depth} {target}");
        }
    }
}
