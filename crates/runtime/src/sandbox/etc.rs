//! The /etc of a sandbox (decision 31): made, with nothing of the host's but what the base mounts.

use super::root::write_file;
use super::step::{Step, StepError};

/// User and group of every worker, as it sees itself.
pub(crate) const INSIDE_ID: u32 = 1000;

const PASSWD: &str = "root:x:0:0:root:/nonexistent:/usr/sbin/nologin
function:x:1000:1000:function:/tmp:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";
const GROUP: &str = "root:x:0:\nfunction:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 function\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n";

/// Writes the files under `etc` of the current directory.
pub(super) fn write() -> Result<(), StepError> {
    std::fs::create_dir("etc").step("make /etc")?;
    write_file("etc/passwd", PASSWD)?;
    write_file("etc/group", GROUP)?;
    write_file("etc/hosts", HOSTS)?;
    write_file("etc/nsswitch.conf", NSSWITCH)?;
    write_file("etc/host.conf", "multi on\n")
}
