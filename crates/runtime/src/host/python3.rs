//! What Python says of itself.

use super::language::Program;

/// `-I -S` keep the environment and site packages out of it; `_base_executable` looks through a
/// virtual environment; confstr knows its key only with glibc.
const QUESTION: &str = "
import json, os, sys, sysconfig
try: glibc = os.confstr('CS_GNU_LIBC_VERSION')
except (ValueError, OSError): glibc = None
print(json.dumps({
    'executable': os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable),
    'version': '%d.%d.%d' % sys.version_info[:3],
    'abi': sysconfig.get_config_var('SOABI') or sys.implementation.cache_tag,
    'prefixes': sorted({os.path.realpath(sys.base_prefix), os.path.realpath(sys.base_exec_prefix)}),
    'glibc': glibc,
}))
";

pub(super) const PROGRAM: Program = Program {
    name: "python3",
    usual: "/usr/bin/python3",
    title: "Python",
    oldest: (3, 8),
    question: &["-I", "-S", "-c", QUESTION],
};
