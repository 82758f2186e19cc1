"""What an executable says about the machine that it needs: architecture, libraries, and versions of their symbols.

Not a linker's view: only the parts of an ELF file of 64 bits, little-endian, that answer this.
"""
import struct

# e_machine: (as uname says it, as Debian says it)
MACHINES = {62: ("x86_64", "amd64"), 183: ("aarch64", "arm64")}
DYNAMIC, STRTAB_NEEDED, VERSION_NEEDS = 6, 1, 0x6FFFFFFE


class Elf:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()
        if self.bytes[:6] != b"\x7fELF\x02\x01":
            raise ValueError(f"{path} is not an executable for 64 bits, little-endian")
        machine, = struct.unpack_from("<H", self.bytes, 18)
        if machine not in MACHINES:
            raise ValueError(f"{path} is for a machine that is not known here ({machine})")
        self.machine, self.debian_architecture = MACHINES[machine]
        table, = struct.unpack_from("<Q", self.bytes, 40)
        size, count = struct.unpack_from("<HH", self.bytes, 58)
        # name, type, flags, address, offset, size, link, info
        self.sections = [struct.unpack_from("<IIQQQQII", self.bytes, table + n * size) for n in range(count)]

    def _text(self, section, offset):
        start = self.sections[section][4] + offset
        return self.bytes[start:self.bytes.index(b"\0", start)].decode()

    def libraries(self):
        """The shared libraries that it names."""
        found = []
        for _, kind, _, _, offset, size, link, _ in self.sections:
            for at in range(offset, offset + size, 16) if kind == DYNAMIC else ():
                tag, value = struct.unpack_from("<QQ", self.bytes, at)
                if tag == STRTAB_NEEDED:
                    found.append(self._text(link, value))
        return found

    def versions(self):
        """{library: versions of its symbols that are needed}, as `GLIBC_2.34`."""
        found = {}
        for _, kind, _, _, offset, _, link, count in self.sections:
            for _ in range(count if kind == VERSION_NEEDS else 0):
                _, names, file, first, following = struct.unpack_from("<HHIII", self.bytes, offset)
                at = offset + first
                for _ in range(names):
                    _, _, _, name, step = struct.unpack_from("<IHHII", self.bytes, at)
                    found.setdefault(self._text(link, file), []).append(self._text(link, name))
                    at += step
                offset += following
        return found

    def c_library(self):
        """The oldest C library of GNU that has everything, as `2.34`."""
        versions = [name for names in self.versions().values() for name in names]
        numbers = [name.removeprefix("GLIBC_").split(".") for name in versions if name.startswith("GLIBC_2")]
        return ".".join(str(part) for part in max([int(part) for part in number] for number in numbers))
