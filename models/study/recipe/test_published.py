"""Run the published half of make.py on made-up files in the published formats, and what it says when one is wrong.

    python test_published.py                                   # a few minutes
    SCALEBENCH=path/to/scalebench python test_published.py     # the program reads and runs what was written, too

The published files themselves are not needed. What the made-up ones give means nothing (see made_up.py).
"""

import contextlib
import dataclasses
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
import urllib.error
import zipfile
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "recipe")]

import family  # noqa: E402, F401  (sets thread counts before TensorFlow loads)
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

import checkpoint  # noqa: E402
import containers  # noqa: E402
import housing  # noqa: E402
import made_up  # noqa: E402
import make  # noqa: E402
import miniatures  # noqa: E402
import mrpc  # noqa: E402
import networks  # noqa: E402
import published  # noqa: E402
import tiny_imagenet  # noqa: E402
import transfer  # noqa: E402

DEPTH, WIDTH, INDEX, RESOLUTION = 2, 128, 0, 224
MINIATURE = checkpoint.source(DEPTH, WIDTH).file
CHOICE = ["--size", "l2-h128", "--size", "b0", "--size", "d1-w32", "--head-images", "16", "--pictures", "8"]


def setUpModule():
    """The folder of made-up sources; constants and hashes that are those of the published files become its own."""
    global SOURCES, VARIABLES, SCRATCH, PUBLISHED
    PUBLISHED = transfer.HASHES, housing.SOURCE.digest[1]
    tf.config.threading.set_intra_op_parallelism_threads(1)
    scratch = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(scratch.cleanup)
    SCRATCH = pathlib.Path(scratch.name)
    SOURCES = SCRATCH / "made-up"
    SOURCES.mkdir()
    (SCRATCH / "checkpoint").mkdir()
    VARIABLES = made_up.variables(DEPTH, WIDTH)
    made_up.miniature(SOURCES / MINIATURE, DEPTH, WIDTH, VARIABLES, SCRATCH / "checkpoint")
    made_up.paraphrases(SOURCES / mrpc.TRAIN.file, made_up.TRAINED_PAIRS, 1)
    made_up.paraphrases(SOURCES / mrpc.TEST.file, made_up.TESTED_PAIRS, 2)
    made_up.pictures(SOURCES / tiny_imagenet.SOURCE.file)
    made_up.efficientnet(SOURCES / transfer.source(INDEX).file, INDEX, RESOLUTION)
    made_up.houses(SOURCES / housing.SOURCE.file)

    def hashed(source):
        algorithm, _ = source.digest
        return dataclasses.replace(source, digest=(algorithm, published.digest(SOURCES / source.file, algorithm)))

    train, test = hashed(mrpc.TRAIN), hashed(mrpc.TEST)
    for module, name, value in [
        (mrpc, "TRAIN", train), (mrpc, "TEST", test),
        (mrpc, "PAIRS", {train: made_up.TRAINED_PAIRS, test: made_up.TESTED_PAIRS}),
        (housing, "SOURCE", hashed(housing.SOURCE)), (tiny_imagenet, "SOURCE", hashed(tiny_imagenet.SOURCE)),
        (transfer, "HASHES", [hashed(transfer.source(INDEX)).digest[1]] * 6),
        (networks, "TINY_IMAGENET_CLASSES", made_up.CLASSES), (transfer, "CHUNK", 6), (transfer, "AT_ONCE", 4),
    ]:
        patch = mock.patch.object(module, name, value)
        patch.start()
        unittest.addModuleCleanup(patch.stop)


@contextlib.contextmanager
def altered(**files):
    """A copy of the folder of sources, to change."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        for path in SOURCES.iterdir():
            os.link(path, pathlib.Path(folder) / path.name)
        yield pathlib.Path(folder)


def quietly(*given):
    """make.py's exit code, and what it wrote."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = make.main([str(part) for part in given])
    return code, out.getvalue(), err.getvalue()


def encoder(v, segments, ids, mask, masked):
    """BERT up to its pooler in plain numpy, on variables by their published names: [pairs, width]."""
    def dense(x, name):
        return x @ v[f"{name}/kernel"].astype(np.float64) + v[f"{name}/bias"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12) * v[f"{name}/gamma"] + v[f"{name}/beta"]

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    table = lambda name: v[f"bert/embeddings/{name}_embeddings"].astype(np.float64)
    x = table("word")[ids] + table("token_type")[segments] + table("position")[: ids.shape[1]]
    x = norm(x, "bert/embeddings/LayerNorm")
    for n in range(DEPTH):
        scope = f"bert/encoder/layer_{n}"
        mixed = np.empty_like(x)
        query, key, value = (dense(x, f"{scope}/attention/self/{part}") for part in ("query", "key", "value"))
        for head in range(0, WIDTH, networks.HEAD):
            own = slice(head, head + networks.HEAD)
            scores = query[..., own] @ key[..., own].transpose(0, 2, 1) / np.sqrt(networks.HEAD)
            scores += (1 - mask[:, None, :]) * masked
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            mixed[..., own] = weights / weights.sum(-1, keepdims=True) @ value[..., own]
        x = norm(x + dense(mixed, f"{scope}/attention/output/dense"), f"{scope}/attention/output/LayerNorm")
        inner = gelu(dense(x, f"{scope}/intermediate/dense"))
        x = norm(x + dense(inner, f"{scope}/output/dense"), f"{scope}/output/LayerNorm")
    return np.tanh(dense(x[:, 0], "bert/pooler/dense"))


class Checkpoint(unittest.TestCase):
    def loaded(self, **found):
        """Names left out after loading a zip with these variables changed (None: gone)."""
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            path = pathlib.Path(folder) / "made-up.zip"
            there = {name: value for name, value in (VARIABLES | found).items() if value is not None}
            made_up.miniature(path, DEPTH, WIDTH, there, folder)
            return checkpoint.load(networks.bert(DEPTH, WIDTH), path, DEPTH, WIDTH)

    def test_numbers_arrive_where_they_belong(self):
        folder = published.Folder(SOURCES)
        words = checkpoint.vocabulary(SOURCES / MINIATURE)
        pairs, _ = mrpc.rows(folder, mrpc.TEST)
        inputs = mrpc.encode(words, pairs)
        model = networks.bert(DEPTH, WIDTH, batch=None, dropout=0.1)
        left_out = checkpoint.load(model, SOURCES / MINIATURE, DEPTH, WIDTH)
        self.assertEqual(left_out, sorted(name for name in VARIABLES if not name.startswith("bert/")))
        pooled = keras.Model(model.inputs, model.get_layer("pooler.dense").output)
        ours = np.asarray(pooled(inputs, training=False))
        named = dict(zip(networks.PAIR, inputs))
        self.assertTrue((named["mask"].sum(axis=1) < networks.SEQUENCE).any() and (named["mask"][1] == 1).all())
        for masked in (networks.MASKED, -10000.0):
            theirs = encoder(VARIABLES, named["segments"], named["ids"], named["mask"], masked)
            self.assertLess(np.abs(ours - theirs).max(), 2e-5)
            self.assertGreater(theirs.std(axis=0).max(), 0.01)

    def test_what_does_not_fit_is_told(self):
        name = "bert/encoder/layer_1/attention/self/query/kernel"
        with self.assertRaisesRegex(published.Wrong, f"has no variable {name}: fetch the zip of this size"):
            self.loaded(**{name: None})
        with self.assertRaisesRegex(published.Wrong, rf"{name} is \[128, 127\] in the checkpoint, where \[128, 128\] is due"):
            self.loaded(**{name: VARIABLES[name][:, 1:]})
        with self.assertRaisesRegex(published.Wrong, "no place for bert/encoder/layer_2/output/dense/bias"):
            self.loaded(**{"bert/encoder/layer_2/output/dense/bias": np.zeros(4, np.float32)})
        self.assertIn(f"{name}/adam_m", self.loaded(**{f"{name}/adam_m": np.zeros(4, np.float32)}))

    def test_another_size_or_no_zip_is_told(self):
        with self.assertRaisesRegex(published.Wrong, "num_hidden_layers = 2, where 4 is due"):
            checkpoint.load(networks.bert(4, WIDTH), SOURCES / MINIATURE, 4, WIDTH)
        with self.assertRaisesRegex(published.Wrong, "not a whole zip archive"):
            checkpoint.vocabulary(SOURCES / mrpc.TEST.file)
        with self.assertRaisesRegex(published.Wrong, "no vocab.txt inside"):
            checkpoint.vocabulary(SOURCES / tiny_imagenet.SOURCE.file)

    def test_another_vocabulary_is_told(self):
        sizes = [size for size in networks.SIZES["bert-miniatures"] if size.name in ("l2-h128", "l2-h256")]
        with altered() as folder:
            with zipfile.ZipFile(folder / checkpoint.source(2, 256).file, "w") as archive:
                archive.writestr("vocab.txt", "\n".join(reversed(made_up.vocabulary())))
            with self.assertRaisesRegex(published.Wrong, f"A-4.zip: its vocabulary is not that of {MINIATURE}"):
                miniatures.Miniatures(published.Folder(folder), folder, sizes, mock.Mock(keep=False))

    def test_a_broken_fine_tuning_goes_on_to_the_same_weights(self):
        folder = published.Folder(SOURCES)
        pairs, labels = mrpc.rows(folder, mrpc.TRAIN)
        inputs = mrpc.encode(checkpoint.vocabulary(SOURCES / MINIATURE), pairs)
        (size,) = (size for size in networks.SIZES["bert-miniatures"] if size.name == "l2-h128")
        run = lambda out, keep: miniatures.finetune(size, inputs, labels, SOURCES / MINIATURE, out, keep)
        fit, calls = keras.Model.fit, []

        def breaking(*given, **options):
            calls.append(options["epochs"])
            if len(calls) == 3:
                raise KeyboardInterrupt
            return fit(*given, **options)

        whole, broken = (SCRATCH / f"{name}.weights.h5" for name in ("whole", "broken"))
        with contextlib.redirect_stdout(io.StringIO()):
            run(whole, False)
            with mock.patch.object(keras.Model, "fit", breaking):
                self.assertRaises(KeyboardInterrupt, run, broken, True)
                run(broken, True)
        self.assertEqual(calls, [1, 2, 3, 3, 4])
        first, second = networks.bert(DEPTH, WIDTH), networks.bert(DEPTH, WIDTH)
        first.load_weights(whole)
        second.load_weights(broken)
        for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        kernel = checkpoint.names(first)["bert/pooler/dense/kernel"].numpy()
        self.assertGreater(np.abs(kernel - VARIABLES["bert/pooler/dense/kernel"]).max(), 0)


class Paraphrases(unittest.TestCase):
    def test_pairs_become_ids(self):
        words = made_up.vocabulary()
        pairs, labels = mrpc.rows(published.Folder(SOURCES), mrpc.TEST)
        self.assertEqual(labels.tolist(), [int(n % 3 > 0) for n in range(made_up.TESTED_PAIRS)])
        self.assertTrue(pairs[1][0].startswith('" Café '))
        segments, ids, mask = mrpc.encode(words, [('"The Cafés', "sees.")] + pairs)
        told = ["[CLS]", '"', "the", "cafe", "##s", "[SEP]", "sees", ".", "[SEP]"]
        self.assertEqual([words[i] for i in ids[0][:9]], told)
        self.assertEqual(segments[0].tolist(), [0] * 6 + [1] * 3 + [0] * 119)
        self.assertEqual(mask[0].tolist(), [1] * 9 + [0] * 119)
        self.assertEqual(ids[0][9:].tolist(), [0] * 119)
        self.assertEqual(words[ids[2][-1]], "[SEP]")  # the long pair is cut, not its end

    def test_rows_that_are_wrong_are_told(self):
        lines = (SOURCES / mrpc.TEST.file).read_text(encoding="utf-8").split("\n")
        for change, told in [
            (lines[:3] + ["1\t5\t6\tThe cat"] + lines[4:], "line 4 is no label, two numbers and two sentences"),
            (lines[:3] + [lines[3] + "\tmore"] + lines[4:], "line 4 is no label"),
            (lines[:3] + ["2" + lines[3][1:]] + lines[4:], "line 4 is no label"),
            (lines[1:], "its first line is not Quality, #1 ID"),
            (lines[:5], f"4 pairs, where the corpus has {made_up.TESTED_PAIRS}"),
        ]:
            with altered() as folder:
                (folder / mrpc.TEST.file).unlink()
                (folder / mrpc.TEST.file).write_text("\n".join(change), encoding="utf-8")
                with self.assertRaisesRegex(published.Wrong, told):
                    mrpc.rows(published.Folder(folder), mrpc.TEST)


class Pictures(unittest.TestCase):
    def test_choices_are_balanced_and_nested(self):
        archive = tiny_imagenet.Archive(SOURCES / tiny_imagenet.SOURCE.file)
        self.assertEqual(archive.classes, sorted(archive.classes))
        self.assertEqual((len(archive.train), len(archive.val)), (32, 12))
        chosen = archive.choose(archive.train, 16, "--head-images")
        self.assertEqual([group for _, group in chosen], [0, 1, 2, 3] * 4)
        self.assertEqual(archive.choose(archive.train, 8, "--head-images"), chosen[:8])
        for name, group in chosen:
            self.assertIn(f"/train/{archive.classes[group].split()[0]}/images/", name)
        with self.assertRaisesRegex(published.Wrong, "smallest class has 3 pictures: give --pictures at most 12"):
            archive.choose(archive.val, 16, "--pictures")
        grey = archive.pictures([name for name, _ in archive.train if name.endswith("_0.JPEG")], 64)
        self.assertEqual((grey.shape, grey.dtype), ((4, 64, 64, 3), np.uint8))
        self.assertTrue((grey[..., :1] == grey).all())
        with self.assertRaisesRegex(published.Wrong, "val_annotations.txt is not there or no JPEG"):
            archive.pictures(["tiny-imagenet-200/val/val_annotations.txt"], 64)

    def test_the_base_is_the_one_that_keras_would_build(self):
        path = SOURCES / transfer.source(INDEX).file
        with mock.patch("keras.src.utils.file_utils.get_file", return_value=str(path)) as asked:
            due = keras.applications.EfficientNetB0(include_top=False, pooling="avg", input_shape=(RESOLUTION, RESOLUTION, 3))
        self.assertEqual(asked.call_args.args[1], transfer.source(INDEX).url)
        batch = networks.pictures(2, RESOLUTION).astype(np.float32)
        theirs = np.asarray(due(batch, training=False))
        ours = np.asarray(transfer.base(INDEX, RESOLUTION, path)(batch, training=False))
        self.assertGreater(theirs.std(), 0.01)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())

    def test_weights_of_another_net_are_told(self):
        with self.assertRaisesRegex(published.Wrong, r"not the weights of EfficientNetB1 without head \(Layer count mismatch"):
            transfer.base(1, 240, SOURCES / transfer.source(INDEX).file)
        with self.assertRaisesRegex(published.Wrong, "not the weights of EfficientNetB0 without head"):
            transfer.base(INDEX, RESOLUTION, SOURCES / mrpc.TEST.file)


class Houses(unittest.TestCase):
    def test_equal_rows_are_on_one_side(self):
        x, _ = housing.load(SOURCES / housing.SOURCE.file)
        held_out = housing.split(x)
        self.assertEqual(held_out[0], held_out[-1])
        self.assertTrue(0.12 < held_out.mean() < 0.28)

    def test_other_arrays_are_told(self):
        seven = {"x": np.zeros((3, 7)), "y": np.zeros(3)}
        for arrays, told in [(seven, r"x is \(3, 7\) and y \(3,\)"), ({"x": np.zeros(3)}, "arrays x and y")]:
            np.savez(SCRATCH / "other.npz", **arrays)
            with self.assertRaisesRegex(published.Wrong, told):
                housing.load(SCRATCH / "other.npz")


class Sources(unittest.TestCase):
    def test_known_hashes_are_those_of_the_installed_keras(self):
        from keras.src.applications import efficientnet
        from keras.src.datasets import california_housing

        self.assertEqual(PUBLISHED[0], [efficientnet.WEIGHTS_HASHES[f"b{n}"][1] for n in range(6)])
        self.assertEqual(transfer.DEVIATIONS, tuple(efficientnet.IMAGENET_STDDEV_RGB))
        self.assertIn(PUBLISHED[1], pathlib.Path(california_housing.__file__).read_text())

    def test_a_file_that_is_not_the_published_one_is_told(self):
        with altered() as folder:
            (folder / housing.SOURCE.file).unlink()
            (folder / housing.SOURCE.file).write_bytes(b"other")
            code, _, err = quietly("--out", folder / "out", "--published", folder, "mlp-study")
        self.assertEqual(code, 2)
        self.assertRegex(err, "^.*california_housing.npz: its SHA256 is d9298a10.*, but keras.datasets.california_housing has .*: "
                              "delete it, so that it is fetched anew\n$")

    def test_a_file_without_published_hash_must_stay_as_it_was(self):
        source = checkpoint.source(DEPTH, WIDTH)
        with altered() as folder, contextlib.redirect_stdout(io.StringIO()) as out:
            published.Folder(folder).fetch([source])
            self.assertIn("no published hash is known, so it is trusted on this first use", out.getvalue())
            told = json.loads((folder / published.RECORDS).read_text())[source.file]
            self.assertEqual(told["bytes"], (SOURCES / source.file).stat().st_size)
            published.Folder(folder).fetch([source])
            self.assertEqual(out.getvalue().count(source.file), 1)
            (folder / source.file).unlink()
            (folder / source.file).write_bytes(b"other")
            with self.assertRaisesRegex(published.Wrong, "5 bytes with SHA-256 .*, but .*SOURCES.json has .* from its first use"):
                published.Folder(folder).fetch([source])
            (folder / published.RECORDS).write_text("{")
            with self.assertRaisesRegex(published.Wrong, "SOURCES.json: not readable as JSON"):
                published.Folder(folder)

    def test_what_is_missing_is_downloaded(self):
        there = SCRATCH / "served"
        there.write_bytes(b"made up")
        source = dataclasses.replace(checkpoint.source(DEPTH, WIDTH), url=there.as_uri())
        folder = SCRATCH / "new" / "folder"
        with contextlib.redirect_stdout(io.StringIO()):
            published.Folder(folder).fetch([source])
        self.assertEqual(sorted(path.name for path in folder.iterdir()), [published.RECORDS, source.file])
        self.assertEqual((folder / source.file).read_bytes(), b"made up")

    def test_an_answer_that_breaks_off_leaves_nothing(self):
        answer = mock.MagicMock(headers={"Content-Length": "10"}, read=io.BytesIO(b"short").read)
        answer.__enter__.return_value = answer
        source, folder = checkpoint.source(DEPTH, WIDTH), SCRATCH / "broken off"
        with contextlib.redirect_stdout(io.StringIO()), mock.patch("urllib.request.urlopen", return_value=answer):
            with self.assertRaisesRegex(published.Wrong, "could not be downloaded: IncompleteRead"):
                published.Folder(folder).fetch([source])
        self.assertEqual(list(folder.iterdir()), [])

    def test_a_server_without_the_file_is_no_reason_to_leave_the_others(self):
        source = checkpoint.source(DEPTH, WIDTH)
        gone = urllib.error.HTTPError(source.url, 404, "Not Found", None, None)
        with contextlib.redirect_stdout(io.StringIO()), mock.patch("urllib.request.urlopen", side_effect=gone) as asked:
            with self.assertRaisesRegex(published.Wrong, f"{source.file} is missing and the server answers 404 Not Found: fetch"):
                published.Folder(SCRATCH / "gone").fetch([source, mrpc.TEST])
        self.assertEqual(asked.call_count, 2)

    def test_without_network_every_missing_file_is_named(self):
        # A proxy at a port where nothing listens.
        nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
        folder = SCRATCH / "empty"
        command = [sys.executable, HERE / "make.py", "--out", SCRATCH / "none", "--published", folder]
        ended = subprocess.run(command + ["--size", "l2-h128", "--size", "b0"], env=os.environ | nowhere, capture_output=True, text=True)
        self.assertEqual(ended.returncode, 2)
        lines = [line for line in ended.stderr.splitlines() if " is missing and " in line]
        self.assertEqual(len(lines), 5, ended.stderr)
        wanted = [mrpc.TRAIN, mrpc.TEST, checkpoint.source(2, 128), tiny_imagenet.SOURCE, transfer.source(0)]
        for line, source in zip(lines, wanted):
            self.assertTrue(line.startswith(f"{source.file} is missing and it could not be downloaded: "), line)
            self.assertTrue(line.endswith(f": fetch {source.url} and put it at {folder / source.file}"), line)
        self.assertNotIn("Traceback", ended.stderr)
        self.assertFalse((SCRATCH / "none").exists())

    def test_a_folder_that_cannot_be_is_told(self):
        code, _, err = quietly("--out", SCRATCH / "none", "--published", SOURCES / mrpc.TEST.file, "mlp-study")
        self.assertEqual((code, err.count("\n")), (2, 1))
        self.assertIn("msr_paraphrase_test.txt: cannot be a folder of sources (File exists): name another", err)

    def test_options_that_cannot_be_are_told(self):
        for given, told in [(["--size", "b9"], "--size b9: known here are"), (["--pictures", "7"], "give a multiple of 4")]:
            with self.assertRaises(SystemExit), contextlib.redirect_stderr(io.StringIO()) as err:
                make.main(["--out", "x", *given])
            self.assertIn(told, err.getvalue())


class Whole(unittest.TestCase):
    """One small size of each family, from the made-up sources to files that the program accepts."""

    @classmethod
    def setUpClass(cls):
        cls.out = SCRATCH / "families"
        code, cls.said, err = quietly("--out", cls.out, "--published", SOURCES, *CHOICE)
        assert code == 0, err

    def manifest(self, name):
        return tomllib.loads((self.out / name / "family.toml").read_text())

    def test_manifests_say_where_all_came_from(self):
        for name, metrics, classes, samples, licences in [
            ("bert-miniatures", {"top1", "macro_f1", "log_loss"}, 2, made_up.TESTED_PAIRS, {"Apache-2.0", "LicenseRef-MRPC"}),
            ("efficientnet", {"top1", "top5", "log_loss"}, 4, 8, {"Apache-2.0", "LicenseRef-ImageNet"}),
            ("mlp-study", {"r2", "rmse", "mae"}, 0, None, {"LicenseRef-StatLib"}),
        ]:
            told = self.manifest(name)
            self.assertNotIn("weights", told)
            self.assertEqual(set(told["quality"]["baseline"]), metrics)
            self.assertEqual(len(told.get("classes", [])), classes)
            (dataset,) = told["dataset"]
            self.assertEqual(dataset["samples"], samples or dataset["samples"])
            self.assertEqual({origin["licence"] for origin in told["origin"]}, licences)
            for origin in told["origin"]:
                file = SOURCES / origin["source"].rsplit("/", 1)[1]
                self.assertEqual(origin["sha256"], published.digest(file, "sha256"))
            (variant,) = told["variant"]
            precisions = {"float32", "int8"} | ({"dynamic"} if name == "bert-miniatures" else set())
            for precision in precisions:
                self.assertEqual(set(variant[precision]["quality"]), metrics)
                self.assertGreaterEqual(variant[precision]["vectors"], 4)

    def test_costs_are_those_of_the_seeded_graphs(self):
        costs = {name: self.manifest(name)["variant"][0] for name in networks.SIZES}
        bert = costs["bert-miniatures"]
        self.assertEqual((bert["parameters"], bert["macs"]), networks.bert_cost(DEPTH, WIDTH))
        # B0 with 200 classes has 384,790,752, see ../README.md.
        self.assertEqual(costs["efficientnet"]["macs"], 384_790_752 - 1280 * (200 - made_up.CLASSES))
        self.assertEqual(costs["mlp-study"]["macs"], 8 * 32 + 32)

    def test_what_was_trained_is_what_was_measured(self):
        houses = self.manifest("mlp-study")["variant"][0]
        self.assertGreater(houses["float32"]["quality"]["r2"], 0.5)  # made-up prices follow from the rows
        self.assertGreater(houses["int8"]["quality"]["r2"], 0.5)
        pictures = self.manifest("efficientnet")["variant"][0]
        self.assertGreater(pictures["float32"]["quality"]["top1"], 0.5)  # made-up classes have colours
        text = (self.out / "efficientnet" / "family.toml").read_text()
        self.assertIn("# The Keras model in float, on all 12 pictures of the validation split: top1 ", text)
        raw = (self.out / "bert-miniatures" / "data" / "pairs.sbds").read_bytes()
        inputs, labels, _, classes = containers.read_dataset(raw)
        pairs, due = mrpc.rows(published.Folder(SOURCES), mrpc.TEST)
        self.assertEqual((labels.tolist(), classes), (due.tolist(), 2))
        for (stored, _, _), tokens in zip(inputs, mrpc.encode(made_up.vocabulary(), pairs), strict=True):
            np.testing.assert_array_equal(stored, tokens)

    def test_a_second_run_goes_on_with_what_is_there(self):
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            out = pathlib.Path(folder) / "families"
            shutil.copytree(self.out, out)
            given = ["--out", out, "--published", SOURCES]
            with mock.patch.object(housing.perceptron, "train", side_effect=AssertionError("trained again")):
                self.assertEqual(quietly(*given, "--keep", "mlp-study", "--size", "d1-w32")[0], 0)
            before = (out / "mlp-study" / "family.toml").read_text()
            self.assertEqual(before, (self.out / "mlp-study" / "family.toml").read_text())
            self.assertEqual(quietly(*given, "--add", "mlp-study", "--size", "d2-w32")[0], 0)
            told = tomllib.loads((out / "mlp-study" / "family.toml").read_text())
            self.assertEqual([variant["name"] for variant in told["variant"]], ["d1-w32", "d2-w32"])
            code, _, err = quietly("--out", out, "--add", "mlp-study", "--size", "d3-w32")
            self.assertEqual(code, 2)
            self.assertRegex(err, "its sizes were made from other weights, data or options: leave out --add")

    @unittest.skipUnless("SCALEBENCH" in os.environ, "SCALEBENCH names no program")
    def test_the_program_accepts_and_runs_it(self):
        def run(*given):
            command = [os.environ["SCALEBENCH"], *given]
            environment = os.environ | {"SCALEBENCH_MODELS": str(self.out)}
            ended = subprocess.run(command, env=environment, cwd=SCRATCH, capture_output=True, text=True)
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
            return ended.stdout

        for name in networks.SIZES:
            run("models", "validate", name)
        run("run", "--family", "mlp-study", "--precision", "int8", "--plan", "quick", "--output", str(SCRATCH / "run"))


if __name__ == "__main__":
    unittest.main()
