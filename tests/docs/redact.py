"""What may be different each time: ids, times, durations, ports, the length of columns. Everything else has to be equal."""
import re

UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
ELLIPSIS = "…"
# On a terminal there is one line instead, redrawn and then gone: these are not shown in the pages.
PROGRESS = re.compile(r"^\d\d:\d\d:\d\d \S")
PATTERNS = [
    (re.compile(r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d [A-Z]+ \d{4}\b"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| [A-Z]+)?"), "<time>"),
    (re.compile(r"(Time\"?: )\d{10}\b"), r"\1<time>"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "<time>"),
    (re.compile(r"\b\d+(\.\d+)? (ms|s|min|h)( \d+ (ms|s|min))?(?![a-z])"), "<span>"),
    (re.compile(r"\b419\d\d\b"), "<port>"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "<digest>"),
    # The beginning of a run's id, which begins with the time.
    (re.compile(r"\b01[0-9a-f]{6}\b"), "<run>"),
    (re.compile(r"\b\d+\.\d+\.\d+\b"), "<version>"),
    (re.compile(r"-{5,}"), "-----"),
    (re.compile(r"(?<=\S) {2,}"), "  "),
]


def lines(output):
    """Output as a page shows it."""
    kept = [line.rstrip() for line in output.splitlines() if not PROGRESS.match(line)]
    while kept and not kept[-1]:
        kept.pop()
    return kept


def redacted(line):
    line = UUID.sub("<id>", line)
    for pattern, name in PATTERNS:
        line = pattern.sub(name, line)
    return line.rstrip()


def aligned(page, printed):
    """Which line of the page is which of what was printed, or None if they differ. An ellipsis stands for any lines."""
    if not page:
        return [] if not printed else None
    if page[0] == ELLIPSIS:
        rests = (aligned(page[1:], printed[at:]) for at in range(len(printed) + 1))
        return next((rest for rest in rests if rest is not None), None)
    if not printed or redacted(page[0]) != redacted(printed[0]):
        return None
    rest = aligned(page[1:], printed[1:])
    return None if rest is None else [(page[0], printed[0]), *rest]


class Ids:
    """The ids of a page and those of the machine: each stands for one of the others, all through the page."""

    def __init__(self):
        self.real, self.shown = {}, {}

    def fit(self, page, printed):
        """Whether the page shows what was printed, with ids that are equal where the machine's are."""
        pairs = aligned(page, printed)
        if pairs is None:
            return False
        ids = [both for line in pairs for both in zip(*(UUID.findall(text) for text in line))]
        known = all(self.real.get(shown, real) == real and self.shown.get(real, shown) == shown for shown, real in ids)
        if known:
            self.real.update(ids)
            self.shown.update((real, shown) for shown, real in ids)
        return known

    def typed(self, command):
        """A command of the page, with the machine's ids in the place of the page's."""
        return UUID.sub(lambda found: self.real.get(found[0], found[0]), command)

    def as_page(self, page, printed):
        """What was printed with the page's ids, as far as it has any, for a page that is written anew."""
        before, now = (UUID.findall("\n".join(lines)) for lines in (page, printed))
        if len(before) == len(now):
            for shown, real in zip(before, now):
                self.real.setdefault(shown, real)
                self.shown.setdefault(real, shown)
        page = [UUID.sub(lambda found: self.shown.get(found[0], found[0]), line) for line in printed]
        self.fit(page, printed)
        return page
