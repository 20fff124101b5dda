# Made by tools/make_stub.py from the registry: the names that `__init__.py` beside it resolves lazily.

from multimodal.pt.auto import AutoModel as AutoModel
from multimodal.pt.auto import AutoModelForCausalLM as AutoModelForCausalLM
from multimodal.pt.auto import AutoModelForMaskedLM as AutoModelForMaskedLM
from multimodal.pt.auto import AutoModelForMultipleChoice as AutoModelForMultipleChoice
from multimodal.pt.auto import AutoModelForPreTraining as AutoModelForPreTraining
from multimodal.pt.auto import AutoModelForQuestionAnswering as AutoModelForQuestionAnswering
from multimodal.pt.auto import AutoModelForSequenceClassification as AutoModelForSequenceClassification
from multimodal.pt.auto import AutoModelForTokenClassification as AutoModelForTokenClassification
from multimodal.pt.auto import AutoModelForVision2Seq as AutoModelForVision2Seq
from multimodal.pt.models.bert import BertLMHeadModel as BertLMHeadModel
from multimodal.pt.models.bert import BertModel as BertModel
from multimodal.pt.models.data2vec_text import Data2VecTextForCausalLM as Data2VecTextForCausalLM
from multimodal.pt.models.data2vec_text import Data2VecTextForMaskedLM as Data2VecTextForMaskedLM
from multimodal.pt.models.data2vec_text import Data2VecTextForMultipleChoice as Data2VecTextForMultipleChoice
from multimodal.pt.models.data2vec_text import Data2VecTextForQuestionAnswering as Data2VecTextForQuestionAnswering
from multimodal.pt.models.data2vec_text import Data2VecTextForSequenceClassification as Data2VecTextForSequenceClassification
from multimodal.pt.models.data2vec_text import Data2VecTextForTokenClassification as Data2VecTextForTokenClassification
from multimodal.pt.models.data2vec_text import Data2VecTextModel as Data2VecTextModel
from multimodal.pt.models.deit import DeiTModel as DeiTModel
from multimodal.pt.models.gpt2 import GPT2LMHeadModel as GPT2LMHeadModel
from multimodal.pt.models.gpt2 import GPT2Model as GPT2Model
from multimodal.pt.models.lxmert import LxmertForPreTraining as LxmertForPreTraining
from multimodal.pt.models.lxmert import LxmertForQuestionAnswering as LxmertForQuestionAnswering
from multimodal.pt.models.lxmert import LxmertModel as LxmertModel
from multimodal.pt.models.vision_encoder_decoder import VisionEncoderDecoderModel as VisionEncoderDecoderModel
from multimodal.pt.models.vit import ViTModel as ViTModel
