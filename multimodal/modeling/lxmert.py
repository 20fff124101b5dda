"""What LXMERT's classes that answer questions do the same way in every backend."""

from __future__ import annotations

from typing import Any

from multimodal.modeling.base import ModelBase
from multimodal.modeling.changes import expect_count


class AnswersQuestions(ModelBase):
    """Scores of a list of answers, which may become another list."""

    def get_qa_logit_layer(self) -> Any:
        """The layer that scores every answer (in Flax its matrix); None of a model that was made without that task."""
        return self._layer("answers.scores") if "answer_head" in self.parts else None

    def resize_num_qa_labels(self, num_labels: int | None = None) -> Any:
        """Give the list of answers another length: kept answers keep their scores, new ones are drawn fresh.

        None changes nothing. Returns what scores the answers, see `get_qa_logit_layer`.
        """
        if "answer_head" not in self.parts:
            raise ValueError("resize_num_qa_labels: expected a model with task_qa=True, got one without")
        if num_labels is None:
            return self.get_qa_logit_layer()
        size = expect_count("num_labels", num_labels)
        self._resize("num_qa_labels", size, "answers")
        return self.get_qa_logit_layer()
