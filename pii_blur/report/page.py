"""The page itself: numbers, plots and tables in one file that needs nothing else, no script and no network.

PRIVACY: it may be handed on, so it takes counts and codes from the status, and neither names of photos nor messages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from html import escape
from statistics import median

from pii_blur.batch.history import Day, History
from pii_blur.batch.status import Status
from pii_blur.report.plots import HALF, Series, columns, legend, rows
from pii_blur.results import Outcome
from pii_blur.version import __version__

MAX_COLUMNS = 62
MAX_ROWS = 12

HEAD = (
    "<!doctype html>",
    '<html lang="en">',
    "<head>",
    '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    # Whatever may be in it, nothing is fetched and nothing is run.
    """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">""",
    "<title>pii-blur report</title>",
)

STYLE = """
:root { color-scheme: light dark; --ink: #1c2529; --faint: #68757c; --paper: #fff; --card: #f4f6f7; --line: #dde3e6;
  --done: #23788a; --clean: #a8b8be; --failed: #c5492f; --vehicle: #c98a1b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebed; --faint: #97a4aa; --paper: #14191b; --card: #1e2528;
  --line: #333d41; --done: #4fb0c4; --clean: #66757c; --failed: #e8735a; --vehicle: #dfa944; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 3rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { margin: 0; font-size: 1.6rem; } h2 { margin: 0 0 .6rem; font-size: 1.05rem; }
header p, footer { color: var(--faint); } header p { margin: .2rem 0 1.6rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; margin-bottom: .8rem; }
.tile, section { background: var(--card); border-radius: .6rem; padding: 1rem 1.1rem; }
.tile b { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile span { color: var(--faint); font-size: .9rem; } .tile.bad b { color: var(--failed); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: .8rem;
  margin-bottom: .8rem; } .pair section { margin: 0; }
section { margin-bottom: .8rem; min-width: 0; overflow-x: auto; }
svg { display: block; width: 100%; height: auto; min-width: 20rem; } svg.w900 { min-width: 40rem; }
svg text { fill: var(--faint); font-size: 12px; }
svg .label { text-anchor: middle; } svg .end { text-anchor: end; } svg line { stroke: var(--line); }
rect.done { fill: var(--done); } rect.clean { fill: var(--clean); } rect.failed { fill: var(--failed); }
rect.vehicle { fill: var(--vehicle); }
.legend { margin: .5rem 0 0; color: var(--faint); font-size: .9rem; }
.legend span { margin-right: 1.2rem; white-space: nowrap; }
.legend i { display: inline-block; width: .75rem; height: .75rem; margin-right: .4rem; border-radius: 2px; }
i.done { background: var(--done); } i.clean { background: var(--clean); } i.failed { background: var(--failed); }
i.vehicle { background: var(--vehicle); }
table { border-collapse: collapse; width: 100%; } td { padding: .25rem 0; border-top: 1px solid var(--line); }
tr:first-child td { border-top: 0; } td:last-child { text-align: right; font-variant-numeric: tabular-nums; }
footer { margin-top: 1.6rem; font-size: .9rem; }
"""


def make_page(status: Status, now: datetime) -> str:
    """Return the whole page.

    Args:
        status: from `read_status`.
        now: printed on it.
    """
    history = status.history
    body = [
        f"<header><h1>pii-blur report</h1><p>{now:%d %B %Y, %H:%M} UTC{_last_run(status)}</p></header>",
        _tiles(status),
        *_over_time(history),
        f'<div class="pair">{_durations(history)}{_stages(history)}</div>',
        f'<div class="pair">{_table("Why photos failed", Counter(one.code for one in status.failures))}',
        f"{_table('How files were written', history.ways)}</div>",
        _table("How pictures were understood", history.projections),
        f"<footer>pii-blur {escape(__version__)}. This page holds counts only: no photos, no names, no places. Days "
        "are those of UTC; a photo that was done several times counts once, on the last day.</footer>",
    ]
    return "\n".join([*HEAD, f"<style>{STYLE}</style>", "</head>", "<body>", *body, "</body>", "</html>", ""])


def _last_run(status: Status) -> str:
    if status.last_run is None:
        return "; no run has ended yet"
    ended = datetime.fromisoformat(status.last_run["ended"])
    return f"; the last run ended {ended:%d %B %Y, %H:%M} UTC with exit code {int(status.last_run['exit_code'])}"


def _tiles(status: Status) -> str:
    outcomes, speed = status.history.outcomes, status.photos_per_second
    tiles = [
        (outcomes[Outcome.BLURRED] + outcomes[Outcome.CLEAN], "photos finished", ""),
        (status.history.people, "people hidden", ""),
        (status.history.vehicles, "vehicles hidden", ""),
        (len(status.failures), "photos failed", "bad" if status.failures else ""),
    ]
    shown = [(f"{number:,}", what, style) for number, what, style in tiles]
    if speed is not None:
        shown.append((f"{speed:.2g}", "photos a second in the last run", ""))
    cells = (f'<div class="tile {style}"><b>{number}</b><span>{what}</span></div>' for number, what, style in shown)
    return f'<div class="tiles">{"".join(cells)}</div>'


def _over_time(history: History) -> list[str]:
    span, days = _by_span(history.days)
    if not days:
        return []
    labels = list(days)
    photos = [
        Series("something hidden", "done", [day.outcomes[Outcome.BLURRED] for day in days.values()]),
        Series("nothing found", "clean", [day.outcomes[Outcome.CLEAN] for day in days.values()]),
        Series("failed", "failed", [day.outcomes[Outcome.FAILED] for day in days.values()]),
    ]
    hidden = [
        Series("people", "done", [day.people for day in days.values()]),
        Series("vehicles", "vehicle", [day.vehicles for day in days.values()]),
    ]
    return [
        _plot(f"Photos a {span}", columns(labels, photos, title=f"Photos a {span}", unit="photos"), photos),
        _plot(f"Hidden a {span}", columns(labels, hidden, title=f"Hidden a {span}"), hidden),
    ]


def _plot(title: str, plot: str, series: list[Series]) -> str:
    return f"<section><h2>{title}</h2>{plot}{legend(series)}</section>"


def _by_span(days: Mapping[str, Day]) -> tuple[str, dict[str, Day]]:
    """Return days, weeks or months without gaps, so many as there is room for, and what they are."""
    if not days:
        return "day", {}
    first, last = (date.fromisoformat(day) for day in (min(days), max(days)))
    number = (last - first).days + 1
    spans: list[tuple[str, int, Callable[[date], str]]] = [
        ("day", MAX_COLUMNS, lambda day: f"{day:%d %b}"),
        ("week", MAX_COLUMNS * 7, lambda day: f"{day - timedelta(day.weekday()):%d %b %y}"),
        ("month", number, lambda day: f"{day:%b %Y}"),
    ]
    name, _, label = next(span for span in spans if number <= span[1])
    merged: dict[str, Day] = {}
    for offset in range(number):
        day = first + timedelta(offset)
        whole = merged.setdefault(label(day), Day())
        if (part := days.get(day.isoformat())) is not None:
            whole.outcomes.update(part.outcomes)
            whole.people += part.people
            whole.vehicles += part.vehicles
    return name, merged


def _durations(history: History) -> str:
    if not history.seconds:
        return ""
    bins = _bins(history.seconds)
    plot = columns(
        [label for label, _ in bins],
        [Series("photos", "done", [number for _, number in bins])],
        title="Photos by the seconds they took",
        width=HALF,
    )
    middle = f"Half of them took less than {median(history.seconds):.2g} s."
    return f'<section><h2>Seconds a photo took</h2>{plot}<p class="legend">{middle}</p></section>'


def _bins(seconds: list[float]) -> list[tuple[str, int]]:
    """Return how many lie between neighbouring powers of two, by the upper one, without empty ends."""
    counts: Counter[int] = Counter()
    for value in seconds:
        counts[next(power for power in range(-3, 64) if value <= 2.0**power)] += 1
    return [(f"≤ {2.0**power:g}", counts[power]) for power in range(min(counts), max(counts) + 1)]


def _stages(history: History) -> str:
    whole = sum(history.stages.values())
    if not whole:
        return ""
    stages = history.stages.most_common()
    texts = [f"{100 * spent / whole:.0f} %" for _, spent in stages]
    plot = rows([name for name, _ in stages], [spent for _, spent in stages], texts, title="Share of the time by stage")
    return f"<section><h2>Where the time goes</h2>{plot}</section>"


def _table(title: str, counts: Counter[str]) -> str:
    if not counts:
        return ""
    shown = counts.most_common(MAX_ROWS)
    if len(counts) > MAX_ROWS:
        shown = [*shown[:-1], ("others", counts.total() - sum(number for _, number in shown[:-1]))]
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{number:,}</td></tr>" for name, number in shown)
    return f"<section><h2>{title}</h2><table>{cells}</table></section>"
