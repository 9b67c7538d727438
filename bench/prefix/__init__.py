"""Training on shared prefixes against TRL's SFTTrainer: the same samples, model, seed and threads.

    python -m bench.prefix [--quick] [--shape small] [--device cpu] [--bf16]

What is measured: whole optimizer steps of whole trainers (data, forward, backward, clipping, AdamW), each line in a
process of its own, the lines in turn, step by step; the first step of each is not counted. Every line takes the same
samples at its best micro-batch size, which a short trial finds. Then, in one process: loss and gradients against one
sample at a time; a sweep over the length of the prefix and the number of samples that share it; and the tool pairs of
the package. Writes ``bench/results/prefix-<device>.json``.
"""
