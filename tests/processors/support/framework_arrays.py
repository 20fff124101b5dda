"""An array of NumPy as one of each framework, which is imported where it is asked for."""


def in_torch(array):
    import torch

    return torch.from_numpy(array.copy())


def in_tensorflow(array):
    import tensorflow as tf

    return tf.constant(array)


def in_jax(array):
    import jax.numpy as jnp

    return jnp.asarray(array)
