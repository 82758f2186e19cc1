"""The two archives: that the same sources give the same bytes, and what is in them."""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tarfile

from show import Deviation

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NEWER = "dispatch-newer.deb"


def run(*arguments, **options):
    done = subprocess.run([str(one) for one in arguments], capture_output=True, text=True, timeout=120, **options)
    if done.returncode != 0:
        raise Deviation(f"exit code {done.returncode} of: {arguments[0]}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def packed(show, executable, place):
    """Packs twice, in different places and with different habits. Stripped, as the profile `dist` does it."""
    show.heading("Packed twice, the same")
    run("strip", "-o", place / "dispatch", executable)
    dists = [place / name for name in ("one", "two/deeper")]
    for dist, umask, zone, who in zip(dists, ("0022", "0077"), ("UTC", "Asia/Kolkata"), ([], somebody_else())):
        pack = [*who, ROOT / "scripts/python", ROOT / "packaging/pack.py", "--quick", place / "dispatch", dist]
        run("sh", "-c", f'umask {umask}; exec "$@"', "sh", *pack, env={**os.environ, "TZ": zone})
    one, two = ({path.name: digest(path) for path in dist.iterdir()} for dist in dists)
    show.expect("the same bytes", two, one)
    for line in (dists[0] / "SHA256SUMS").read_text().splitlines():
        wanted, name = line.split("  ")
        show.expect(f"the checksum of {name}", digest(dists[0] / name), wanted)
        show.line(f"  {name}")
    shutil.rmtree(dists[1])
    return dists[0]


def somebody_else():
    """A command that makes who calls it another user in its own eyes, where that is possible."""
    command = ["unshare", "--user", "--map-user=1234", "--map-group=1234", "--"]
    return command if subprocess.run([*command, "true"], capture_output=True).returncode == 0 else []


def tarball(show, dist, place):
    show.heading("The tarball, in an empty home")
    archive = next(dist.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
        tar.extractall(place)
    top = place / archive.name.removesuffix(".tar.gz")
    show.expect("its directories at the top", {member.name.split("/")[0] for member in members}, {top.name})
    show.expect("its owners", {(one.uid, one.gid, one.uname, one.gname) for one in members}, {(0, 0, "", "")})
    show.expect("its times", len({member.mtime for member in members}), 1)
    show.expect("its order", [one.name for one in members], sorted((one.name for one in members), key=pathlib.Path))
    found = {path.name for path in top.iterdir()}
    for name in ("dispatch", "README.md", "LICENSE", "CHANGELOG.md", "docs", "examples", "completions", "man", "systemd",
                 "server.toml"):
        show.expect(f"whether {name} is there", name in found, True)
    scripts(show, {shell: top / "completions" / name
                   for shell, name in (("bash", "dispatch.bash"), ("zsh", "_dispatch"), ("fish", "dispatch.fish"))})
    manual(show, sorted((top / "man/man1").iterdir()))
    for line in run(ROOT / "scripts/python", ROOT / "tests/docs/run.py", top, "README.md").splitlines():
        show.line(line)
    shutil.rmtree(top)


def scripts(show, completions):
    for shell, path in completions.items():
        if shutil.which(shell):
            run(shell, "-n", path)
            show.line(f"  {shell} reads {path.name}")
    # What bash does when somebody presses a key: the function that was registered gives words.
    ask = ('. "$1"; COMP_WORDS=(dispatch cre); COMP_CWORD=1; COMP_TYPE=9; PATH=$2:$PATH; '
           '$(complete -p dispatch | sed "s/.*-F \\([^ ]*\\).*/\\1/") dispatch cre dispatch; echo "${COMPREPLY[@]}"')
    path = completions["bash"]
    show.expect("what cre is completed to", run("bash", "-c", ask, "bash", path, path.parent.parent).split(), ["create"])


def manual(show, pages):
    show.expect("whether there are pages", len(pages) > 50, True)
    reader = ["man", "--warnings", "--pager=cat", "--local-file"] if shutil.which("man") else ["mandoc", "-T", "utf8"]
    if not shutil.which(reader[0]):
        return show.line("  neither man nor mandoc is there: the pages were not rendered")
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MANROFFOPT": "-ww"}
    some = [page for page in pages if page.name in ("dispatch.1", "dispatch-server.1", "dispatch-create-function.1")]
    show.expect("pages that everybody looks for", len(some), 3)
    done = subprocess.run([*reader, *map(str, some)], capture_output=True, text=True, env=environment, timeout=60)
    show.expect("what man warns of", (done.returncode, done.stderr), (0, ""))
    for page in some:
        show.expect(f"{page.stem} in capitals as a heading", page.stem.lower() in done.stdout, True)
    show.line(f"  {len(pages)} manual pages")


def debian(show, dist, place):
    show.heading("The Debian package, looked at")
    if not shutil.which("dpkg-deb"):
        return show.line("  skipped: dpkg-deb is not on this machine")
    deb = next(dist.glob("*.deb"))
    listed = [line.split(maxsplit=5) for line in run("dpkg-deb", "--contents", deb).splitlines()]
    show.expect("its owners", {line[1] for line in listed}, {"root/root"})
    show.expect("its modes", {line[0] for line in listed}, {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"})
    show.expect("its only file outside of /usr", [line[5] for line in listed if not line[5].startswith("./usr/")
                and not line[5].endswith("/")], ["./etc/dispatch/server.toml"])
    show.expect("its configuration", run("dpkg-deb", "--info", deb, "conffiles").split(), ["/etc/dispatch/server.toml"])
    fields = {name: run("dpkg-deb", "--field", deb, name).strip() for name in ("Version", "Architecture", "Depends")}
    # There is no server here, which it says too.
    said = subprocess.run([place / "dispatch", "version"], env={"HOME": str(place)}, capture_output=True, text=True)
    show.expect("its version", fields["Version"], said.stdout.split()[1].lstrip("v"))
    # A second opinion on the C library: binutils'.
    needed = run("readelf", "--version-info", "--wide", place / "dispatch")
    versions = [tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_(2[.\d]+)", needed)]
    wanted = f"libc6 (>= {'.'.join(map(str, max(versions)))})"
    show.expect("what it depends on", sorted(fields["Depends"].split(", ")), ["adduser", wanted, "libgcc-s1"])
    show.line("  " + ", ".join(f"{name} {text}" for name, text in fields.items()))


def newer(deb, place):
    """The same package as a later version."""
    top = place / "newer"
    run("dpkg-deb", "--raw-extract", deb, top)
    control = top / "DEBIAN/control"
    control.write_text(re.sub("(?m)^Version: .*", "Version: 99.0", control.read_text()))
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", top, place / NEWER)
    shutil.rmtree(top)
    return place / NEWER
