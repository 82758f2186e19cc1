#!/usr/bin/env python3
"""Packs one executable, and what goes with it, into a tarball and a Debian package.

Usage: pack.py [--quick] EXECUTABLE DIRECTORY

--quick hardly compresses, for tests.

The same executable and the same sources give the same bytes: names in order, nobody's numbers, the commit's time
(SOURCE_DATE_EPOCH). Nothing is written outside of DIRECTORY, and nothing is built here.
"""
import email.utils
import gzip
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

from elf import Elf

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
# Debian's package for each library that the executable may need. libc6 has the parts of the C library.
PACKAGES = {"libc.so.6": "libc6", "libm.so.6": "libc6", "ld-linux-x86-64.so.2": "libc6", "ld-linux-aarch64.so.1": "libc6",
            "libgcc_s.so.1": "libgcc-s1"}
# Where Debian wants what: completions by shell.
COMPLETIONS = {"bash": ("dispatch.bash", "usr/share/bash-completion/completions/dispatch"),
               "zsh": ("_dispatch", "usr/share/zsh/vendor-completions/_dispatch"),
               "fish": ("dispatch.fish", "usr/share/fish/vendor_completions.d/dispatch.fish")}
SCRIPTS = ("free-cgroup", "stop-databases")
UNITS = ("dispatch.service", "dispatch-databases.service")


def main():
    quick = "--quick" in sys.argv[1:2]
    names = sys.argv[2:] if quick else sys.argv[1:]
    if len(names) != 2:
        sys.exit(__doc__)
    executable, out = (pathlib.Path(name).resolve() for name in names)
    out.mkdir(parents=True, exist_ok=True)
    elf, version, when = Elf(executable), version_of(), time_of_sources()
    with tempfile.TemporaryDirectory(prefix="pack-", dir=out) as place:
        place = pathlib.Path(place)
        os.umask(0o022)
        made = generated(executable, place / "generated")
        name = f"dispatch-{version}-{elf.machine}-linux.tar.gz"
        archives = [tarball(executable, made, place, out / name, when, quick)]
        if shutil.which("dpkg-deb"):
            name = f"dispatch_{version}_{elf.debian_architecture}.deb"
            archives.append(package(executable, made, place, out / name, elf, version, when, quick))
        else:
            print("dpkg-deb is not on this machine: no Debian package was made")
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in archives)
    (out / "SHA256SUMS").write_text(sums)
    size = executable.stat().st_size / 1e6
    print(f"  needs    {elf.machine}, C library of GNU {elf.c_library()} or newer")
    print(f"  packed   {executable.name}, {size:.1f} MB, as:")
    for path in archives:
        print(f"           {path} ({path.stat().st_size / 1e6:.1f} MB)")


def version_of():
    text = (ROOT / "Cargo.toml").read_text()
    return re.search(r'^\[workspace\.package\][^\[]*?^version = "([^"]+)"', text, re.M | re.S).group(1)


def time_of_sources():
    """Of the commit, or what SOURCE_DATE_EPOCH says."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    asked = subprocess.run(["git", "-C", ROOT, "log", "-1", "--format=%ct"], capture_output=True, text=True)
    if asked.returncode != 0:
        sys.exit(f"{asked.stderr.strip()}\nsay with SOURCE_DATE_EPOCH what time the sources are of")
    return int(asked.stdout)


def generated(executable, place):
    """Completions and manual pages, which the executable knows itself. It gets an environment of nobody's."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(place), "LANG": "C.UTF-8"}

    def run(*arguments):
        return subprocess.run([executable, *arguments], env=environment, check=True, capture_output=True).stdout

    place.mkdir()
    for shell, (name, _) in COMPLETIONS.items():
        (place / name).write_bytes(run("completion", shell))
    run("man", str(place / "man1"))
    return place


def put(source, target, mode=0o644):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def put_tree(source, target):
    """All files below, without what is left by whoever has tried them."""
    for path in sorted(source.rglob("*")):
        inside = path.relative_to(source)
        if path.is_file() and not any(part.startswith((".", "__")) or part == "node_modules" for part in inside.parts):
            put(path, target / inside)


def tarball(executable, made, place, archive, when, quick):
    top = place / archive.name.removesuffix(".tar.gz")
    put(executable, top / "dispatch", 0o755)
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        put(ROOT / name, top / name)
    for name in ("docs", "examples"):
        put_tree(ROOT / name, top / name)
    for name, _ in COMPLETIONS.values():
        put(made / name, top / "completions" / name)
    put_tree(made / "man1", top / "man/man1")
    put(HERE / "server.toml", top / "server.toml")
    for name in UNITS:
        put(HERE / "systemd" / name, top / "systemd" / name)
    for name in SCRIPTS:
        put(HERE / "systemd" / name, top / "systemd" / name, 0o755)

    def anonymous(member):
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = when
        return member

    # The file's name and the time are in gzip's header, unless they are left out.
    with open(archive, "wb") as raw, gzip.GzipFile("", "wb", 1 if quick else 9, raw, mtime=0) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path in [top, *sorted(top.rglob("*"))]:
                tar.add(path, path.relative_to(place), recursive=False, filter=anonymous)
    return archive


def package(executable, made, place, archive, elf, version, when, quick):
    top = place / "deb"
    share = top / "usr/share"
    put(executable, top / "usr/bin/dispatch", 0o755)
    put(HERE / "server.toml", top / "etc/dispatch/server.toml")
    for name in UNITS:
        put(HERE / "systemd" / name, top / "usr/lib/systemd/system" / name)
    for name in SCRIPTS:
        put(HERE / "systemd" / name, top / "usr/lib/dispatch" / name, 0o755)
    for name, inside in COMPLETIONS.values():
        put(made / name, top / inside)
    for page in sorted((made / "man1").iterdir()):
        put_packed(page, share / "man/man1" / f"{page.name}.gz")
    put_packed(ROOT / "CHANGELOG.md", share / "doc/dispatch/CHANGELOG.md.gz")
    (made / "changelog").write_text(debian_changelog(version, when))
    put_packed(made / "changelog", share / "doc/dispatch/changelog.gz")
    put(ROOT / "README.md", share / "doc/dispatch/README.md")
    put_tree(ROOT / "docs", share / "doc/dispatch/docs")
    put_tree(ROOT / "examples", share / "doc/dispatch/examples")
    licence = "Files: *\nCopyright: 2026 the Dispatch authors\nLicense: Apache-2.0\n"
    licence += " On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0.\n"
    heading = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
    (share / "doc/dispatch/copyright").write_text(heading + licence)
    control(top, elf, version)
    # Directories have the modes of this process's umask, which is 022; nobody's numbers are asked for below.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(when)}
    how = ["-Zgzip", "-z1"] if quick else ["-Zxz"]
    command = ["dpkg-deb", "--root-owner-group", "--uniform-compression", *how, "--build", top, archive]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return archive


def debian_changelog(version, when):
    """In the form that Debian's tools read. Ours is for people, and beside it."""
    maintainer = re.search("^Maintainer: (.*)", (HERE / "debian/control").read_text(), re.M).group(1)
    entry = f"dispatch ({version}) unstable; urgency=medium\n\n  * What has changed is in CHANGELOG.md.gz.\n\n"
    return f"{entry} -- {maintainer}  {email.utils.formatdate(when)}\n"


def put_packed(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(gzip.compress(source.read_bytes(), 9, mtime=0))


def control(top, elf, version):
    size = sum(path.stat().st_size for path in top.rglob("*") if path.is_file())
    values = {"VERSION": version, "ARCHITECTURE": elf.debian_architecture, "SIZE_KIB": str(-(-size // 1024)),
              "DEPENDS": ", ".join(depends(elf))}
    text = re.sub(r"@(\w+)@", lambda found: values[found[1]], (HERE / "debian/control").read_text())
    (top / "DEBIAN").mkdir()
    (top / "DEBIAN/control").write_text(text)
    files = [path for path in sorted(top.rglob("*")) if path.is_file() and path.relative_to(top).parts[0] == "usr"]
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(top)}\n" for path in files]
    (top / "DEBIAN/md5sums").write_text("".join(sums))
    put(HERE / "debian/conffiles", top / "DEBIAN/conffiles")
    for name in ("postinst", "prerm", "postrm"):
        put(HERE / "debian" / name, top / "DEBIAN" / name, 0o755)


def depends(elf):
    """What Debian's packages must be there for the executable, measured and not guessed."""
    unknown = [name for name in elf.libraries() if name not in PACKAGES]
    if unknown:
        sys.exit(f"the executable needs {', '.join(unknown)}: which package of Debian has it? (PACKAGES)")
    names = sorted({PACKAGES[name] for name in elf.libraries()})
    return [f"libc6 (>= {elf.c_library()})" if name == "libc6" else name for name in names]


if __name__ == "__main__":
    main()
