"""Times Hugging Face's tokenizers on a text file, and trains with it: the peer of TokenizerComparison.

    tokenizer_speed.py corpus.txt [vocabulary size] [characters per text] [rounds] [write tokenizer.json here]
"""

import os
import statistics
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402


def split(corpus, length):
    start = 0
    while start < len(corpus):
        end = corpus.find("\n", min(len(corpus), start + length))
        end = len(corpus) if end < 0 else end + 1
        yield corpus[start:end]
        start = end


def main():
    corpus = open(sys.argv[1], encoding="utf-8", newline="").read()
    size, length, rounds = (int(a) for a in (sys.argv[2:5] + ["8192", "4096", "7"][len(sys.argv[2:5]):]))
    texts = list(split(corpus, length))
    megabytes = len(corpus.encode()) / 1e6
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    start = time.perf_counter()
    tokenizer.train_from_iterator(texts, trainer)
    print(f"training: {time.perf_counter() - start:.2f} s")
    if len(sys.argv) > 5:
        tokenizer.save(sys.argv[5])
    for name, encode in (
        ("encode", lambda: [tokenizer.encode(text).ids for text in texts]),
        ("encode_batch_fast", lambda: [e.ids for e in tokenizer.encode_batch_fast(texts)]),
    ):
        seconds = []
        for _ in range(rounds):
            start = time.perf_counter()
            encode()
            seconds.append(time.perf_counter() - start)
        median = statistics.median(seconds)
        print(f"{name}: {median * 1e3:.1f} ms  {megabytes / median:.1f} MB/s (median of {rounds})")


main()
