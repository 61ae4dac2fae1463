from .adapter import ClipAdapter, MaskFormerClipAdapter
from .text_template import PredefinedPromptExtractor
