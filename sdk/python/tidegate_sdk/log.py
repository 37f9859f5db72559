"""Lines for the runtime's log; in native tests they go to stderr."""

import sys

try:
    from wit_world.imports.log import Level as _Level
    from wit_world.imports.log import write as _write

    def _line(level, message):
        _write(getattr(_Level, level), str(message))

except ImportError:

    def _line(level, message):
        print(f"{level.lower()}: {message}", file=sys.stderr)


def debug(message):
    _line("DEBUG", message)


def info(message):
    _line("INFO", message)


def warn(message):
    _line("WARN", message)


def error(message):
    _line("ERROR", message)


class Lines:
    """Stands for standard output and error in a component, which has neither: each line is one for the log."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self):
        self._begun = ""

    def write(self, text):
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                debug(line)
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return False
