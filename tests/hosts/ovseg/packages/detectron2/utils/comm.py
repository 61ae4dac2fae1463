rank = 0


def get_rank():
    return rank


def is_main_process():
    return rank == 0
