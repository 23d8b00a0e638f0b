#!/usr/bin/env python3
"""Draws a terminal's text as SVG, for the documentation: terminal_svg.py < TEXT > FILE.svg."""

import html
import sys

CHAR_WIDTH, LINE_HEIGHT, MARGIN = 8.4, 18, 16


def terminal_svg(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    width = round(max(len(line) for line in lines) * CHAR_WIDTH + 2 * MARGIN)
    height = len(lines) * LINE_HEIGHT + 2 * MARGIN
    rows = "\n".join(
        f'<text x="{MARGIN}" y="{MARGIN + LINE_HEIGHT * (number + 1) - 5}" xml:space="preserve">{html.escape(line)}</text>'
        for number, line in enumerate(lines)
        if line
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f'<rect width="{width}" height="{height}" rx="6" fill="#0f172a"/>\n'
        f'<g font-family="ui-monospace, Menlo, monospace" font-size="14" fill="#e2e8f0">\n{rows}\n</g>\n</svg>\n'
    )


if __name__ == "__main__":
    sys.stdout.write(terminal_svg(sys.stdin.read()))
