import torch


class BitMasks:
    def __init__(self, tensor):
        self.tensor = tensor

    def get_bounding_boxes(self):
        boxes = torch.zeros(len(self.tensor), 4)
        for box, mask in zip(boxes, self.tensor):
            y, x = mask.any(dim=1).nonzero()[:, 0], mask.any(dim=0).nonzero()[:, 0]
            box[:] = torch.tensor([x[0], y[0], x[-1] + 1, y[-1] + 1])
        return boxes
