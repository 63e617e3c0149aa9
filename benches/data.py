"""Rows for one table of the benchmark's database, as COPY text: data.py TABLE BYTES SEED | psql -c 'COPY ... FROM STDIN'.

What a backup meets in practice: sentences whose words are as unevenly frequent as in a language, times that grow, prices,
JSON events, statuses, and some random ids, which do not compress at all. The same seed gives the same bytes.
"""

import random
import sys
from array import array
from datetime import datetime, timedelta

COMMON = """the of and to a in is that it was for on are as with his they at be this have from or one had by word but not
what all were we when your can said there use an each which she do how their if will up other about out many then them
these so some her would make like him into time has look two more write go see number no way could people my than first
water been call who its now find long down day did get come made may part order customer delivery invoice please thank
you regards received payment account price item stock return question answer week month late early damaged replaced""".split()
CITIES = ["Berlin", "Genève", "Kraków", "東京", "São Paulo", "Αθήνα", "Reykjavík", "Oslo", "Lyon", "Porto"]
STATUSES = ["open", "paid", "paid", "paid", "sent", "sent", "sent", "sent", "returned"]
KINDS = ["page_view", "page_view", "page_view", "search", "basket_add", "basket_remove", "checkout", "login"]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5)",
          "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0"]
START = datetime(2024, 1, 1)


def vocabulary():
    """65,536 places filled by Zipf's law, so that two random bytes pick a word; half of the places are short phrases."""
    dice = random.Random(1)
    parts = ["ra", "to", "mi", "len", "ver", "sta", "qui", "nor", "pel", "ung", "ter", "sol", "dis", "com", "ing", "ed"]
    words = COMMON + sorted({"".join(dice.choices(parts, k=dice.randint(2, 4))) for _ in range(6000)}, key=hash_of)
    phrases = [" ".join(words[int(dice.paretovariate(0.6)) % len(words)] for _ in range(dice.randint(3, 7)))
               for _ in range(4000)]
    return zipf(words, 32768) + zipf(phrases, 32768)


def hash_of(word):
    """An order that does not change from one Python to the next."""
    return random.Random(word).random()


def zipf(things, places):
    # With Mandelbrot's shift: the first ten words of a language are less lonely at the top than 1/rank has it.
    total = sum(1 / (rank + 6) for rank in range(1, len(things) + 1))
    filled = []
    for rank, thing in enumerate(things, 1):
        filled += [thing] * max(1, round(places / (rank + 6) / total))
    return (filled + things * (places // len(things) + 1))[:places]


def sentences(dice, table, characters):
    picks = array("H", dice.randbytes(2 * max(1, characters // 15)))
    return " ".join(map(table.__getitem__, picks)).capitalize() + "."


def at(n, dice):
    return (START + timedelta(seconds=n * 3 + dice.randrange(3), milliseconds=dice.randrange(1000))).isoformat(" ", "milliseconds")


def uuid(dice):
    digits = dice.randbytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def customers(n, dice, table):
    name = f"{table[dice.randrange(32768)]} {table[dice.randrange(32768)]}".title()
    return f"{n}\t{name}\tcustomer{n}@example.com\t{dice.choice(CITIES)}\t{at(n, dice)}+00\t{uuid(dice)}\n"


def orders(n, dice, table):
    note = sentences(dice, table, 60) if dice.random() < 0.3 else "\\N"
    price = int(dice.paretovariate(1.2) * 999) % 100_000 / 100
    return f"{n}\t{dice.randrange(100_000)}\t{dice.choice(STATUSES)}\t{price:.2f}\t{at(n, dice)}+00\t{note}\n"


def events(n, dice, table):
    kind = dice.choice(KINDS)
    session = dice.randrange(50_000)
    return (f'{n}\t{at(n, dice)}+00\t{kind}\t{{"kind": "{kind}", "session": "s-{session:06d}", "agent": "{dice.choice(AGENTS)}", '
            f'"request": "{dice.randbytes(6).hex()}", "path": "/products/{int(dice.paretovariate(0.8)) % 9000}", "milliseconds": {int(dice.expovariate(0.02))}, '
            f'"from": "search/{table[dice.randrange(32768)]}", "ok": {"true" if dice.random() < 0.97 else "false"}}}\n')


def messages(n, dice, table):
    body = "\\n".join(sentences(dice, table, dice.randrange(80, 900)) for _ in range(dice.randrange(1, 4)))
    return f"{n}\t{dice.randrange(100_000)}\t{at(n * 40, dice)}+00\t{sentences(dice, table, 40)}\t{body}\n"


def main():
    make = {"customers": customers, "orders": orders, "events": events, "messages": messages}[sys.argv[1]]
    size, dice, table = int(sys.argv[2]), random.Random(f"{sys.argv[3]} {sys.argv[1]}"), vocabulary()
    out = open(sys.stdout.fileno(), "w", encoding="utf-8", buffering=1 << 20, newline="\n")
    written = n = 0
    while written < size:
        n += 1
        row = make(n, dice, table)
        written += len(row)
        out.write(row)
    out.flush()


main()
