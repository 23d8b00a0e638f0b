#!/usr/bin/env python3
"""Writes the measured tables of docs/PERFORMANCE.md from bench/results/*/*.json; no number there is typed by hand.

usage: bench_table.py [--check] [--print]
The tables stand between `<!-- bench:begin -->` and `<!-- bench:end -->`. --check changes nothing and fails where they are not
what the results say; --print writes them to standard output only.
"""

import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
DOCUMENT = ROOT / "docs" / "PERFORMANCE.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(figure: dict | None) -> str:
    """`median (min to max)`."""
    if not figure:
        return "-"
    return f"{number(figure['median'])} ({number(figure['min'])} to {number(figure['max'])})"


def table(columns: list[str], rows: list[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|--:" * (len(columns) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def source_line(path: pathlib.Path, result: dict) -> str:
    machine = result.get("machine", {})
    parts = [
        f"`{result['command']}`" if "command" in result else "",
        f"commit {result['commit']}" if "commit" in result else "",
        machine.get("cpu", ""),
        f"{machine['cores']} cores" if "cores" in machine else "",
        machine.get("cpu_path") or "",
        result.get("date", ""),
    ]
    return f"From `{path.relative_to(ROOT).as_posix()}`: " + ", ".join(part for part in parts if part) + "."


def peers_in_process(result: dict) -> list[str]:
    """bench/peers/cpu.py."""
    rows = []
    for case, figures in result["cases"].items():
        speeds = figures["tokens_per_second"]
        for name in (name.removeprefix("llama_") for name in speeds if name.startswith("llama_")):
            ratio = figures["ratios_to_llama"].get(f"ours_{name}_balanced/llama_{name}")
            rows.append(
                [f"{case}, {name}"]
                + [spread(speeds.get(f"ours_{name}_{precision}")) for precision in ("fast", "balanced", "exact")]
                + [spread(speeds[f"llama_{name}"])]
                + [f"{ratio['median']:.2f} ({ratio['min']:.2f} to {ratio['max']:.2f})" if ratio else "-"]
            )
    return table(["token/s", "fast", "balanced", "exact", "llama.cpp", "balanced / llama.cpp"], rows)


def peers_over_http(result: dict) -> list[str]:
    """bench/peers/serving.py."""
    rows = []
    for case, sides in result["cases"].items():
        for name in (side.removeprefix("ours_") for side in sides if side.startswith("ours_")):
            ours, theirs = sides[f"ours_{name}"], sides.get(f"llama_{name}", {})
            rows.append(
                [f"{case}, {name}"]
                + [spread(side.get("generated_tokens_per_second")) for side in (ours, theirs)]
                + [spread(side.get("ttft_p95_ms")) for side in (ours, theirs)]
            )
    return table(["over HTTP", "token/s", "llama-server", "TTFT p95, ms", "llama-server"], rows)


def reports_in(value: object, path: str = "") -> list[tuple[str, dict]]:
    """The reports of `mlx-serving bench --json` inside of a result, with their places in it."""
    if not isinstance(value, dict):
        return []
    if value.get("schema") == "mlx-serving-bench/1":
        return [(path, value)]
    return [found for key, entry in value.items() for found in reports_in(entry, f"{path}, {key}" if path else key)]


def own_reports(reports: list[tuple[str, dict]]) -> list[str]:
    rows = [
        [
            f"{place or report['model']['name']}: {entry['test']}",
            str(entry["batch"]),
            spread(entry["tokens_per_second"]),
        ]
        for place, report in reports
        for entry in report["results"]
    ]
    return table(["test", "batch", "token/s"], rows)


def served_loads(result: dict) -> list[str]:
    """mlx-serving bench serve --json."""
    rows = []
    for load in result["loads"]:
        name = f"{load['rate']:g} requests/s" if "rate" in load else f"{load['concurrency']} at once"
        quantiles = [number(load[field][point]) for field in ("ttft_ms", "itl_ms") for point in ("p50", "p99")]
        rows.append([name, number(load["generated_tokens_per_second"]), *quantiles])
    return table(["load", "token/s", "TTFT p50, ms", "p99", "between tokens p50, ms", "p99"], rows)


def scenario(result: dict) -> list[str]:
    """bench/serving/run.py."""
    rows = [[name.replace("_", " "), spread(figure)] for name, figure in result["summary"].items()]
    return [result["what"] or "", "", *table([f"scenario {result['scenario']}", ""], rows)]


def telemetry_pair(result: dict) -> list[str]:
    """bench/telemetry_pair.py."""
    low, high = result["ratio_on_off"]["interval"]
    row = [f"{100 * (value - 1):+.2f} %" for value in (result["ratio_on_off"]["median"], low, high)]
    return table(["counting on, of token/s with it off", "median", "95 % from", "to"], [["decode", *row]])


def cpu_figures(result: dict) -> list[str]:
    """bench/cpu_figures.py: rows of figures, each a number or a spread."""
    first = next(iter(result["rows"].values()))
    is_list = "median" in first or "value" in first

    def cell(figure: dict | float) -> str:
        if isinstance(figure, float):
            return f"{figure:.3g}" if abs(figure) < 1 else number(figure)
        return number(figure["value"]) if "value" in figure else spread(figure)

    if is_list:
        body = table([result["case"], ""], [[name, cell(figure)] for name, figure in result["rows"].items()])
    else:
        rows = [[name, *(cell(figure) for figure in row.values())] for name, row in result["rows"].items()]
        body = table([result["case"], *first], rows)
    return [result["what"], "", *body]


def section(path: pathlib.Path, result: dict) -> list[str]:
    """The lines of one result; none for a form that has no table."""
    cases = result.get("cases", {})
    first = next(iter(cases.values()), {})
    if "tokens_per_second" in first:
        lines = peers_in_process(result)
    elif any(key.startswith("ours_") for key in first):
        lines = peers_over_http(result)
    elif result.get("schema") == "mlx-serving-cpu-figures/1":
        lines = cpu_figures(result)
    elif result.get("schema") == "mlx-serving-bench-serve/1":
        lines = served_loads(result)
    elif "scenario" in result and "summary" in result:
        lines = scenario(result)
    elif result.get("schema") == "mlx-serving-telemetry-pair/1":
        lines = telemetry_pair(result)
    elif reports := reports_in(result):
        lines = own_reports(reports)
    else:
        return []
    return [*lines, "", source_line(path, result), ""]


def tables() -> str:
    lines: list[str] = []
    folder = None
    for path in sorted(RESULTS.glob("*/*.json")):
        content = section(path, json.loads(path.read_text()))
        if content and path.parent != folder:
            folder = path.parent
            lines += [f"### {folder.name}", ""]
        lines += content
    return "Medians with the smallest and largest of the runs.\n\n" + "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--print", action="store_true")
    arguments = parser.parse_args()
    if arguments.print:
        print(tables())
        return 0
    text = DOCUMENT.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        print(f"bench_table: {DOCUMENT} has no place for the tables: {BEGIN} ... {END}", file=sys.stderr)
        return 1
    before, rest = text.split(BEGIN)
    written = f"{before}{BEGIN}\n{tables()}{END}{rest.split(END)[1]}"
    if not arguments.check:
        DOCUMENT.write_text(written)
    elif written != text:
        print(f"bench_table: {DOCUMENT} is not what bench/results says\n  mend: tools/bench_table.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
