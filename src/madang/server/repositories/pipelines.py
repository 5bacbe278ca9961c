"""Which task a transformers model is for, told by the class its config names."""

import re

# the end of a class's name -> task; the first that fits counts
_ENDINGS = (
    ("ForCausalLM", "text-generation"),
    ("LMHeadModel", "text-generation"),
    ("ForMaskedLM", "fill-mask"),
    ("ForTokenClassification", "token-classification"),
    ("ForTableQuestionAnswering", "table-question-answering"),
    ("ForDocumentQuestionAnswering", "document-question-answering"),
    ("ForVisualQuestionAnswering", "visual-question-answering"),
    ("ForQuestionAnswering", "question-answering"),
    ("ForMultipleChoice", "multiple-choice"),
    ("ForVideoClassification", "video-classification"),
    ("ForImageClassification", "image-classification"),
    ("ForImageClassificationWithTeacher", "image-classification"),
    ("ForAudioClassification", "audio-classification"),
    ("ForSemanticSegmentation", "image-segmentation"),
    ("ForInstanceSegmentation", "image-segmentation"),
    ("ForUniversalSegmentation", "image-segmentation"),
    ("ForImageSegmentation", "image-segmentation"),
    ("ForZeroShotObjectDetection", "zero-shot-object-detection"),
    ("ForObjectDetection", "object-detection"),
    ("ForDepthEstimation", "depth-estimation"),
    ("ForMaskGeneration", "mask-generation"),
    ("ForKeypointDetection", "keypoint-detection"),
    ("ForCTC", "automatic-speech-recognition"),
    ("ForSpeechSeq2Seq", "automatic-speech-recognition"),
    ("ForSpeechToText", "automatic-speech-recognition"),
    ("ForTextToSpeech", "text-to-speech"),
    ("ForTextToSpectrogram", "text-to-speech"),
    ("ForTextToWaveform", "text-to-audio"),
    ("ForImageTextToText", "image-text-to-text"),
    ("VisionEncoderDecoderModel", "image-to-text"),
    ("SpeechEncoderDecoderModel", "automatic-speech-recognition"),
    ("EncoderDecoderModel", "text2text-generation"),
    ("MarianMTModel", "translation"),
)
# what ForConditionalGeneration and ForSequenceClassification mean depends on what the family reads
_HEARS = re.compile("whisper|speech|wav2vec|hubert|wavlm|audio-spectrogram|unispeech|sew|data2vec-audio|moonshine")
_SEES = re.compile("vl|llava|blip|paligemma|pix2struct|git|idefics|mllama|vision|gemma3|kosmos|florence|janus|pixtral")
_SAME_SPACE = re.compile("CLIPModel|SiglipModel|Siglip2Model|AlignModel|ChineseCLIPModel|AltCLIPModel")

AUTO_MODELS = {
    "text-generation": ("AutoModelForCausalLM", "AutoTokenizer"),
    "fill-mask": ("AutoModelForMaskedLM", "AutoTokenizer"),
    "token-classification": ("AutoModelForTokenClassification", "AutoTokenizer"),
    "text-classification": ("AutoModelForSequenceClassification", "AutoTokenizer"),
    "question-answering": ("AutoModelForQuestionAnswering", "AutoTokenizer"),
    "table-question-answering": ("AutoModelForTableQuestionAnswering", "AutoTokenizer"),
    "document-question-answering": ("AutoModelForDocumentQuestionAnswering", "AutoProcessor"),
    "visual-question-answering": ("AutoModelForVisualQuestionAnswering", "AutoProcessor"),
    "multiple-choice": ("AutoModelForMultipleChoice", "AutoTokenizer"),
    "text2text-generation": ("AutoModelForSeq2SeqLM", "AutoTokenizer"),
    "translation": ("AutoModelForSeq2SeqLM", "AutoTokenizer"),
    "video-classification": ("AutoModelForVideoClassification", "AutoImageProcessor"),
    "image-classification": ("AutoModelForImageClassification", "AutoImageProcessor"),
    "image-segmentation": ("AutoModelForImageSegmentation", "AutoImageProcessor"),
    "object-detection": ("AutoModelForObjectDetection", "AutoImageProcessor"),
    "zero-shot-object-detection": ("AutoModelForZeroShotObjectDetection", "AutoProcessor"),
    "zero-shot-image-classification": ("AutoModelForZeroShotImageClassification", "AutoProcessor"),
    "depth-estimation": ("AutoModelForDepthEstimation", "AutoImageProcessor"),
    "mask-generation": ("AutoModelForMaskGeneration", "AutoProcessor"),
    "keypoint-detection": ("AutoModelForKeypointDetection", "AutoImageProcessor"),
    "audio-classification": ("AutoModelForAudioClassification", "AutoFeatureExtractor"),
    "automatic-speech-recognition": ("AutoModelForSpeechSeq2Seq", "AutoProcessor"),
    "text-to-speech": ("AutoModelForTextToSpectrogram", "AutoProcessor"),
    "text-to-audio": ("AutoModelForTextToWaveform", "AutoProcessor"),
    "image-text-to-text": ("AutoModelForImageTextToText", "AutoProcessor"),
    "image-to-text": ("AutoModelForImageTextToText", "AutoProcessor"),
    "feature-extraction": ("AutoModel", "AutoTokenizer"),
}

# the tasks a card's tags can name in place of `pipeline_tag`
PIPELINES = frozenset(AUTO_MODELS) | {
    *("summarization", "sentence-similarity", "text-ranking", "text-to-image", "image-to-image", "image-to-video"),
    *("text-to-video", "audio-to-audio", "any-to-any", "voice-activity-detection", "reinforcement-learning"),
    "robotics",
    *("tabular-classification", "tabular-regression", "tabular-to-text", "table-to-text", "time-series-forecasting"),
    *("graph-ml", "zero-shot-classification", "unconditional-image-generation", "image-feature-extraction"),
    *("text-retrieval", "text-to-3d", "image-to-3d", "video-text-to-text", "audio-text-to-text", "video-to-video"),
    "visual-document-retrieval",
}


def pipeline_of(architectures: list[str], model_type: str) -> str | None:
    """The task of the first class that tells one."""
    for name in architectures:
        task = _of_class(name, model_type)
        if task is not None:
            return task
    return None


def _of_class(name: str, model_type: str) -> str | None:
    kind = model_type.replace("_", "-")
    for ending, task in _ENDINGS:
        if name.endswith(ending):
            return task
    if name.endswith("ForSequenceClassification"):
        return "audio-classification" if _HEARS.search(kind) else "text-classification"
    if name.endswith("ForConditionalGeneration"):
        if _HEARS.search(kind):
            return "automatic-speech-recognition"
        return "image-text-to-text" if _SEES.search(kind) else "text2text-generation"
    if _SAME_SPACE.fullmatch(name):
        return "zero-shot-image-classification"
    return "feature-extraction" if name.endswith("Model") else None


def auto_model_of(pipeline: str, architectures: list[str]) -> tuple[str, str | None]:
    """The class that loads such a model, and what prepares its inputs."""
    if any(name.endswith("ForCTC") for name in architectures):
        return "AutoModelForCTC", "AutoProcessor"
    return AUTO_MODELS.get(pipeline, ("AutoModel", None))
