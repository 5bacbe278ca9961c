"""A database full of models for `hub_search`: bulk inserts of what `search.index.update` would have written."""

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

import madang.server.hub  # noqa: F401 - all tables
from madang.server.accounts.records import accounts
from madang.server.database import Database, metadata
from madang.server.repositories.records import repositories
from madang.server.search import sizes, text
from madang.server.search.records import GRAMS, ORDERS, pairs, postings, terms
from madang.server.search.vocabulary import COUNTED, LANGUAGES, LIBRARIES, TASKS, kind_of

RARE_TAG = "rare-tag"  # 40 models
DISJOINT = ("left-half", "right-half")  # a tenth of all models each, and both only on five
COMMON_WORD, WORD, RARE_WORD, SYLLABLE = "모델", "번역", "훈민정음해례본", "뷁"
CHUNK = 10_000


def fill(database: Database, models: int) -> bool:
    """Fill the database, unless it holds that many models already. Returns whether it did."""
    metadata.create_all(database.engine)
    with database.read() as connection:
        if connection.scalar(sa.select(sa.func.count()).select_from(repositories)) == models:
            return False
    database.close()
    sa.event.listen(database.engine, "connect", _unchecked)
    with database.write() as connection:
        indexes = list(postings.indexes)
        for index in indexes:
            index.drop(connection)
        if database.is_sqlite:
            _set(connection, "hashsize", 256 * 1024 * 1024)
        else:
            connection.exec_driver_sql("SET maintenance_work_mem = '1GB'")
            connection.exec_driver_sql("DROP INDEX ix_search_grams")
        world = World(models)
        _copy(connection, accounts, world.accounts())
        found = world.models()
        while chunk := list(islice(found, CHUNK)):
            _write(connection, world, chunk)
        _copy(connection, terms, world.terms())
        _copy(connection, pairs, world.pairs())
        for index in indexes:
            index.create(connection)
        if database.is_sqlite:
            _set(connection, "hashsize", 1024 * 1024)
        if not database.is_sqlite:
            connection.exec_driver_sql(GRAMS["postgresql"][1])
    sa.event.remove(database.engine, "connect", _unchecked)
    database.close()
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if database.is_sqlite else "VACUUM ANALYZE")
    return True


def _unchecked(connection: Any, _: object) -> None:
    """Rows come in any order: foreign keys are not looked at meanwhile."""
    sqlite = type(connection).__module__.startswith("sqlite3")
    connection.cursor().execute("PRAGMA foreign_keys = OFF" if sqlite else "SET session_replication_role = replica")


class World:
    """Invented models. The same number of models always gives the same ones."""

    def __init__(self, models: int) -> None:
        self.random = rnd = random.Random(7)
        self.count = models
        self.owners = max(10, models // 20)
        self.numbers: dict[tuple[str, str], int] = {}
        self.public: Counter[int] = Counter()
        self.hidden: Counter[int] = Counter()
        self.together: Counter[tuple[int, int]] = Counter()
        self.kinds: dict[int, str] = {}
        self.both = set(self.random.sample(range(models), 5))
        self.rare = set(self.random.sample(range(models), 40))
        self.rarely_said = set(self.random.sample(range(models), 20))
        finals = (0, 0, 0, 4, 8, 16, 21)
        say = Zipf(rnd, [chr(0xAC00 + 28 * rnd.randrange(399) + rnd.choice(finals)) for _ in range(900)])
        korean = ["".join(say.some(rnd.choice((2, 2, 3, 3, 4)))) for _ in range(30_000)]
        letters = Zipf(rnd, "etaoinsrhldcumfpgwybvkxjqz")
        english = ["".join(letters.some(rnd.randint(3, 10))) for _ in range(15_000)]
        english[40] = "translation"
        particles = ["", "", "을", "를", "이", "가", "은", "는", "에서", "으로"]
        self.korean = Zipf(rnd, [word + rnd.choice(particles) for word in korean])
        self.english = Zipf(rnd, english)
        self.tasks = Zipf(rnd, ["fill-mask", *sorted(TASKS)])
        self.libraries = Zipf(rnd, sorted(LIBRARIES - {"transformers"}))
        self.languages = Zipf(rnd, ["en", "zh", "ko", *sorted(LANGUAGES - {"ko", "en", "zh"})])
        self.licenses = Zipf(self.random, ["apache-2.0", "mit", *(f"licence-{number}" for number in range(40))])
        self.datasets = Zipf(self.random, range(max(10, models // 20)))
        self.free = Zipf(self.random, range(20_000))
        self.bases = Zipf(self.random, range(max(10, models // 10)))
        # cards are drawn from a pool: inventing a million of them would take most of the time
        self.cards = [self.card() for _ in range(20_000)]
        self.grams = [sorted(text.grams(card)) for card in self.cards]
        self.spelled = [text.spelled(found) for found in self.grams]

    def accounts(self) -> Iterator[dict[str, Any]]:
        for number in range(1, self.owners + 1):
            yield dict(id=number, kind="user", name=f"user{number}", key=f"user{number}", created_at=0)

    def models(self) -> Iterator[tuple[dict[str, Any], int, str, list[int]]]:
        """Row, number of a card, what more the card says, and terms of each model."""
        rnd = self.random
        for number in range(self.count):
            owner = min(self.owners, int(rnd.paretovariate(0.6)))
            task = self.tasks.one() if rnd.random() < 0.7 else None
            tags = ["region:us", *self.other_tags(number), *([task] if task else [])]
            stem = rnd.choice(("bert", "gpt", "llama", "roberta", "t5", "electra", "whisper"))
            hidden = "-needle-in-hay" if number in self.rare else ""
            name = f"user{owner}/{stem}-{self.english.one()}{hidden}-{number}"
            created = 1_600_000_000_000 + number * 100_000 + rnd.randrange(10_000_000)
            likes = int(rnd.paretovariate(1.2)) - 1
            row = dict(
                id=number + 1,
                type="model",
                owner_id=owner,
                name=name,
                key=name,
                private=rnd.random() < 0.1,
                created_at=created,
                modified_at=created + rnd.randrange(10**10),
                card={},
                config={},
                tags=list(dict.fromkeys(tags)),
                pipeline_tag=task,
                parameters=min(10**13, int(1e6 * rnd.paretovariate(0.4))) if rnd.random() < 0.4 else None,
                likes=likes,
                downloads=int(rnd.paretovariate(0.7)) - 1,
                trending=round(rnd.random() * likes, 4) if rnd.random() < 0.2 else 0.0,
            )
            yield row, rnd.randrange(len(self.cards)), self.said(number), self.terms_of(row, f"user{owner}")

    def other_tags(self, number: int) -> Iterator[str]:
        rnd = self.random
        if rnd.random() < 0.6:
            yield "transformers"
        if rnd.random() < 0.7:
            yield from self.libraries.some(rnd.choice((1, 1, 2)))
        if rnd.random() < 0.5:
            yield from self.languages.some(rnd.choice((1, 1, 1, 2, 4)))
        if rnd.random() < 0.6:
            yield f"license:{self.licenses.one()}"
        if rnd.random() < 0.2:
            yield f"dataset:org/data-{self.datasets.one()}"
        if rnd.random() < 0.3:
            yield f"base_model:org/base-{self.bases.one()}"
        yield from (f"tag-{tag}" for tag in self.free.some(rnd.choice((0, 0, 1, 2, 4))))
        if number in self.rare:
            yield RARE_TAG
        if number % 10 == 0 or number in self.both:
            yield DISJOINT[0]
        if number % 10 == 1 or number in self.both:
            yield DISJOINT[1]

    def card(self) -> str:
        """Some 50 words: more than half of the cards are in Korean."""
        words = self.korean if self.random.random() < 0.6 else self.english
        return text.normal(" ".join(words.some(self.random.randint(25, 75))))

    def said(self, number: int) -> str:
        """The words that are searched for, in as many cards as their names say."""
        rnd, said = self.random, []
        if rnd.random() < 0.3:
            said.append(COMMON_WORD + rnd.choice(("", "을", "이", "에서")))
        if rnd.random() < 0.02:
            said.append(rnd.choice(("", "기계")) + WORD + rnd.choice(("", "기", "을")))
        if number in self.rarely_said:
            said.append(f"『{RARE_WORD}』에서{SYLLABLE}")
        return " ".join(said)

    def terms_of(self, row: dict[str, Any], author: str) -> list[int]:
        sized = [] if row["parameters"] is None else sizes.names(row["parameters"])
        named = [("all", ""), ("author", author), *(("size", name) for name in sized)]
        named += [("tag", tag) for tag in row["tags"]]
        found = [self.numbers.setdefault(term, len(self.numbers) + 1) for term in named]
        (self.hidden if row["private"] else self.public).update(found)
        if not row["private"]:
            counted = []
            for (field, name), term in zip(named, found, strict=True):
                if term not in self.kinds:
                    self.kinds[term] = kind_of("model", name) if field == "tag" else field
                if self.kinds[term] in COUNTED:
                    counted.append(term)
            self.together.update((one, other) for one in counted for other in counted if one != other)
        return found

    def terms(self) -> Iterator[dict[str, Any]]:
        for (field, name), term in self.numbers.items():
            kind = kind_of("model", name) if field == "tag" else field
            counted = dict(public=self.public[term], hidden=self.hidden[term])
            yield dict(id=term, type="model", field=field, name=name, kind=kind, **counted)

    def pairs(self) -> Iterator[dict[str, Any]]:
        for (one, other), count in self.together.items():
            yield dict(term_id=one, other_id=other, public=count)


class Zipf:
    """Draws the n-th of its values with a chance that falls as 1/n."""

    def __init__(self, rnd: random.Random, values: Iterable[Any]) -> None:
        self.random, self.values = rnd, list(values)
        self.weights = list(accumulate(1 / rank for rank in range(1, len(self.values) + 1)))

    def some(self, count: int) -> list[Any]:
        return self.random.choices(self.values, cum_weights=self.weights, k=count)

    def one(self) -> Any:
        return self.some(1)[0]


def _write(connection: Connection, world: World, chunk: Sequence[tuple[dict[str, Any], int, str, list[int]]]) -> None:
    names = ("term_id", "repository_id", "private", *ORDERS)
    _copy(connection, repositories, (row for row, *_ in chunk))
    ordered = [((row["id"], row["private"], *(row[name] for name in ORDERS)), found) for row, _, _, found in chunk]
    _insert(
        connection, "search_postings", names, sorted((term, *values) for values, found in ordered for term in found)
    )
    said, indexed = [], []
    for row, card, more, _ in chunk:
        own = text.normal(" ".join([row["name"], *row["tags"], more]))
        said.append((row["id"], row["name"], f"{own} {world.cards[card]}"))
        found = text.grams(row["name"], name=True) | text.grams(own)
        if connection.dialect.name == "sqlite":
            indexed.append((row["id"], f"{text.spelled(found)} {world.spelled[card]}"))
        else:
            indexed.append((row["id"], [*found, *world.grams[card]]))
    _insert(connection, "search_texts", ("repository_id", "name", "text"), said)
    key = "rowid" if connection.dialect.name == "sqlite" else "repository_id"
    _insert(connection, "search_grams", (key, "grams"), indexed)


def _set(connection: Connection, option: str, value: int) -> None:
    """An option of the full-text table: how much it collects in memory before it writes."""
    connection.exec_driver_sql("INSERT INTO search_grams (search_grams, rank) VALUES (?, ?)", (option, value))


def _copy(connection: Connection, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows, with the defaults of their table."""
    defaults = {
        column.name: column.default.arg for column in table.columns if column.default and column.default.is_scalar
    }
    spelled = {column.name for column in table.columns if isinstance(column.type, sa.JSON)}
    remaining = iter(rows)
    while some := list(islice(remaining, CHUNK)):
        names = [column.name for column in table.columns if column.name in some[0] or column.name in defaults]
        full = (defaults | row for row in some)
        lists = ([json.dumps(row[name]) if name in spelled else row[name] for name in names] for row in full)
        _insert(connection, table.name, names, lists)


def _insert(connection: Connection, table: str, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows as fast as the database can."""
    cursor = connection.connection.driver_connection.cursor()
    if connection.dialect.name == "sqlite":
        values = ", ".join("?" * len(names))
        cursor.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})", rows)
        return
    with cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
