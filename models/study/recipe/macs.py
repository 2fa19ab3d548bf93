"""Our multiply-accumulates and parameters beside those that are published, as a Markdown table.

    python macs.py --out ~/study-models                     # every float32 model that make.py has built there
    python macs.py --out ~/study-models --scalebench PATH   # with this program instead of one on the PATH

Ours are what `scalebench models inspect --json` counts on the converted file; theirs are models/published/*.toml.
"""

import argparse
import json
import pathlib
import subprocess
import tomllib

PUBLISHED = pathlib.Path(__file__).resolve().parents[2] / "published"


def published():
    """Family and variant to the row of the table that others have published."""
    tables = (tomllib.loads(file.read_text()) for file in PUBLISHED.glob("*.toml"))
    return {(table["name"], row["variant"]): row for table in tables for row in table["row"]}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=pathlib.Path, required=True, help="folder that make.py wrote into")
    ap.add_argument("--scalebench", default="scalebench", help="the program that counts")
    asked = ap.parse_args()
    rows, theirs = [], published()
    for file in asked.out.glob("*/weights/*.float32.tflite"):
        command = [asked.scalebench, "models", "inspect", "--json", str(file)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        family, variant = file.parts[-3], file.name.removesuffix(".float32.tflite")
        rows.append((family, told["macs"], variant, told["parameters"]))
    print("| model | parameters | published | MACs | published | ours / theirs |")
    print("|---|---:|---:|---:|---:|---:|")
    for family, macs, variant, parameters in sorted(rows):
        row = theirs.get((family, variant))
        paper = (f"{row['parameters']:,}", f"{row['macs']:,}", f"{macs / row['macs']:.2f}") if row else ("–",) * 3
        print(f"| {family} {variant} | {parameters:,} | {paper[0]} | {macs:,} | {paper[1]} | {paper[2]} |")


main()
