"""The Microsoft Research Paraphrase Corpus: its files, and its sentence pairs as BERT's token ids."""

import numpy as np

import networks
import published

PUBLISHER = "Hugging Face's data set glue/mrpc"


def source(split, sha256):
    return published.Source(
        file=f"msr_paraphrase_{split}.txt",
        url=f"https://dl.fbaipublicfiles.com/senteval/senteval_data/msr_paraphrase_{split}.txt",
        what="data",
        title=f"Microsoft Research Paraphrase Corpus, {split} split, as SentEval and GLUE distribute it",
        licence="LicenseRef-MRPC",
        copyright="Microsoft Research (Dolan and Brockett 2005), sentences from news sources; the text files state no terms: "
                  "see those of Microsoft's own download",
        digest=("sha256", sha256),
        publisher=PUBLISHER,
    )


TRAIN = source("train", "60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89")
TEST = source("test", "a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784")
# Pairs of the official splits.
PAIRS = {TRAIN: 4076, TEST: 1725}
HEADER = ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
CLASSES = ["different", "paraphrase"]


def rows(folder, source):
    """Pairs of sentences and labels (1: a paraphrase). Tab-separated below a header; quotation marks are literal."""
    path = folder.path / source.file
    try:
        lines = [line.rstrip("\r") for line in path.read_bytes().decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise published.Wrong(f"{path}: not UTF-8 ({error}): {published.AGAIN}") from error
    if lines[0].split("\t") != HEADER:
        raise published.Wrong(f"{path}: its first line is not {', '.join(HEADER)}, tab-separated: {published.AGAIN}")
    if lines[-1] == "":
        lines.pop()
    pairs, labels = [], []
    for number, line in enumerate(lines[1:], 2):
        fields = line.split("\t")
        whole = len(fields) == len(HEADER) and fields[0] in ("0", "1") and fields[3].strip() and fields[4].strip()
        if not whole:
            raise published.Wrong(f"{path}: line {number} is no label, two numbers and two sentences, tab-separated: "
                                  f"{published.AGAIN}")
        pairs.append((fields[3], fields[4]))
        labels.append(int(fields[0]))
    if len(pairs) != PAIRS[source]:
        raise published.Wrong(f"{path}: {len(pairs)} pairs, where the corpus has {PAIRS[source]}: {published.AGAIN}")
    return pairs, np.array(labels)


def encode(words, pairs):
    """Segments, ids and mask (in the order of `networks.PAIR`), i32 [pairs, SEQUENCE], by the vocabulary `words`, a list.

    [CLS] first [SEP] second [SEP], in lower case and without accents, the longer sentence cut first, padded with [PAD].
    """
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer({word: number for number, word in enumerate(words)}, lowercase=True)
    tokenizer.enable_truncation(networks.SEQUENCE, strategy="longest_first")
    tokenizer.enable_padding(length=networks.SEQUENCE, pad_id=words.index("[PAD]"))
    found = tokenizer.encode_batch(pairs)
    parts = {"segments": "type_ids", "ids": "ids", "mask": "attention_mask"}
    return [np.array([getattr(row, parts[what]) for row in found], np.int32) for what in networks.PAIR]
