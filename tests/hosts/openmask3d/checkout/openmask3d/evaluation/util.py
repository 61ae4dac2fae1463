def in_valid(ids, valid):
    import numpy as np

    return np.in1d(ids, valid)
