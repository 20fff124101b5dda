"""`compile`, `fit` and `evaluate` of the public models: their own loss where none is compiled, and metrics beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from multimodal.specs import Specification
from multimodal.specs.call import ArgumentError
from multimodal.tf.inputs import bind, fed
from multimodal.tf.layers.basic import sizes
from multimodal.tf.layers.resampling import upsampled


class Training(keras.Model):
    """The part of a public model that trains."""

    spec: Specification
    config: Any

    # What goes in

    def fit(self, x=None, y=None, *args, **kwargs):
        """As Keras' own; lists of numbers are arrays, and a tokenizer's output is a dictionary."""
        if isinstance(kwargs.get("validation_data"), tuple | list):
            kwargs["validation_data"] = tuple(fed(item) for item in kwargs["validation_data"])
        return super().fit(fed(x), fed(y), *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """As Keras' own; lists of numbers are arrays, and a tokenizer's output is a dictionary."""
        return super().evaluate(fed(x), fed(y), *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """As Keras' own; lists of numbers are arrays, and a tokenizer's output is a dictionary."""
        return super().predict(fed(x), *args, **kwargs)

    # The loss

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of `compile`, or else the model's own. ValueError where there is neither."""
        if self._compile_loss is not None:
            return super().compute_loss(x, y, compared(y, y_pred), sample_weight, training)
        loss = y_pred.get("loss") if isinstance(y_pred, Mapping) else None
        if loss is None:
            raise ValueError("fit: expected labels among the inputs, or a loss in compile(), got neither")
        if sample_weight is not None:
            raise ValueError(
                "sample_weight: expected None (and no class_weight) with the model's own loss, which is one mean; compile a "
                "loss that Keras weighs"
            )
        return loss / tf.cast(replicas(), loss.dtype)  # Keras adds up what replicas find

    def train_step(self, data):
        """One step of `fit`; targets that are given apart are the labels.

        What the loss does not reach (a pooler that nothing asks for) is no mistake here: it is left out of the step, and
        Keras has nothing to warn of.
        """
        x, y, sample_weight = self._with_labels(data)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True, **self._asked())
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            self._count(loss, x)
            scaled = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled, [variable.value for variable in variables])
        if not self.optimizer.built:
            self.optimizer.build(variables)
        reached = [(gradient, v) for gradient, v in zip(gradients, variables, strict=True) if gradient is not None]
        if not reached:
            raise ValueError("fit: expected a loss that some trainable variable changes, got one that none does")
        self.optimizer.apply(*zip(*reached, strict=True))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data):
        """One step of `evaluate`."""
        x, y, sample_weight = self._with_labels(data)
        y_pred = self(x, training=False, **self._asked())
        self._count(self.compute_loss(x, y, y_pred, sample_weight, training=False), x)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _asked(self) -> dict[str, bool]:
        """What makes a class that is given no labels compute its own loss, where none is compiled."""
        return {"return_loss": True} if "return_loss" in self.spec.names() and self._compile_loss is None else {}

    def _count(self, loss: tf.Tensor, x: Any) -> None:
        """Let the running mean of the epoch know the loss of a batch."""
        rows = next(tf.shape(leaf)[0] for leaf in keras.tree.flatten(x) if leaf is not None)
        self._loss_tracker.update_state(loss * tf.cast(replicas(), loss.dtype), sample_weight=rows)

    def _with_labels(self, data: Any) -> tuple[Any, Any, Any]:
        """(inputs, targets, weights): under the model's own loss the targets are among the inputs, and None."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if y is None or self._compile_loss is not None:
            return x, y, sample_weight
        given, labels = bind(self.spec, (x,), {}), self._labels(y)
        both = [name for name in labels if given.get(name) is not None]
        if both:
            raise ArgumentError(f"{both[0]}: expected it among the inputs or as targets, got both")
        return {**given, **labels}, None, sample_weight

    def _labels(self, y: Any) -> dict[str, Any]:
        """{argument: value} of targets: by their names, in the order of the class, or the first alone."""
        names = [target.argument for target in self.spec.targets]
        if not names:
            raise ValueError(f"{self.spec.name}: expected a loss in compile() for targets, got none")
        if isinstance(y, Mapping):
            unknown = [name for name in y if name not in names]
            if unknown:
                raise ArgumentError(f"y: expected targets among {', '.join(names)}, got {unknown[0]!r}")
            return dict(y)
        return dict(zip(names, y)) if isinstance(y, list | tuple) else {names[0]: y}

    # Metrics

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        """Metrics of `compile`: of its loss's targets, or else of what the model's own loss compares."""
        if self._compile_metrics is None:
            return self.get_metrics_result()
        if self._compile_loss is not None:
            return super().compute_metrics(x, y, compared(y, y_pred), sample_weight)
        x, *_ = self._with_labels((x, y))
        pairs = self._scored(bind(self.spec, (x,), {}), y_pred)
        if not self._compile_metrics.built:
            self._set_metrics(pairs)
        fields = self._metrics_of
        missing = [name for name in fields if name not in pairs]
        if missing:
            raise ValueError(f"metrics: expected labels for {missing[0]}, got none among the inputs")
        truth, answers, counted = ({name: pairs[name][i] for name in fields} for i in range(3))
        return super().compute_metrics(x, truth, answers, counted)

    def _scored(self, given: Mapping[str, Any], y_pred: Mapping[str, Any]) -> dict[str, tuple]:
        """{field: (labels, scores, weights)} of what the own loss compares: a label that counts has the weight one."""
        arguments = {a.name: a for a in (*self.spec.arguments, *self.spec.extra["tf"])}
        pairs = {}
        for target in self.spec.targets:
            labels, scores = given.get(target.argument), y_pred.get(target.field)
            if labels is not None and scores is not None:
                argument = arguments[target.argument].of(self.config, labels)
                if argument.besides is not None:
                    labels = without(labels, self.spec.dimensions(self.config)[argument.besides])
                scores = by_pixel(scores, labels) if target.cells else scores
                pairs[target.field] = matched(argument.kind, labels, scores, ahead=target.ahead)
        return pairs

    def _set_metrics(self, pairs: Mapping[str, tuple]) -> None:
        """Hand the metrics of `compile` out to the fields that there are labels for."""
        asked = [_by_field(self._compile_config.config[name], pairs) for name in ("metrics", "weighted_metrics")]
        fields = list(dict.fromkeys(name for metrics in asked for name in metrics))
        if not fields:
            raise ValueError(
                f"metrics: expected none beside {self.spec.name}'s own loss, which compares labels with no field of the output; "
                "got some in compile()"
            )
        # weights leave out labels that do not count: of whole numbers, all metrics are weighted
        everything = {name: [metric for metrics in asked for metric in metrics.get(name, [])] for name in fields}
        metrics = type(self._compile_metrics)(None, everything)
        object.__setattr__(self, "_metrics_of", tuple(fields))
        object.__setattr__(self, "_compile_metrics", metrics)


def _by_field(metrics: Any, pairs: Mapping[str, tuple]) -> dict[str, list]:
    """{field: its metrics} of a list for all fields, or of a dictionary."""
    if not metrics:
        return {}
    if not isinstance(metrics, Mapping):
        return {name: list(metrics) for name in pairs}
    unknown = [name for name in metrics if name not in pairs]
    if unknown:
        raise ValueError(f"metrics: expected fields with labels, {', '.join(pairs)}, got {unknown[0]!r}")
    return {name: value if isinstance(value, list) else [value] for name, value in metrics.items()}


def compared(y: Any, y_pred: Any) -> Any:
    """The fields of an output that a compiled loss compares: those that the targets name, or else the first."""
    if not isinstance(y_pred, Mapping):
        return y_pred
    if not isinstance(y, Mapping):
        return next(value for name, value in y_pred.items() if name != "loss")
    unknown = [name for name in y if name not in y_pred]
    if unknown:
        raise ValueError(f"y: expected fields of the output, {', '.join(y_pred)}, got {unknown[0]!r}")
    return {name: y_pred[name] for name in y}  # plain: Keras finds no path into a subclass


def without(labels: Any, ignored: int) -> tf.Tensor:
    """Labels of which those that are `ignored` are -100."""
    labels = tf.convert_to_tensor(labels)
    return tf.where(tf.equal(labels, ignored), tf.cast(-100, labels.dtype), labels)


def by_pixel(scores: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """A map of scores (batch, classes, height, width) as scores (..., classes) of each of the labels (batch, ...)."""
    return upsampled(tf.transpose(scores, (0, 2, 3, 1)), sizes(labels)[1:])


def matched(kind: str, labels: Any, scores: Any, *, ahead: bool) -> tuple:
    """(labels, scores, weights): class ids (`kind` "int") outside the classes, as -100 is, do not count."""
    labels = tf.convert_to_tensor(labels)
    if kind != "int":
        return tf.reshape(labels, tf.shape(scores)), scores, tf.ones(tf.shape(scores)[:1])
    if ahead:
        labels, scores = labels[:, 1:], scores[:, :-1]
    labels = tf.reshape(labels, tf.shape(scores)[:-1])  # (batch, 1) for (batch,), too
    counted = (labels >= 0) & (labels < tf.cast(tf.shape(scores)[-1], labels.dtype))
    return tf.where(counted, labels, tf.zeros_like(labels)), scores, tf.cast(counted, tf.float32)


def replicas() -> int:
    """How many devices work on a step at once."""
    return tf.distribute.get_strategy().num_replicas_in_sync
