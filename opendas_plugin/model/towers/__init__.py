"""The towers of open_clip's models (3.x), a file for each kind; :mod:`.find` says which kind a model's are.

=====================  ==================================================================================
:mod:`.plain_visual`   open_clip's ViT read at the class token: learnt tokens in every layer, read-only tokens
:mod:`.plain_text`     open_clip's causal text transformer: likewise, padding and common beginnings not computed
:mod:`.timm_visual`    timm's ViTs (SigLIP, EVA, PE-Core, ViTamin and so on): learnt tokens in every layer
:mod:`.pooled_visual`  open_clip's ViT with another pooling (CLIPA) or other blocks: likewise
:mod:`.whole_text`     open_clip's text transformer that reads its padding (SigLIP, CLIPA, MobileCLIP): likewise
:mod:`.own_forward`    every other: ConvNeXt, ResNet, Swin, Hugging Face texts and so on, by the model's own
                       forward; learnt weights alone
=====================  ==================================================================================

All of them share :mod:`.base` (names of weights) and :mod:`.layers` (which of these are norms and matrices of what);
those that run a library's blocks as they are also :mod:`.whole_visual`, and texts :mod:`.layered_text`.
"""
