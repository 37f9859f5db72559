"""The command line: `python -m tidegate_sdk build FILE [-o OUTPUT]`."""

import argparse
import sys

from .build import BuildError, build


def main():
    parser = argparse.ArgumentParser(prog="python -m tidegate_sdk")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("build", help="make a component of a plugin")
    command.add_argument("file", help="the Python file of the plugin")
    command.add_argument("-o", "--output", help="the component; default: beside the file, under its name with dashes")
    arguments = parser.parse_args()
    try:
        output = build(arguments.file, arguments.output)
    except BuildError as error:
        sys.exit(f"error: {error}")
    print(f"{output}: {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
