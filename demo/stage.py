"""Everything that the walkthrough needs to be running: PostgreSQL with TLS, the broker, the server.

All of it lives in one temporary directory, listens on free loopback ports, and is ended by its process id.
"""
import glob
import http.client
import json
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from show import Deviation

WAIT_SECONDS = 60


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, condition, seconds=WAIT_SECONDS):
    """Until `condition` gives something; with its last reason when it never does."""
    last, until = None, time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            found = condition()
            if found:
                return found
        except OSError as error:
            last = error
        time.sleep(0.02)
    raise Deviation(f"{what} did not come in {seconds} s ({last})")


def answers(port):
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


class Stage:
    def __init__(self, binaries):
        self.dispatch = binaries / "dispatch"
        self.load = binaries / "dispatch-load"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="dispatch-demo-"))
        os.chmod(self.directory, 0o711)
        self.home = self.directory / "home"
        self.home.mkdir(mode=0o700)
        self.processes = []
        self.server_port = self.broker_port = None
        self.environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_DATA_HOME": str(self.home / ".local/share"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.directory),
            # As root it stays root: the home is closed to every other user.
            "DISPATCH_SERVER_USER": "",
        }
        # What pip was told on this machine holds for builds too; the server reads it at its start.
        kept = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT")
        self.environment.update({k: v for k, v in os.environ.items() if k.startswith(kept)})

    # PostgreSQL

    def start_postgresql(self):
        programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
        found = programs[-1] if programs else shutil.which("initdb")
        if not found:
            raise Deviation("PostgreSQL's programs are missing; run: make deps")
        self.pg_bin = pathlib.Path(found).parent
        self.pg_port = free_port()
        self.pg_data = self.directory / "postgresql"
        self.pg_data.mkdir(mode=0o700)
        # initdb refuses to be root; Debian's package comes with a user for it.
        self.pg_user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        self._owned(self.pg_data)
        self.admin_password = secrets.token_urlsafe(24)
        password_file = self.directory / "admin-password"
        password_file.write_text(self.admin_password)
        password_file.chmod(0o600)
        self._owned(password_file)
        self._as_postgres(
            self.pg_bin / "initdb", "-D", self.pg_data / "data", "-U", "dispatch_admin", "-A", "scram-sha-256",
            f"--pwfile={password_file}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
        )
        certificate, key = self._certificate()
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.pg_port, "unix_socket_directories": "",
            "ssl": "on", "ssl_cert_file": certificate, "ssl_key_file": key, "fsync": "off",
            "password_encryption": "scram-sha-256", "log_statement": "all", "max_connections": 200,
        }
        with open(self.pg_data / "data/postgresql.conf", "a") as file:
            file.writelines(f"{key} = '{value}'\n" for key, value in settings.items())
        (self.pg_data / "data/pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        self._spawn("postgresql", [self.pg_bin / "postgres", "-D", self.pg_data / "data"], user=self.pg_user)
        wait_for("PostgreSQL", lambda: answers(self.pg_port))
        password_file.unlink()

    def _certificate(self):
        """A certificate for localhost and the authority that signed it; the authority's key is not kept."""
        made = pathlib.Path(tempfile.mkdtemp(dir=self.directory))
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

        def openssl(*arguments):
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=made)

        openssl("req", "-x509", *curve, "-days", "2", "-subj", "/CN=demo authority", "-keyout", "ca.key", "-out", "ca.crt")
        openssl("req", *curve, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
        (made / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "names", "-out", "server.crt")
        self.ca = self.directory / "postgresql-ca.pem"
        shutil.copy(made / "ca.crt", self.ca)
        self.ca.chmod(0o644)
        certificate, key = self.pg_data / "server.crt", self.pg_data / "server.key"
        for name, target in (("server.crt", certificate), ("server.key", key)):
            shutil.copy(made / name, target)
            target.chmod(0o600)
            self._owned(target)
        shutil.rmtree(made)
        return certificate, key

    def _owned(self, path):
        if self.pg_user:
            os.chown(path, self.pg_user.pw_uid, self.pg_user.pw_gid)

    def _as_postgres(self, *arguments):
        options = {"user": self.pg_user.pw_uid, "group": self.pg_user.pw_gid, "extra_groups": []} if self.pg_user else {}
        done = subprocess.run(
            [str(one) for one in arguments], capture_output=True, text=True, cwd=self.pg_data,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.pg_data), "LANG": "C.UTF-8"}, **options,
        )
        if done.returncode != 0:
            raise Deviation(f"{arguments[0]}: {done.stderr.strip()}")

    def sql(self, statement, database="postgres"):
        """One statement of the shared server's administrator; (worked, output)."""
        return self._psql(statement, "127.0.0.1", self.pg_port, database, "dispatch_admin", self.admin_password, self.ca)

    def sql_as(self, login, statement):
        """One statement with the credentials of a binding, through its own authority; (worked, output)."""
        authority = self.directory / "binding-ca.pem"
        authority.write_text(login["caCertificate"])
        return self._psql(statement, login["host"], login["port"], login["database"], login["username"],
                          login["password"], authority)

    def _psql(self, statement, host, port, database, user, password, authority):
        environment = {
            "PATH": os.environ["PATH"], "PGPASSWORD": password, "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(authority), "PGCONNECT_TIMEOUT": "5", "LANG": "C.UTF-8",
        }
        done = subprocess.run(
            [str(self.pg_bin / "psql"), "-h", host, "-p", str(port), "-U", user, "-d", database,
             "-X", "-A", "-t", "-c", statement],
            capture_output=True, text=True, env=environment,
        )
        return done.returncode == 0, (done.stdout or done.stderr).strip()

    # PostgreSQL servers that the broker makes

    def clusters(self):
        """Their directories."""
        return sorted((self.directory / "broker/clusters").glob("*"))

    def of_clusters(self):
        """{process id: whether it is a server's first}, of all that works in their directories."""
        found = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                place = pathlib.Path(os.readlink(process / "cwd").removesuffix(" (deleted)"))
            except OSError:
                continue
            if place.is_relative_to(self.directory / "broker/clusters"):
                pid = int(process.name)
                found[pid] = self._postmaster(place) == pid
        return found

    def _postmaster(self, place):
        try:
            return int((place / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _end_clusters(self):
        """They outlive the broker, and must not outlive the demo."""
        for how in (signal.SIGQUIT, signal.SIGKILL):
            for pid, first in self.of_clusters().items():
                try:
                    if first or how == signal.SIGKILL:
                        os.kill(pid, how)
                except ProcessLookupError:
                    pass
            try:
                return wait_for("the end of the broker's PostgreSQL", lambda: not self.of_clusters(), 10)
            except Deviation:
                continue

    # Broker and server

    def prepare_broker(self):
        self.broker_port = free_port()
        self.broker_token = secrets.token_urlsafe(24)
        url = self.directory / "admin-url"
        url.write_text(
            f"postgresql://dispatch_admin:{self.admin_password}@127.0.0.1:{self.pg_port}/postgres?sslmode=verify-full"
        )
        token = self.directory / "broker-token"
        token.write_text(self.broker_token)
        for file in (url, token):
            file.chmod(0o600)
        self.broker_files = ["--admin-url-file", url, "--token-file", token, "--tls-ca", self.ca]

    def start_broker(self):
        if self.broker_port is None:
            self.prepare_broker()
        self._spawn("broker", [
            self.dispatch, "broker", "postgresql", "--data", self.directory / "broker",
            "--listen", f"127.0.0.1:{self.broker_port}", *self.broker_files,
        ])
        wait_for("the broker", lambda: answers(self.broker_port))

    def start_server(self):
        """On ports that it keeps when it is started again."""
        if self.server_port is None:
            self.server_port, self.http_port, self.https_port = free_port(), free_port(), free_port()
        self._spawn("server", [
            self.dispatch, "server", "--data", self.directory / "data", "--keys", self.directory / "keys",
            "--port", self.server_port, "--gateway-port", self.http_port, "--gateway-tls-port", self.https_port,
        ])
        config = self.home / ".dispatch/config.json"
        wait_for("the server", lambda: answers(self.server_port) and config.exists())
        contexts = json.loads(config.read_text())
        key = contexts["contexts"][contexts["current"]]["cookie"]
        self.key_file = self.directory / "key"
        self.key_file.write_text(key)
        self.key_file.chmod(0o600)
        self.key = key

    def _spawn(self, name, arguments, user=None):
        log = open(self.directory / f"{name}.log", "ab")
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        process = subprocess.Popen(
            [str(one) for one in arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env=self.environment, cwd=self.directory, start_new_session=True, **options,
        )
        self.processes.append((name, process))
        return process

    def call(self, method, path, body=None):
        """One request to the server's API; (status, body), or (0, why) when the connection broke."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.server_port}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Cookie": self.key, "X-Dispatch-Org": "dispatch", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            return 0, str(error)

    def ask_broker(self, path):
        """The status with which the broker answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.broker_port}{path}",
            headers={"Authorization": f"Bearer {self.broker_token}", "X-Broker-API-Version": "2.17"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def kill(self, name):
        """As a power cut does: without a word."""
        process = next(process for known, process in reversed(self.processes) if known == name)
        process.kill()
        process.wait()

    def alive(self):
        return [name for name, process in self.processes if process.poll() is None]

    def stop(self, keep=False):
        """Ends what was started, last first, and removes the directory unless it is to be kept."""
        for name, process in reversed(self.processes):
            if process.poll() is not None:
                continue
            process.send_signal(signal.SIGINT if name == "postgresql" else signal.SIGTERM)
            try:
                process.wait(timeout=40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._end_clusters()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)
