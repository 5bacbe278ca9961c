"""How fast the hub finds things among many repositories, next to looking one up by its key.

python benchmarks/hub_search.py --models 1000000 --folder /tmp/search
python benchmarks/hub_search.py --models 1000000 --database postgresql://postgres@127.0.0.1/search

Fills the database with models (once: a filled one is used again) and prints the median time of each kind of question,
and how many look-ups it costs. Names, tags, cards and numbers follow the curves of large hubs: a few tags that most
models have, very many that few have, cards in Korean and in English.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa
from hub_filling import COMMON_WORD, DISJOINT, RARE_TAG, RARE_WORD, SYLLABLE, WORD, fill

from madang.server.accounts.caller import Caller
from madang.server.database import Database
from madang.server.repositories.records import repositories
from madang.server.search import facets, items, suggesting
from madang.server.search.listing import page
from madang.server.search.questions import ORDERS, cursor, parse
from madang.server.search.records import postings

Case = tuple[str, Callable[[], int]]


def cases(database: Database, models: int) -> Iterator[Case]:
    """What is measured: a name, and a function that does it and returns how many things it found."""
    numbers = iter(range(1, 10**9))

    def look_up() -> int:
        # another row each time, all over the table
        wanted = next(numbers) * 7919 % models + 1
        with database.read() as connection:
            row = connection.execute(sa.select(repositories).where(repositories.c.id == wanted)).one()
            return len(items.item(connection, row, items.fields_of(parse("model", []))))

    def listed(*given: tuple[str, str], pages: int = 1) -> Callable[[], int]:
        def run() -> int:
            asked, found = [*given, ("limit", "30")], 0
            for _ in range(pages):
                question = parse("model", asked)
                fields = items.fields_of(question)
                with database.read() as connection:
                    got = page(connection, Caller(), question)
                    found = len([items.item(connection, row, fields) for row in got.rows])
                if got.stop is None:
                    break
                asked = [*given, ("limit", "30"), ("cursor", cursor(question, got.stop))]
            return found

        return run

    def counted(*given: tuple[str, str]) -> Callable[[], int]:
        def run() -> int:
            with database.read() as connection:
                return int(facets.facets(connection, parse("model", list(given)))["total"])

        return run

    def suggested(typed: str) -> Callable[[], int]:
        def run() -> int:
            with database.read() as connection:
                return len(suggesting.suggestions(connection, Caller(), typed, "model")["models"])

        return run

    yield "look-up by key", look_up
    yield "list, no filter", listed()
    for sort in ORDERS:
        two = (("filter", "transformers"), ("filter", "ko"), ("sort", sort))
        yield f"list, two filters, by {sort}", listed(*two)
    yield "list, two filters, ascending", listed(("filter", "transformers"), ("filter", "ko"), ("direction", "1"))
    yield "list, rare and common filter", listed(("filter", RARE_TAG), ("filter", "region:us"))
    yield "list, nearly disjoint filters", listed(*(("filter", tag) for tag in DISJOINT))
    yield "list, four filters", listed(*(("filter", tag) for tag in ("transformers", "ko", "license:mit", "fill-mask")))
    yield "list, 6B to 8B parameters", listed(("num_parameters", "min:6B,max:8B"), ("sort", "likes"))
    yield "list, name contains", listed(("search", "bert"), ("sort", "downloads"))
    yield "list, name contains, rare", listed(("search", "needle-in-hay"))
    yield "text, common word", listed(("q", COMMON_WORD))
    yield "text, two syllables", listed(("q", WORD))
    yield "text, two syllables, by likes", listed(("q", WORD), ("sort", "likes"))
    yield "text, two words and a filter", listed(("q", f"{WORD} {COMMON_WORD}"), ("filter", "ko"))
    yield "text, rare word", listed(("q", RARE_WORD))
    yield "text, one syllable, common", listed(("q", COMMON_WORD[0]))
    yield "text, one syllable, rare", listed(("q", SYLLABLE))
    yield "text, English word", listed(("q", "translation"))
    yield "text, nowhere", listed(("q", "꿻뷁쉙"))
    yield "text, two letters, nowhere", listed(("q", "\u00b6\u00b6"))
    yield "facets, no filter", counted()
    yield "facets, one filter", counted(("filter", "ko"))
    yield "facets, one free tag", counted(("filter", "tag-0"))
    yield "facets, three filters", counted(*(("filter", tag) for tag in ("transformers", "ko", "license:mit")))
    yield "facets, text", counted(("q", WORD))
    yield "suggestions", suggested("bert-b")


def measure(case: Callable[[], int], runs: int) -> tuple[float, float, int]:
    """Median and least seconds, and what was found. On a busy machine the least is what the work itself takes."""
    found = case()
    case()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        case()
        times.append(time.perf_counter() - start)
    return statistics.median(times), min(times), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--database", help="a database to fill; without it, SQLite in --folder")
    parser.add_argument("--folder", type=Path, default=Path("outputs/hub_search"))
    parser.add_argument("--runs", type=int, default=51)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    database = Database(asked.database or f"sqlite:///{asked.folder / f'{asked.models}.sqlite3'}")
    start = time.perf_counter()
    if fill(database, asked.models):
        print(f"filled in {time.perf_counter() - start:.0f} s")
    report(database, asked.models, asked.runs)


def report(database: Database, models: int, runs: int) -> None:
    with database.read() as connection:
        rows = connection.scalar(sa.select(sa.func.count()).select_from(postings))
    print(f"{models} models, {rows} postings, {database.url.get_backend_name()}; medians of {runs}")
    print(f"{'':36}{'median ms':>11}{'look-ups':>10}{'least ms':>11}{'look-ups':>10}{'found':>9}")
    first: tuple[float, float] | None = None
    most = [0.0, 0.0]
    for name, case in cases(database, models):
        median, least, found = measure(case, runs)
        first = first or (median, least)
        ratios = [median / first[0], least / first[1]]
        most = [max(pair) for pair in zip(most, ratios, strict=True)]
        times = f"{median * 1000:11.2f}{ratios[0]:10.1f}{least * 1000:11.2f}{ratios[1]:10.1f}"
        print(f"{name:36}{times}{found:9}", flush=True)
    print(f"most: {most[0]:.0f} look-ups by medians, {most[1]:.0f} by the least")


if __name__ == "__main__":
    main()
