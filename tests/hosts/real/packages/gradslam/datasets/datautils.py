"""ConceptGraphs' dataset names it; what it does to pictures is not asked for where features are made."""
