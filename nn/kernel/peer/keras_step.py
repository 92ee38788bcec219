#!/usr/bin/env python3
"""Measure Keras at the work of "cifartui bench", round by round.

Needs keras and tensorflow or jax. By hand:

    python3 nn/kernel/peer/keras_step.py --backend jax --mode train --batch 64 --threads 2 --rounds 7

It is the article's script: its model1, compiled with its loss, optimizer and
metric, and fit. What has gone from Keras since, ImageDataGenerator, is replaced
by a PyDataset that does the same work as torch_step.py: a batch of images of
bytes, shifted by up to 4 pixels both ways with the border repeated, mirrored by
chance and divided by 255. Inference is evaluate. A round lasts about --seconds
and prints one JSON object on a line; with --rounds 0 there is one for each line
of standard input.
"""
import argparse
import json
import os
import sys
import time


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--mode", choices=("train", "infer"), default="train")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=7, help="0: one for each line of standard input")
    return parser.parse_args()


def model1(keras):
    layers = keras.layers
    stack = [keras.Input((32, 32, 3))]
    for filters in (64, 128, 256):
        for _ in range(2):
            stack.append(layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal"))
        stack.append(layers.MaxPooling2D(2))
    stack += [layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax", kernel_initializer="he_normal")]
    model = keras.Sequential(stack)
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-7),
        metrics=["accuracy"],
    )
    return model


def augmented(keras, np, batch):
    """Return endless batches of training images as a PyDataset."""
    rng = np.random.default_rng(1)
    n = max(1024, 4 * batch)
    images = rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    labels = rng.integers(0, 10, n, dtype=np.int32)
    axis = np.arange(32)

    class Batches(keras.utils.PyDataset):
        num_batches = None

        def __getitem__(self, _):
            pick = rng.integers(0, n, batch)
            rows = (axis + rng.integers(-4, 5, (batch, 1))).clip(0, 31)
            columns = (axis + rng.integers(-4, 5, (batch, 1))).clip(0, 31)
            columns = np.where(rng.random((batch, 1)) < 0.5, columns[:, ::-1], columns)
            x = images[pick[:, None, None], rows[:, :, None], columns[:, None, :]]
            return x.astype(np.float32) / 255, labels[pick]

    return Batches()


def main():
    a = arguments()
    os.environ["KERAS_BACKEND"] = a.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if hasattr(os, "sched_setaffinity"):  # XLA takes as many threads as it may
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: a.threads])
    import numpy as np

    if a.backend == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(a.threads)
        version = "TensorFlow " + tf.__version__
    else:
        import jax

        version = "JAX " + jax.__version__
    import keras

    model = model1(keras)
    if a.mode == "train":
        data = augmented(keras, np, a.batch)

        def run(steps):
            model.fit(data, epochs=1, steps_per_epoch=steps, verbose=0)
    else:
        rng = np.random.default_rng(1)
        x = rng.random((a.batch, 32, 32, 3), dtype=np.float32)
        y = rng.integers(0, 10, a.batch, dtype=np.int32)

        def run(steps):
            model.evaluate(np.tile(x, (steps, 1, 1, 1)), np.tile(y, steps), batch_size=a.batch, verbose=0)

    def timed(steps):
        start = time.perf_counter()
        run(steps)
        return time.perf_counter() - start

    timed(2)  # compiles
    steps = max(1, round(3 * a.seconds / timed(3)))
    for _ in range(a.rounds) if a.rounds else sys.stdin:
        took = timed(steps)
        print(json.dumps({
            "version": f"Keras {keras.__version__} on {version}", "mode": a.mode, "batch": a.batch,
            "threads": a.threads, "layout": "channels_last", "steps": steps, "images_per_second": steps * a.batch / took,
        }), flush=True)
        steps = max(1, round(steps * a.seconds / took))


if __name__ == "__main__":
    main()
