import clip


def build_clip_model(model, mask_prompt_depth=0, frozen=True):
    model, _ = clip.load(model, mask_prompt_depth=mask_prompt_depth, device="cpu")
    return model.requires_grad_(not frozen)
