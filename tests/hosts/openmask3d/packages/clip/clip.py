"""Stands in for OpenAI's CLIP: the model is open_clip's; `load` has the original's trouble with state dicts."""

import torch
from open_clip import get_tokenizer
from open_clip.model import build_model_from_openai_state_dict
from torchvision import transforms


def build_model(state_dict):
    model = build_model_from_openai_state_dict(state_dict, cast_dtype=torch.float32).eval()
    model.visual.input_resolution = model.visual.image_size[0]
    encode_image = model.encode_image  # the original casts pixels to the weights' precision, half on a GPU
    model.encode_image = lambda image: encode_image(image.type(model.visual.conv1.weight.dtype))
    return model


def _transform(size):
    return transforms.Compose(
        [
            transforms.Resize(size, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ]
    )


def load(name, device="cpu", jit=False, download_root=None):
    with open(name, "rb") as opened_file:
        try:
            model = torch.jit.load(opened_file, map_location="cpu")
            state_dict = dict(model.state_dict())
        except RuntimeError:
            state_dict = torch.load(opened_file, map_location="cpu")
    size = int(state_dict["input_resolution"]) if "input_resolution" in state_dict else 224
    return build_model(state_dict).to(device).float(), _transform(size)


def tokenize(texts):
    return get_tokenizer("ViT-B-32")([texts] if isinstance(texts, str) else texts)
