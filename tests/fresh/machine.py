"""Machines that have nothing: minimal Debian systems in folders, with this machine's package sources, and a clean clone in each.

Needs root and debootstrap. A machine is a folder; commands run in it by enter.sh. The clone lies at the same path as the project
does here: the compiler cache, which this machine lends, then knows every compilation.
"""
import os
import pathlib
import re
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
# Of this machine's environment: how to reach the world.
LENT_VARIABLES = re.compile(r"(https?|ftp|no|all)_proxy|(PIP|SSL|REQUESTS|CURL)_[A-Z_]+", re.IGNORECASE)
# Of this machine's files: where packages come from, and what vouches for them.
LENT_FILES = ["etc/apt/sources.list", "etc/apt/sources.list.d", "etc/apt/auth.conf", "etc/apt/auth.conf.d", "etc/apt/keyrings",
              "etc/apt/trusted.gpg.d", "usr/share/keyrings", "usr/local/share/ca-certificates", "etc/ssl/certs", "etc/hosts",
              "etc/resolv.conf"]
PIP_CONFIGURATIONS = ["/etc/pip.conf", "~/.config/pip/pip.conf", "~/.pip/pip.conf"]


class Impossible(Exception):
    """This machine does not let us make another; says what it refuses."""


def checked(*command, **options):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, **options)
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-5:])
        raise Impossible(f"{' '.join(map(str, command[:2]))} ended with status {done.returncode}: {said}")
    return done.stdout


def debian_source():
    """The address and suite of this machine's first source of Debian packages."""
    for path in sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*.sources")):
        text = path.read_text()
        address, suite = re.search(r"^URIs:\s*(\S+)", text, re.M), re.search(r"^Suites:\s*(\S+)", text, re.M)
        if address and suite and "bookworm" in suite[1]:
            return address[1], suite[1]
    for path in [pathlib.Path("/etc/apt/sources.list"), *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*.list"))]:
        found = re.search(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(bookworm)\s", path.read_text() if path.exists() else "", re.M)
        if found:
            return found[1], found[2]
    raise Impossible("this machine has no package source of Debian 12 in /etc/apt")


def namespaces(network=True):
    """The command that starts another one in namespaces of its own, which end with this process at the latest."""
    mortal = ["setpriv", "--pdeathsig", "KILL"]
    alone = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    return [*mortal, "unshare", *alone, *([] if network else ["--net"])]


def check_possible():
    """Raises Impossible, with the reason, where machines cannot be made here."""
    if os.geteuid() != 0:
        raise Impossible("making a machine needs root")
    for tool in ("debootstrap", "setpriv", "unshare", "chroot", "mount", "git"):
        if not shutil.which(tool):
            raise Impossible(f"there is no {tool}")
    checked(*namespaces(), "sh", "-c", "mount -t tmpfs none /mnt && mount -t proc proc /mnt")


def make_base(folder):
    """A minimal Debian 12 as an archive, made once: FOLDER/base.tar."""
    archive = folder / "base.tar"
    if archive.exists():
        return archive
    address, suite = debian_source()
    tree = folder / "base"
    remove_tree(tree)
    tree.mkdir(parents=True)
    checked("debootstrap", "--variant=minbase", "--include=ca-certificates,sudo", suite, tree, address)
    part = folder / "base.tar.part"
    checked("tar", "-C", tree, "--one-file-system", "-cpf", part, ".")
    part.rename(archive)
    remove_tree(tree)
    return archive


def remove_tree(folder):
    """Nothing is ever mounted below `folder` here, only in the namespaces of commands; other file systems are left alone even so."""
    checked("rm", "-rf", "--one-file-system", folder)


def lend_configuration(root):
    """How to reach package sources and the Python package index, as here."""
    remove_tree(root / "etc/apt/sources.list.d")
    remove_tree(root / "etc/apt/sources.list")
    for name in LENT_FILES:
        source, target = pathlib.Path("/") / name, root / name
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_tree(target)
            checked("cp", "-aH", source, target)
    for path in pathlib.Path("/etc/apt/apt.conf.d").iterdir():
        if "Acquire" in path.read_text(errors="replace"):
            shutil.copy(path, root / "etc/apt/apt.conf.d" / path.name)
    # These machines do not outlive a crash: dpkg need not wait for the disk.
    (root / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")
    for path in (pathlib.Path(name).expanduser() for name in PIP_CONFIGURATIONS):
        if path.exists():
            shutil.copy(path, root / "etc/pip.conf")


class Machine:
    """One machine; `with` takes it away at the end. Commands run as root or as one of `USERS`."""

    USERS = {"member": "member ALL=(ALL) NOPASSWD: ALL\n", "asked": "asked ALL=(ALL) ALL\n", "stranger": ""}

    def __init__(self, name, folder, base, cache):
        self.root, self.logs, self.cache = folder / name, folder / "logs", cache
        remove_tree(self.root)
        self.root.mkdir(parents=True)
        self.logs.mkdir(exist_ok=True)
        checked("tar", "-C", self.root, "-xpf", base)
        lend_configuration(self.root)
        for user, rights in self.USERS.items():
            checked("chroot", self.root, "useradd", "--create-home", user)
            (self.root / "etc/sudoers.d" / user).write_text(rights)
        self.project = self.root / PROJECT.relative_to("/")
        self.project.parent.mkdir(parents=True, exist_ok=True)
        checked("git", "-c", "safe.directory=*", "clone", "--quiet", "--no-local", f"file://{PROJECT}", self.project)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        remove_tree(self.root)

    def give_project_to(self, user):
        checked("chroot", self.root, "chown", "-R", f"{user}:{user}", PROJECT)

    def environment(self, user):
        home = "/root" if user == "root" else f"/home/{user}"
        variables = {"HOME": home, "USER": user, "PATH": "/usr/local/bin:/usr/bin:/bin", "TERM": "dumb"}
        variables.update((name, value) for name, value in os.environ.items() if LENT_VARIABLES.fullmatch(name))
        if user == "root":
            variables["PATH"] += ":/usr/sbin:/sbin"
        if self.cache:
            variables.update(CCACHE_DIR="/var/cache/ccache", CCACHE_READONLY="1", CCACHE_TEMPDIR="/tmp/ccache")
        return [f"{name}={value}" for name, value in variables.items()]

    def run(self, command, user="root", network=True, limit=1500):
        """(status, everything that it printed); status 124 where it did not end in `limit` seconds."""
        arguments = [self.root, PROJECT, self.cache or "", user, command, *self.environment(user)]
        started = subprocess.Popen([*namespaces(network), HERE / "enter.sh", *map(str, arguments)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            output = started.communicate(timeout=limit)[0]
            status = started.returncode
        except subprocess.TimeoutExpired:
            started.kill()  # and with it, by --kill-child, everything in its namespace
            output, status = started.communicate()[0], 124
        return status, output.decode(errors="replace")
