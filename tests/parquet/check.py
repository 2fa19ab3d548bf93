"""Reads an exported Parquet folder with pyarrow and DuckDB and compares every value with the CSV.

    pip install pyarrow==26.0.1 duckdb==2.0.1
    scalebench export --format csv --output trials.csv
    scalebench export --format parquet --output lake
    python check.py trials.csv lake
"""

import csv
import sys

import duckdb
import pyarrow.dataset as dataset

table, lake = sys.argv[1], sys.argv[2]
with open(table, newline="") as file:
    expected = {(row["run"], int(row["trial"])): row for row in csv.DictReader(file)}

partitioning = dataset.partitioning(flavor="hive")
trials = dataset.dataset(f"{lake}/trials", partitioning=partitioning).to_table().to_pylist()
query = "SELECT * FROM read_parquet(?, hive_partitioning = true)"
relation = duckdb.execute(query, [f"{lake}/trials/**/*.parquet"])
names = [column[0] for column in relation.description]
from_duckdb = [dict(zip(names, row)) for row in relation.fetchall()]


def same(text, value):
    if value is None:
        return text == ""
    return float(text) == value if isinstance(value, float) else text == str(value)


for reader, rows in (("pyarrow", trials), ("DuckDB", from_duckdb)):
    assert len(rows) == len(expected), f"{reader}: {len(rows)} trials, the CSV has {len(expected)}"
    for row in rows:
        other = expected[row["run"], row["trial"]]
        assert row.keys() == other.keys(), f"{reader}: {row.keys() ^ other.keys()}"
        for name, value in row.items():
            assert same(other[name], value), f"{reader}: {name} is {value!r}, in the CSV {other[name]!r}"

readings = dataset.dataset(f"{lake}/readings", partitioning=partitioning).to_table(columns=["run", "ns"])
count, total = duckdb.execute(
    "SELECT count(*), sum(ns) FROM read_parquet(?)", [f"{lake}/readings/**/*.parquet"]
).fetchone()
assert count == readings.num_rows > 0, f"{count} readings in DuckDB, {readings.num_rows} in pyarrow"
ours = sum(readings["ns"].to_pylist())
assert abs(total - ours) <= 1e-9 * ours, f"{total} ns in DuckDB, {ours} in pyarrow"
counted = sum(int(row["readings"] or 0) for row in expected.values())
assert counted <= count, f"the CSV counts {counted} readings, {count} were exported"
print(f"{len(trials)} trials and {count} readings are the same in CSV, pyarrow and DuckDB")
