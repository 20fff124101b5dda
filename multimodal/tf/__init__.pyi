# Made by tools/make_stub.py from the registry: the names that `__init__.py` beside it resolves lazily.

from multimodal.tf.auto import TFAutoModel as TFAutoModel
from multimodal.tf.auto import TFAutoModelForCausalLM as TFAutoModelForCausalLM
from multimodal.tf.auto import TFAutoModelForMaskedLM as TFAutoModelForMaskedLM
from multimodal.tf.auto import TFAutoModelForMultipleChoice as TFAutoModelForMultipleChoice
from multimodal.tf.auto import TFAutoModelForPreTraining as TFAutoModelForPreTraining
from multimodal.tf.auto import TFAutoModelForQuestionAnswering as TFAutoModelForQuestionAnswering
from multimodal.tf.auto import TFAutoModelForSequenceClassification as TFAutoModelForSequenceClassification
from multimodal.tf.auto import TFAutoModelForTokenClassification as TFAutoModelForTokenClassification
from multimodal.tf.auto import TFAutoModelForVision2Seq as TFAutoModelForVision2Seq
from multimodal.tf.models.bert import TFBertLMHeadModel as TFBertLMHeadModel
from multimodal.tf.models.bert import TFBertModel as TFBertModel
from multimodal.tf.models.data2vec_text import TFData2VecTextForCausalLM as TFData2VecTextForCausalLM
from multimodal.tf.models.data2vec_text import TFData2VecTextForMaskedLM as TFData2VecTextForMaskedLM
from multimodal.tf.models.data2vec_text import TFData2VecTextForMultipleChoice as TFData2VecTextForMultipleChoice
from multimodal.tf.models.data2vec_text import TFData2VecTextForQuestionAnswering as TFData2VecTextForQuestionAnswering
from multimodal.tf.models.data2vec_text import TFData2VecTextForSequenceClassification as TFData2VecTextForSequenceClassification
from multimodal.tf.models.data2vec_text import TFData2VecTextForTokenClassification as TFData2VecTextForTokenClassification
from multimodal.tf.models.data2vec_text import TFData2VecTextModel as TFData2VecTextModel
from multimodal.tf.models.deit import TFDeiTModel as TFDeiTModel
from multimodal.tf.models.gpt2 import TFGPT2LMHeadModel as TFGPT2LMHeadModel
from multimodal.tf.models.gpt2 import TFGPT2Model as TFGPT2Model
from multimodal.tf.models.lxmert import TFLxmertForPreTraining as TFLxmertForPreTraining
from multimodal.tf.models.lxmert import TFLxmertForQuestionAnswering as TFLxmertForQuestionAnswering
from multimodal.tf.models.lxmert import TFLxmertModel as TFLxmertModel
from multimodal.tf.models.vision_encoder_decoder import TFVisionEncoderDecoderModel as TFVisionEncoderDecoderModel
from multimodal.tf.models.vit import TFViTModel as TFViTModel
