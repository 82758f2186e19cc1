//! Privileges: capabilities, other users, devices, mounts, new namespaces.

use super::{attack, held};
use crate::support::{Lab, is_root};

async fn attack_as_root(lab: &Lab, program: &str) {
    if is_root() {
        attack(lab, program).await;
    } else {
        dispatch_testkit::skip("the twin: only root can do this anywhere");
        held(&lab.run(program).await);
    }
}

#[tokio::test]
async fn devices_cannot_be_made() {
    let lab = Lab::new();
    let program = "import os, stat, tempfile
p = tempfile.mktemp()
try: os.mknod(p, 0o600 | stat.S_IFBLK, os.makedev(7, 0)); print('done'); os.remove(p)
except OSError as e: print('held', e)";
    attack_as_root(&lab, program).await;
    lab.finish().await;
}

#[tokio::test]
async fn nothing_can_be_mounted_or_unmounted() {
    let lab = Lab::new();
    let mount = "import ctypes, os, tempfile
libc = ctypes.CDLL(None, use_errno=True)
d = tempfile.mkdtemp().encode()
if libc.mount(b'x', d, b'tmpfs', 0, None) == 0: print('done'); libc.umount2(d, 2); os.rmdir(d)
else: print('held', os.strerror(ctypes.get_errno()))";
    attack_as_root(&lab, mount).await;
    let remount = "import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for target in (b'/', b'/usr', b'/proc', b'/proc/cmdline'):
    if libc.umount2(target, 2) == 0 or libc.mount(None, target, None, 4096 | 32, None) == 0: print('done')
    else: print('held', os.strerror(ctypes.get_errno()))";
    held(&lab.run(remount).await);
    lab.finish().await;
}

#[tokio::test]
async fn no_namespace_can_be_made() {
    let lab = Lab::new();
    // CLONE_NEWUSER alone, and with a mount namespace: how an ordinary user gains capabilities.
    for flags in ["0x10000000", "0x10020000"] {
        let program = format!(
            "import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare({flags}) == 0: print('done')
else: print('held', os.strerror(ctypes.get_errno()))"
        );
        attack(&lab, &program).await;
    }
    lab.finish().await;
}

#[tokio::test]
async fn no_other_user_can_be_taken() {
    let lab = Lab::new();
    for call in ["setuid(61235)", "setgid(61235)", "setgroups([61235])", "chroot('/tmp')"] {
        let program = format!(
            "import os\ntry: os.{call}; print('done')\nexcept OSError as e: print('held', e)"
        );
        attack_as_root(&lab, &program).await;
    }
    let ids = lab.run("import os; print(os.getresuid(), os.getresgid())").await;
    assert_eq!(ids.stdout, "(1000, 1000, 1000) (1000, 1000, 1000)\n");
    if is_root() {
        assert_eq!(lab.run("import os; print(os.getgroups())").await.stdout, "[]\n");
    }
    lab.finish().await;
}

#[tokio::test]
async fn there_are_no_capabilities_and_none_can_come() {
    let lab = Lab::new();
    let program = "import re
s = open('/proc/self/status').read()
print({k: v for k, v in re.findall(r'(Cap\\w+|NoNewPrivs):\\s+(\\w+)', s)})";
    let none = "0".repeat(16);
    let expect = format!(
        "{{'CapInh': '{none}', 'CapPrm': '{none}', 'CapEff': '{none}', 'CapBnd': '{none}', \
         'CapAmb': '{none}', 'NoNewPrivs': '1'}}\n"
    );
    assert_eq!(lab.run(program).await.stdout, expect);
    let twin = crate::support::run_unconfined(program).await;
    assert!(twin.stdout.contains("'NoNewPrivs': '0'"), "{twin:?}");
    lab.finish().await;
}
