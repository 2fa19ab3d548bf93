"""The head of a family.toml: everything that stands above its variants."""

import dataclasses
import pathlib
import textwrap

import family
import networks

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Dataset:
    """An evaluation set: its name, its `.sbds` bytes, and name, shape and element names of each input."""

    name: str
    raw: bytes
    samples: int
    inputs: list


def block(text):
    """A TOML multi-line string, in lines of at most 118 characters."""
    return f'"""\n{textwrap.fill(text, 118, break_on_hyphens=False)}"""'


def tables(key, rows):
    """An array of tables `key`, each from a dict of TOML values."""
    return "".join(f"\n[[{key}]]\n" + "".join(f"{k} = {v}\n" for k, v in row.items()) for row in rows)


def origin(what, title, source, licence, copyright, sha256=None):
    """One `origin` table's values."""
    told = {"what": what, "title": title, "source": source, "licence": licence, "copyright": copyright}
    told |= {"sha256": sha256} if sha256 else {}
    return {key: family.text(value) for key, value in told.items()}


def head(kind, files, datasets, command):
    """The text for a `kind.Kind`; its datasets and attachments are put into `files`."""
    lines = ["# Written by models/study/recipe/make.py: change it there.", "schema = 1", f'name = "{kind.name}"']
    lines += [f"{key} = {value}" for key, value in kind.top().items()]
    lines += ["", "[quality]"] + [f"{key} = {value}" for key, value in kind.quality().items()]
    lines += ["", "[recipe]", f"command = {family.text(command)}", f"seed = {networks.SEED}"]
    lines += ['run_time = "not measured"', f"packages = {family.packages(HERE)}"]
    text = "\n".join(lines) + "\n" + tables("origin", kind.origins())
    for role, (name, content) in kind.attachments().items():
        text += tables("attachment", [{"role": family.text(role), "artefact": files.put(name, content)}])
    for entry in datasets:
        artefact = files.put(f"data/{entry.name}.sbds", entry.raw)
        text += tables("dataset", [{"name": family.text(entry.name), "artefact": artefact, "samples": entry.samples}])
        for what, shape, features in entry.inputs:
            row = {"name": family.text(what), "shape": list(shape), "features": family.text(features)}
            text += tables("dataset.input", [{key: value for key, value in row.items() if value != "[]"}])
    return text
