"""ConceptGraphs imports these; nothing is tagged here."""

inference_tag2text = inference_ram = None
