ram = tag2text = None
