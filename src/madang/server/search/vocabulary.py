"""Which facet a tag belongs to: task, library, language, licence and so on.

Tags say it themselves (`license:mit`) or are words that everybody uses for one thing (`fill-mask`, `transformers`,
`ko`). What is in no list is `other`. The kind of a tag depends on the tag alone, so that counters stay true.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TASKS = _words("""
    text-classification token-classification table-question-answering question-answering zero-shot-classification
    translation summarization feature-extraction text-generation text2text-generation fill-mask sentence-similarity
    text-to-speech text-to-audio automatic-speech-recognition audio-to-audio audio-classification
    audio-text-to-text voice-activity-detection depth-estimation image-classification object-detection
    image-segmentation text-to-image image-to-text image-to-image image-to-video unconditional-image-generation
    video-classification reinforcement-learning robotics tabular-classification tabular-regression tabular-to-text
    table-to-text multiple-choice text-ranking text-retrieval time-series-forecasting text-to-video
    image-text-to-text image-text-to-image image-text-to-video visual-question-answering
    document-question-answering zero-shot-image-classification graph-ml mask-generation zero-shot-object-detection
    text-to-3d image-to-3d image-feature-extraction video-text-to-text keypoint-detection visual-document-retrieval
    any-to-any video-to-video conversational
""")
LIBRARIES = _words("""
    transformers pytorch tensorflow tf jax flax safetensors gguf onnx peft diffusers sentence-transformers keras
    keras-hub adapter-transformers adapters allennlp asteroid bertopic espnet fairseq fastai fasttext flair gliner
    mlx mlx-lm mindspore ml-agents nemo open_clip openclip openvino paddlepaddle paddlenlp paddleocr pyannote-audio
    pyannote pythae rust sample-factory scikit-learn sklearn setfit skops spacy span-marker speechbrain
    stable-baselines3 stanza tensorboard tensorboardx tf-keras tflite timm transformers.js trl unity-sentis coreml
    joblib vllm ultralytics unsloth executorch llamafile exl2 gptq awq bitsandbytes litert madang
""")
LANGUAGES = _words("""
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el
    en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu
    ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na
    nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn
    so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
    multilingual ast arz ary arb apc ars azb bcl ceb ckb cmn fil fon gsw hne hsb ilo jbo jje kab lij ltg lzh mai
    min mni nan nds pap pcm sat scn shn szl tpi vec wuu yue yua zgh
""")
SDKS = frozenset({"gradio", "streamlit", "docker", "static"})
# tags that name their facet before a colon
PREFIXES = _words("""
    license dataset language region arxiv doi base_model benchmark task_categories task_ids size_categories
    multilinguality language_creators annotations_creators source_datasets modality format library sdk
""")
# Facets whose values are counted together with each other: few values that many repositories share.
COUNTED = ("pipeline_tag", "library", "language", "license", "region")
COUNTED_OF_DATASETS = ("task_categories", "task_ids", "size_categories", "modality", "format")
OF_TYPE = {
    "model": COUNTED,
    "dataset": (*COUNTED_OF_DATASETS, "library", "language", "license", "region"),
    "space": ("sdk", "region", "license", "language"),
}
# Facets with values without number: shown, and counted together with others only as far as a bounded look goes.
OPEN = {"model": ("dataset", "base_model", "other"), "dataset": ("other",), "space": ("other",)}
_WORDS = {
    **dict.fromkeys(TASKS, "pipeline_tag"),
    **dict.fromkeys(LIBRARIES, "library"),
    **dict.fromkeys(LANGUAGES, "language"),
}


def kind_of(type: str, tag: str) -> str:
    """The facet of a tag of repositories of this type."""
    prefix, colon, _ = tag.partition(":")
    if colon and prefix in PREFIXES:
        return prefix
    if type == "space" and tag in SDKS:
        return "sdk"
    return _WORDS.get(tag, "other") if type == "model" else "other"
