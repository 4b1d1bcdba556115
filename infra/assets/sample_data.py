"""MovieLens as an event log and a catalogue: sample_data.py PICKLE FOLDER (spark runtime).

`events.csv` has user_id, item_id, rating (.5 to 5) and timestamp (seconds since 1970); `items.csv` has item_id, title,
year and genres separated by `|`, none where MovieLens says that none are listed. Items without title or year stay as they are:
the pipeline must cope with them.
"""

import sys
from pathlib import Path

import pandas as pd

RATINGS, USERS = 100_004, 671
EVENTS = {"userId": "user_id", "movieId": "item_id", "rating": "rating", "timestamp": "timestamp"}
ITEMS = {"movieId": "item_id", "title": "title", "year": "year", "genres": "genres"}


def export(pickle: Path, folder: Path) -> None:
    """Write both files, after a look at whether this is the data that everything here was measured on."""
    ratings = pd.read_pickle(pickle, compression="xz")
    found = len(ratings), ratings["userId"].nunique()
    if found != (RATINGS, USERS):
        raise SystemExit(f"{pickle}: {found[0]} ratings of {found[1]} users; expected {RATINGS} of {USERS}")
    ratings[list(EVENTS)].rename(columns=EVENTS).to_csv(folder / "events.csv", index=False)
    items = ratings[list(ITEMS)].rename(columns=ITEMS).drop_duplicates("item_id").sort_values("item_id")
    items["genres"] = items["genres"].replace("(no genres listed)", "")
    items.astype({"year": "Int64"}).to_csv(folder / "items.csv", index=False)


if __name__ == "__main__":
    export(Path(sys.argv[1]), Path(sys.argv[2]))
